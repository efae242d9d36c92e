import { CreditError } from '../core/errors.ts'
import type { ChargeRecord } from '../store/port.ts'
import { Books, type Due } from './books.ts'
import { type CreditsContext, report } from './context.ts'
import { type Funds, fundsOf } from './funds.ts'
import { Idle } from './idle.ts'
import { affordable, creditsOf, larger, type Micros, micros, type Quote, smaller } from './quote.ts'
import { type CreditsReceipt, receiptOf, type StopReason } from './receipt.ts'
import { Turns } from './turns.ts'

/**
 * One outermost call: its reservation, the provider calls it makes (its own and those nested in its tools), and the
 * one moment at which it is over. Charges wait here for the next round trip, so that a call without tools makes
 * exactly two: reserve, settle.
 */
export class Operation {
  readonly context: CreditsContext
  readonly idle: Idle
  /** What the reservation was made for. */
  quote: Quote | undefined
  /** Why the answer is shorter than it might be. */
  stopped: StopReason | undefined
  #books: Books | undefined
  #due: Due | undefined
  #allowed: Micros = 0n
  #charged: Micros = 0n
  #estimated = false
  /** The last answer of the store gave less than was asked for: asking again within the step is in vain. */
  #exhausted = false
  #attempts = 0
  #calls = 0
  #inFlight = 0
  #ended = false
  #closing: Promise<void> | undefined
  readonly #turns = new Turns()
  #reservationId: string | undefined
  #frozen: Books['frozen']
  #available: Micros | undefined
  readonly #overs: (() => void)[] = []
  readonly #closed = Promise.withResolvers<CreditsReceipt>()

  constructor(context: CreditsContext) {
    this.context = context
    this.idle = new Idle(context.abandoned?.idleSeconds, () => void this.end())
    this.#overs.push(() => {
      try {
        context.onSettled?.(this.receipt)
      } catch (error) {
        report(context, error, { operation: 'settle', reservationId: this.#reservationId })
      }
    })
  }

  /** The reservation under way, or the last one. */
  get reservationId(): string | undefined {
    return this.#reservationId
  }

  /** Ended for good: what comes now is a call of its own. */
  get over(): boolean {
    return this.#ended && this.#inFlight === 0
  }

  /** Resolves when the books are closed. Never rejects. */
  get settled(): Promise<CreditsReceipt> {
    return this.#closed.promise
  }

