/** Web-standard route handlers for Next.js, or anything else that speaks `Request` and `Response`. */
export {
  assertTrustedOrigin,
  authorize,
  type CreditsUser,
  type GetUser,
  type ProtectedContext,
  type ProtectedRouteOptions,
  protectedRoute,
  type RouteOptions,
  readJson,
} from './guard.ts'
export {
  type CreditsHandlers,
  type CreditsHandlersOptions,
  createCreditsHandlers,
  type Handler,
  type RouteHandlers,
} from './handlers.ts'
export { type OpenApiOptions, openApiDocument } from './openapi.ts'
export {
  type Problem,
  type ProblemOptions,
  parseProblem,
  problemBody,
  problemResponse,
  withProblems,
} from './problem.ts'
export { type HandlerCredits, toBalanceBody } from './routes.ts'
export type {
  BalanceBody,
  DriftBody,
  HistoryBody,
  MarginAuditBody,
  MarginBody,
  MarginsBody,
  ProfitReportBody,
  RatesBody,
  SetMarginBody,
  TransactionBody,
  WhatIfBody,
} from './schemas.ts'
export { type SupabaseUserClient, type SupabaseUserOptions, supabaseUser } from './supabase-user.ts'
