import { z } from 'zod'
import { CreditError, type CreditErrorCode, ERROR_CODES } from '../core/errors.ts'
import { problemFace } from '../core/problem.ts'

/** Seconds a client should wait before it repeats a retryable call. */
const RETRY_AFTER_SECONDS = 2

/**
 * The details a client may see. Everything else a store or an adapter put into an error (ids of other
 * users, SQL, hosts) stays on the server: a member is public only because it is named here.
 */
const PUBLIC_DETAILS = [
  'available',
  'balance',
  'required',
  'upgradeUrl',
  'field',
  'path',
  'issues',
  'model',
  'state',
  'expectedVersion',
  'version',
  'allow',
  'missing',
] as const

/** Body of an error response, as RFC 9457 defines it, with our `code` and, on a 402, the numbers. */
export const problemSchema = z.looseObject({
  type: z.url().describe('Address of the explanation of this code'),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.enum(Object.keys(ERROR_CODES) as [CreditErrorCode, ...CreditErrorCode[]]),
  available: z.string().optional().describe('Credits that can be spent now; on a 402'),
  balance: z.string().optional().describe('Credits owned, reservations included; on a 402'),
  required: z.string().optional().describe('Credits that the call needs; on a 402'),
  upgradeUrl: z.string().optional().describe('Where the user can get more; on a 402'),
  issues: z
    .array(z.object({ path: z.string(), message: z.string() }))
    .optional()
    .describe('What is wrong; on a 422'),
})

/** See {@link problemSchema}. Branch on `code`, show `title` and `detail`. */
export type Problem = z.infer<typeof problemSchema>

/** How {@link problemResponse} and {@link withProblems} answer. */
export interface ProblemOptions {
  /** Fills in `upgradeUrl` of a 402 that names none. */
  upgradeUrl?: string | undefined
  /** Told about every error, with its cause: for logs. The client sees only the problem body. */
  onError?: ((error: unknown) => void) | undefined
}

/**
 * The problem body of an error, for places that have no response to give, such as the error part of a stream.
 * A `CreditError` keeps its code; an invalid zod input is `INVALID_INPUT` (422); a refusal of the model
 * provider is `PROVIDER_UNAVAILABLE` (503), so that the operator's own empty wallet never looks like the
 * user's; anything else is `INTERNAL` (500) without a word about why.
 *
 * @example
 * ```ts
 * toUIMessageStream({ stream, onError: (error) => JSON.stringify(problemBody(error)) })
 * ```
 */
export function problemBody(error: unknown, { upgradeUrl }: Pick<ProblemOptions, 'upgradeUrl'> = {}): Problem {
  const problem = problemFace(toCreditError(error), PUBLIC_DETAILS)
  if (problem.code !== 'INSUFFICIENT_CREDITS' || !upgradeUrl) return problem
  return { upgradeUrl, ...problem }
}

/**
 * The `application/problem+json` answer to an error, for route handlers of your own: {@link problemBody} with
 * the headers that belong to it (`Allow`, `Retry-After`, `WWW-Authenticate`, never cached).
 *
 * @example
 * ```ts
 * try { return await chat(request) } catch (error) { return problemResponse(error) }
 * ```
 */
export function problemResponse(error: unknown, options: ProblemOptions = {}): Response {
  options.onError?.(error)
  const problem = problemBody(error, options)
  const { code, status } = problem
  const headers = new Headers({ 'content-type': 'application/problem+json', 'cache-control': 'no-store' })
  if (status === 401) headers.set('www-authenticate', 'Bearer')
  if (code === 'METHOD_NOT_ALLOWED' && typeof problem.allow === 'string') headers.set('allow', problem.allow)
  if (ERROR_CODES[code].retryable) headers.set('retry-after', String(RETRY_AFTER_SECONDS))
  return new Response(JSON.stringify(problem), { status, headers })
}

/**
 * Wraps a route handler so that whatever it throws becomes a problem body.
 *
 * @example
 * ```ts
 * export const POST = withProblems(async (request) => Response.json(await answer(request)))
 * ```
 */
export function withProblems<Rest extends unknown[]>(
  handler: (request: Request, ...rest: Rest) => Response | Promise<Response>,
  options: ProblemOptions = {},
): (request: Request, ...rest: Rest) => Promise<Response> {
  return async (request, ...rest) => {
    try {
      return await handler(request, ...rest)
    } catch (error) {
      return problemResponse(error, options)
    }
  }
}

/** Reads a problem body; null when the text is something else (a proxy's page, a network failure). */
export function parseProblem(text: string): Problem | null {
  try {
    return problemSchema.safeParse(JSON.parse(text)).data ?? null
  } catch {
    return null
  }
}

/** Turns zod's issues into the one form that a 422 shows. */
export function invalidInput(error: z.ZodError): CreditError {
  const issues = error.issues.slice(0, 20).map(({ path, message }) => ({ path: path.map(String).join('.'), message }))
  const [first] = issues
  const message = first ? [first.path, first.message].filter(Boolean).join(': ') : ERROR_CODES.INVALID_INPUT.title
  return new CreditError({ code: 'INVALID_INPUT', message, details: { issues }, cause: error })
}

function toCreditError(error: unknown): CreditError {
  if (CreditError.isInstance(error)) return error
  if (error instanceof z.ZodError) return invalidInput(error)
  return new CreditError({ code: isProviderError(error) ? 'PROVIDER_UNAVAILABLE' : 'INTERNAL', cause: error })
}

/** The AI SDK marks its errors with registered symbols, so no import is needed to know them. */
function isProviderError(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  return [
    'vercel.ai.gateway.error',
    'vercel.ai.error.AI_APICallError',
    'vercel.ai.error.AI_RetryError',
    'vercel.ai.error.AI_NoOutputGeneratedError',
  ].some((marker) => Symbol.for(marker) in error)
}
