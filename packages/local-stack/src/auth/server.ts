import type { IncomingMessage, ServerResponse } from 'node:http'
import { messageOf } from '../errors.ts'
import { readBody } from '../http/body.ts'
import type { AuthContext, AuthReply, AuthRequest, AuthRoutes } from './context.ts'
import { AuthError, CURRENT_API } from './errors.ts'
import { adminRoutes } from './routes/admin.ts'
import { emailRoutes } from './routes/email.ts'
import { identityRoutes } from './routes/identities.ts'
import { infoRoutes } from './routes/info.ts'
import { linkRoutes } from './routes/links.ts'
import { oauthRoutes } from './routes/oauth.ts'
import { signupRoutes } from './routes/signup.ts'
import { tokenRoutes } from './routes/token.ts'
import { userRoutes } from './routes/user.ts'
import { verifyRoutes } from './routes/verify.ts'

const MAX_BODY_BYTES = 1 << 20

/**
 * The development auth server: speaks the part of GoTrue's protocol that supabase-js and `@supabase/ssr` use and
 * writes the rows GoTrue would. Not for production: its signing key is public.
 *
 * @returns a handler; `path` is the part after `/auth/v1`
 */
export function createAuthHandler(context: AuthContext) {
  const account: AuthRoutes = { ...signupRoutes, ...tokenRoutes, ...userRoutes, ...identityRoutes }
  const proof: AuthRoutes = { ...emailRoutes, ...verifyRoutes, ...oauthRoutes }
  const routes: AuthRoutes = { ...infoRoutes, ...account, ...proof, ...adminRoutes, ...linkRoutes }
  const find = matcher(routes)

  return async (req: IncomingMessage, res: ServerResponse, path: string, query: URLSearchParams): Promise<void> => {
    const currentApi = String(req.headers['x-supabase-api-version'] ?? '') >= CURRENT_API
    const version = currentApi ? { 'x-supabase-api-version': CURRENT_API } : {}
    try {
      const found = find(req.method ?? 'GET', path)
      if (!found) throw new AuthError(404, 'not_found', `No route ${req.method} ${path}`)
      const request: AuthRequest = {
        query,
        headers: req.headers,
        params: found.params,
        body: await jsonBody(req),
        ip: req.socket.remoteAddress ?? '127.0.0.1',
      }
      send(res, await found.route(request, context), version)
    } catch (error) {
      const known = error instanceof AuthError ? error : unexpected(context, error)
      send(res, { status: known.status, body: known.body(currentApi) }, version)
    }
  }
}

/** Postgres has no room or no time, or is away: `53…` resources, `57P0…` shutdown, `08…` connection, locks, timeouts. */
const BUSY = /^(53...|57P0.|57014|08...|55P03|40P01|40001|ECONNREFUSED|ECONNRESET)$/

function unexpected(context: AuthContext, error: unknown): AuthError {
  const { code, message: text = '' } = (error ?? {}) as { code?: unknown; message?: string }
  // pg's own words for a full pool and for a connection that was cut have no code.
  if (BUSY.test(String(code)) || /timeout exceeded|Connection terminated/.test(text)) {
    context.log(`busy: ${messageOf(error)}`)
    return new AuthError(503, 'request_timeout', 'The database is busy or away, please try again')
  }
  context.log(`unexpected: ${error instanceof Error ? error.stack : messageOf(error)}`)
  const message = 'Unexpected failure, please check server logs for more information'
  return new AuthError(500, 'unexpected_failure', message)
}

function matcher(routes: AuthRoutes) {
  const patterns = Object.entries(routes).map(([key, route]) => {
    const [method, path = ''] = key.split(' ')
    return {
      method,
      route,
      pattern: new RegExp(`^${path.replaceAll('.', '\\.').replace(/:(\w+)/g, '(?<$1>[^/]+)')}/?$`),
    }
  })
  return (method: string, path: string) => {
    for (const candidate of patterns) {
      const match = candidate.method === method ? candidate.pattern.exec(path) : null
      if (match) return { route: candidate.route, params: { ...match.groups } }
    }
    return undefined
  }
}

async function jsonBody(req: IncomingMessage): Promise<Record<string, unknown>> {
  const raw = await readBody(req, MAX_BODY_BYTES)
  if (raw === undefined) throw new AuthError(413, 'request_too_large', 'Request body too large')
  if (raw.length === 0) return {}
  try {
    const parsed: unknown = JSON.parse(raw.toString())
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed))
      return parsed as Record<string, unknown>
  } catch {
    // Answered below, as any other body that is not an object.
  }
  throw new AuthError(400, 'bad_json', 'Could not parse request body as JSON')
}

function send(res: ServerResponse, reply: AuthReply, headers: Record<string, string>): void {
  if (res.headersSent) return
  const type = reply.html === undefined ? 'application/json' : 'text/html; charset=utf-8'
  res.writeHead(reply.status ?? 200, { 'content-type': type, ...headers, ...reply.headers })
  res.end(reply.html ?? (reply.body === undefined ? '' : JSON.stringify(reply.body)))
}
