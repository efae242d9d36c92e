import type { Usage } from '../core/pricing/usage.ts'

/**
 * The rows that a store returns. Amounts are decimal strings of credits with at most 6 places, costs decimal strings of
 * USD with at most 12, times ISO 8601 strings of the store's clock with microseconds, ids UUIDs.
 */

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
  /** Credits that active, unexpired reservations keep back. */
  reserved: string
  overageLimit: string
  available: string
  status: 'active' | 'frozen' | 'closed'
  /** When the plan credits are granted again; null for a plan without a period. */
  periodEndsAt: string | null
  /** Number of the account's latest transaction. */
  version: number
}

/** `active` until it is settled, released or past its time. */
export type ReservationState = 'active' | 'settled' | 'released' | 'expired'

/** Credits kept back for one call, and what was charged to it so far. */
export interface Reservation {
  reservationId: string
  userId: string
  state: ReservationState
  /** Credits still reserved; `"0"` once closed. */
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
  /** Charged after its expiry. */
  late: boolean
  createdAt: string
  expiresAt: string
  closedAt: string | null
}

/** A reservation after an operation. `replayed`: the operation had been done before, and this is its first result. */
export interface ReservationResult extends Reservation {
  replayed: boolean
  balance: Balance
}

/** `granted` false: nothing was added (`balance.available` says what there is); the reservation is as it was. */
export interface Extension {
  granted: boolean
  amount: string
}

/** Result of `extend`. */
export interface ExtendResult extends ReservationResult {
  extension: Extension
}

/** Result of `capture`. */
export interface CaptureResult extends ReservationResult {
  transaction: Transaction
  /** Null when no extension was asked for. */
  extension: Extension | null
}

/** Result of `settle`. */
export interface SettleResult extends ReservationResult {
  /** The last charge's transaction; null when none was given. */
  transaction: Transaction | null
}

/** `refund` returns a usage; `reversal` takes back a grant whose payment was refunded or disputed. */
export type TransactionType = 'grant' | 'usage' | 'refund' | 'reversal' | 'adjustment' | 'expiry'

/** Why credits were granted. */
export type GrantSource = 'signup' | 'plan' | 'purchase' | 'promo' | 'refund' | 'adjustment'

/** An immutable row of the ledger, as its owner sees it: no cost, no margin, no provider ids, no operator's reason. */
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
  /** The transaction that a refund returns, a reversal takes back, or a correction of an estimate replaces. */
  reversesId: string | null
  feature: string | null
  model: string | null
  inputTokens: number | null
  outputTokens: number | null
  /** Charged from an estimate that `reconcileEstimates` may correct. */
  estimated: boolean
  late: boolean
  metadata: Metadata
  createdAt: string
}

/** Result of `grant`, `refund`, `reverse`, `adjust` and `correctEstimate`. */
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
  /** What had to be assumed to price the usage, for example `reasoning_missing`. */
  flags: readonly string[]
  /** What the provider reported, where it was not fully understood; at most 4 kB. */
  rawUsage: Metadata | null
  metadata: Metadata
}

/** A page of transactions, newest first. `nextBefore` is null on the last page. */
export interface HistoryPage {
  data: Transaction[]
  nextBefore: number | null
}

/** What a margin applies to. */
export type MarginScope = 'default' | 'provider' | 'model' | 'feature' | 'plan'

/** A margin in force from `effectiveFrom` until the next row of its scope and target; null removes the override. */
export interface MarginRow {
  id: string
  scope: MarginScope
  /** `""` for the default. */
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

/** Rates and margins in force or scheduled. */
export interface PricingSnapshot {
  rates: RateRow[]
  margins: MarginRow[]
  /** Renamed models: old id -> current id. */
  aliases: Record<string, string>
  /** The store's clock. */
  asOf: string
}

/** One change of a margin. */
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

/** A page of margin changes, newest first. `nextBefore` is null on the last page. */
export interface MarginAuditPage {
  data: MarginAuditEntry[]
  nextBefore: number | null
}

/** One usage transaction with the operator's figures. */
export interface StoredCharge {
  transactionId: string
  accountId: string
  userId: string
  version: number
  /** Credits taken, positive. */
  amount: string
  /** Credits of this charge that could not be taken. */
  uncollected: string
  /** Credits of `amount` that were refunded since. */
  refunded: string
  feature: string | null
  model: string | null
  /** The account's plan when it was charged. */
  planId: string | null
  estimated: boolean
  createdAt: string
  costUsd: string
  marginPercent: string | null
  costSource: CostSource
  computedCostUsd: string | null
  reportedCostUsd: string | null
  servedModel: string | null
  generationId: string | null
  usage: Usage | null
  /** The prices that the charge was made from; null unless `details` were asked for. */
  pricing: Metadata | null
}

/** A charge that was made from an estimate, that the gateway has a record of, and that has no correction yet. */
export interface EstimatedCharge {
  transactionId: string
  accountId: string
  userId: string
  version: number
  /** Credits that were charged, uncollected ones included. */
  amount: string
  /** The margin that was in force. Null where the app set the amount itself. */
  marginPercent: string | null
  /** Under this id the gateway keeps its record of the call. */
  generationId: string
  model: string | null
  feature: string | null
  createdAt: string
}

/** Where a page of estimated charges ended. */
export interface EstimatePosition {
  accountId: string
  version: number
}

/** A page of estimated charges, by account and version. `next` is null on the last page. */
export interface EstimatesPage {
  data: EstimatedCharge[]
  next: EstimatePosition | null
}

/** Where a page of charges ended. */
export interface ChargePosition {
  createdAt: string
  accountId: string
  version: number
}

/** A page of charges, oldest first. `next` is null on the last page. */
export interface ChargesPage {
  data: StoredCharge[]
  next: ChargePosition | null
}
