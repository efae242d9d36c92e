import type { UsageInput } from '../core/pricing/normalize-usage.ts'
import type { Usage } from '../core/pricing/usage.ts'
import type {
  ChargeRecord,
  CostSource,
  EstimatePosition,
  GrantSource,
  MarginAuditEntry,
  MarginRow,
  MarginScope,
  Metadata,
  RateRow,
  ReservationResult,
  Transaction,
  TransactionType,
} from '../store/types.ts'

/** Arguments and results of the operations of `Credits`. */

/** Free JSON of at most 4 kB that is stored with the operation. */
interface WithMetadata {
  metadata?: Metadata | undefined
}

/** What to reserve: a fixed `amount`, or an `estimate` that is priced. Exactly one of them. */
export interface ReserveInput extends WithMetadata {
  userId: string
  /** Credits to reserve. `"0"` reserves nothing, but status, freezes and limits apply. */
  amount?: string | undefined
  /** Reserve the upper bound of this call; needs `model`. */
  estimate?: EstimateUsage | undefined
  /** Accept a smaller reservation, but not less than this. Default: all or nothing. */
  minimumAmount?: string | undefined
  feature?: string | undefined
  /** Freezes the model's rate and margin for this reservation; refused with `UNKNOWN_MODEL` when no price is known. */
  model?: string | undefined
  ttlSeconds?: number | undefined
  /** Any string of 1 to 255 characters, unique per user. */
  idempotencyKey?: string | undefined
}

/** A reservation, and whether the store knows of it yet. */
export interface ReserveResult extends ReservationResult {
  /** Made without the store under `failOpen`; recorded when it is charged. */
  failedOpen: boolean
}

/** Arguments of `extend`. */
export interface ExtendInput {
  /** Whose reservation it is. */
  userId: string
  reservationId: string
  amount: string
  /** Accept less, but not less than this. Default: all or nothing. */
  minimumAmount?: string | undefined
  /** New life from now; never shortens. */
  ttlSeconds?: number | undefined
  idempotencyKey?: string | undefined
}

/** A charge by amount, by usage (priced with the frozen rate and margin), or as priced before. At most one of them. */
export interface ChargeInput extends WithMetadata {
  /** Credits. */
  amount?: string | undefined
  /** Counted units, in our form or the AI SDK's. */
  usage?: UsageInput | undefined
  /** What `price` returned. */
  charge?: ChargeRecord | undefined
  /** The model that was called. Default: the reservation's. */
  model?: string | undefined
  feature?: string | undefined
}

/** Arguments of `capture`: exactly one of `amount`, `usage`, `charge`. */
export interface CaptureInput extends ChargeInput {
  /** Whose reservation it is. */
  userId: string
  reservationId: string
  /** Unique within the reservation: the step's or generation's id. */
  idempotencyKey: string
  /** Reserve this much more, for the next step. A refused extension does not undo the capture. */
  extend?: { amount: string; minimumAmount?: string | undefined; ttlSeconds?: number | undefined } | undefined
}

/** Arguments of `settle`: one of `amount`, `usage`, `charge`, or none to close with what was captured. */
export interface SettleInput extends ChargeInput {
  /** Whose reservation it is. */
  userId: string
  reservationId: string
}

/** Arguments of `release` and `getReservation`. */
export interface ReleaseInput {
  /** Whose reservation it is. */
  userId: string
  reservationId: string
}

/** Arguments of `grant`. */
export interface GrantInput extends WithMetadata {
  userId: string
  amount: string
  source: GrantSource
  /** Default `add-on`; `plan` credits are used first. */
  bucket?: 'plan' | 'add-on' | undefined
  /** Within a bucket, lower is used first. Default 100. */
  priority?: number | undefined
  expiresInSeconds?: number | undefined
  /** For admins; users never see it. */
  reason?: string | undefined
  /** The person or system that gave it. */
  actorId?: string | undefined
  /** The payment's id, for example: a grant is the one operation that must not happen twice by accident. */
  idempotencyKey: string
}

/** Arguments of `refund`. */
export interface RefundInput {
  /** Whose transaction it is. */
  userId: string
  /** The usage transaction. */
  transactionId: string
  /** Default: all that is left of it. */
  amount?: string | undefined
  /** For admins; users never see it. */
  reason: string
  actorId?: string | undefined
  idempotencyKey?: string | undefined
}

/** Arguments of `reverse`. */
export interface ReverseInput extends RefundInput {
  /** The grant whose payment was refunded or disputed. */
  transactionId: string
}

/** Arguments of `correctEstimate`. */
export interface CorrectEstimateInput {
  userId: string
  /** The charge that was estimated. */
  transactionId: string
  /** What the call should have been charged. */
  charge: ChargeRecord
  /** The same key and charge give the first result again. */
  idempotencyKey?: string | undefined
}

/** Arguments of `getEstimates`. */
export interface EstimatesInput {
  /** 1 to 5000. Default 100. */
  limit?: number | undefined
  /** `next` of the page before. */
  after?: EstimatePosition | undefined
}

