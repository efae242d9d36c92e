import { type CreditsContext, report } from './context.ts'
import type { CreditsReceipt } from './receipt.ts'

/** Whose end it is. */
interface Ended {
  readonly context: CreditsContext
  readonly receipt: CreditsReceipt
}

/** The one moment at which a call is over, for all who wait for it. */
export class Ending {
  readonly #call: Ended
  #told = false
  #callbacks: (() => void)[] | undefined
  #promise: PromiseWithResolvers<CreditsReceipt> | undefined

  constructor(call: Ended) {
    this.#call = call
  }

  /** Calls back when the call is over. */
  callsBack(fn: () => void): void {
    this.#callbacks ??= []
    this.#callbacks.push(fn)
  }

  /** The receipt of that moment. Never rejects. */
  get settled(): Promise<CreditsReceipt> {
    if (this.#promise === undefined) {
      if (this.#told) return Promise.resolve(this.#call.receipt)
      this.#promise = Promise.withResolvers()
    }
    return this.#promise.promise
  }

  /** Tells it, once. */
  tell(): void {
    if (this.#told) return
    this.#told = true
    const call = this.#call
    try {
      call.context.onSettled?.(call.receipt)
    } catch (error) {
      report(call.context, error, { operation: 'settle', reservationId: call.receipt.reservationId })
    }
    for (const fn of this.#callbacks ?? []) fn()
    this.#promise?.resolve(call.receipt)
  }
}
