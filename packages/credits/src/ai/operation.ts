import { CreditError } from '../core/errors.ts'
import { type Soon, soon } from '../core/soon.ts'
import { type Desk, deskOf } from '../credits/desk.ts'
import type { ChargeRecord } from '../store/port.ts'
import { Books, type Due } from './books.ts'
import type { CreditsContext } from './context.ts'
import { Ending } from './ending.ts'
import { type Funds, fundsOf } from './funds.ts'
import { Idle } from './idle.ts'
import { affordable, creditsOf, larger, type Micros, micros, type Quote, smaller } from './quote.ts'
import { type CreditsReceipt, receiptOf, type StopReason } from './receipt.ts'
import { Turns } from './turns.ts'

/**
 * One outermost call: its reservation, the provider calls it makes (its own and those nested in its tools), and the
 * one moment at which it is over. Charges wait here for the next round trip, so that a call without tools makes
 * exactly two: reserve, settle. Those two are all that such a call waits for: whatever needs no store is done at once.
 */
export class Operation {
  readonly context: CreditsContext
  readonly desk: Desk
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
  #opening: Promise<void> | undefined
  #closing: Promise<void> | undefined
  readonly #turns = new Turns()
  #reservationId: string | undefined
  #frozen: Books['frozen']
  #rows: Books['rows']
  #available: string | undefined
  #idle: Idle | undefined
  readonly #ending = new Ending(this)

  constructor(context: CreditsContext) {
    this.context = context
    this.desk = deskOf(context.credits)
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
    return this.#ending.settled
  }

