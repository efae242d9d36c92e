import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { RoleKeys } from '../keys.ts'
import { HOST } from '../process/ports.ts'
import { createKeyCheck } from './api-keys.ts'
import type { RestProxy } from './proxy.ts'
import { CORS, replyJson, replyPreflight } from './reply.ts'

/** Answers what lies below a path. `rest` is the path behind it. */
export type Handler = (req: IncomingMessage, res: ServerResponse, rest: string, url: URL) => Promise<void> | void

/** What stands behind the one URL. */
export interface FrontDoorOptions {
  roles: RoleKeys
  auth: Handler
  rest: RestProxy
  /** Handlers that bring their own authentication, by path prefix. */
  open: Record<string, Handler>
  log: (line: string) => void
}

/** Auth routes that a browser opens by a link, without any key. */
const KEYLESS_AUTH = /^\/(authorize|callback|verify|health|_dev\/|\.well-known\/)/

/** One origin for everything, as Supabase's API gateway. */
export function createFrontDoor(options: FrontDoorOptions): Server {
  const checkKey = createKeyCheck(options.roles)
  const server = createServer((req, res) => {
    Promise.resolve(route(req, res)).catch((error: unknown) => {
      options.log(`${req.method} ${req.url}: ${error instanceof Error ? error.stack : String(error)}`)
      if (res.headersSent) res.destroy()
      else replyJson(res, 500, { message: 'Unexpected failure, see the log of the local stack' })
    })
  })
  server.keepAliveTimeout = 65_000
  return server

  function route(req: IncomingMessage, res: ServerResponse): Promise<void> | void {
    for (const [name, value] of Object.entries(CORS)) res.setHeader(name, value)
    if (!isLocal(req.headers.host)) return replyJson(res, 421, { message: 'The local stack answers on localhost only' })
    if (req.method === 'OPTIONS') return replyPreflight(req, res)
    const url = new URL(req.url ?? '/', `http://${HOST}`)
    for (const [prefix, handler] of Object.entries(options.open)) {
      const rest = below(url.pathname, prefix)
      if (rest !== undefined) return handler(req, res, rest, url)
    }
    const authPath = below(url.pathname, '/auth/v1')
    if (authPath !== undefined && KEYLESS_AUTH.test(authPath)) return options.auth(req, res, authPath, url)
    const restPath = below(url.pathname, '/rest/v1')
    if (authPath === undefined && restPath === undefined) {
      return replyJson(res, 404, { message: 'no Route matched with those values' })
    }
    const refusal = checkKey(req.headers, url.searchParams)
    if (refusal) return replyJson(res, refusal.status, refusal.body)
    if (authPath !== undefined) return options.auth(req, res, authPath, url)
    options.rest.forward(req, res, (restPath || '/') + rawQuery(req))
  }
}

/** The query as it was sent: parsing and printing it again would change what PostgREST reads. */
function rawQuery(req: IncomingMessage): string {
  const query = /\?(.*)$/s.exec(req.url ?? '')?.[1] ?? ''
  const kept = query.split('&').filter((pair) => pair !== '' && !pair.startsWith('apikey='))
  return kept.length > 0 ? `?${kept.join('&')}` : ''
}

function below(pathname: string, prefix: string): string | undefined {
  if (pathname === prefix) return ''
  return pathname.startsWith(`${prefix}/`) ? pathname.slice(prefix.length) : undefined
}

/** A page of another site that points its name at 127.0.0.1 must not reach a server with public keys. */
function isLocal(host: string | undefined): boolean {
  return /^(127\.0\.0\.1|localhost|\[::1\]|host\.docker\.internal)(:\d+)?$/i.test(host ?? '')
}
