import { CreditError } from '../core/errors.ts'
import { add, compare, max, min } from '../core/money.ts'
import type { CallPricing, Credits, ReserveResult } from '../credits/types.ts'
import type { CaptureResult, ChargeRecord, ExtendResult, ReservationResult } from '../store/port.ts'
import { type CreditsContext, reportError } from './context.ts'
import type { LedgerWrite } from './settlement.ts'
import type { CallEstimate } from './types.ts'

/** The smallest amount of credits. An extension by it prolongs a reservation. */
export const SMALLEST_AMOUNT = '0.000001'
/** A reservation that ends this soon counts as expired: an extension might come too late. */
const EXPIRY_MARGIN_MS = 1_000

/** A charge that is not in the ledger yet. */
interface PendingCharge {
  charge: ChargeRecord
  /** Number of the provider call within the session. It makes the idempotency key. */
  attempt: number
  /** Set once a capture was tried. It may have been stored, so it is repeated with the same extension. */
  tried: { extend: Extension | undefined } | undefined
}

interface Extension {
  amount: string
  minimumAmount: string
  ttlSeconds: number | undefined
}

/** What the store has answered. */
interface Reserved {
  askedAt: number
  result: ReserveResult
  pricing: CallPricing
  onAnswer(answer: ReservationResult): void
}

/** One reservation, the charges that wait for it, and its round trips. No method but `reserve` throws. */
export class OpenReservation {
  readonly id: string
  /** Id of the rate of the model that it was made for. */
  readonly model: string
  /** The rate and margin that it froze. */
  readonly pricing: CallPricing
  readonly lifeMs: number
  /** Credits that it keeps back. */
  reserved: string
  readonly #context: CreditsContext
  readonly #onAnswer: (answer: ReservationResult) => void
  #pending: PendingCharge[] = []
  /** By our clock. */
  #endsAt: number

  private constructor(
    context: CreditsContext,
    estimate: CallEstimate,
    { askedAt, result, pricing, onAnswer }: Reserved,
  ) {
    const { reservationId, amount, createdAt, expiresAt } = result
    this.#context = context
    this.#onAnswer = onAnswer
    this.id = reservationId
    this.model = estimate.model
    this.pricing = pricing
    this.reserved = amount
    this.lifeMs = Date.parse(expiresAt) - Date.parse(createdAt)
    // From the moment of the request: the answer may have been read long after it was given.
    this.#endsAt = askedAt + this.lifeMs
    onAnswer(result)
  }

  /**
   * Reserves the amount of an estimate, or as much of it as the user can pay.
   * @throws CreditError `INSUFFICIENT_CREDITS` and what `credits.reserve` throws
   */
  static async reserve(
    context: CreditsContext,
    estimate: CallEstimate,
    onAnswer: (answer: ReservationResult) => void,
  ): Promise<OpenReservation> {
    const { credits, userId, feature, metadata, ttlSeconds } = context
    const { amount, model } = estimate
    // All or nothing where the minimum is the whole: a model that costs nothing reserves nothing.
    const partly = compare(estimate.minimumAmount, amount) < 0
    const minimumAmount = partly ? max(SMALLEST_AMOUNT, estimate.minimumAmount) : undefined
    const askedAt = Date.now()
    const order = { userId, model, amount, minimumAmount, feature, metadata, ttlSeconds }
    const result = await reserveActive(credits, order)
    const pricing = await frozenPricing(context, estimate, result)
    return new OpenReservation(context, estimate, { askedAt, result, pricing, onAnswer })
  }

  /** Credits of the charges that are not in the ledger yet. */
  get owed(): string {
    return this.#pending.reduce((sum, { charge }) => add(sum, charge.amount), '0')
  }

  /** Charges that are not in the ledger yet. */
  get pendingCharges(): number {
    return this.#pending.length
  }

  /** Its life is over, or so nearly that an extension might come too late. */
  get expired(): boolean {
    return Date.now() > this.#endsAt - EXPIRY_MARGIN_MS
  }

  /** The store has answered that it is closed. */
  get closed(): boolean {
    return this.#endsAt === 0
  }

  /** Less than a third of its life is left. */
  get endsSoon(): boolean {
    return Date.now() > this.#endsAt - this.lifeMs / 3
  }

  /** Keeps a charge for the next round trip. */
  add(charge: ChargeRecord, attempt: number): void {
    this.#pending.push({ charge, attempt, tried: undefined })
  }

  /** One round trip: charges what waits, and reserves more. @returns whether the extension was granted */
  async extend(amount: string, minimumAmount: string): Promise<boolean> {
    const { ttlSeconds } = this.#context
    const extension = { amount, minimumAmount: min(minimumAmount, amount), ttlSeconds }
    return this.#pending.length > 0 ? this.capturePending(extension) : this.#extendOnly(extension)
  }