  get receipt(): CreditsReceipt {
    const books = this.#books
    const available = books?.available ?? this.#available
    const mine = books === undefined ? 0n : books.held - this.#owed
    return receiptOf({
      userId: this.context.userId,
      reservationId: this.#reservationId,
      closed: this.#closing !== undefined && books === undefined,
      charged: creditsOf(this.#charged),
      available: available === undefined ? undefined : creditsOf(larger(micros(available) + mine, 0n)),
      estimated: this.#estimated,
      providerCalls: this.#calls,
      stopped: this.stopped,
    })
  }

  /** The rate and margin that the reservation froze, for a call of the model it was made for; the rows if at hand. */
  frozenFor(model: string): { rateId: string; marginId: string; rows: Books['rows'] } | undefined {
    const frozen = this.#frozen
    if (frozen?.model !== model) return undefined
    return { rateId: frozen.rateId, marginId: frozen.marginId, rows: this.#rows }
  }

  /** Calls back when the operation is over. */
  onOver(fn: () => void): void {
    this.#ending.callsBack(fn)
  }

  /** For a call whose end may never be told: it is over when nothing has happened for a while. */
  watch(): void {
    const watched = { activity: 0, busy: false, onIdle: () => void this.end() }
    this.#idle ??= new Idle(this.context.abandoned?.idleSeconds, watched)
  }

  /** From now on idle time counts. */
  rest(): void {
    this.#idle?.start()
  }

  /** Reserves before anything is called. @throws CreditError `INSUFFICIENT_CREDITS` and all that `reserve` throws */
  open(quote: Quote): Promise<unknown> {
    this.quote = quote
    // An agent's own `prepareCall` may have made a call, and so a reservation, before.
    if (this.#attempts > 0) return this.#turns.take(() => this.#fund(quote))
    this.#opening = this.#reserve(quote)
    return this.#opening
  }

  /**
   * Funds for a provider call: from what is held, else by holding more.
   * @throws CreditError `INSUFFICIENT_CREDITS` when not even the least of it can be held
   */
  begin(quote: Quote): Soon<Funds> {
    this.#inFlight++
    this.#idle?.stop()
    const attempt = ++this.#attempts
    const books = this.#closing === undefined ? this.#books : undefined
    const covered = books !== undefined && this.#turns.free && this.#free >= quote.full && !books.lapsed
    return covered ? this.#allow(quote, attempt, quote.full) : this.#beginInTurn(quote, attempt)
  }

  async #beginInTurn(quote: Quote, attempt: number): Promise<Funds> {
    try {
      return await this.#turns.take(async () => this.#allow(quote, attempt, await this.#fund(quote)))
    } catch (error) {
      await this.#landed()
      throw error
    }
  }

  #allow(quote: Quote, attempt: number, allowance: Micros): Funds {
    this.#allowed += allowance
    this.#calls++
    return fundsOf(quote, attempt, allowance)
  }

  /** A provider call is over; `charge` is what it cost, undefined when it cost nothing. Never throws. */
  finish(funds: Funds, charge: ChargeRecord | undefined): Soon<void> {
    this.#allowed -= funds.allowance
    funds.spent = true
    return soon(charge && this.#owe(charge, funds.attempt), () => this.#landed())
  }

  /** More funds for a stream that outgrows its own. @returns false when there are none, or it has ended meanwhile */
  async stretch(funds: Funds, quote: Quote): Promise<boolean> {
    return this.#turns.take(async () => {
      if (funds.spent) return false
      const more = {
        amount: larger(quote.full - funds.allowance, 1n),
        least: larger(quote.least - funds.allowance, 1n),
      }
      const spare = larger(this.#free, 0n)
      const granted = spare >= more.least || (await this.#books?.extend(more))
      if (funds.spent) return false
      if (!granted) {
        this.#limit('cut-off', quote.full, funds.allowance)
        return false
      }
      const added = smaller(larger(this.#free, 0n), more.amount)
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
      const free = this.#free
      const more = free >= quote.full ? undefined : { amount: quote.full - free, least: larger(quote.least - free, 1n) }
      const granted = await this.#ask(more)
      this.#exhausted = more !== undefined && !granted
      if (granted || this.#free >= quote.least) return true
      this.#limit('budget', quote.least, this.#free)
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
  end(): Soon<void> {
    this.#ended = true
    return this.over ? this.#close() : undefined
  }

  /** Closes the books now if no provider call is under way; a later one opens them again. */
  pause(): Soon<void> {
    return this.#inFlight === 0 ? this.#close() : undefined
  }

  /** Credits that are held and neither owed nor meant for a call under way. */
  get #free(): Micros {
    return (this.#books?.held ?? 0n) - this.#owed - this.#allowed
  }

  get #owed(): Micros {
    return this.#due?.amount ?? 0n
  }

  async #fund(quote: Quote): Promise<Micros> {
    if (this.#closing !== undefined) await this.#reopen()
    // The hold ran out while the call went on: charge what is due, late, and hold anew.
    if (this.#books?.lapsed) await this.#write()
    if (this.#books === undefined) await this.#opening
    if (this.#books === undefined) await this.#reserve(quote)
    let free = this.#free
    if (free < quote.full && !this.#exhausted) {
      await this.#ask({ amount: quote.full - free, least: larger(quote.least - free, 1n) })
      free = this.#free
      this.#exhausted = free < quote.full
    }
    if (free < quote.least) throw this.#refused(quote, free)
    return smaller(free, quote.full)
  }

  /** One round trip for the charge that is due and for more. @returns whether more was granted */
  async #ask(more: { amount: Micros; least: Micros } | undefined): Promise<boolean> {
    const books = this.#books
    if (books === undefined) return false
    const due = this.#due
    this.#due = undefined
    if (due !== undefined) return books.capture(due, more)
    return more !== undefined && books.extend(more)
  }

  #reserve(quote: Quote): Promise<void> {
    const { full, least, model, rows } = quote
    // A model that costs nothing needs no hold.
    if (full === 0n) return Promise.resolve()
    const { userId, feature, metadata, ttlSeconds } = this.context
    const amount = creditsOf(full)
    const minimumAmount = least === full ? amount : creditsOf(least > 0n ? least : smaller(full, 1n))
    const order = { userId, model, amount, minimumAmount, feature, metadata, ttlSeconds }
    return this.desk.reserve(order, rows).then((result) => {
      const books = new Books(this, result, { text: amount, micros: full }, rows)
      this.#books = books
      this.#exhausted = books.held < full
      if (this.#reservationId === undefined) this.context.waitUntil?.(this.settled)
      this.#reservationId = books.reservationId
      this.#frozen = books.frozen
      this.#rows = books.rows
    })
  }

  async #reopen(): Promise<void> {
    await this.#closing
    this.#closing = undefined
  }

  /** One charge waits; the one before it goes into the books. */
  #owe(charge: ChargeRecord, attempt: number): Soon<void> {
    const amount = micros(charge.amount)
    const estimated = charge.costSource === 'estimate'
    if (amount === 0n && !estimated && this.#books === undefined) return
    this.#charged += amount
    this.#estimated ||= estimated
    const due = { charge, amount, attempt }
    if (this.#due === undefined && this.#turns.free) {
      this.#due = due
      return
    }
    return this.#turns.take(async () => {
      const earlier = this.#due
      this.#due = due
      if (earlier !== undefined) await this.#books?.capture(earlier)
    })
  }

  #landed(): Soon<void> {
    this.#inFlight--
    if (this.over) return this.#close()
    this.#idle?.start()
  }

  #close(): Promise<void> {
    this.#idle?.stop()
    if (this.#closing !== undefined) return this.#closing.then(() => this.#tellIfOver())
    // Whoever comes now waits for the end of it, whether or not it has a turn.
    this.#closing = this.#turns.free ? this.#write() : this.#turns.take(() => this.#write())
    return this.#closing
  }

  /** Writes the last charge and closes the reservation, or releases it when nothing was charged. */
  #write(): Promise<void> {
    const due = this.#due
    const books = this.#books
    this.#due = undefined
    this.#books = undefined
    if (books !== undefined) return this.#end(books, due)
    const late = due === undefined ? Promise.resolve(undefined) : Books.openFor(this, due)
    return late.then((opened) => (opened === undefined ? this.#tellIfOver() : this.#end(opened, due)))
  }

  #end(books: Books, due: Due | undefined): Promise<void> {
    this.#reservationId = books.reservationId
    const closed = () => {
      this.#available = books.available
      this.#exhausted = false
      this.#tellIfOver()
    }
    return due === undefined && this.#charged === 0n ? books.release(closed) : books.settle(due, closed)
  }

  #tellIfOver(): void {
    if (this.over) this.#ending.tell()
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
