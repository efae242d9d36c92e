export {
  CreditError,
  type CreditErrorCode,
  type CreditErrorDetails,
  type CreditErrorInput,
  ERROR_CODES,
} from './core/errors.ts'
export { uuidFor, uuidv7 } from './core/ids.ts'
export {
  add,
  compare,
  creditsSchema,
  max,
  min,
  percentSchema,
  signedCreditsSchema,
  sub,
  usdSchema,
} from './core/money.ts'
export { calculateCredits } from './core/pricing/calculate.ts'
export type { Charge, ChargeFlag, ChargeItem, ChargePricing, ChargeUnit } from './core/pricing/charge.ts'
export { recomputeCharge } from './core/pricing/charge.ts'
export {
  type Estimate,
  type EstimateOptions,
  estimateCharge,
  maxAffordableOutputTokens,
} from './core/pricing/estimate.ts'
export type { UsageInput } from './core/pricing/normalize-usage.ts'
export { type GatewayPricing, parsePricing } from './core/pricing/schema.ts'
export type { Usage } from './core/pricing/usage.ts'
export { type ChargeVerdict, type VerifiableCharge, verifyCharge } from './core/pricing/verify-charge.ts'
export type { Drift, Reconciliation as CostReconciliation, ReportedCall } from './core/reports/cost-comparison.ts'
export type { ProfitGroup, ProfitReport, ProfitTotals } from './core/reports/profit.ts'
export type { SpendComparison, SpendReconciliation } from './core/reports/spend-comparison.ts'
export type { WhatIfReport } from './core/reports/what-if.ts'
export type { RateSource } from './credits/rate-source.ts'
export type * from './credits/report-types.ts'
export { type SyncRatesInput, type SyncRatesResult, syncRates } from './credits/sync-rates.ts'
export type * from './credits/types.ts'
export { createCredits, release, reserve, settle } from './credits.ts'
export {
  type MemoryPlan,
  type MemoryStore,
  type MemoryStoreOptions,
  memoryStore,
  type NewRate,
} from './store/memory.ts'
export type * from './store/port.ts'
