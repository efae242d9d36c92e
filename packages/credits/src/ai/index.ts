export { type ProblemBody, parseProblem, problemOf, problemResponse } from '../core/problem.ts'
export {
  type CorrectionTransaction,
  collectedEstimates,
  type EstimateCorrection,
  type EstimatedCharge,
  type EstimateLedger,
  type EstimatePosition,
  type ReconcileOptions,
  type Reconciliation,
  reconcileEstimates,
} from './charge/correct-estimates.ts'
export type { AbandonedPolicy, CallErrorContext, CreditsContext, CreditsScope, OnCreditsError } from './context.ts'
export type { CutOffMetadata } from './meter/stream-parts.ts'
export type { CreditsTelemetry } from './observability.ts'
export { type CreditsReceipt, type CreditsReceiptSnapshot, creditsReceipt, type StopReason } from './receipt.ts'
export { creditsScope } from './scope.ts'
export type { CountTokens } from './types.ts'
export { type CreditsDataPart, type CreditsPartOptions, type MessageCredits, withCreditsPart } from './ui.ts'
export { type UnmeteredCall, type UnmeteredCallsOptions, watchUnmeteredCalls } from './unmetered-calls.ts'
export { withCredits } from './with-credits.ts'
