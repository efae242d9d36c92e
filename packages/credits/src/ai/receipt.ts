/** Why an answer is shorter than the app asked for. */
export interface StopReason {
  /**
   * `clamped`: the provider stopped at an output limit that was lowered to what the user could pay.
   * `cut-off`: the stream was ended when the credits ran out.
   * `budget`: the next step could not be paid.
   * `abandoned`: the stream was no longer read.
   */
  reason: 'clamped' | 'cut-off' | 'budget' | 'abandoned'
  /** Credits that going on would have needed. */
  required: string
  /** Credits there were for it. */
  available: string
}

/** What a call has cost. Amounts are decimal strings of credits. */
export interface CreditsReceipt {
  userId: string
  /** Undefined before the reservation is made. */
  reservationId: string | undefined
  /** Every charge of this call is in the ledger. */
  booked: boolean
  /** The call is over: nothing will be added to it. */
  closed: boolean
  /** Charged so far for all provider calls together, those nested in tools included. */
  charged: string
  /** What the user has left besides other calls under way. Undefined before the reservation is made. */
  available: string | undefined
  /** A part of the charge is an estimate: the provider's own count was lost. `reconcileEstimates` corrects it. */
  estimated: boolean
  providerCalls: number
  stopped: StopReason | undefined
}

/** A receipt of this moment, with the promise of the final one. */
export interface CreditsReceiptSnapshot extends CreditsReceipt {
  /** The final receipt, once the call is over and its charges are written. Not enumerable. Never rejects. */
  readonly settled: Promise<CreditsReceipt>
}

/** A call that a receipt can be read off. */
interface ReceiptSource {
  readonly receipt: CreditsReceipt
  readonly settled: Promise<CreditsReceipt>
}

const sources = new WeakMap<object, ReceiptSource>()

/** Remembers which call a result came from. */
export function rememberResult(result: unknown, source: ReceiptSource): void {
  if (typeof result === 'object' && result !== null) sources.set(result, source)
}

/**
 * What a result of a wrapped function has cost so far. For a stream, read it when the stream has ended, or await
 * `settled`. The same receipt goes to `onSettled` of the context.
 *
 * @returns undefined for a result that no wrapper made
 * @example
 * ```ts
 * const result = await withCredits(generateText, context)({ model, prompt })
 * creditsReceipt(result)?.charged // "3.36"
 * const final = await creditsReceipt(result)?.settled
 * ```
 */
export function creditsReceipt(result: unknown): CreditsReceiptSnapshot | undefined {
  const source = typeof result === 'object' && result !== null ? sources.get(result) : undefined
  if (source === undefined) return undefined
  const snapshot = Object.defineProperty({ ...source.receipt }, 'settled', { get: () => source.settled })
  return Object.freeze(snapshot) as CreditsReceiptSnapshot
}
