import type { ErrorContext, OnError } from '../credits/types.ts'
import type { Metadata } from '../store/port.ts'
import type { CreditsReceipt } from './receipt.ts'
import type { AnyModel, CallContext } from './types.ts'

/** What becomes of a provider call whose caller has left: it was aborted, cancelled, or is no longer read. */
export interface AbandonedPolicy {
  /**
   * `auto`: let the provider finish where the unseen part may be large (whole answers, reasoning models, files) and
   * charge its exact usage; cancel other streams and charge what was seen of them. `drain`: always let the provider
   * finish. `cancel`: always cancel, and charge an estimate.
   */
  policy: 'auto' | 'drain' | 'cancel'
  /** A stream that is not read for this long counts as left. Default 60. */
  idleSeconds?: number | undefined
  /** A provider that has not finished after this long is cancelled and charged by estimate. Default 600. */
  drainSeconds?: number | undefined
}

/** Ties calls together where the runtime has no `AsyncLocalStorage`. Made by `creditsScope`. */
export interface CreditsScope {
  /** The outermost call that is under way in this scope. */
  readonly current: unknown
}

/** Who pays, and by which rules. The second argument of `withCredits`. */
export interface CreditsContext extends CallContext {
  /** Stored with the reservation. At most 4 kB of JSON. */
  metadata?: Metadata | undefined
  /** Life of the reservation in seconds. Default: that of `createCredits` (300). Prolonged with every step. */
  ttlSeconds?: number | undefined
  /** Default `{ policy: 'auto', idleSeconds: 60, drainSeconds: 600 }`. */
  abandoned?: AbandonedPolicy | undefined
  /** The id of a model's rate. Default: its `modelId` if that has a slash, else `provider/modelId`. */
  rateOf?: ((model: AnyModel) => string) | undefined
  /** Joins calls where the runtime has no `AsyncLocalStorage`, see `creditsScope`. */
  scope?: CreditsScope | undefined
  /** Called once per outermost call, when its charges are in the ledger or could not be written. Must not throw. */
  onSettled?: ((receipt: CreditsReceipt) => void) | undefined
  /** Receives failures the caller does not see, and charges that could not be written. Default: `credits.onError`. */
  onError?: OnError | undefined
  /** Keeps the process alive until the charges are written: `waitUntil` of Vercel, `after` of Next. */
  waitUntil?: ((work: Promise<unknown>) => void) | undefined
}

/** Reports an error. Never throws: an error handler that fails must not fail the call. */
export function reportError(context: CreditsContext, error: unknown, details: ErrorContext): void {
  const onError = context.onError ?? context.credits.onError
  try {
    onError(error, { userId: context.userId, ...details })
  } catch {
    // The handler itself failed. There is no other handler.
  }
}

/** The id of a model's rate. */
export function rateIdOf(context: CreditsContext, model: AnyModel): string {
  if (context.rateOf !== undefined) return context.rateOf(model)
  const { provider, modelId } = model
  return modelId.includes('/') ? modelId : `${provider.split('.')[0]}/${modelId}`
}

/** True when two contexts name the same user of the same credits. */
export function isSamePayer(one: CreditsContext, other: CreditsContext): boolean {
  return one.credits === other.credits && one.userId === other.userId
}