  /** Writes the charges that wait, the last one together with an extension. @returns whether it was granted */
  async capturePending(extension?: Extension): Promise<boolean> {
    await this.captureAllButLast()
    const [last] = this.#pending
    return last !== undefined && this.#capture(last, extension)
  }

  /** Writes the charges that wait, except the last one: it can wait for the settlement. */
  async captureAllButLast(): Promise<void> {
    for (const pending of this.#pending.slice(0, -1)) await this.#capture(pending, undefined)
  }

  /**
   * The writes that charge what waits and close the reservation: one, unless an earlier capture has failed. The charges
   * no longer wait here.
   * @param nothingCharged release instead of settle, where nothing waits either
   */
  closingWrites(nothingCharged: boolean): LedgerWrite[] {
    const { credits, userId } = this.#context
    const { id: reservationId } = this
    const last = this.#pending.findLast(({ tried }) => tried === undefined)
    const captures = this.#pending.filter((pending) => pending !== last).map((pending) => this.#captureWrite(pending))
    const charge = last?.charge
    const released = nothingCharged && charge === undefined && captures.length === 0
    this.#pending = []
    if (released) {
      const run = async () => credits.release({ userId, reservationId })
      return [{ operation: 'release', reservationId, run }]
    }
    const run = async () => credits.settle({ userId, reservationId, charge })
    return [...captures, { operation: 'settle', reservationId, charge, run }]
  }

  /** The writes that charge what waits after the reservation has expired and was replaced. */
  lateWrites(): LedgerWrite[] {
    const captures = this.#pending.map((pending) => this.#captureWrite(pending))
    this.#pending = []
    return captures
  }

  #captureWrite(pending: PendingCharge): LedgerWrite {
    const run = () => this.#runCapture(pending, undefined)
    return { operation: 'capture', reservationId: this.id, charge: pending.charge, run }
  }

  async #extendOnly(extension: Extension): Promise<boolean> {
    const { credits, userId } = this.#context
    const order = { userId, reservationId: this.id, idempotencyKey: crypto.randomUUID(), ...extension }
    const askedAt = Date.now()
    try {
      const result = await credits.extend(order)
      return this.#answered(result, result.extension.granted, askedAt)
    } catch (error) {
      if (isClosed(error)) this.#endsAt = 0
      else reportError(this.#context, error, { operation: 'extend', reservationId: this.id })
      return false
    }
  }

  /** A charge that cannot be written for now goes on waiting. */
  async #capture(pending: PendingCharge, extension: Extension | undefined): Promise<boolean> {
    const { charge } = pending
    const askedAt = Date.now()
    try {
      const result = await this.#runCapture(pending, extension)
      this.#pending = this.#pending.filter((other) => other !== pending)
      return this.#answered(result, result.extension?.granted ?? false, askedAt)
    } catch (error) {
      reportError(this.#context, error, { operation: 'capture', reservationId: this.id, charge })
      return false
    }
  }

  #runCapture(pending: PendingCharge, extension: Extension | undefined): Promise<CaptureResult> {
    const { credits, userId } = this.#context
    const { charge, attempt } = pending
    pending.tried ??= { extend: extension }
    const { extend } = pending.tried
    return credits.capture({ userId, reservationId: this.id, charge, idempotencyKey: `call-${attempt}`, extend })
  }

  #answered(result: ExtendResult | CaptureResult, granted: boolean, askedAt: number): boolean {
    this.reserved = result.amount
    this.#onAnswer(result)
    if (result.state !== 'active') this.#endsAt = 0
    else if (granted) this.#endsAt = Math.max(this.#endsAt, askedAt + this.lifeMs)
    return granted
  }
}

/** Reserves, and again when the reservation has expired before its answer was read. */
async function reserveActive(credits: Credits, order: Parameters<Credits['reserve']>[0]): Promise<ReserveResult> {
  try {
    const result = await credits.reserve(order)
    if (result.state === 'active') return result
  } catch (error) {
    if (!isClosed(error)) throw error
  }
  return credits.reserve(order)
}

/** The pricing of the estimate, unless prices have changed between the estimate and the reservation. */
async function frozenPricing(
  { credits, userId }: CreditsContext,
  { model, pricing }: CallEstimate,
  { rateId, marginId }: ReserveResult,
): Promise<CallPricing> {
  if (rateId === null || marginId === null) return pricing
  if (pricing.rate?.id === rateId && pricing.margin.id === marginId) return pricing
  try {
    return await credits.findPricing({ model, rateId, marginId })
  } catch (error) {
    credits.onError(error, { operation: 'pricing', userId })
    return pricing
  }
}

function isClosed(error: unknown): boolean {
  return CreditError.isInstance(error) && error.code === 'RESERVATION_CLOSED'
}