/** Arguments of `adjust`. */
export interface AdjustInput {
  userId: string
  /** Signed: `"-5"` takes five credits. */
  amount: string
  /** For admins; users never see it. */
  reason: string
  actorId?: string | undefined
  idempotencyKey?: string | undefined
}

/** A page of something, newest first. */
export interface PageInput {
  /** 1 to 200. Default 50. */
  limit?: number | undefined
  /** `nextCursor` of the page before. */
  cursor?: string | undefined
}

/** Arguments of `getHistory`. */
export interface HistoryInput extends PageInput {
  userId: string
  type?: TransactionType | undefined
  /** ISO time, inclusive. */
  from?: string | undefined
  /** ISO time, exclusive. */
  to?: string | undefined
}

/** `nextCursor` is null on the last page. */
export interface HistoryResult {
  data: Transaction[]
  nextCursor: string | null
}

/** `nextCursor` is null on the last page. */
export interface MarginAuditResult {
  data: MarginAuditEntry[]
  nextCursor: string | null
}

/** What is known of a call before it is made: everything that can cost, at its upper bound. */
export interface EstimateUsage {
  inputTokens?: number | undefined
  /** The limit that is sent to the provider. Default: the rate's own limit, else 4096. */
  maxOutputTokens?: number | undefined
  /** Everything else that can be counted beforehand: images, seconds, searches, service tier ... */
  usage?: Usage | undefined
  /** The most expensive cache write that the prompt asks for. Default `1h`: nothing is ruled out. */
  cacheWrite?: 'none' | '5m' | '1h' | undefined
}

/** Which rate and margin apply. `planId` is looked up from `userId` when a margin of a plan exists. */
export interface PricingScope {
  model: string
  feature?: string | undefined
  planId?: string | undefined
  userId?: string | undefined
}

/** The rate and margin that price a call. */
export interface CallPricing {
  /** Null: no price is known; `ceilingCredits` is charged unless the provider reports the cost. */
  rate: RateRow | null
  margin: MarginRow
  marginPercent: string
  /** Ceiling of `unknownModels`; null where models without a price are refused. */
  ceilingCredits: string | null
}

/** Arguments of `findPricing`. */
export interface FindPricingInput extends PricingScope {
  /** Rows frozen by a reservation, used instead of those in force now. Both or neither. */
  rateId?: string | undefined
  marginId?: string | undefined
}

/** Arguments of `estimate`. */
export interface EstimateInput extends PricingScope, EstimateUsage {}

/** Result of `estimate`. */
export interface EstimateResult {
  /** Credits, rounded up. */
  amount: string
  costUsd: string
  /** Limit the call to this, or the amount is no upper bound. */
  maxOutputTokens: number
  /** null: no price is known, and the amount is the ceiling of `unknownModels`. */
  rateId: string | null
  marginId: string
  marginPercent: string
}

/** A cost that the gateway reported. */
export interface ReportedCostInput {
  costUsd: string
  source: Extract<CostSource, 'market-cost' | 'gateway-cost'>
  /** What had to be assumed about it; added to the flags of the charge. */
  flags?: readonly string[] | undefined
}

/** Arguments of `price`. */
export interface PriceInput extends FindPricingInput, WithMetadata {
  usage: UsageInput
  /** What `findPricing` answered for this call. Default: looked up. With it, a price needs no store. */
  pricing?: CallPricing | undefined
  /** The model that answered, when it is not the one that was asked. */
  servedModel?: string | undefined
  /** Cost that the gateway reported, in USD; it wins over the cost computed from the rate, and both are stored. */
  reported?: ReportedCostInput | undefined
  /** The usage is an estimate (an aborted stream), to be corrected by `reconcileEstimates` from `generationId`. */
  estimated?: boolean | undefined
  generationId?: string | undefined
  /** The gateway's own metadata, stored whole, shown to admins only. */
  provider?: Metadata | undefined
  /** Assumptions of the caller, added to those of the price. */
  flags?: readonly string[] | undefined
  /**
   * What the provider reported, cut to 4 kB. Default: the usage itself where its price had to assume something about it.
   */
  rawUsage?: unknown
}

/** Result of `getMargins`. */
export interface Margins {
  /** Null only in a database that was never seeded. */
  default: MarginRow | null
  /** Overrides in force. */
  overrides: MarginRow[]
  /** Rows that start in the future. */
  scheduled: MarginRow[]
  /** The store's clock. */
  asOf: string
}

/** Arguments of `setMargin`. `target` is left out for the default. */
export interface SetMarginInput {
  scope: MarginScope
  target?: string | undefined
  /** More than -100, at most 10000, at most 4 places: `"60"`. */
  marginPercent: string
  /** The `version` this change was decided on; 0 for a first override. */
  expectedVersion?: number | undefined
  effectiveFrom?: string | undefined
  actorId?: string | undefined
  reason?: string | undefined
}

/** Arguments of `removeMargin`. */
export interface RemoveMarginInput {
  scope: Exclude<MarginScope, 'default'>
  target: string
  expectedVersion?: number | undefined
  actorId?: string | undefined
  reason?: string | undefined
}
