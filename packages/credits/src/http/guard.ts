import type { z } from 'zod'
import { CreditError } from '../core/errors.ts'
import { invalidInput, type ProblemOptions, withProblems } from './problem.ts'

/** Who sent a request, as the app's session says. */
export interface CreditsUser {
  /** The id of the row in `auth.users`. */
  id: string
  /** To show whose session this is. */
  email?: string | undefined
  /**
   * May this user change prices? Give a function to look it up only where it matters.
   * Read it from the database on each request: a claim in a token outlives the right it speaks of.
   */
  isAdmin?: boolean | (() => boolean | Promise<boolean>) | undefined
}

/** Finds the verified user of a request; null when nobody is signed in. It must not trust anything but the session. */
export type GetUser = (request: Request) => Promise<CreditsUser | null> | CreditsUser | null

/** What every route needs to know about the app around it. */
export interface RouteOptions extends ProblemOptions {
  getUser: GetUser
  /** Origins besides the request's own that may send state-changing cookie requests, such as `https://admin.example.com`. */
  allowedOrigins?: readonly string[] | undefined
}

/** What a {@link protectedRoute} may additionally ask for. */
export interface ProtectedRouteOptions<Body> extends RouteOptions {
  /** Schema of the JSON body; without one the body is not read. */
  body?: z.ZodType<Body> | undefined
  /** Longest body accepted, in bytes. Default 16,384. */
  maxBodyBytes?: number | undefined
  /** Admins only. */
  admin?: boolean | undefined
}

/** What a protected handler gets: the request came from this user and the body has this shape. */
export interface ProtectedContext<Body> {
  request: Request
  user: CreditsUser
  body: Body
}

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS'])
const DEFAULT_MAX_BODY_BYTES = 16_384

/**
 * A route handler that runs only for a signed-in user, from an allowed origin, with a valid body;
 * everything else, and every error it throws, is answered with a problem body.
 *
 * @example
 * ```ts
 * export const POST = protectedRoute({ getUser, body: chatSchema }, async ({ user, body }) => chat(user.id, body))
 * ```
 */
export function protectedRoute<Body = undefined>(
  options: ProtectedRouteOptions<Body>,
  handler: (context: ProtectedContext<Body>) => Response | Promise<Response>,
): (request: Request) => Promise<Response> {
  return withProblems(async (request) => {
    const user = await authorize(request, options)
    const body = options.body ? await readJson(request, options.body, options.maxBodyBytes) : (undefined as Body)
    return handler({ request, user, body })
  }, options)
}

/**
 * Answers who sent the request, or throws: `UNAUTHENTICATED` without a session, `FORBIDDEN` for a
 * state-changing cookie request from a foreign page or, with `admin`, for anyone who is not one.
 */
export async function authorize(
  request: Request,
  options: RouteOptions & { admin?: boolean | undefined },
): Promise<CreditsUser> {
  const user = await options.getUser(request)
  if (!user) throw new CreditError({ code: 'UNAUTHENTICATED' })
  assertTrustedOrigin(request, options.allowedOrigins)
  if (options.admin) {
    const isAdmin = typeof user.isAdmin === 'function' ? await user.isAdmin() : user.isAdmin
    if (isAdmin !== true) throw new CreditError({ code: 'FORBIDDEN', message: 'Only admins may do this' })
  }
  return user
}

/**
 * Refuses forged cross-site requests with `FORBIDDEN`. A browser attaches cookies to requests that other
 * sites start, and names the page in `Origin` of every state-changing one. A bearer token is never attached
 * by itself, so a request that carries one and no cookie needs no such proof.
 */
export function assertTrustedOrigin(request: Request, allowedOrigins: readonly string[] = []): void {
  if (isTrustedOrigin(request, allowedOrigins)) return
  throw new CreditError({ code: 'FORBIDDEN', message: 'This request did not come from a page of this app' })
}

function isTrustedOrigin(request: Request, allowedOrigins: readonly string[]): boolean {
  if (SAFE_METHODS.has(request.method)) return true
  const { headers } = request
  const origin = headers.get('origin')
  const actsByCookie = headers.has('cookie')
  if (!actsByCookie && (origin === null || bearerToken(request) !== null)) return true
  if (origin === null || origin === 'null') return false
  if (allowedOrigins.includes(origin)) return true

  const url = new URL(request.url)
  // Servers behind a proxy see their inner address in the URL; the Host header is the one the browser asked for.
  // Forwarded-host headers are not consulted: an app behind a proxy that rewrites Host lists its origin.
  const host = headers.get('host') ?? url.host
  const protocol = headers.get('x-forwarded-proto')?.split(',')[0]?.trim() ?? url.protocol.replace(':', '')
  return origin === `https://${host}` || (protocol === 'http' && origin === `http://${host}`)
}

/** The token of an `Authorization: Bearer` header; null without one. */
export function bearerToken(request: Request): string | null {
  const match = /^bearer +(\S+) *$/i.exec(request.headers.get('authorization') ?? '')
  return match?.[1] ?? null
}

/**
 * Reads and checks a JSON body. Throws `INVALID_INPUT` for another content type, a body longer than
 * `maxBytes` (it stops reading there), text that is not JSON, and whatever the schema refuses.
 */
export async function readJson<Body>(
  request: Request,
  schema: z.ZodType<Body>,
  maxBytes: number = DEFAULT_MAX_BODY_BYTES,
): Promise<Body> {
  const contentType = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
  if (contentType !== 'application/json') throw invalid('Send the body as content-type: application/json')
  const text = await readText(request, maxBytes)
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw invalid('The body is not valid JSON')
  }
  const result = schema.safeParse(json)
  if (!result.success) throw invalidInput(result.error)
  return result.data
}

async function readText(request: Request, maxBytes: number): Promise<string> {
  if (!request.body) return ''
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let bytes = 0
  let text = ''
  try {
    // The declared length may lie, so what arrives is what counts.
    for await (const chunk of readChunks(request.body)) {
      bytes += chunk.byteLength
      if (bytes > maxBytes) throw invalid(`The body is longer than ${maxBytes} bytes`)
      text += decoder.decode(chunk, { stream: true })
    }
    return text + decoder.decode()
  } catch (error) {
    if (error instanceof TypeError) throw invalid('The body is not valid UTF-8')
    throw error
  }
}

/** Web streams are not async iterable everywhere yet (Safari, some edge runtimes). */
async function* readChunks(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } finally {
    // Ends the upload of a body that was refused half-way; a failure to do so changes nothing for us.
    await reader.cancel().catch(() => undefined)
  }
}

/** Reads a query string by a schema; a name given twice is refused, because nobody can say which one counts. */
export function readQuery<Query>(url: URL, schema: z.ZodType<Query>): Query {
  const values: Record<string, string> = Object.create(null)
  for (const [name, value] of url.searchParams) {
    if (name in values) throw invalid(`${name}: given more than once`)
    values[name] = value
  }
  const result = schema.safeParse({ ...values })
  if (!result.success) throw invalidInput(result.error)
  return result.data
}

function invalid(message: string): CreditError {
  return new CreditError({ code: 'INVALID_INPUT', message })
}
