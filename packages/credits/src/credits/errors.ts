import { CreditError } from '../core/errors.ts'

/** The same error with more details; those that the store gave stay. */
export function withDetails(error: CreditError, facts: Readonly<Record<string, unknown>>): CreditError {
  const { code, message, cause } = error
  return new CreditError({ code, message, details: { ...facts, ...error.details }, cause: cause ?? error })
}

/**
 * Runs a write. Its ids go into the details of an unknown outcome, because they make it known: the same ids again take
 * effect at most once.
 */
export async function withIds<Result>(
  ids: Readonly<Record<string, string>>,
  write: () => Promise<Result>,
): Promise<Result> {
  try {
    return await write()
  } catch (error) {
    throw isCode(error, 'OUTCOME_UNKNOWN') ? withDetails(error, ids) : error
  }
}

/** Whether an error is a CreditError of one of these codes. */
export function isCode(error: unknown, ...codes: readonly CreditError['code'][]): error is CreditError {
  return CreditError.isInstance(error) && codes.includes(error.code)
}
