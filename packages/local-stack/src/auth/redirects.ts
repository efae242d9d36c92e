import type { AuthConfig, AuthContext, AuthRequest } from './context.ts'
import type { AuthError } from './errors.ts'
import type { TokenResponse } from './sessions.ts'

/** Where a link may lead: the wish of the caller when it is allowed, else the app's own address. */
export function allowedRedirect(config: AuthConfig, wish: string | null | undefined): string {
  if (!wish) return config.siteUrl
  try {
    const url = new URL(wish)
    if (!/^https?:$/.test(url.protocol)) return config.siteUrl
    // Any port of this machine: development servers move.
    const loopback = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)
    const allowed = [new URL(config.siteUrl).origin, ...config.redirectOrigins]
    return loopback || allowed.includes(url.origin) ? wish : config.siteUrl
  } catch {
    return config.siteUrl
  }
}

/** Where the caller wants a link to lead: said in the query or, by older clients, in a header. */
export function redirectOf(context: AuthContext, request: AuthRequest): string {
  const header = [request.headers.redirect_to].flat()[0]
  return allowedRedirect(context.config, request.query.get('redirect_to') ?? header)
}

/** Hands over a code that the app exchanges for a session (PKCE). */
export function withCode(target: string, code: string): string {
  const url = new URL(target)
  url.searchParams.set('code', code)
  return url.href
}

/** Hands over the session in the fragment, which no server sees (implicit flow). */
export function withSession(target: string, session: TokenResponse, type?: string): string {
  const url = new URL(target)
  url.hash = new URLSearchParams({
    access_token: session.access_token,
    expires_at: String(session.expires_at),
    expires_in: String(session.expires_in),
    refresh_token: session.refresh_token,
    token_type: session.token_type,
    ...(type === undefined ? {} : { type }),
  }).toString()
  return url.href
}

/** Sends the app what went wrong: in the fragment, and with PKCE in the query as well. */
export function withError(target: string, error: AuthError, pkce: boolean): string {
  const url = new URL(target)
  const kind = error.status >= 500 ? 'server_error' : 'access_denied'
  const members = { error: kind, error_code: error.code, error_description: error.message }
  url.hash = new URLSearchParams(members).toString()
  if (pkce) for (const [name, value] of Object.entries(members)) url.searchParams.set(name, value)
  return url.href
}

/** Sends the app a message that is neither. */
export function withMessage(target: string, message: string): string {
  const url = new URL(target)
  url.hash = new URLSearchParams({ message }).toString()
  return url.href
}
