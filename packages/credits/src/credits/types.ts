import type { ErrorContext as BaseErrorContext } from '../core/errors.ts'
import type { CreditStore } from '../store/port.ts'
import type {
  Balance,
  CaptureResult,
  ChargeRecord,
  EstimatesPage,
  ExtendResult,
  MarginRow,
  PricingSnapshot,
  RateRow,
  Reservation,
  ReservationResult,
  SettleResult,
  TransactionResult,
} from '../store/types.ts'
import type {
  AdjustInput,
  CallPricing,
  CaptureInput,
  CorrectEstimateInput,
  EstimateInput,
  EstimateResult,
  EstimatesInput,
  ExtendInput,
  FindPricingInput,
  GrantInput,
  HistoryInput,
  HistoryResult,
  MarginAuditResult,
  Margins,
  PageInput,
  PriceInput,
  RefundInput,
  ReleaseInput,
  RemoveMarginInput,
  ReserveInput,
  ReserveResult,
  ReverseInput,
  SetMarginInput,
  SettleInput,
} from './operation-types.ts'
import type { CreditsReports } from './report-types.ts'

export type * from './operation-types.ts'

/** What {@link Credits} is built from. */
export interface CreditsOptions {
  /**
   * `supabaseStore(client)`, `postgresStore(...)` or `memoryStore()`. A function is called at the first operation, so
   * that a module can be imported where the settings of its database are missing, as in a build.
   */
  store: CreditStore | (() => CreditStore)
  /** Where a user buys more; put into the details of `INSUFFICIENT_CREDITS`. */
  upgradeUrl?: string | undefined
  /** How long rates and margins are served from memory before they are read again in the background. Default 60. */
  pricingTtlSeconds?: number | undefined
  /** Life of a reservation unless the call says otherwise. Default 300. */
  reservationTtlSeconds?: number | undefined
  /**
   * Receives errors that reach no caller: a failed background refresh, a reservation made without the store, a charge
   * that a wrapped call could not write. Default: `console.error`.
   */
  onError?: OnError | undefined
  /** Default: fail closed, so a store that is down refuses every reserve with `STORE_UNAVAILABLE`. */
  failOpen?: FailOpenOptions | undefined
  /** Default: a model without a known price is refused with `UNKNOWN_MODEL`. */
  unknownModels?: UnknownModelOptions | undefined
}

/** Receives an error that reaches no caller. `CreditError.isInstance(error)` says whether it has a code. */
export type OnError = (error: unknown, context: ErrorContext) => void

/** Where an error given to `onError` came from. */
export interface ErrorContext extends BaseErrorContext {
  /** The charge that is not in the ledger. */
  charge?: ChargeRecord | undefined
}

/** Lets calls through while the store is down, up to a cap. What they spend is charged when the store answers again. */
export interface FailOpenOptions {
  /** Credits that this process may let through without the store, all users together; beyond it, fail closed. */
  maxCredits: string
}

/** Lets models without a known price be called: a ceiling is reserved, and the cost that the gateway reports is charged. */
export interface UnknownModelOptions {
  /** Reserved for each call, and charged, marked as an estimate, when the gateway reports no cost: never free. */
  ceilingCredits: string
}

/**
 * The use cases. Made by `createCredits`.
 *
 * Amounts are decimal strings of credits with at most 6 places (`"3.36"`), USD at most 12, percentages at most 4, times
 * ISO 8601, lives in seconds. Amounts must be strings: a JavaScript number may already have lost precision.
 *
 * @throws CreditError (every method) `INVALID_INPUT` (details `issues: [{ path, message }]`), `ACCOUNT_NOT_FOUND`,
 * `CONFIG_INVALID`, `STORE_BUSY`, `STORE_UNAVAILABLE`, and of writes `OUTCOME_UNKNOWN` (details: the ids; repeat with
 * the same idempotency key)
 */
