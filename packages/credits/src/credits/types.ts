import type { CreditError } from '../core/errors.ts'
import type { UsageInput } from '../core/pricing/normalize-usage.ts'
import type { Usage } from '../core/pricing/usage.ts'
import type {
  Balance,
  CaptureResult,
  ChargeRecord,
  CostSource,
  CreditStore,
  ExtendResult,
  GrantSource,
  MarginAuditEntry,
  MarginRow,
  MarginScope,
  Metadata,
  PricingSnapshot,
  RateRow,
  Reservation,
  ReservationResult,
  SettleResult,
  Transaction,
  TransactionResult,
  TransactionType,
} from '../store/port.ts'
import type { CreditsReports } from './report-types.ts'

/**
 * The public types of `createCredits`. Amounts are decimal strings of credits with at most 6 places
 * (`"3.36"`), USD at most 12, percentages at most 4, times ISO 8601, lives in seconds. Numbers are
 * refused where an amount is meant: a float has already lost what it lost.
 */

/** What {@link Credits} is built from. */
export interface CreditsOptions {
  /** `supabaseStore(client)`, `postgresStore(...)` or `memoryStore()`. */
  store: CreditStore
  /** Where a user buys more; put into the details of `INSUFFICIENT_CREDITS`. */
  upgradeUrl?: string | undefined
  /** How long rates and margins are served from memory before they are read again in the background. Default 60. */
  pricingTtlSeconds?: number | undefined
  /** Life of a reservation unless the call says otherwise. Default 300. */
  reservationTtlSeconds?: number | undefined
  /** How often a charge that met a busy store is tried again, with the same ids. Default 2. */
  retries?: number | undefined
  /** Told about what no caller can be told: a failed background refresh, a reservation made without the store. */
  onError?: ((error: CreditError, context: ErrorContext) => void) | undefined
  /** Default: fail closed, so a store that is down refuses every reserve with `STORE_UNAVAILABLE`. */
  failOpen?: FailOpenOptions | undefined
  /** Default: a model without a known price is refused with `UNKNOWN_MODEL`. */
  unknownModels?: UnknownModelOptions | undefined
}

/** Where an error given to `onError` came from. */
export interface ErrorContext {
  operation: string
  userId?: string | undefined
  reservationId?: string | undefined
}

/** Let calls through while the store is down, up to a cap. What is spent is booked as soon as the store answers. */
export interface FailOpenOptions {
  /** Credits that this process may promise without the store, all users together; beyond it, fail closed. */
  maxCredits: string
}

/** Let models without a known price be called: a ceiling is held, and the cost that the gateway reports is charged. */
export interface UnknownModelOptions {
  /** Held for each call, and charged, marked as an estimate, when nobody reports what the call cost: never free. */
  ceilingCredits: string
}

/** The use cases. Made by `createCredits`. */
export interface Credits extends CreditsReports {
  /**
   * Hold credits before a provider call.
   *
   * @throws CreditError `INSUFFICIENT_CREDITS` (details: available, required, balance, upgradeUrl), `UNKNOWN_MODEL`,
   * `ACCOUNT_NOT_FOUND`, `ACCOUNT_FROZEN`, `SPENDING_FROZEN`, `LIMIT_EXCEEDED`, `IDEMPOTENCY_MISMATCH`, `INVALID_INPUT`,
   * `STORE_BUSY`, `STORE_UNAVAILABLE`, `OUTCOME_UNKNOWN` (details: reservationId)
   * @example
   * ```ts
   * const { reservationId } = await credits.reserve({ userId, amount: '10', feature: 'chat', idempotencyKey: messageId })
   * ```
   */
  reserve(input: ReserveInput): Promise<ReserveResult>
  /** Hold more on an active reservation and prolong it. A refusal is an answer (`extension.granted: false`), not an error. */
  extend(input: ExtendInput): Promise<ExtendResult>
  /** Charge one provider call and keep the reservation open; with `extend`, hold more in the same round trip. */
  capture(input: CaptureInput): Promise<CaptureResult>
  /**
   * The last charge of a reservation (or none); what is left of the hold goes back. Settling again gives the first result.
   *
   * @example
   * ```ts
   * await credits.settle({ reservationId, usage: result.usage })
   * ```
   */
  settle(input: SettleInput): Promise<SettleResult>
  /** Give the hold back without a charge. Releasing again gives the first result. */
  release(input: ReleaseInput): Promise<ReservationResult>
  /** A reservation as it stands. */
  getReservation(input: ReleaseInput): Promise<Reservation>

