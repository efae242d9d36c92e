import { CreditError } from '../core/errors.ts'
import { add, compare, max, min, sub } from '../core/money.ts'
import type { CallPricing } from '../credits/types.ts'
import type { ChargeRecord, ReservationResult } from '../store/port.ts'
import { CallTotals } from './call-totals.ts'
import type { CreditsContext } from './context.ts'
import { lastKnownCredits, rememberCredits } from './known-credits.ts'
import type { CreditsReceipt } from './receipt.ts'
import { OpenReservation, SMALLEST_AMOUNT } from './reservation.ts'
import { type LedgerWrite, writeSettlement } from './settlement.ts'
import type { CallEstimate } from './types.ts'

/** The reservation of a call that has been under way for this long is no longer prolonged. */
const LONGEST_CALL_MS = 3_600_000

/** The part of a reservation that is meant for one provider call. */
export interface Allowance {
  /** 1, 2, 3 ... within the session. */
  readonly attempt: number
  readonly reservation: OpenReservation
  /** Replaced when the call outgrows it. */
  estimate: CallEstimate
  /** Credits. */
  amount: string
  /** The call is over, and its allowance is free again. */
  over: boolean
}

/**
 * The credits of one outermost call: its reservation, the provider calls it makes (those nested in its tools included)
 * and the moment it is over. A charge waits for the next round trip, so a call without tools makes exactly two: reserve
 * and settle.
 */
export class CallSession {
  readonly context: CreditsContext
  readonly totals: CallTotals
  /** Credits the user was known to have when the step began. Estimates of its provider calls rest on it. */
  available: string | undefined
  /** Counts what happens, to tell a call that is under way from one that is no longer read. */
  activity = 0
  /** Tools of the app that are running. */
  toolsRunning = 0
  readonly #startedAt = Date.now()
  #reservation: OpenReservation | undefined
  #reservationId: string | undefined
  /** The sum of the allowances of the calls in flight. */
  #allowed = '0'
  #allowances = 0
  #attempts = 0
  #inFlight = 0
  #ended = false
  /** The last answer of the store gave less than was asked for. Asking again within the step is in vain. */
  #exhausted = false
  /** What the user has besides this reservation. */
  #balance: string | undefined
  #queue: Promise<unknown> = Promise.resolve()

  constructor(context: CreditsContext) {
    this.context = context
    this.totals = new CallTotals(context)
    this.available = lastKnownCredits(context)
  }

  /** Nothing more is expected of this call. A provider call that comes now makes a reservation of its own. */
  get over(): boolean {
    return this.#ended && this.#inFlight === 0
  }

  /** Provider calls are under way, or tools that may make some. */
  get busy(): boolean {
    return this.#inFlight > 0 || this.toolsRunning > 0
  }

  /** Provider calls that were allowed so far. */
  get providerCalls(): number {
    return this.#attempts
  }

  /** The call has lasted longer than any is waited for. */
  get overdue(): boolean {
    return Date.now() - this.#startedAt > LONGEST_CALL_MS
  }

  /** The receipt when the call is over and its charges are written or given up. Never rejects. */
  get settled(): Promise<CreditsReceipt> {
    return this.totals.settled
  }

  get receipt(): CreditsReceipt {
    const reservation = this.#reservation
    const rest = reservation === undefined ? '0' : sub(reservation.reserved, reservation.owed)
    return this.totals.receiptOf({
      reservationId: this.#reservationId,
      nothingPending: (reservation?.pendingCharges ?? 0) === 0,
      closed: this.over && reservation === undefined,
      available: this.#balance === undefined ? undefined : max('0', add(this.#balance, rest)),
      providerCalls: this.#attempts,
    })
  }

