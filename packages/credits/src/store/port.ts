import type {
  Balance,
  CaptureResult,
  ChargePosition,
  ChargeRecord,
  ChargesPage,
  EstimatePosition,
  EstimatesPage,
  ExtendResult,
  GrantSource,
  HistoryPage,
  MarginAuditPage,
  MarginRow,
  MarginScope,
  Metadata,
  NewRateRow,
  PricingSnapshot,
  RateRow,
  Reservation,
  ReservationResult,
  SettleResult,
  TransactionResult,
  TransactionType,
} from './types.ts'

export type * from './types.ts'

/**
 * The store port: what `createCredits` needs from a database. Three adapters implement it (supabase-js, direct
 * Postgres, memory), and the contract suite of `@layers/credits/testing` tests every line of it.
 *
 * Ids are UUIDs made by the caller. An id is also the idempotency key of its operation: the same call again returns
 * the first result with `replayed: true`, and the same id with any other parameter is `IDEMPOTENCY_MISMATCH`. So an
 * adapter repeats a call whose answer was lost, with the same ids; the use cases above it never repeat one.
 *
 * Every operation on a reservation or transaction names its user. One of another user does not exist for it:
 * `RESERVATION_NOT_FOUND`, `TRANSACTION_NOT_FOUND`.
 *
 * @throws CreditError (every method) `ACCOUNT_NOT_FOUND`, `INVALID_INPUT`, and what the adapter adds: `STORE_BUSY`
 * (nothing happened), `STORE_UNAVAILABLE` (nothing happened), `OUTCOME_UNKNOWN` (a write may have happened),
 * `CONFIG_INVALID`
 */
export interface CreditStore {
  /**
   * Reserves credits. Amount `"0"` makes a reservation of nothing: status, freezes and limits still apply.
   *
   * @throws CreditError `INSUFFICIENT_CREDITS`, `ACCOUNT_FROZEN`, `SPENDING_FROZEN`, `LIMIT_EXCEEDED`,
   * `RESERVATION_CLOSED` (the id belongs to a reservation that is closed; details `reservationId`, `state`)
   */
  reserve(input: StoreReserveInput): Promise<ReservationResult>
  /** Reserves more and prolongs. @throws CreditError `RESERVATION_CLOSED`, `ACCOUNT_FROZEN`, `SPENDING_FROZEN` */
  extend(input: StoreExtendInput): Promise<ExtendResult>
  /** Charges one provider call; the reservation stays open. @throws CreditError `RESERVATION_CLOSED` */
  capture(input: StoreCaptureInput): Promise<CaptureResult>
  /**
   * Charges the last provider call and returns the rest. Called again: the first result with `replayed: true`, also when
   * the charge differs. A SQL store then writes the other charge to the audit log (`charge_not_recorded`).
   *
   * @throws CreditError `RESERVATION_NOT_FOUND`, `RESERVATION_CLOSED` once released (details: `amount` of the charge)
   */
  settle(input: StoreSettleInput): Promise<SettleResult>
  /** Returns everything that is still reserved. */
  release(input: ReservationKey): Promise<ReservationResult>
  getReservation(input: ReservationKey): Promise<Reservation>

  /** Gives credits; debt is paid first. */
  grant(input: StoreGrantInput): Promise<TransactionResult>
  /** Returns a usage, whole or in part. @throws CreditError `TRANSACTION_NOT_FOUND`, `REFUND_EXCEEDS_ORIGINAL` */
  refund(input: StoreRefundInput): Promise<TransactionResult>
  /**
   * Takes a grant back, whole or in part: first what is left of its lot, then as debt as far as the plan allows debt,
   * and the rest is recorded as uncollected.
   *
   * @throws CreditError `TRANSACTION_NOT_FOUND`, `REFUND_EXCEEDS_ORIGINAL`
   */
  reverse(input: StoreRefundInput): Promise<TransactionResult>
  /** Corrects a balance, up or down, never below what is available. @throws CreditError `INSUFFICIENT_CREDITS` */
  adjust(input: StoreAdjustInput): Promise<TransactionResult>

  getBalance(input: { userId: string }): Promise<Balance>
  getHistory(input: StoreHistoryInput): Promise<HistoryPage>

