import { CreditError } from '../core/errors.ts'

/** Whether a call ended because it was told to. */
export function isAbort(error: unknown, signal: AbortSignal | undefined): boolean {
  if (signal?.aborted) return true
  const name = (error as { name?: unknown } | null | undefined)?.name
  return name === 'AbortError' || name === 'ResponseAborted' || name === 'TimeoutError'
}

/**
 * The error to pass on. A 402 of the provider is the operator's empty account, never the user's: passed on as it is,
 * an app would tell its user to buy credits they have.
 */
export function providerError(error: unknown): unknown {
  const { statusCode } = (error ?? {}) as { statusCode?: unknown }
  if (statusCode !== 402 || CreditError.isInstance(error)) return error
  return new CreditError({
    code: 'PROVIDER_UNAVAILABLE',
    message: 'The model provider asks the operator for payment',
    cause: error,
  })
}

/** Whether the SDK will try a failed provider call again. */
export function isRetryable(error: unknown): boolean {
  return (error as { isRetryable?: unknown } | null | undefined)?.isRetryable === true
}
