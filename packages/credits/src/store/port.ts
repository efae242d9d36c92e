import type { Usage } from '../core/pricing/usage.ts'
import type { ChargesPage, StoreChargesInput } from './port-charges.ts'

export type * from './port-charges.ts'

/**
 * The store port: what `createCredits` needs from a database. Three adapters implement it (supabase-js,
 * direct Postgres, memory) and one contract suite (`@layers/credits/testing`) holds all three to it.
 *
 * Amounts are decimal strings of credits with at most 6 places, times are ISO 8601 strings of the store's
 * clock, ids are UUIDs made by the caller: an id doubles as the idempotency key of its operation, so a
 * call whose answer was lost can be repeated as it was.
 */
export interface CreditStore {
  reserve(input: StoreReserveInput): Promise<ReservationResult>
  extend(input: StoreExtendInput): Promise<ExtendResult>
  capture(input: StoreCaptureInput): Promise<CaptureResult>
  settle(input: StoreSettleInput): Promise<SettleResult>
  release(input: { reservationId: string }): Promise<ReservationResult>
  getReservation(input: { reservationId: string }): Promise<Reservation>

  grant(input: StoreGrantInput): Promise<TransactionResult>
  refund(input: StoreRefundInput): Promise<TransactionResult>
  adjust(input: StoreAdjustInput): Promise<TransactionResult>

  getBalance(input: { userId: string }): Promise<Balance>
  getHistory(input: StoreHistoryInput): Promise<HistoryPage>

  /** All rates and margins in force now or scheduled; with `ids`, those rows as well even if superseded. */
  getPricing(input?: { ids?: readonly string[] }): Promise<PricingSnapshot>
  setMargin(input: StoreSetMarginInput): Promise<MarginRow>
  getMarginAudit(input: { limit: number; before?: number }): Promise<MarginAuditPage>
  /** Adds those rates that differ from the latest of their model, all or none; old rows are never changed. */
  addRates(input: { rates: readonly NewRateRow[] }): Promise<{ inserted: number; unchanged: number }>
  /** The rates a model has had and will have, newest first. */
  getRateHistory(input: { modelId: string; limit?: number | undefined }): Promise<RateRow[]>
  /** Usage transactions with what they cost, oldest first: for operators, never for users. */
  getCharges(input: StoreChargesInput): Promise<ChargesPage>
}

/** JSON that a caller attaches to an operation; at most 4 kB. */
export type Metadata = Readonly<Record<string, unknown>>

/** One user's credits at one moment. `available = planCredits + addOnCredits - debt + overageLimit - reserved`. */
export interface Balance {
  userId: string
  planId: string
  planCredits: string
  addOnCredits: string
  /** Overage already spent, paid first by the next grant. */
  debt: string
  /** Held by active, unexpired reservations. */
  reserved: string
  overageLimit: string
  available: string
  status: 'active' | 'frozen' | 'closed'
  /** When the plan credits are set anew; null for a plan without a period. */
  periodEndsAt: string | null
  /** Number of the account's latest transaction. */
  version: number
}

export type ReservationState = 'active' | 'settled' | 'released' | 'expired'

export interface Reservation {
  reservationId: string
  userId: string
  state: ReservationState
  /** Credits still held (0 once closed). */
  amount: string
  /** Credits charged so far by capture and settle. */
  captured: string
  /** Cost that could not be charged, in credits. */
  uncollected: string
  feature: string | null
  model: string | null
  /** The rate and margin rows in force at reserve; settle prices with them. */
  rateId: string | null
  marginId: string | null
  metadata: Metadata
  /** Settled after its expiry. */
  late: boolean
  createdAt: string
  expiresAt: string
  closedAt: string | null
}

/** `replayed`: the operation had been done before; this is its first result. */
export interface ReservationResult extends Reservation {
  replayed: boolean
  balance: Balance
}

export type TransactionType = 'grant' | 'usage' | 'refund' | 'reversal' | 'adjustment' | 'expiry'
export type GrantSource = 'signup' | 'plan' | 'purchase' | 'promo' | 'refund' | 'adjustment'

/** An immutable row of the ledger, as its owner sees it: no cost, no margin, no provider ids. */
export interface Transaction {
  id: string
  userId: string
  /** 1, 2, 3 ... per account, without gaps. */
  version: number
  type: TransactionType
  source: string | null
  /** Signed: negative takes credits. */
  amount: string
  /** planCredits + addOnCredits - debt after this transaction. */
  balanceAfter: string
  uncollected: string
  reservationId: string | null
  /** The transaction that a refund reverses. */
  reversesId: string | null
  feature: string | null
  model: string | null
  inputTokens: number | null
  outputTokens: number | null
  /** Charged from an estimate that `reconcile` may correct. */
  estimated: boolean
  late: boolean
  reason: string | null
  metadata: Metadata
  createdAt: string
}

export interface TransactionResult {
  transaction: Transaction
  balance: Balance
  replayed: boolean
}

/** Where the cost of a provider call came from, most trusted first. */
export type CostSource = 'market-cost' | 'gateway-cost' | 'rate' | 'estimate' | 'manual'

/**
 * What one provider call cost: stored whole in the ledger, so that anyone can recompute the amount.
 * Users see the amount and the token counts; the rest only admins.
 */