  /** All rates and margins in force or scheduled; with `ids`, those rows as well even if superseded. */
  getPricing(input?: { ids?: readonly string[] | undefined }): Promise<PricingSnapshot>
  /** Adds a row to a margin. @throws CreditError `VERSION_CONFLICT` */
  setMargin(input: StoreSetMarginInput): Promise<MarginRow>
  getMarginAudit(input: { limit: number; before?: number | undefined }): Promise<MarginAuditPage>
  /**
   * Adds those rates that differ from the latest of their model, all or none; old rows are never changed. `aliases` are
   * renames of models, old id to new id.
   */
  addRates(input: {
    rates: readonly NewRateRow[]
    aliases?: Readonly<Record<string, string>> | undefined
  }): Promise<{ inserted: number; unchanged: number }>
  /** The rates a model has had and will have, newest first. */
  getRateHistory(input: { modelId: string; limit?: number | undefined }): Promise<RateRow[]>
  /** Usage transactions with what they cost, oldest first: for operators, never for users. */
  getCharges(input: StoreChargesInput): Promise<ChargesPage>
  /** Estimated charges that the gateway has a record of and that have no correction: for operators. */
  getEstimates(input: StoreEstimatesInput): Promise<EstimatesPage>
  /**
   * Replaces an estimate by what the call really cost, once. More is a usage of the difference, with what is not
   * available as uncollected; less is a refund; the same is a usage of 0.
   *
   * @throws CreditError `TRANSACTION_NOT_FOUND`, `INVALID_INPUT` for a charge that is no estimate or has a correction
   */
  correctEstimate(input: StoreCorrectionInput): Promise<TransactionResult>
}

/** One reservation of one user. */
export interface ReservationKey {
  userId: string
  reservationId: string
}

/** Arguments of `reserve`. */
export interface StoreReserveInput extends ReservationKey {
  amount: string
  /** Accept as little as this when less than `amount` is available. Default: `amount`. */
  minimumAmount?: string | undefined
  /** Whole seconds, 1 to 86400. */
  ttlSeconds: number
  feature?: string | undefined
  model?: string | undefined
  rateId?: string | undefined
  marginId?: string | undefined
  metadata?: Metadata | undefined
}

/** Arguments of `extend`. */
export interface StoreExtendInput extends ReservationKey {
  extensionId: string
  amount: string
  minimumAmount?: string | undefined
  /** New life from now; never shortens. */
  ttlSeconds: number
}

/** Arguments of `capture`. */
export interface StoreCaptureInput extends ReservationKey {
  captureId: string
  charge: ChargeRecord
  /** Reserves more for the next step in the same round trip. A refused extension does not undo the capture. */
  extend?: { amount: string; minimumAmount?: string | undefined; ttlSeconds: number } | undefined
}

/** Arguments of `settle`. */
export interface StoreSettleInput extends ReservationKey {
  /** The last charge; without one, the reservation is closed with what was captured. */
  charge?: ChargeRecord | undefined
  /**
   * A reservation that the store does not know is recorded and charged late, from what is available, the rest
   * uncollected: for a reservation that was made while the store was away. Default: `RESERVATION_NOT_FOUND`.
   */
  createMissing?: boolean | undefined
}

/** Arguments of `grant`. */
export interface StoreGrantInput {
  userId: string
  transactionId: string
  amount: string
  source: GrantSource
  bucket: 'plan' | 'add-on'
  /** Lower is used first within a bucket. Default 100. */
  priority?: number | undefined
  expiresInSeconds?: number | undefined
  /** For admins; users never see it. */
  reason?: string | undefined
  actorId?: string | undefined
  metadata?: Metadata | undefined
}

/** Arguments of `refund` and `reverse`. */
export interface StoreRefundInput {
  userId: string
  /** Id of the new transaction. */
  transactionId: string
  /** The usage to return, or the grant to take back. */
  originalId: string
  /** Default: all that is left of the original. */
  amount?: string | undefined
  reason: string
  actorId?: string | undefined
}

/** Arguments of `getEstimates`. */
export interface StoreEstimatesInput {
  /** 1 to 5000. */
  limit: number
  after?: EstimatePosition | undefined
}

/** Arguments of `correctEstimate`. */
export interface StoreCorrectionInput {
  userId: string
  /** Id of the new transaction. */
  transactionId: string
  /** The estimate. */
  originalId: string
  /** What the call should have been charged. */
  charge: ChargeRecord
}

/** Arguments of `adjust`. */
export interface StoreAdjustInput {
  userId: string
  transactionId: string
  /** Signed. */
  amount: string
  reason: string
  actorId?: string | undefined
}

/** Arguments of `getHistory`. */
export interface StoreHistoryInput {
  userId: string
  /** 1 to 200. */
  limit: number
  /** Only transactions with a version below this one. */
  before?: number | undefined
  type?: TransactionType | undefined
  /** Inclusive / exclusive ISO times. */
  from?: string | undefined
  to?: string | undefined
}

/** Arguments of `setMargin`. */
export interface StoreSetMarginInput {
  scope: MarginScope
  target: string
  marginPercent: string | null
  /** Refuse with `VERSION_CONFLICT` unless this is the latest version (0: there is none yet). */
  expectedVersion?: number | undefined
  /** Default: now. Never in the past. */
  effectiveFrom?: string | undefined
  actorId?: string | undefined
  reason?: string | undefined
}

/** Arguments of `getCharges`. */
export interface StoreChargesInput {
  /** Inclusive / exclusive ISO times; default: everything. */
  from?: string | undefined
  to?: string | undefined
  /** 1 to 5000. */
  limit: number
  /** `next` of the page before. */
  after?: ChargePosition | undefined
  /** Price snapshots too: they are most of a row. */
  details?: boolean | undefined
}
