import { CreditError } from '../core/errors.ts'
import type {
  CaptureResult,
  ChargeRecord,
  ExtendResult,
  ReservationResult,
  SettleResult,
  Transaction,
} from '../store/port.ts'
import { type CreditsContext, type CreditsProblem, report } from './context.ts'
import { creditsOf, type Micros, micros, type Quote, smaller } from './quote.ts'

/** A charge on its way into the books. */
export interface Due {
  charge: ChargeRecord
  /** Idempotency key within the reservation. */
  key: string
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
  /** Credits held. */
  held: Micros
  /** Credits the user had left at the last answer, beside what is held. */
  available: Micros
  #expiresAt: number
  readonly #behind: number
  readonly #lifeMs: number
  readonly #context: CreditsContext

  private constructor(context: CreditsContext, result: ReservationResult) {
    const { reservationId, model, rateId, marginId } = result
    this.#context = context
    this.reservationId = reservationId
    this.frozen = model !== null && rateId !== null && marginId !== null ? { model, rateId, marginId } : undefined
    this.held = micros(result.amount)
    this.available = micros(result.balance.available)
    // The store's clock decides when the hold ends, and it may differ from ours.
    this.#behind = Date.now() - Date.parse(result.createdAt)
    this.#expiresAt = Date.parse(result.expiresAt) + this.#behind
    this.#lifeMs = this.#expiresAt - Date.now()
  }

  /** @throws CreditError as `credits.reserve` does: `INSUFFICIENT_CREDITS` before anything was called */
  static async open(context: CreditsContext, quote: Quote): Promise<Books> {
    const { credits, userId, feature, metadata, ttlSeconds } = context
    const result = await credits.reserve({
      userId,
      model: quote.model,
      amount: creditsOf(quote.full),
      minimumAmount: creditsOf(quote.least > 0n ? quote.least : smaller(quote.full, 1n)),
      feature,
      metadata,
      ttlSeconds,
    })
    return new Books(context, result)
  }

  /**
   * A reservation made after the fact, for a cost that nobody could foresee: takes what there is. Never throws.
   * @returns undefined when there is nothing to charge, or nothing to take it from
   */
  static async openFor(context: CreditsContext, charge: ChargeRecord): Promise<Books | undefined> {
    const { credits, userId, feature, metadata, ttlSeconds } = context
    const { amount } = charge
    if (micros(amount) === 0n) return undefined
    try {
      const result = await credits.reserve({ userId, amount, minimumAmount: SMALLEST, feature, metadata, ttlSeconds })
      return new Books(context, result)
    } catch (error) {
      report(context, error, { operation: 'reserve', reservationId: undefined, charge })
      return undefined
    }
  }

  /** The hold's life is over, or so nearly that an extension might come too late. */
  get lapsed(): boolean {
    return Date.now() > this.#expiresAt - 1_000
  }

  /** Less than a third of the hold's life is left. */
  get endsSoon(): boolean {
    const left = this.#expiresAt - Date.now()
    return left > 0 && left < this.#lifeMs / 3
  }

  /** Holds more; false when nothing was granted. */
  async extend(more: More): Promise<boolean> {
    const { ttlSeconds } = this.#context
    const key = crypto.randomUUID()
    const extend = () =>
      this.#context.credits.extend({
        reservationId: this.reservationId,
        idempotencyKey: key,
        ttlSeconds,
        ...amounts(more),
      })
    const result = await this.#write('extend', extend)
    return result !== undefined && this.#grown(result, result.extension.granted)
  }

  /** Charges one provider call, and holds more in the same round trip; false when nothing more was granted. */
  async capture({ charge, key }: Due, more?: More): Promise<boolean> {
    const { reservationId } = this
    const { ttlSeconds } = this.#context
    const extend = more && { ...amounts(more), ttlSeconds }
    const capture = () => this.#context.credits.capture({ reservationId, charge, idempotencyKey: key, extend })
    const result = await this.#write('capture', capture, charge)
    if (result !== undefined) this.#estimated(charge, result.transaction)
    return result !== undefined && this.#grown(result, result.extension?.granted ?? false)
  }

  /** The last charge, if there is one, and the end: what is left of the hold goes back. */
  async settle(due: Due | undefined): Promise<SettleResult | undefined> {
    const { reservationId } = this
    const { credits } = this.#context
    const result = await this.#write(
      'settle',
      () => credits.settle({ reservationId, charge: due?.charge }),
      due?.charge,
    )
    if (result !== undefined) this.#learn(result)
    if (due !== undefined && result?.transaction) this.#estimated(due.charge, result.transaction)
    return result
  }

  /** The end without a charge. */
  async release(): Promise<void> {
    const { reservationId } = this
    const result = await this.#write('release', () => this.#context.credits.release({ reservationId }))
    if (result !== undefined) this.#learn(result)
  }

  /** What `reconcileEstimates` will need, for those who keep it. */
  #estimated({ costSource, generationId, marginPercent }: ChargeRecord, { id, amount }: Transaction): void {
    if (costSource !== 'estimate' || generationId === null || marginPercent === null) return
    const { userId, onEstimated } = this.#context
    try {
      onEstimated?.({ transactionId: id, userId, amount: creditsOf(-micros(amount)), marginPercent, generationId })
    } catch (error) {
      report(this.#context, error, { operation: 'settle', reservationId: this.reservationId })
    }
  }

  #learn(result: ReservationResult): void {
    this.held = micros(result.amount)
    this.available = micros(result.balance.available)
  }

  #grown(result: CaptureResult | ExtendResult, granted: boolean): boolean {
    this.#learn(result)
    if (granted) this.#expiresAt = Date.parse(result.expiresAt) + this.#behind
    return granted
  }

  async #write<Result>(
    operation: CreditsProblem['operation'],
    write: () => Promise<Result>,
    charge?: ChargeRecord,
  ): Promise<Result | undefined> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await write()
      } catch (error) {
        const wait = RETRY_AFTER_MS[attempt]
        if (wait === undefined || !CreditError.isInstance(error) || !error.retryable) {
          report(this.#context, error, { operation, reservationId: this.reservationId, charge })
          return undefined
        }
        await new Promise((resolve) => setTimeout(resolve, wait))
      }
    }
  }
}

function amounts({ amount, least }: More): { amount: string; minimumAmount: string } {
  return { amount: creditsOf(amount), minimumAmount: creditsOf(least > 0n ? smaller(least, amount) : 1n) }
}