  /** The rate and margin that price a call of this model: those of the reservation where it was made for the model. */
  async findPricing(model: string): Promise<CallPricing> {
    if (this.#reservation?.model === model) return this.#reservation.pricing
    const { credits, userId, feature } = this.context
    return credits.findPricing({ model, feature, userId })
  }

  /**
   * Reserves before any provider call.
   * @throws CreditError `INSUFFICIENT_CREDITS` and what `credits.reserve` throws
   */
  async reserve(estimate: CallEstimate): Promise<void> {
    await this.#inTurn(() => this.#fund(estimate, false))
  }

  /**
   * Allows one provider call: from the reservation, else by extending it.
   * @param extendable the call is a stream, which can ask for more as it goes on
   * @throws CreditError `INSUFFICIENT_CREDITS` when not even the minimum can be reserved
   */
  async allow(estimate: CallEstimate, extendable: boolean): Promise<Allowance> {
    this.#inFlight++
    this.activity++
    try {
      return await this.#inTurn(async () => {
        const reservation = await this.#fund(estimate, extendable)
        const amount = min(this.#free, estimate.amount)
        this.#allowed = add(this.#allowed, amount)
        this.#allowances++
        return { attempt: ++this.#attempts, reservation, estimate, amount, over: false }
      })
    } catch (error) {
      this.#landed()
      throw error
    }
  }

  /** Credits that a stream may spend in the end: its allowance, what is free, and what the user has besides. */
  spendable(allowance: Allowance): string {
    return add(add(allowance.amount, max('0', this.#free)), max('0', this.#balance ?? '0'))
  }

  /**
   * More credits for a call that outgrows its allowance. Never throws.
   * @returns false when there are none, or when the call has ended meanwhile
   */
  async extend(allowance: Allowance, estimate: CallEstimate): Promise<boolean> {
    return this.#inTurn(async () => {
      if (allowance.over) return false
      const wanted = max(SMALLEST_AMOUNT, sub(estimate.amount, allowance.amount))
      const minimum = max(SMALLEST_AMOUNT, sub(estimate.minimumAmount, allowance.amount))
      if (compare(this.#free, minimum) < 0) await this.#reservation?.extend(wanted, minimum)
      if (allowance.over) return false
      if (compare(this.#free, minimum) < 0) {
        this.totals.stop('cut-off', estimate.minimumAmount, allowance.amount)
        return false
      }
      const added = min(this.#free, wanted)
      this.#allowed = add(this.#allowed, added)
      allowance.amount = add(allowance.amount, added)
      allowance.estimate = estimate
      return true
    })
  }

  /**
   * Between two steps of a loop: charges the last one and reserves for the next in one round trip.
   * @returns false when the next step cannot be paid
   */
  async advance(estimate: CallEstimate): Promise<boolean> {
    return this.#inTurn(async () => {
      const reservation = this.#reservation
      this.available = lastKnownCredits(this.context)
      this.#exhausted = false
      if (reservation === undefined || reservation.expired) return true
      if (!(await this.#ask(estimate))) await reservation.capturePending()
      // A reservation that turns out to have expired is replaced when the next step begins.
      if (reservation.expired || compare(this.#free, estimate.minimumAmount) >= 0) return true
      this.totals.stop('budget', estimate.minimumAmount, this.#free)
      return false
    })
  }

  /** A provider call is over. `charge` is what it cost. Undefined: nothing. */
  record(allowance: Allowance, charge: ChargeRecord | undefined): void {
    if (allowance.over) return
    allowance.over = true
    this.activity++
    this.#allowances--
    this.#allowed = sub(this.#allowed, allowance.amount)
    if (charge !== undefined) this.#charge(allowance, charge)
    this.#landed()
  }

  /** Prolongs a reservation that would end before the call does. Never throws. */
  async keepAlive(): Promise<void> {
    const reservation = this.#reservation
    if (reservation === undefined || this.overdue || reservation.closed || !reservation.endsSoon) return
    await this.#inTurn(async () => {
      if (this.#reservation === reservation) await reservation.extend(SMALLEST_AMOUNT, SMALLEST_AMOUNT)
    })
  }

  /**
   * The call has ended. Writes what is charged and returns the rest of the reservation, once no provider call is in
   * flight. Idempotent. Never rejects.
   * @returns resolves after the first attempt to write. Later attempts go on in the background.
   */
  async settle(): Promise<void> {
    this.#ended = true
    if (this.#inFlight === 0) await this.#close()
  }

  /** Credits that are reserved, and neither owed nor meant for a call in flight. */
  get #free(): string {
    const reservation = this.#reservation
    return reservation === undefined ? '0' : sub(sub(reservation.reserved, reservation.owed), this.#allowed)
  }

  /** One after the other: two provider calls must not both take the same credits. */
  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#queue.then(work)
    this.#queue = result.catch(() => undefined)
    return result
  }

  /** Makes sure of a reservation that pays for the estimate, or for as much of it as the user can pay. */
  async #fund(estimate: CallEstimate, extendable: boolean): Promise<OpenReservation> {
    if (this.#reservation?.expired) await this.#replaceExpired(this.#reservation)
    if (this.#reservation === undefined) return this.#reserve(estimate)
    // An input that is still to come goes as far as what is reserved, and then asks for more.
    if (estimate.input !== undefined && compare(this.#free, '0') > 0) return this.#reservation
    const enough = extendable && compare(this.#free, estimate.minimumAmount) >= 0
    if (!enough && !this.#exhausted) await this.#ask(estimate)
    if (this.#reservation.expired) return this.#fund(estimate, extendable)
    if (compare(this.#free, estimate.minimumAmount) < 0) throw this.#insufficient(estimate)
    return this.#reservation
  }

  async #reserve(estimate: CallEstimate): Promise<OpenReservation> {
    const reservation = await OpenReservation.reserve(this.context, estimate, (answer) => this.#learn(answer))
    if (this.#reservationId === undefined) this.context.waitUntil?.(this.settled)
    this.#reservation = reservation
    this.#reservationId = reservation.id
    this.#exhausted = compare(reservation.reserved, estimate.amount) < 0
    return reservation
  }

  /** Asks for what is missing for the estimate. @returns whether anything was missing */
  async #ask(estimate: CallEstimate): Promise<boolean> {
    const missing = sub(estimate.amount, this.#free)
    if (compare(missing, '0') <= 0) return false
    const minimum = max(SMALLEST_AMOUNT, sub(estimate.minimumAmount, this.#free))
    this.#exhausted = !(await this.#reservation?.extend(missing, minimum)) || compare(this.#free, estimate.amount) < 0
    return true
  }

  #charge({ attempt, reservation }: Allowance, charge: ChargeRecord): void {
    this.totals.add(charge)
    reservation.add(charge, attempt)
    if (reservation !== this.#reservation) void this.#write(reservation, reservation.lateWrites())
    // One charge can wait for the settlement. Those before it are written now.
    else if (reservation.pendingCharges > 1) void this.#inTurn(() => reservation.captureAllButLast())
  }

  /** The reservation has expired while the call went on. What is due is charged late, and a new one is made. */
  async #replaceExpired(reservation: OpenReservation): Promise<void> {
    this.#reservation = undefined
    this.#exhausted = false
    // A call in flight will be charged to it, so it stays open until it expires.
    const writes =
      this.#allowances > 0 ? reservation.lateWrites() : reservation.closingWrites(this.totals.charges === 0)
    await this.#write(reservation, writes)
  }

  #landed(): void {
    this.#inFlight--
    if (this.over) void this.#close()
  }

  async #close(): Promise<void> {
    await this.#inTurn(async () => {
      const reservation = this.#reservation
      if (reservation === undefined || !this.over) return
      const rest = sub(reservation.reserved, reservation.owed)
      if (this.#balance !== undefined) this.#balance = max('0', add(this.#balance, rest))
      this.#reservation = undefined
      await this.#write(reservation, reservation.closingWrites(this.totals.charges === 0))
    })
    this.totals.finish(this.receipt)
  }

  /** Writes to the ledger. Resolves after the first attempt. */
  async #write(reservation: OpenReservation, writes: LedgerWrite[]): Promise<void> {
    const { context } = this
    const onWritten = (answer: ReservationResult) => this.#learn(answer)
    const { attempted, booked } = writeSettlement({ context, writes, lifeMs: reservation.lifeMs, onWritten })
    void this.totals.follow(booked).then(() => this.totals.finish(this.receipt))
    await attempted
  }

  #learn({ balance }: ReservationResult): void {
    this.#balance = balance.available
    rememberCredits(this.context, balance.available)
  }

  #insufficient({ minimumAmount: required }: CallEstimate): CreditError {
    const available = max('0', this.#free)
    const balance = add(available, max('0', this.#balance ?? '0'))
    return new CreditError({ code: 'INSUFFICIENT_CREDITS', details: { available, required, balance } })
  }
}
