import { CreditError } from '../core/errors.ts'
import type { DeskRows } from '../credits/desk.ts'
import type {
  CaptureResult,
  ChargeRecord,
  ExtendResult,
  ReservationResult,
  SettleResult,
  Transaction,
} from '../store/port.ts'
import { type CreditsProblem, report } from './context.ts'
import { creditsOf, type Micros, micros, type Payer, smaller } from './quote.ts'

/** A charge on its way into the books. */
export interface Due {
  charge: ChargeRecord
  /** Of the charge. */
  amount: Micros
  /** The number of the call: makes the idempotency key within the reservation. */
  attempt: number
}

/** What was asked for, as text and in millionths: what is given is often the same. */
interface Asked {
  text: string
  micros: Micros
}

/** More credits asked for in the same round trip. */
export interface More {
  amount: Micros
  least: Micros
}

/** Waits between the tries of a write that the caller does not see; after the last one it is left to expiry. */
const RETRY_AFTER_MS = [40, 200, 1_000]
const SMALLEST = '0.000001'

/**
 * One reservation and its round trips. Writes are tried again with the same ids, and what fails for good is
 * reported, never thrown: by then the user has their answer.
 */
export class Books {
  readonly reservationId: string
  readonly frozen: { model: string; rateId: string; marginId: string } | undefined
  /** The rows that the reservation froze, where they are at hand. */
  readonly rows: DeskRows
  /** Credits held. */
  held: Micros
  /** Credits the user had left at the last answer, beside what is held. As text: few ask. */
  available: string
  readonly #payer: Payer
  readonly #opening: ReservationResult
  readonly #openedAt = Date.now()
  /** When the hold ends, by our clock; found out when somebody asks. */
  #endsAt: number | undefined

  constructor(payer: Payer, result: ReservationResult, asked: Asked, rows: DeskRows) {
    const { reservationId, amount, model, rateId, marginId, balance } = result
    this.#payer = payer
    this.#opening = result
    this.reservationId = reservationId
    this.frozen = model !== null && rateId !== null && marginId !== null ? { model, rateId, marginId } : undefined
    this.rows = rows?.rate?.id === rateId && rows?.margin.id === marginId ? rows : undefined
    this.held = amount === asked.text ? asked.micros : micros(amount)
    this.available = balance.available
  }

  /**
   * A reservation made after the fact, for a cost that nobody could foresee: takes what there is. Never throws.
   * @returns undefined when there is nothing to charge, or nothing to take it from
   */
  static async openFor(payer: Payer, { charge, amount }: Due): Promise<Books | undefined> {
    const { userId, feature, metadata, ttlSeconds } = payer.context
    if (amount === 0n) return undefined
    try {
      const order = { userId, amount: charge.amount, minimumAmount: SMALLEST, feature, metadata, ttlSeconds }
      const result = await payer.desk.reserve(order, undefined)
      return new Books(payer, result, { text: charge.amount, micros: amount }, undefined)
    } catch (error) {
      report(payer.context, error, { operation: 'reserve', reservationId: undefined, charge })
      return undefined
    }
  }

