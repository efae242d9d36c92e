import { CreditError, type CreditErrorDetails } from '../core/errors.ts'

/** The same error with more facts; what the store said stays. */
export function withDetails(error: CreditError, facts: CreditErrorDetails): CreditError {
  const { code, message, cause } = error
  return new CreditError({ code, message, details: { ...facts, ...error.details }, cause: cause ?? error })
}

/** Whatever was thrown, as a CreditError. */
export function asCreditError(error: unknown): CreditError {
  if (CreditError.isInstance(error)) return error
  return new CreditError({ code: 'INTERNAL', cause: error })
}

/** How long to wait before the n-th repetition, with jitter so that callers do not come back together. */
function backoffMs(attempt: number): number {
  return Math.min(1_000, 25 * 2 ** attempt) * (0.5 + Math.random() / 2)
}

/**
 * Repeats what met a busy store. Only for charges and releases: their ids make repeating harmless, and the money
 * is owed already. A reserve is refused at once instead: its caller can wait better than we can.
 */
export async function unlessBusy<Result>(retries: number, operation: () => Promise<Result>): Promise<Result> {
  try {
    return await operation()
  } catch (error) {
    return againIfBusy(error, retries, operation)
  }
}

/** {@link unlessBusy} from its first failure on. */
export async function againIfBusy<Result>(
  failure: unknown,
  retries: number,
  operation: () => Promise<Result>,
): Promise<Result> {
  let error = failure
  for (let attempt = 0; ; attempt += 1) {
    if (!CreditError.isInstance(error) || error.code !== 'STORE_BUSY' || attempt >= retries) throw error
    await new Promise((resolve) => setTimeout(resolve, backoffMs(attempt)))
    try {
      return await operation()
    } catch (again) {
      error = again
    }
  }
}