export interface ChargeRecord {
  /** Credits to charge. */
  amount: string
  costUsd: string
  marginPercent: string | null
  costSource: CostSource
  /** The other figure where two are known: cost computed from the rate, and cost the gateway reported. */
  computedCostUsd: string | null
  reportedCostUsd: string | null
  model: string | null
  /** The model that answered, when it is not the one that was asked. */
  servedModel: string | null
  feature: string | null
  usage: Usage | null
  inputTokens: number | null
  outputTokens: number | null
  rateId: string | null
  marginId: string | null
  /** Unit prices, tier and factors used: `calculateCredits(usage, pricing)` gives the amount again. */
  pricing: Metadata | null
  generationId: string | null
  /** The gateway's own metadata, whole. */
  provider: Metadata | null
  metadata: Metadata
}

export interface StoreReserveInput {
  /** Made by the caller; the idempotency key of the reservation. */
  reservationId: string
  userId: string
  amount: string
  /** Accept as little as this when less than `amount` is available. Default: `amount`. */
  minimumAmount?: string | undefined
  ttlSeconds: number
  feature?: string | undefined
  model?: string | undefined
  rateId?: string | undefined
  marginId?: string | undefined
  metadata?: Metadata | undefined
}

export interface StoreExtendInput {
  reservationId: string
  extensionId: string
  amount: string
  minimumAmount?: string | undefined
  /** New life from now; never shortens. */
  ttlSeconds: number
}

/** `granted` false: nothing was added (`available` says what there is); the reservation is as it was. */
export interface Extension {
  granted: boolean
  amount: string
}

export interface ExtendResult extends ReservationResult {
  extension: Extension
}

export interface StoreCaptureInput {
  reservationId: string
  captureId: string
  charge: ChargeRecord
  /** Hold more for the next step in the same round trip. A refused extension does not undo the capture. */
  extend?: { amount: string; minimumAmount?: string | undefined; ttlSeconds: number } | undefined
}

export interface CaptureResult extends ReservationResult {
  transaction: Transaction
  extension: Extension | null
}

export interface StoreSettleInput {
  reservationId: string
  /** The last charge; none: close with what was captured. */
  charge?: ChargeRecord | undefined
  /**
   * Whose call it was, for a reservation that the store may not know: promised while it was away, or lost with it.
   * It is then booked late, from what is available, the rest uncollected. Without it, and for a reservation of
   * somebody else: `RESERVATION_NOT_FOUND`.
   */
  userId?: string | undefined
}

export interface SettleResult extends ReservationResult {
  /** The last charge's transaction; null when none was given. */
  transaction: Transaction | null
}

export interface StoreGrantInput {
  transactionId: string
  userId: string
  amount: string
  source: GrantSource
  bucket: 'plan' | 'add-on'
  /** Lower is used first within a bucket. Default 100. */
  priority?: number | undefined
  expiresInSeconds?: number | undefined
  reason?: string | undefined
  actorId?: string | undefined
  metadata?: Metadata | undefined
}

export interface StoreRefundInput {
  transactionId: string
  /** The usage transaction to reverse. */
  originalId: string
  /** Default: all that is left to refund. */
  amount?: string | undefined
  reason: string
  actorId?: string | undefined
}

export interface StoreAdjustInput {
  transactionId: string
  userId: string
  /** Signed. */
  amount: string
  reason: string
  actorId?: string | undefined
}

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

/** Newest first. `nextBefore` is null on the last page. */
export interface HistoryPage {
  data: Transaction[]
  nextBefore: number | null
}

export type MarginScope = 'default' | 'provider' | 'model' | 'feature' | 'plan'

/** A margin in force from `effectiveFrom` until the next row of the same scope and target; null removes the override. */
export interface MarginRow {
  id: string
  scope: MarginScope
  /** '' for the default. */
  target: string
  marginPercent: string | null
  /** 1, 2, 3 ... per scope and target, for optimistic locking. */
  version: number
  effectiveFrom: string
  createdAt: string
}

/** A model's prices in force from `effectiveFrom` until the model's next row. */
export interface RateRow {
  id: string
  modelId: string
  type: string
  /** The gateway's price object as delivered; null together with `known: false`. */
  pricing: Metadata | null
  known: boolean
  source: string
  effectiveFrom: string
  contextWindow: number | null
  maxOutputTokens: number | null
}

/** A rate to put in force from now, or from `effectiveFrom`. */
export interface NewRateRow {
  modelId: string
  type: string
  /** null: the model is listed, but its price is not known. */
  pricing: Metadata | null
  source: string
  /** Hash of the file or answer that the price was taken from. */
  sourceHash?: string | undefined
  contextWindow?: number | null | undefined
  maxOutputTokens?: number | null | undefined
  /** Never in the past. */
  effectiveFrom?: string | undefined
}

export interface PricingSnapshot {
  rates: RateRow[]
  margins: MarginRow[]
  /** Renamed models: old id -> current id. */
  aliases: Record<string, string>
  /** The store's clock. */
  asOf: string
}

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

export interface MarginAuditEntry {
  id: number
  scope: MarginScope
  target: string
  operation: 'insert' | 'update' | 'delete'
  oldMarginPercent: string | null
  newMarginPercent: string | null
  actorId: string | null
  /** The database role, when no person is known. */
  actorRole: string
  reason: string | null
  createdAt: string
}

export interface MarginAuditPage {
  data: MarginAuditEntry[]
  nextBefore: number | null
}
