export { CreditError, type CreditErrorCode, type CreditErrorDetails, ERROR_CODES } from './core/errors.ts'
export { uuidFor, uuidv7 } from './core/ids.ts'
export { calculateCredits } from './core/pricing/calculate.ts'
export { type Charge, type ChargeFlag, recomputeCharge } from './core/pricing/charge.ts'
export { type Estimate, estimateCharge, maxAffordableOutputTokens } from './core/pricing/estimate.ts'
export type { UsageInput } from './core/pricing/normalize-usage.ts'
export { parsePricing } from './core/pricing/schema.ts'
export type { Usage } from './core/pricing/usage.ts'
export { verifyCharge } from './core/pricing/verify-charge.ts'
export { type SyncRatesInput, type SyncRatesResult, syncRates } from './credits/sync-rates.ts'
export type {
  CallPricing,
  Credits,
  CreditsOptions,
  ErrorContext,
  EstimateInput,
  EstimateResult,
  GrantInput,
  HistoryInput,
  HistoryResult,
  Margins,
  OnError,
  PriceInput,
  ReserveInput,
  ReserveResult,
  SettleInput,
} from './credits/types.ts'
export { createCredits, release, reserve, settle } from './credits.ts'
export { type MemoryStore, type MemoryStoreOptions, memoryStore } from './store/memory/index.ts'
export type { CreditStore } from './store/port.ts'
export type {
  Balance,
  CaptureResult,
  ChargeRecord,
  ExtendResult,
  MarginRow,
  Metadata,
  RateRow,
  Reservation,
  ReservationResult,
  SettleResult,
  Transaction,
  TransactionResult,
  TransactionType,
} from './store/types.ts'
