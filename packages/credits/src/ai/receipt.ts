import { slot } from '../core/slot.ts'
import type { Operation } from './operation.ts'

/** Why an answer is shorter than the app asked for. */
export interface StopReason {
  /**
   * `clamped`: the provider stopped at an output limit that was lowered to what the user could pay.
   * `cut-off`: the stream was ended when the credits ran out.
   * `budget`: no further step could be paid.
   * `abandoned`: nobody read the stream.
   */
  reason: 'clamped' | 'cut-off' | 'budget' | 'abandoned'
  /** Credits that going on would have needed. */
  required: string
  /** Credits there were for it. */
  available: string
}

/** What a call has cost so far. Amounts are decimal strings of credits. */
export interface CreditsReceipt {
  userId: string
  /** Undefined for a call that needed no reservation. */
  reservationId: string | undefined
  /** The books of this call are closed: nothing will be added. */
  closed: boolean
  /** Charged so far, all provider calls together, those nested in tools included. */
  charged: string
  /** What the user has left, beside other calls under way. Undefined before the reservation. */
  available: string | undefined
  /** Some of it was estimated, because the provider's count was lost; `reconcileEstimates` corrects it. */
  estimated: boolean
  providerCalls: number
  stopped: StopReason | undefined
}

/** Leaves out nothing: a receipt always has the same fields. */
export function receiptOf(receipt: CreditsReceipt): CreditsReceipt {
  return Object.freeze(receipt)
}

const operations = slot<Operation>()

/** Remembers which operation a result came from. */
export function remember(result: unknown, operation: Operation): void {
  if (typeof result === 'object' && result !== null) operations.set(result, operation)
}

/** The operation behind a result of a wrapped function. */
export function operationOf(result: unknown): Operation | undefined {
  return typeof result === 'object' && result !== null ? operations.get(result) : undefined
}

/**
 * What a result of a wrapped function has cost so far; for a stream, read it when the stream has ended, or await
 * {@link settledCredits}.
 *
 * @returns undefined for a result that no wrapper made
 * @example
 * ```ts
 * const result = await withCredits(generateText, context)({ model, prompt })
 * creditsReceipt(result)?.charged // "3.36"
 * ```
 */
export function creditsReceipt(result: unknown): CreditsReceipt | undefined {
  return operationOf(result)?.receipt
}

/**
 * The final receipt of a result, when its books are closed. Never rejects.
 * @example const { charged, stopped } = (await settledCredits(result)) ?? {}
 */
export async function settledCredits(result: unknown): Promise<CreditsReceipt | undefined> {
  return operationOf(result)?.settled
}
