export { calculateCredits } from './core/calculate.ts'
export type { Charge, ChargeFlag, ChargeItem, ChargePricing, ChargeUnit } from './core/charge.ts'
export { recomputeCharge } from './core/charge.ts'
export type { Drift, Reconciliation as CostReconciliation, ReportedCall } from './core/drift.ts'
export {
  CreditError,
  type CreditErrorCode,
  type CreditErrorDetails,
  type CreditErrorInput,
  ERROR_CODES,
} from './core/errors.ts'
export { type Estimate, type EstimateOptions, estimateCharge, maxAffordableOutputTokens } from './core/estimate.ts'
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
export type { UsageInput } from './core/normalize-usage.ts'
export { type GatewayPricing, parsePricing } from './core/pricing-schema.ts'
export type { ProfitGroup, ProfitReport, ProfitTotals } from './core/profit.ts'
export type { SpendComparison, SpendReconciliation } from './core/spend-report.ts'
export type { Usage } from './core/usage.ts'
export { type ChargeVerdict, type VerifiableCharge, verifyCharge } from './core/verify-charge.ts'
export type { WhatIfReport } from './core/what-if.ts'
export type { RateSource } from './credits/rate-source.ts'
export type * from './credits/report-types.ts'
export { type SyncRatesInput, type SyncRatesResult, syncRates } from './credits/sync-rates.ts'
export { createCredits, release, reserve, settle } from './credits.ts'
export type * from './credits-types.ts'
export {
  type MemoryPlan,
  type MemoryStore,
  type MemoryStoreOptions,
  memoryStore,
  type NewRate,
} from './store/memory.ts'
export type * from './store/port.ts'
