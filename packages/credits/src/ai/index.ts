export type { AbandonedPolicy, CreditsContext, CreditsProblem, OnCreditsError } from './context.ts'
export { type LeakAlarmOptions, type UnmeteredCall, watchUnmeteredCalls } from './leak-alarm.ts'
export type { CreditsEnding } from './parts.ts'
export { type CreditsReceipt, creditsReceipt, type StopReason, settledCredits } from './receipt.ts'
export { type EstimatedCharge, type ReconcileOptions, type Reconciliation, reconcileEstimates } from './reconcile.ts'
export { type CreditsScope, creditsScope } from './scope.ts'
export type { CreditsTelemetry } from './telemetry.ts'
export type { CountTokens } from './tokens.ts'
export {
  type CreditProblem,
  type CreditsDataPart,
  type CreditsErrorPart,
  creditErrorPart,
  creditErrorResponse,
  creditErrorText,
  creditProblem,
  creditsMessageMetadata,
  type MessageCredits,
  withCreditsPart,
} from './ui.ts'
export { withCredits } from './with-credits.ts'