  /** A time of the store's clock, which decides when the hold ends, by ours. */
  #ours(time: string): number {
    return Date.parse(time) + this.#openedAt - Date.parse(this.#opening.createdAt)
  }

  get #end(): number {
    this.#endsAt ??= this.#ours(this.#opening.expiresAt)
    return this.#endsAt
  }

  /** The hold's life is over, or so nearly that an extension might come too late. */
  get lapsed(): boolean {
    const now = Date.now()
    // No hold lives for less than a second, so one that was just made need not be looked at.
    return now > this.#openedAt && now > this.#end - 1_000
  }

  /** Less than a third of the hold's life is left. */
  get endsSoon(): boolean {
    const left = this.#end - Date.now()
    return left > 0 && left < (this.#ours(this.#opening.expiresAt) - this.#openedAt) / 3
  }

  /** Holds more; false when nothing was granted. */
  extend(more: More): Promise<boolean> {
    const { reservationId } = this
    const { credits, ttlSeconds } = this.#payer.context
    const { userId } = this.#payer.context
    const order = { userId, reservationId, idempotencyKey: crypto.randomUUID(), ttlSeconds, ...amounts(more) }
    return this.#write(
      'extend',
      async () => credits.extend(order),
      (result) => this.#grown(result, result?.extension.granted),
    )
  }

  /** Charges one provider call, and holds more in the same round trip; false when nothing more was granted. */
  capture({ charge, attempt }: Due, more?: More): Promise<boolean> {
    const { reservationId } = this
    const { credits, ttlSeconds } = this.#payer.context
    const extend = more && { ...amounts(more), ttlSeconds }
    const { userId } = this.#payer.context
    const order = { userId, reservationId, charge, idempotencyKey: `call-${attempt}`, extend }
    const done = (result: CaptureResult | undefined) => {
      if (result !== undefined) this.#estimated(charge, result.transaction)
      return this.#grown(result, result?.extension?.granted)
    }
    return this.#write('capture', async () => credits.capture(order), done, charge)
  }

  /**
   * The last charge, if there is one, and the end: what is left of the hold goes back.
   * @param closed called when it is written, or could not be
   */
  settle(due: Due | undefined, closed: () => void): Promise<void> {
    const { reservationId } = this
    const charge = due?.charge
    const done = (result: SettleResult | undefined) => {
      if (result !== undefined) this.#learn(result)
      if (charge !== undefined && result?.transaction) this.#estimated(charge, result.transaction)
      closed()
    }
    return this.#write('settle', () => this.#payer.desk.settle(this.#payer.context.userId, reservationId, charge), done, charge)
  }

  /** The end without a charge. @param closed as for {@link settle} */
  release(closed: () => void): Promise<void> {
    const { reservationId } = this
    const { credits, userId } = this.#payer.context
    const done = (result: ReservationResult | undefined) => {
      if (result !== undefined) this.#learn(result)
      closed()
    }
    return this.#write('release', async () => credits.release({ userId, reservationId }), done)
  }

  /** What `reconcileEstimates` will need, for those who keep it. */
  #estimated({ costSource, generationId, marginPercent }: ChargeRecord, { id, amount }: Transaction): void {
    if (costSource !== 'estimate' || generationId === null || marginPercent === null) return
    const { userId, onEstimated } = this.#payer.context
    try {
      onEstimated?.({ transactionId: id, userId, amount: creditsOf(-micros(amount)), marginPercent, generationId })
    } catch (error) {
      report(this.#payer.context, error, { operation: 'settle', reservationId: this.reservationId })
    }
  }

  #learn(result: ReservationResult): void {
    this.held = micros(result.amount)
    this.available = result.balance.available
  }

  #grown(result: CaptureResult | ExtendResult | undefined, granted = false): boolean {
    if (result === undefined) return false
    this.#learn(result)
    if (granted) this.#endsAt = this.#ours(result.expiresAt)
    return granted
  }

  /** @param done given undefined when it could not be written */
  #write<Result, Answer>(
    operation: CreditsProblem['operation'],
    write: () => Promise<Result>,
    done: (result: Result | undefined) => Answer,
    charge?: ChargeRecord,
  ): Promise<Answer> {
    const failed = (error: unknown) => {
      report(this.#payer.context, error, { operation, reservationId: this.reservationId, charge })
      return done(undefined)
    }
    return write().then(done, (error: unknown) => again(error, write).then(done, failed))
  }
}

/** Tries again what may succeed then. */
async function again<Result>(failure: unknown, write: () => Promise<Result>): Promise<Result> {
  let error = failure
  for (const wait of RETRY_AFTER_MS) {
    if (!CreditError.isInstance(error) || !error.retryable) break
    await new Promise((resolve) => setTimeout(resolve, wait))
    try {
      return await write()
    } catch (next) {
      error = next
    }
  }
  throw error
}

function amounts({ amount, least }: More): { amount: string; minimumAmount: string } {
  return { amount: creditsOf(amount), minimumAmount: creditsOf(least > 0n ? smaller(least, amount) : 1n) }
}
