import type { ByokRule } from '../core/pricing/gateway-costs.ts'
import type { InputBoundConfig } from '../core/pricing/input-bound.ts'
import type { Credits } from '../credits/types.ts'
import type { ChargeRecord, Metadata } from '../store/port.ts'
import type { CreditsReceipt } from './receipt.ts'
import type { EstimatedCharge } from './reconcile.ts'
import type { CreditsScope } from './scope.ts'
import type { AnyModel } from './sdk.ts'
import type { CountTokens } from './tokens.ts'

/** What to do with a stream that nobody reads any more. */
export interface AbandonedPolicy {
  /**
   * `cancel`: stop the provider after `idleSeconds` without a read and charge an estimate of what was generated.
   * `drain`: after the same time, read the provider's stream to its end: the exact usage, at the price of
   * generating, and keeping in memory, what nobody may ever read.
   */
  policy: 'cancel' | 'drain'
  /** Default 60. A reader slower than this is taken for gone, so do not go below what a busy browser tab needs. */
  idleSeconds?: number | undefined
}

/** Told about everything that must not disturb the caller. Never called before the call's own error is thrown. */
export type OnCreditsError = (error: unknown, problem: CreditsProblem) => void

/** Where an error given to `onError` came from. */
export interface CreditsProblem {
  operation: 'reserve' | 'extend' | 'capture' | 'settle' | 'release' | 'price'
  userId: string
  reservationId: string | undefined
  /** A charge that could not be booked after all retries: the books miss it until `reconcile` or a person adds it. */
  charge?: ChargeRecord | undefined
}

/** Who pays, and by which rules. The second argument of `withCredits`. */
export interface CreditsContext {
  /** From `createCredits`. */
  credits: Credits
  /** Who pays. From the verified session, never from the request's body. */
  userId: string
  /** Stored with every charge; margins can depend on it. */
  feature?: string | undefined
  /** Stored with the reservation; at most 4 kB of JSON. */
  metadata?: Metadata | undefined
  /** Life of the hold. Default: that of `createCredits` (300). Prolonged with every step. */
  ttlSeconds?: number | undefined
  /**
   * Output tokens to hold for, and to clamp to, when the call names no `maxOutputTokens`. Default: the model's own
   * limit, else 4096; always clamped to what the user can pay.
   */
  maxOutputTokens?: number | undefined
  /** Refuse the call when not even this many output tokens can be paid. Default 64. */
  minOutputTokens?: number | undefined
  /**
   * Counts tokens of text. Default: UTF-8 bytes for holds (never too few), about four characters a token where a
   * lost usage is estimated. A real tokenizer makes both exact.
   */
  countTokens?: CountTokens | undefined
  /** How files and message overhead count towards the hold. */
  inputBound?: Omit<InputBoundConfig, 'countText'> | undefined
  /** Default `{ policy: 'cancel', idleSeconds: 60 }`. */
  abandoned?: AbandonedPolicy | undefined
  /** What a call over the app's own provider key costs the user. Default `charge`: the market price, as any other. */
  byok?: ByokRule | undefined
  /** The id under which a model's rate is known. Default: its `modelId` if that has a slash, else `provider/modelId`. */
  rateOf?: ((model: AnyModel) => string) | undefined
  /** Joins calls where `AsyncLocalStorage` does not exist, see {@link creditsScope}. */
  scope?: CreditsScope | undefined
  /** Called once per outermost call, when its reservation is closed. Must not throw. */
  onSettled?: ((receipt: CreditsReceipt) => void) | undefined
  /** Told of every charge that was estimated and can be corrected later by `reconcileEstimates`. Must not throw. */
  onEstimated?: ((charge: EstimatedCharge) => void) | undefined
  /** Told what could not be booked, and other failures the caller does not see. */
  onError?: OnCreditsError | undefined
  /** The platform's way to keep the process alive until the books are closed: `waitUntil` of Vercel, `after` of Next. */
  waitUntil?: ((work: Promise<unknown>) => void) | undefined
}

/** Reports without ever throwing: an error handler that fails must not fail the call. */
export function report(context: CreditsContext, error: unknown, problem: Omit<CreditsProblem, 'userId'>): void {
  try {
    context.onError?.(error, { userId: context.userId, ...problem })
  } catch {
    // There is nobody left to tell.
  }
}

/** The id of a model's rate. */
export function rateIdOf(context: CreditsContext, model: AnyModel): string {
  if (context.rateOf !== undefined) return context.rateOf(model)
  const { provider, modelId } = model
  return modelId.includes('/') ? modelId : `${provider.split('.')[0]}/${modelId}`
}