export interface Credits extends CreditsReports {
  /**
   * Reserves credits before a provider call. The same `idempotencyKey` and parameters return the first result with
   * `replayed: true` while the reservation is active; after that they are refused, so a job that runs again never runs
   * for free.
   *
   * @throws CreditError `INSUFFICIENT_CREDITS` (details: available, required, balance, upgradeUrl), `UNKNOWN_MODEL`,
   * `ACCOUNT_FROZEN`, `SPENDING_FROZEN`, `LIMIT_EXCEEDED`, `IDEMPOTENCY_MISMATCH`, `RESERVATION_CLOSED` (the key
   * belongs to a reservation that is settled, released or expired; details: reservationId, state)
   * @example
   * ```ts
   * const { reservationId } = await credits.reserve({ userId, amount: '10', feature: 'chat', idempotencyKey: jobId })
   * ```
   */
  reserve(input: ReserveInput): Promise<ReserveResult>
  /**
   * Reserves more on an active reservation and prolongs it. Too few credits are an answer (`extension.granted: false`),
   * not an error.
   *
   * @throws CreditError `RESERVATION_NOT_FOUND`, `RESERVATION_CLOSED`, `ACCOUNT_FROZEN`, `SPENDING_FROZEN`
   * @example
   * ```ts
   * const { extension } = await credits.extend({ userId, reservationId, amount: '5' })
   * ```
   */
  extend(input: ExtendInput): Promise<ExtendResult>
  /**
   * Charges one provider call and keeps the reservation open; with `extend`, reserves more in the same round trip.
   *
   * @throws CreditError `RESERVATION_NOT_FOUND`, `RESERVATION_CLOSED`, `IDEMPOTENCY_MISMATCH`, `UNKNOWN_MODEL`,
   * `USAGE_MISSING`
   * @example
   * ```ts
   * await credits.capture({ userId, reservationId, usage: step.usage, idempotencyKey: step.id, extend: { amount: '5' } })
   * ```
   */
  capture(input: CaptureInput): Promise<CaptureResult>
  /**
   * Charges the last provider call of a reservation (or nothing) and returns the rest. Settling again returns the first
   * result with `replayed: true`, also when the charge differs; operators find that charge in the audit log.
   *
   * @throws CreditError `RESERVATION_NOT_FOUND`, `RESERVATION_CLOSED` once released, `UNKNOWN_MODEL`, `USAGE_MISSING`
   * @example
   * ```ts
   * await credits.settle({ userId, reservationId, usage: result.usage })
   * ```
   */
  settle(input: SettleInput): Promise<SettleResult>
  /**
   * Returns everything that is reserved, without a charge. Releasing again returns the first result.
   *
   * @throws CreditError `RESERVATION_NOT_FOUND`
   * @example
   * ```ts
   * await credits.release({ userId, reservationId })
   * ```
   */
  release(input: ReleaseInput): Promise<ReservationResult>
  /** A reservation as it stands. @throws CreditError `RESERVATION_NOT_FOUND` */
  getReservation(input: ReleaseInput): Promise<Reservation>

  /**
   * Gives credits: a purchase, a promotion. Debt is paid first.
   *
   * @throws CreditError `IDEMPOTENCY_MISMATCH`
   * @example
   * ```ts
   * await credits.grant({ userId, amount: '500', source: 'purchase', idempotencyKey: payment.id })
   * ```
   */
  grant(input: GrantInput): Promise<TransactionResult>
  /**
   * Returns a usage, whole or in part, never more than it took.
   *
   * @throws CreditError `TRANSACTION_NOT_FOUND`, `REFUND_EXCEEDS_ORIGINAL` (details: refundable)
   * @example
   * ```ts
   * await credits.refund({ userId, transactionId, reason: 'The answer was empty' })
   * ```
   */
  refund(input: RefundInput): Promise<TransactionResult>
  /**
   * Takes back a grant whose payment was refunded or disputed, whole or in part: first what is left of it, then as debt
   * as far as the plan allows debt; the rest is recorded as uncollected.
   *
   * @throws CreditError `TRANSACTION_NOT_FOUND`, `REFUND_EXCEEDS_ORIGINAL` (details: refundable)
   * @example
   * ```ts
   * await credits.reverse({ userId, transactionId: grant.transaction.id, reason: 'Disputed', idempotencyKey: dispute.id })
   * ```
   */
  reverse(input: ReverseInput): Promise<TransactionResult>
  /**
   * Corrects a balance by hand, up or down, never below what is available.
   *
   * @throws CreditError `INSUFFICIENT_CREDITS`
   * @example
   * ```ts
   * await credits.adjust({ userId, amount: '-5', reason: 'Granted twice by mistake' })
   * ```
   */
  adjust(input: AdjustInput): Promise<TransactionResult>