  /** Give credits: a purchase, a promotion. Debt is paid first. */
  grant(input: GrantInput): Promise<TransactionResult>
  /** Give back a usage transaction, whole or in part, never more than it took. */
  refund(input: RefundInput): Promise<TransactionResult>
  /** Correct a balance by hand, up or down. */
  adjust(input: AdjustInput): Promise<TransactionResult>

  /** The user's credits now. */
  getBalance(input: { userId: string }): Promise<Balance>
  /** The user's transactions, newest first, a page at a time. */
  getHistory(input: HistoryInput): Promise<HistoryResult>

  /** Price one provider call without charging it. Uses the cached rates and margins. */
  price(input: PriceInput): Promise<ChargeRecord>
  /** Upper bound of what a call may cost, in credits; what `reserve` holds when it is given `estimate`. */
  estimate(input: EstimateInput): Promise<EstimateResult>
  /** Rates and margins as cached. Waits for the store only the first time. */
  pricing(): Promise<Pricing>
  /**
   * The rate and margin that price a call: the frozen ones when `rateId` and `marginId` are given, else those in force.
   *
   * @throws CreditError `UNKNOWN_MODEL` when no price is known and no ceiling is configured, `CONFIG_INVALID`
   */
  findPricing(input: FindPricingInput): Promise<CallPricing>
  /** Receives errors that reach no caller: the `onError` of `createCredits`, else `console.error`. */
  readonly onError: (error: CreditError, context: ErrorContext) => void

  /** Margins in force, and those that are scheduled. Always read from the store. */
  getMargins(): Promise<Margins>
  /** Set a margin from now, or from `effectiveFrom`. @throws CreditError `VERSION_CONFLICT` when `expectedVersion` is not the latest. */
  setMargin(input: SetMarginInput): Promise<MarginRow>
  /** Remove an override, so that the next wider margin applies. The default cannot be removed. */
  removeMargin(input: RemoveMarginInput): Promise<MarginRow>
  /** Who changed which margin, newest first. */
  getMarginAudit(input?: PageInput): Promise<MarginAuditResult>
  /** The rates a model has had and will have, newest first. */
  getRateHistory(input: { model: string; limit?: number | undefined }): Promise<RateRow[]>
}

/** Free JSON of at most 4 kB that is stored with the operation. */
interface Tagged {
  metadata?: Metadata | undefined
}

/** What to hold: a fixed `amount`, or an `estimate` that is priced. Exactly one of them. */
export interface ReserveInput extends Tagged {
  userId: string
  /** Credits to hold. */
  amount?: string | undefined
  /** Hold the upper bound of this call; needs `model`. */
  estimate?: EstimateUsage | undefined
  /** Be content with as little as this when less than the wanted amount is available. Default: all or nothing. */
  minimumAmount?: string | undefined
  feature?: string | undefined
  /** Freezes the model's rate and margin for this reservation; refused with `UNKNOWN_MODEL` when no price is known. */
  model?: string | undefined
  ttlSeconds?: number | undefined
  /** Any string of 1 to 255 characters, unique per user. The same key gives the first result again. */
  idempotencyKey?: string | undefined
}

/** A reservation, and whether the store knows of it yet. */
export interface ReserveResult extends ReservationResult {
  /** Made without the store under `failOpen`; booked when it is settled. */
  failedOpen: boolean
}

/** Arguments of `extend`. */
export interface ExtendInput {
  /** Whose reservation it is. */
  userId?: string | undefined
  reservationId: string
  amount: string
  /** Be content with as little as this. Default: all or nothing. */
  minimumAmount?: string | undefined
  /** New life from now; never shortens. */
  ttlSeconds?: number | undefined
  idempotencyKey?: string | undefined
}

/** A charge by amount, by usage (priced with the frozen rate and margin), or as priced before. At most one of them. */
export interface ChargeInput extends Tagged {
  /** Credits. */
  amount?: string | undefined
  /** Counted units, in our form or the AI SDK's. */
  usage?: UsageInput | undefined
  /** What `price` gave. */
  charge?: ChargeRecord | undefined
  /** The model that was called. Default: the reservation's. */
  model?: string | undefined
  feature?: string | undefined
}

/** Arguments of `capture`: exactly one of `amount`, `usage`, `charge`. */
export interface CaptureInput extends ChargeInput {
  /** Whose reservation it is. */
  userId?: string | undefined
  reservationId: string
  /** Unique within the reservation: the step's or generation's id. */
  idempotencyKey: string
  /** Hold this much more, for the next step. A refused extension does not undo the capture. */
  extend?: { amount: string; minimumAmount?: string | undefined; ttlSeconds?: number | undefined } | undefined
}

