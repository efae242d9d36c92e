import { CreditError } from '../core/errors.ts'
import { type ProblemFace, problemFace } from '../core/problem.ts'

const PUBLIC_DETAILS = ['available', 'balance', 'required', 'upgradeUrl'] as const

/** An error as clients get it: RFC 9457 with our `code`, and on a 402 the numbers. */
export interface ProblemBody extends ProblemFace {
  available?: string
  balance?: string
  required?: string
  upgradeUrl?: string
}

/**
 * The problem body of an error, for places that have no response to give, such as the error part of a stream. Anything
 * but a `CreditError` is `INTERNAL`, without its message.
 *
 * @example toUIMessageStream({ stream, onError: (error) => JSON.stringify(problemOf(error)) })
 */
export function problemOf(error: unknown): ProblemBody {
  const known = CreditError.isInstance(error) ? error : new CreditError({ code: 'INTERNAL', cause: error })
  return problemFace(known, PUBLIC_DETAILS)
}

/**
 * The `application/problem+json` answer to an error, before anything is streamed.
 *
 * @example
 * ```ts
 * try { result = await withCredits(streamText, context)({ model, messages }) }
 * catch (error) { return problemResponse(error) }
 * ```
 */
export function problemResponse(error: unknown): Response {
  const problem = problemOf(error)
  const headers = { 'content-type': 'application/problem+json', 'cache-control': 'no-store' }
  return new Response(JSON.stringify(problem), { status: problem.status, headers })
}
