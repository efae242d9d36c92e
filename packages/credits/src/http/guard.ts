import type { z } from 'zod'
import { CreditError } from '../core/errors.ts'
import { readJson } from './body.ts'
import { type ErrorOptions, withProblems } from './problem.ts'

/** Who sent a request, as the app's session says. */
export interface CreditsUser {
  /** The id of the row in `auth.users`. */
  id: string
  /** To show whose session this is. */
  email?: string | undefined
  /**
   * May this user change prices? Give a function to look it up only where it matters.
   * Read it from the database on each request: a claim in a token outlives the right that it names.
   */
  isAdmin?: boolean | (() => boolean | Promise<boolean>) | undefined
}

/** Finds the verified user of a request; null without a session. It must trust the session and nothing else. */
export type GetUser = (request: Request) => Promise<CreditsUser | null> | CreditsUser | null

/** What every route needs to know about the app around it. */
export interface RouteOptions extends ErrorOptions {
  getUser: GetUser
  /**
   * Origins besides the request's own that may send state-changing cookie requests, such as
   * `https://admin.example.com`. Behind a proxy that changes the `Host` header, list the public origin of the app:
   * `X-Forwarded-Host` is not read, because clients can forge it. A function is called at each such request.
   */
  allowedOrigins?: readonly string[] | (() => readonly string[]) | undefined
}

/** What a {@link protectedRoute} may additionally ask for. */
export interface ProtectedRouteOptions<Body> extends RouteOptions {
  /** Schema of the JSON body; without one the body is not read. */
  body?: z.ZodType<Body> | undefined
  /** Longest body accepted, in bytes. Default 16,384: a chat that sends its whole conversation needs more. */
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

/**
 * A route handler that runs only for a signed-in user, from an allowed origin, with a valid body. Other requests, and
 * every error that the handler throws, are answered with a problem body.
 *
 * @example
 * ```ts
 * const options = { getUser, body: chatSchema, maxBodyBytes: 1_000_000, onError: logError }
 * export const POST = protectedRoute(options, async ({ user, body }) => chat(user.id, body))
 * ```
 */
export function protectedRoute<Body = undefined>(
  options: ProtectedRouteOptions<Body>,
  handler: (context: ProtectedContext<Body>) => Response | Promise<Response>,
): (request: Request) => Promise<Response> {
  return withProblems(async (request, context) => {
    const user = await authorize(request, options)
    context.userId = user.id
    const body = options.body ? await readJson(request, options.body, options.maxBodyBytes) : (undefined as Body)
    return handler({ request, user, body })
  }, options)
}

/**
 * Answers who sent the request.
 *
 * @throws CreditError `UNAUTHENTICATED` without a session; `FORBIDDEN` for a state-changing cookie request from a
 * foreign page, or with `admin` for a user who is not an admin
 * @example const { id } = await authorize(request, { getUser, admin: true })
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
 * Refuses forged cross-site requests. A browser attaches cookies to requests that other sites start, and names the
 * page in `Origin` of every state-changing one. A bearer token is never attached by itself, so a request that carries
 * one and no cookie needs no such proof.
 *
 * @throws CreditError `FORBIDDEN`, with the origin that would have been accepted
 * @example assertTrustedOrigin(request, ['https://admin.example.com'])
 */
export function assertTrustedOrigin(request: Request, allowedOrigins: RouteOptions['allowedOrigins'] = []): void {
  if (SAFE_METHODS.has(request.method)) return
  const { headers } = request
  const origin = headers.get('origin')
  const actsByCookie = headers.has('cookie')
  if (!actsByCookie && (origin === null || bearerToken(request) !== null)) return
  const listed = typeof allowedOrigins === 'function' ? allowedOrigins() : allowedOrigins
  const own = ownOrigins(request)
  if (origin !== null && (own.includes(origin) || (origin !== 'null' && listed.includes(origin)))) return
  throw foreignOrigin(origin, own[0])
}

/** The origins under which the browser knows this app. */
function ownOrigins(request: Request): [string, ...string[]] {
  const url = new URL(request.url)
  // A server behind a proxy sees its inner address in the URL. The Host header is the one that the browser asked for.
  const host = request.headers.get('host') ?? url.host
  const forwarded = request.headers.get('x-forwarded-proto')?.split(',')[0]?.trim()
  const protocol = forwarded ?? url.protocol.replace(':', '')
  return protocol === 'http' ? [`http://${host}`, `https://${host}`] : [`https://${host}`]
}

function foreignOrigin(origin: string | null, expected: string): CreditError {
  const message =
    origin === null
      ? `A request with cookies that changes something must name its page: send "Origin: ${expected}", ` +
        'or "Authorization: Bearer <token>" and no cookie'
      : `The origin ${origin} is not ${expected}, the origin of this app. If the app stands behind a proxy that ` +
        'changes Host, add its public origin to allowedOrigins'
  return new CreditError({ code: 'FORBIDDEN', message, details: { origin: origin ?? undefined, expected } })
}

/** The token of an `Authorization: Bearer` header; null without one. */
export function bearerToken(request: Request): string | null {
  const match = /^bearer +(\S+) *$/i.exec(request.headers.get('authorization') ?? '')
  return match?.[1] ?? null
}