  /** Estimated charges without a correction, by account and version, a page at a time: for operators. */
  getEstimates(input?: EstimatesInput): Promise<EstimatesPage>
  /**
   * Replaces an estimated charge by what the call really cost, once: `reconcileEstimates` does it from the gateway's
   * records. What is missing is charged, as far as it is available; what is not is recorded as uncollected.
   *
   * @throws CreditError `TRANSACTION_NOT_FOUND`, `INVALID_INPUT` (path `transactionId`) for a charge that is not
   * estimated or has its correction, `IDEMPOTENCY_MISMATCH`
   * @example
   * ```ts
   * await credits.correctEstimate({ userId, transactionId, charge: { ...charge, amount: '3.36' } })
   * ```
   */
  correctEstimate(input: CorrectEstimateInput): Promise<TransactionResult>
  /** The user's credits now. */
  getBalance(input: { userId: string }): Promise<Balance>
  /** The user's transactions, newest first, a page at a time. */
  getHistory(input: HistoryInput): Promise<HistoryResult>

  /**
   * Prices one provider call without charging it, with the cached rates and margins.
   *
   * @throws CreditError `UNKNOWN_MODEL`, `USAGE_MISSING`
   * @example
   * ```ts
   * const charge = await credits.price({ userId, model: 'anthropic/claude-sonnet-4.5', usage: result.usage })
   * ```
   */
  price(input: PriceInput): Promise<ChargeRecord>
  /** Upper bound of what a call may cost, in credits; what `reserve` reserves for an `estimate`. */
  estimate(input: EstimateInput): Promise<EstimateResult>
  /** Rates and margins as cached. Waits for the store only the first time. */
  pricing(): Promise<Pricing>
  /**
   * The rate and margin that price a call: the frozen ones when `rateId` and `marginId` are given, else those in force.
   *
   * @throws CreditError `UNKNOWN_MODEL` when no price is known and no ceiling is configured, `NOT_FOUND` for ids
   * @example
   * ```ts
   * const { rate, marginPercent } = await credits.findPricing({ model, feature: 'chat', userId })
   * ```
   */
  findPricing(input: FindPricingInput): Promise<CallPricing>
  /** Receives errors that reach no caller: the `onError` of `createCredits`, else `console.error`. Never throws. */
  readonly onError: OnError

  /** Margins in force, and those that are scheduled. Always read from the store. */
  getMargins(): Promise<Margins>
  /** Sets a margin from now, or from `effectiveFrom`. @throws CreditError `VERSION_CONFLICT` (details: expected, actual) */
  setMargin(input: SetMarginInput): Promise<MarginRow>
  /** Removes an override, so that the next wider margin applies. The default cannot be removed. */
  removeMargin(input: RemoveMarginInput): Promise<MarginRow>
  /** Who changed which margin, newest first. */
  getMarginAudit(input?: PageInput): Promise<MarginAuditResult>
  /** The rates a model has had and will have, newest first. */
  getRateHistory(input: { model: string; limit?: number | undefined }): Promise<RateRow[]>
}

/** Cached rates and margins. */
export interface Pricing {
  /** As read from the store. */
  snapshot: PricingSnapshot
}
