/** Hooks over the HTTP API. They fetch from the app's own origin and need no provider component. */
export { CreditError, type CreditErrorCode } from '../core/errors.ts'
export { type ProblemBody, parseProblem, problemOf, problemResponse } from '../core/problem.ts'
export type { BalanceBody, HistoryBody, TransactionBody } from '../http/index.ts'
export { type FetchJsonOptions, fetchJson } from './fetch-json.ts'
export { type UseCreditHistoryOptions, type UseCreditHistoryResult, useCreditHistory } from './use-credit-history.ts'
export { type UseCreditsOptions, type UseCreditsResult, useCredits } from './use-credits.ts'
