import { add, canonical, max } from '../core/money.ts'
import type { ChargeRecord } from '../store/port.ts'
import { type CreditsContext, reportError } from './context.ts'
import type { CreditsReceipt, StopReason } from './receipt.ts'

/** What a receipt says of the reservation. */
interface ReservationState {
  reservationId: string | undefined
  /** Nothing waits to be charged to it. */
  nothingPending: boolean
  closed: boolean
  available: string | undefined
  providerCalls: number
}

/** What a call has cost, whether that is in the ledger, and the one receipt that is final. */
export class CallTotals {
  /** Why the answer is shorter than it might be. */
  stopped: StopReason | undefined
  /** Charges so far, those of 0 credits included. */
  charges = 0
  readonly #context: CreditsContext
  #charged = '0'
  #estimated = false
  /** Settlements that are being written. */
  #writing = 0
  /** A charge could not be written. */
  #lost = false
  #finished = false
  readonly #final = Promise.withResolvers<CreditsReceipt>()
  readonly #onOver: (() => void)[] = []

  constructor(context: CreditsContext) {
    this.#context = context
  }

  /** The final receipt. Never rejects. */
  get settled(): Promise<CreditsReceipt> {
    return this.#final.promise
  }

  /** Calls back when the final receipt is there. */
  onOver(fn: () => void): void {
    this.#onOver.push(fn)
  }

  add({ amount, costSource }: ChargeRecord): void {
    this.charges++
    this.#charged = add(this.#charged, amount)
    this.#estimated ||= costSource === 'estimate'
  }

  stop(reason: StopReason['reason'], required: string, available: string): void {
    this.stopped = { reason, required: canonical(required), available: max('0', available) }
  }

  /** Follows a settlement until it is written or given up. */
  async follow(booked: Promise<boolean>): Promise<void> {
    this.#writing++
    this.#lost = !(await booked) || this.#lost
    this.#writing--
  }

  receiptOf({ nothingPending, ...state }: ReservationState): CreditsReceipt {
    return Object.freeze({
      ...state,
      userId: this.#context.userId,
      booked: nothingPending && this.#writing === 0 && !this.#lost,
      charged: canonical(this.#charged),
      estimated: this.#estimated,
      stopped: this.stopped,
    })
  }

  /** Hands out the final receipt, once, when nothing is being written any more. */
  finish(receipt: CreditsReceipt): void {
    if (this.#finished || this.#writing > 0 || !receipt.closed) return
    this.#finished = true
    const { reservationId } = receipt
    try {
      // A call that was refused has made no reservation.
      if (reservationId !== undefined) this.#context.onSettled?.(receipt)
    } catch (error) {
      reportError(this.#context, error, { operation: 'settle', reservationId })
    }
    for (const fn of this.#onOver) fn()
    this.#final.resolve(receipt)
  }
}