  get receipt(): CreditsReceipt {
    const left = this.#books === undefined ? this.#available : this.#books.available + this.#books.held - this.#owed
    return receiptOf({
      userId: this.context.userId,
      reservationId: this.#reservationId,
      closed: this.#closing !== undefined && this.#books === undefined,
      charged: creditsOf(this.#charged),
      available: left === undefined ? undefined : creditsOf(larger(left, 0n)),
      estimated: this.#estimated,
      providerCalls: this.#calls,
      stopped: this.stopped,
    })
  }

  /** The rate and margin that the reservation froze, for a call of the model it was made for. */
  frozenFor(model: string): { rateId: string; marginId: string } | undefined {
    const frozen = this.#frozen
    return frozen?.model === model ? { rateId: frozen.rateId, marginId: frozen.marginId } : undefined
  }

  /** Calls back when the operation is over. */
  onOver(fn: () => void): void {
    this.#overs.push(fn)
  }

  /** Reserves before anything is called. @throws CreditError `INSUFFICIENT_CREDITS` and all that `reserve` throws */
  async open(quote: Quote): Promise<void> {
    this.quote = quote
    await this.#turns.take(() => this.#reserve(quote))
  }

  /**
   * Funds for a provider call: from what is held, else by holding more.
   * @throws CreditError `INSUFFICIENT_CREDITS` when not even the least of it can be held
   */
  async begin(quote: Quote): Promise<Funds> {
    this.#inFlight++
    this.idle.stop()
    const attempt = ++this.#attempts
    try {
      return await this.#turns.take(async () => {
        const allowance = await this.#fund(quote)
        this.#allowed += allowance
        this.#calls++
        return fundsOf(quote, attempt, allowance)
      })
    } catch (error) {
      await this.#landed()
      throw error
    }
  }

  /** A provider call is over; `charge` is what it cost, undefined when it cost nothing. Never throws. */
  async finish(funds: Funds, charge: ChargeRecord | undefined): Promise<void> {
    this.#allowed -= funds.allowance
    if (charge !== undefined) await this.#owe({ charge, key: `call-${funds.attempt}` })
    await this.#landed()
  }

  /** More funds for a stream that outgrows its own. @returns false when there are none */
  async stretch(funds: Funds, quote: Quote): Promise<boolean> {
    return this.#turns.take(async () => {
      const more = {
        amount: larger(quote.full - funds.allowance, 1n),
        least: larger(quote.least - funds.allowance, 1n),
      }
      const { reserved } = this
      const spare = larger(reserved - this.#allowed - this.#owed, 0n)
      if (spare < more.least && !(await this.#books?.extend(more))) {
        this.#limit('cut-off', quote.full, funds.allowance)
        return false
      }
      const added = smaller(larger(this.reserved - this.#allowed - this.#owed, 0n), more.amount)
      this.#allowed += added
      funds.allowance += added
      funds.quote = quote
      funds.maxOutputTokens = affordable(quote, funds.allowance)
      return true
    })
  }

  /**
   * Between two steps: charges the last one and holds for the next in the same round trip.
   * @returns false when the next one cannot be paid
   */
  async advance(quote: Quote): Promise<boolean> {
    return this.#turns.take(async () => {
      if (this.#books === undefined || this.#books.lapsed) return true
      const free = this.reserved - this.#owed - this.#allowed
      const more = free >= quote.full ? undefined : { amount: quote.full - free, least: larger(quote.least - free, 1n) }
      const due = this.#due
      this.#due = undefined
      const granted = await this.#ask(due, more)
      this.#exhausted = more !== undefined && !granted
      if (granted || this.reserved - this.#allowed >= quote.least) return true
      this.#limit('budget', quote.least, this.reserved - this.#allowed)
      return false
    })
  }

  /** Prolongs the hold of a stream that goes on for longer than it was made for. Never throws. */
  async keepAlive(): Promise<void> {
    if (!this.#books?.endsSoon) return
    await this.#turns.take(async () => {
      if (this.#books?.endsSoon) await this.#books.extend({ amount: 1n, least: 1n })
    })
  }

  /** The provider stopped at a clamp that was set because the user could not pay for more. */
  cutShort(funds: Funds): void {
    this.#limit('clamped', funds.quote.full, funds.allowance)
  }

  /** The loop ends because its next step was refused. */
  ranOut({ details }: CreditError): void {
    const { required, available } = details
    this.stopped = { reason: 'budget', required: String(required), available: String(available) }
  }

  /** The call has ended: nothing more will be asked of a provider, though calls may still be under way. */
  async end(): Promise<void> {
    this.#ended = true
    await this.#closeIfOver()
  }

  /** Closes the books now if no provider call is under way; a later one opens them again. */
  async pause(): Promise<void> {
    if (this.#inFlight === 0) await this.#close()
  }

  /** Credits held by the reservation. */
  get reserved(): Micros {
    return this.#books?.held ?? 0n
  }

  get #owed(): Micros {
    return this.#due === undefined ? 0n : micros(this.#due.charge.amount)
  }

  async #fund(quote: Quote): Promise<Micros> {
    if (this.#closing !== undefined) await this.#reopen()
    if (this.#books?.lapsed) await this.#renew()
    if (this.#books === undefined) await this.#reserve(quote)
    let free = this.reserved - this.#allowed - this.#owed
    if (free < quote.full && !this.#exhausted) {
      const due = this.#due
      this.#due = undefined
      const more = { amount: quote.full - free, least: larger(quote.least - free, 1n) }
      await this.#ask(due, more)
      free = this.reserved - this.#allowed
      this.#exhausted = free < quote.full
    }
    if (free < quote.least) throw this.#refused(quote, free)
    return smaller(free, quote.full)
  }

  async #ask(due: Due | undefined, more: { amount: Micros; least: Micros } | undefined): Promise<boolean> {
    const books = this.#books
    if (books === undefined) return false
    if (due !== undefined) return books.capture(due, more)
    return more !== undefined && books.extend(more)
  }

  async #reserve(quote: Quote): Promise<void> {
    // A model that costs nothing needs no hold.
    if (quote.full === 0n) return
    this.#books = await Books.open(this.context, quote)
    this.#exhausted = this.#books.held < quote.full
    if (this.#reservationId === undefined) this.context.waitUntil?.(this.#closed.promise)
    this.#reservationId = this.#books.reservationId
    this.#frozen = this.#books.frozen
  }

  async #reopen(): Promise<void> {
    await this.#closing
    this.#closing = undefined
  }

  /** The hold ran out while the call went on: charge what is due, late, and hold anew. */
  async #renew(): Promise<void> {
    await this.#write()
  }

  /** One charge waits; the one before it goes into the books. */
  async #owe(due: Due): Promise<void> {
    const amount = micros(due.charge.amount)
    if (amount === 0n && due.charge.costSource !== 'estimate' && this.#books === undefined) return
    this.#charged += amount
    this.#estimated ||= due.charge.costSource === 'estimate'
    await this.#turns.take(async () => {
      const earlier = this.#due
      this.#due = due
      if (earlier !== undefined) await this.#books?.capture(earlier)
    })
  }

  async #landed(): Promise<void> {
    this.#inFlight--
    this.idle.start()
    await this.#closeIfOver()
  }

  async #closeIfOver(): Promise<void> {
    if (this.#ended && this.#inFlight === 0) await this.#close()
  }

  async #close(): Promise<void> {
    this.idle.stop()
    this.#closing ??= this.#turns.take(() => this.#write())
    await this.#closing
    if (!this.over) return
    const { receipt } = this
    for (const fn of this.#overs.splice(0)) fn()
    this.#closed.resolve(receipt)
  }

  /** Writes the last charge and closes the reservation, or releases it when nothing was charged. */
  async #write(): Promise<void> {
    const due = this.#due
    this.#due = undefined
    const books = this.#books ?? (due === undefined ? undefined : await Books.openFor(this.context, due.charge))
    this.#books = undefined
    if (books === undefined) return
    this.#reservationId = books.reservationId
    if (due === undefined && this.#charged === 0n) await books.release()
    else await books.settle(due)
    this.#available = books.available
    this.#exhausted = false
  }

  #limit(reason: StopReason['reason'], required: Micros, available: Micros): void {
    this.stopped = { reason, required: creditsOf(required), available: creditsOf(larger(available, 0n)) }
  }

  #refused(quote: Quote, free: Micros): CreditError {
    const available = creditsOf(larger(free, 0n))
    return new CreditError({
      code: 'INSUFFICIENT_CREDITS',
      details: { available, required: creditsOf(quote.least), balance: available, reservationId: this.#reservationId },
    })
  }
}
