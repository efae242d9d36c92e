import type { ErrorContext } from '../core/errors.ts'
import { type ProblemOptions, problemResponse } from '../core/problem.ts'

/** How route handlers answer errors. */
export type ErrorOptions = Omit<ProblemOptions, 'context'>

/**
 * Wraps a route handler so that everything it throws becomes a problem body. The handler may put the user into the
 * context, which `onError` receives together with the error.
 *
 * @example
 * ```ts
 * export const POST = withProblems(async (request) => Response.json(await answer(request)), { onError: logError })
 * ```
 */
export function withProblems(
  handler: (request: Request, context: ErrorContext) => Response | Promise<Response>,
  options: ErrorOptions = {},
): (request: Request) => Promise<Response> {
  return async (request) => {
    const context: ErrorContext = { operation: `${request.method} ${new URL(request.url).pathname}` }
    try {
      return await handler(request, context)
    } catch (error) {
      return problemResponse(error, { ...options, context })
    }
  }
}
