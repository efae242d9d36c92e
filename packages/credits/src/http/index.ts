/** Web-standard route handlers for Next.js and every other server that speaks `Request` and `Response`. */
export type { ErrorContext } from '../core/errors.ts'
export {
  type ProblemBody,
  type ProblemBodyOptions,
  type ProblemOptions,
  parseProblem,
  problemOf,
  problemResponse,
} from '../core/problem.ts'
export { readJson } from './body.ts'
export {
  assertTrustedOrigin,
  authorize,
  type CreditsUser,
  type GetUser,
  type ProtectedContext,
  type ProtectedRouteOptions,
  protectedRoute,
  type RouteOptions,
} from './guard.ts'
export { type ErrorOptions, withProblems } from './problem.ts'
export type { HandlerCredits } from './route.ts'
export { type CreditsHandlers, type CreditsHandlersOptions, createCreditsHandlers, type Handler } from './router.ts'
export { type OpenApiOptions, openApiDocument } from './routes.ts'
export type {
  BalanceBody,
  DriftBody,
  ErrorCodesBody,
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
export { toBalanceBody } from './user-routes.ts'
