import { CreditError } from '../core/errors.ts'
import { type Failure, failureOf } from './failures.ts'

/** How patient a store is with its database. */
export interface PatienceOptions {
  /** Longest wait for one answer, in milliseconds. Default 5000. */
  timeoutMs?: number | undefined
  /** How often a call whose answer was lost is repeated, with the same ids. Default 2. */
  retries?: number | undefined
}

const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 2_000

/** Thrown into an attempt that took too long. */
class TookTooLong extends Error {
  override readonly name = 'TimeoutError'
}

/**
 * Runs one call against the database, again when the network lost it. The ids in the call make that harmless.
 *
 * @throws CreditError what the database refused; `STORE_UNAVAILABLE` when nothing can have happened (always so for a
 * read); `OUTCOME_UNKNOWN` when a write may have happened and no attempt got an answer.
 */
export async function persistently<Result>(
  kind: 'read' | 'write',
  { timeoutMs = 5_000, retries = 2 }: PatienceOptions,
  attempt: (signal: AbortSignal) => PromiseLike<Result>,
): Promise<Result> {
  let lost = false
  for (let count = 0; ; count += 1) {
    try {
      return await within(timeoutMs, attempt)
    } catch (thrown) {
      const failure: Failure = CreditError.isInstance(thrown) ? { kind: 'refused', error: thrown } : failureOf(thrown)
      // After a lost attempt even a refusal is only about the repetition; it is as true as its own answer, though:
      // the database saw the id and would have replayed the first result.
      if (failure.kind === 'refused') throw failure.error
      lost ||= failure.kind === 'lost'
      if (count >= retries) {
        const code = lost && kind === 'write' ? 'OUTCOME_UNKNOWN' : 'STORE_UNAVAILABLE'
        throw new CreditError({ code, details: { attempts: count + 1 }, cause: failure.cause })
      }
      await pause(count)
    }
  }
}

/** Not every driver can be interrupted: the answer that comes too late is dropped, the wait ends in any case. */
async function within<Result>(
  timeoutMs: number,
  attempt: (signal: AbortSignal) => PromiseLike<Result>,
): Promise<Result> {
  const controller = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new TookTooLong(`No answer from the database within ${timeoutMs} ms`)
      controller.abort(error)
      reject(error)
    }, timeoutMs)
  })
  try {
    return await Promise.race([attempt(controller.signal), tooLong])
  } finally {
    clearTimeout(timer)
  }
}

/** Grows, with jitter, so that callers who were cut off together do not come back together. */
function pause(count: number): Promise<void> {
  const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 4 ** count)
  return new Promise((resolve) => setTimeout(resolve, longest * (0.5 + Math.random() / 2)))
}