/** Arguments of `settle`: one of `amount`, `usage`, `charge`, or none to close with what was captured. */
export interface SettleInput extends ChargeInput {
  /** Whose reservation it is. */
  userId?: string | undefined
  reservationId: string
}

/** Arguments of `release`. */
export interface ReleaseInput {
  /** Whose reservation it is. */
  userId?: string | undefined
  reservationId: string
}

/** Arguments of `grant`. */
export interface GrantInput extends Tagged {
  userId: string
  amount: string
  source: GrantSource
  /** Default `add-on`; `plan` credits are used first. */
  bucket?: 'plan' | 'add-on' | undefined
  /** Within a bucket, lower is used first. Default 100. */
  priority?: number | undefined
  expiresInSeconds?: number | undefined
  reason?: string | undefined
  /** The person or system that gave it. */
  actorId?: string | undefined
  /** The payment's id, for example: a grant is the one operation that must not happen twice by accident. */
  idempotencyKey: string
}

/** Arguments of `refund`. */
export interface RefundInput {
  /** The usage transaction. */
  transactionId: string
  /** Default: all that is left of it. */
  amount?: string | undefined
  reason: string
  actorId?: string | undefined
  idempotencyKey?: string | undefined
}

/** Arguments of `adjust`. */
export interface AdjustInput {
  userId: string
  /** Signed: `"-5"` takes five credits. */
  amount: string
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
  /** The call's clamp. Default: the rate's own limit, else 4096. */
  maxOutputTokens?: number | undefined
  /** Everything else that can be counted beforehand: images, seconds, searches, service tier ... */
  usage?: Usage | undefined
  /** The dearest cache write that the prompt asks for. Default `1h`: nothing is ruled out. */
  cacheWrite?: 'none' | '5m' | '1h' | undefined
}

/** Which rate and margin apply. `planId` is looked up from `userId` when a margin of a plan exists. */
export interface PricingScope {
  model: string
  feature?: string | undefined
  planId?: string | undefined
  userId?: string | undefined
}

/** Arguments of `findPricing`. */
export interface FindPricingInput extends PricingScope {
  rateId?: string | undefined
  marginId?: string | undefined
}

/** The rate and margin that price a call. */
export interface CallPricing {
  /** Null: no price is known; `ceilingCredits` is charged unless the provider reports the cost. */
  rate: RateRow | null
  margin: MarginRow
  marginPercent: string
  /** Ceiling of {@link UnknownModelOptions}; null where models without a price are refused. */
  ceilingCredits: string | null
}

/** Arguments of `estimate`. */
export interface EstimateInput extends PricingScope, EstimateUsage {}

/** Result of `estimate`. */
export interface EstimateResult {
  /** Credits, rounded up. */
  amount: string
  costUsd: string
  /** Clamp the call to this, or the amount is no upper bound. */
  maxOutputTokens: number
  /** null: no price is known, and the amount is the ceiling of {@link UnknownModelOptions}. */
  rateId: string | null
  marginId: string
  marginPercent: string
}

/** Arguments of `price`. */
export interface PriceInput extends PricingScope, Tagged {
  usage: UsageInput
  /** Rows frozen by a reservation, used instead of those in force now. */
  rateId?: string | undefined
  marginId?: string | undefined
  /** The model that answered, when it is not the one that was asked. */
  servedModel?: string | undefined
  /** Cost that the gateway reported, in USD; it wins over the cost computed from the rate, and both are stored. */
  reported?: { costUsd: string; source: Extract<CostSource, 'market-cost' | 'gateway-cost'> } | undefined
  /** The usage is a guess (an aborted stream), to be corrected by `reconcile` from `generationId`. */
  estimated?: boolean | undefined
  generationId?: string | undefined
  /** The gateway's own metadata, stored whole, shown to admins only. */
  provider?: Metadata | undefined
}

/** Cached rates and margins with their lookups. */
export interface Pricing {
  /** As read from the store, including rows fetched by id. */
  snapshot: PricingSnapshot
  /**
   * The rate and margin in force.
   *
   * @throws CreditError `UNKNOWN_MODEL` when no price is known, `CONFIG_INVALID` when there is no default margin.
   */
  find(scope: { model: string; feature?: string | undefined; planId?: string | undefined }): FrozenPricing
  /**
   * The margin in force, for a model without a price as well.
   *
   * @throws CreditError `CONFIG_INVALID` when there is no default margin.
   */
  findMargin(scope: {
    model: string
    feature?: string | undefined
    planId?: string | undefined
  }): Pick<FrozenPricing, 'margin' | 'marginPercent'>
}

/** The two rows a price is made from. */
export interface FrozenPricing {
  rate: RateRow
  margin: MarginRow
  marginPercent: string
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
