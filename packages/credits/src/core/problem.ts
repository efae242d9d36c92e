import {
  CreditError,
  type CreditErrorCode,
  type CreditErrorDetails,
  ERROR_CODES,
  type ErrorContext,
  invalidIssues,
} from './errors.ts'

/**
 * The body of an HTTP error as RFC 9457 defines it, with our `code` and the details of that code. Branch on `code`,
 * show `title` and `detail`.
 */
export interface ProblemBody {
  /** Where the code is explained: a URL, or a path of the app that answered. */
  type: string
  title: string
  status: number
  detail: string
  code: CreditErrorCode
  /** The details of the code, see docs/errors.md. On a 402: `available`, `required`, `balance`, `upgradeUrl`. */
  readonly [detail: string]: unknown
}

/** How {@link problemOf} writes a body. */
export interface ProblemBodyOptions {
  /** Fills in `upgradeUrl` of a 402 that names none. */
  upgradeUrl?: string | undefined
  /**
   * Where the codes are explained; the code in lower case is appended as its fragment. Default `/api/credits/errors`,
   * which the handlers of `createCreditsHandlers` answer. The address of a copy of docs/errors.md fits as well.
   */
  errorsUrl?: string | undefined
}

/** How {@link problemResponse} answers. */
export interface ProblemOptions extends ProblemBodyOptions {
  /**
   * Receives every error with its cause. The client sees the problem body alone.
   * Default: errors with a status of 500 or more go to `console.error`.
   */
  onError?: ((error: unknown, context: ErrorContext) => void) | undefined
  /** What was being done, for `onError`. */
  context?: ErrorContext | undefined
}

const ERRORS_URL = '/api/credits/errors'
/** Seconds a client should wait before it repeats a retryable call. */
const RETRY_AFTER_SECONDS = 2

/**
 * The problem body of an error, for places that have no response to give, such as the error part of a stream.
 * A `CreditError` keeps its code. A zod error is `INVALID_INPUT` (422). A refusal of the model provider is
 * `PROVIDER_UNAVAILABLE` (503), so that the operator's own empty wallet never looks like the user's. Anything else is
 * `INTERNAL` (500) without a word about why.
 *
 * @example
 * ```ts
 * toUIMessageStream({ stream, onError: (error) => JSON.stringify(problemOf(error)) })
 * ```
 */
export function problemOf(
  error: unknown,
  { upgradeUrl, errorsUrl = ERRORS_URL }: ProblemBodyOptions = {},
): ProblemBody {
  const { code, status, message, details } = toCreditError(error)
  const { title } = ERROR_CODES[code]
  const fallback = code === 'INSUFFICIENT_CREDITS' && upgradeUrl !== undefined ? { upgradeUrl } : {}
  return {
    type: `${errorsUrl}#${code.toLowerCase()}`,
    title,
    status,
    // The message of a server fault may quote a query or a host. One about settings names variables, never values.
    detail: status >= 500 && code !== 'CONFIG_INVALID' ? title : message,
    code,
    ...fallback,
    ...publicDetails(code, details),
  }
}

/**
 * The `application/problem+json` answer to an error: {@link problemOf} with the headers that belong to it (`Allow`,
 * `Retry-After`, `WWW-Authenticate`), never cached. Errors with a status of 500 or more are logged.
 *
 * @example
 * ```ts
 * try { return await chat(request) } catch (error) { return problemResponse(error, { onError: logError }) }
 * ```
 */
export function problemResponse(error: unknown, options: ProblemOptions = {}): Response {
  const { onError = logServerError, context = { operation: 'problemResponse' }, ...bodyOptions } = options
  onError(error, context)
  const problem = problemOf(error, bodyOptions)
  const { code, status } = problem
  const headers = new Headers({ 'content-type': 'application/problem+json', 'cache-control': 'no-store' })
  if (status === 401) headers.set('www-authenticate', 'Bearer')
  if (code === 'METHOD_NOT_ALLOWED' && typeof problem.allow === 'string') headers.set('allow', problem.allow)
  if (ERROR_CODES[code].retryable) headers.set('retry-after', String(RETRY_AFTER_SECONDS))
  return new Response(JSON.stringify(problem), { status, headers })
}

/**
 * The `CreditError` behind a failed request; undefined when the failure is not one of ours, such as the page of a
 * proxy. Takes a problem body, its text, or an error whose message is that text, which is what `useChat` gives.
 *
 * @example
 * ```ts
 * const problem = parseProblem(chat.error)
 * if (problem?.code === 'INSUFFICIENT_CREDITS') showUpgrade(problem.details.upgradeUrl)
 * ```
 */
export function parseProblem(value: unknown): CreditError | undefined {
  if (CreditError.isInstance(value)) return value
  if (value instanceof Error) return parseProblem(value.message)
  if (typeof value === 'string') return parseProblem(parseJson(value))
  if (!isProblem(value)) return undefined
  const { type: _type, title: _title, status: _status, detail, code, ...details } = value
  return new CreditError({ code, message: detail, details: details as CreditErrorDetails })
}

/** What the table names as public leaves the server; ids of other users, SQL and hosts do not. */
function publicDetails(code: CreditErrorCode, details: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const rows: [string, { internal?: true }][] = Object.entries(ERROR_CODES[code].details)
  const names = rows.filter(([, { internal }]) => internal !== true).map(([name]) => name)
  const given = names.filter((name) => details[name] !== undefined && details[name] !== null)
  return Object.fromEntries(given.map((name) => [name, details[name]]))
}

function toCreditError(error: unknown): CreditError {
  if (CreditError.isInstance(error)) return error
  if (isZodError(error)) return invalidIssues(error.issues, error)
  return new CreditError({ code: isProviderError(error) ? 'PROVIDER_UNAVAILABLE' : 'INTERNAL', cause: error })
}

/** By its shape: this module is part of browser bundles that need no zod. */
function isZodError(error: unknown): error is { issues: { path: PropertyKey[]; message: string }[] } {
  if (typeof error !== 'object' || error === null || !('name' in error) || !('issues' in error)) return false
  return error.name === 'ZodError' && Array.isArray(error.issues)
}

/** The AI SDK marks its errors with registered symbols, so recognising them needs no import. */
function isProviderError(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  return [
    'vercel.ai.gateway.error',
    'vercel.ai.error.AI_APICallError',
    'vercel.ai.error.AI_RetryError',
    'vercel.ai.error.AI_NoOutputGeneratedError',
  ].some((marker) => Symbol.for(marker) in error)
}

function logServerError(error: unknown, context: ErrorContext): void {
  if (toCreditError(error).status < 500) return
  // biome-ignore lint/suspicious/noConsole: the default handler, used where the app has set none
  console.error('credits:', error, context)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isProblem(value: unknown): value is ProblemBody {
  if (typeof value !== 'object' || value === null || !('code' in value) || !('detail' in value)) return false
  return typeof value.code === 'string' && Object.hasOwn(ERROR_CODES, value.code) && typeof value.detail === 'string'
}
