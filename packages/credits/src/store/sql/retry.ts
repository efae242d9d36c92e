import { CreditError } from '../../core/errors.ts'
import { classifyDatabaseError, type DatabaseFailure } from './database-errors.ts'
import type { SqlFunction } from './functions.ts'

/** How long a store waits for its database, and how often it asks again. */
export interface RetryOptions {
  /** Longest wait for one answer, in milliseconds. Default 5000. */
  timeoutMs?: number | undefined
  /** How often a call is repeated, with the same ids. Default 2. */
  retries?: number | undefined
}

const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 2_000

/** Thrown into an attempt that took too long. */
class TimeoutError extends Error {
  override readonly name = 'TimeoutError'
}

/**
 * Calls a function of the database; the only place where a call is repeated. Repeated are: a request that never
 * arrived, a busy database where the function allows it, and an unknown outcome, which the same ids make harmless.
 *
 * @throws CreditError what the database refused; `STORE_BUSY` and `STORE_UNAVAILABLE` when nothing has happened;
 * `OUTCOME_UNKNOWN` when a write may have happened and no attempt found out
 */
export async function withRetry<Answer>(
  { kind, retryBusy }: Pick<SqlFunction, 'kind' | 'retryBusy'>,
  { timeoutMs = 5_000, retries = 2 }: RetryOptions,
  attempt: (signal: AbortSignal) => PromiseLike<Answer>,
): Promise<Answer> {
  let unknown = false
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await withTimeout(timeoutMs, attempt)
    } catch (thrown) {
      const failure = classifyDatabaseError(thrown)
      unknown ||= kind === 'write' && failure.outcome === 'unknown'
      // The function looked for the id before it refused: had an earlier attempt succeeded, this one had replayed it.
      if (failure.outcome === 'answered') throw failure.error
      if (attempts > retries || !isRetried(failure, retryBusy || unknown)) throw finalError(failure, unknown, attempts)
      await pause(attempts)
    }
  }
}

function isRetried({ outcome }: DatabaseFailure, retryBusy: boolean): boolean {
  return outcome === 'not-sent' || outcome === 'unknown' || (outcome === 'busy' && retryBusy)
}

/** An earlier attempt that may have happened outweighs a later one that has not. */
function finalError({ error }: DatabaseFailure, unknown: boolean, attempts: number): CreditError {
  if (unknown) return new CreditError({ code: 'OUTCOME_UNKNOWN', details: { attempts }, cause: error })
  return error
}

/** Not every driver can be interrupted: an answer that comes too late is dropped. */
async function withTimeout<Answer>(
  timeoutMs: number,
  attempt: (signal: AbortSignal) => PromiseLike<Answer>,
): Promise<Answer> {
  const controller = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new TimeoutError(`No answer from the database within ${timeoutMs} ms`)
      controller.abort(error)
      reject(error)
    }, timeoutMs)
  })
  try {
    return await Promise.race([attempt(controller.signal), timeout])
  } finally {
    clearTimeout(timer)
  }
}

/** Grows, with jitter, so that callers who failed together do not come back together. */
function pause(attempts: number): Promise<void> {
  const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 4 ** (attempts - 1))
  return new Promise((resolve) => setTimeout(resolve, longest * (0.5 + Math.random() / 2)))
}
