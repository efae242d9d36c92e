import type { Server } from 'node:http'
import type pg from 'pg'
import type { AuthConfig } from './auth/context.ts'
import { createOutbox } from './auth/mail/outbox.ts'
import { createMailPage } from './auth/mail/page.ts'
import { createAuthHandler } from './auth/server.ts'
import { StackError } from './errors.ts'
import { createFrontDoor, type Handler } from './http/front-door.ts'
import { createProxy } from './http/proxy.ts'
import { DEV_KEYS, type RoleKeys } from './keys.ts'
import { createPool } from './postgres/connect.ts'
import { superviseRest } from './postgrest/supervised.ts'
import { HOST } from './process/ports.ts'
import type { Watchdog } from './process/watchdog.ts'

/** The servers in front of one database: PostgREST, auth and the others that share the URL. */
export interface Api {
  readonly url: string
  readonly restUrl: string
  readonly restPid: number
  /** Starts PostgREST again, which is quicker than waiting for it to find its database. */
  restartRest(): Promise<void>
  stop(): Promise<void>
}

/** What an `Api` needs. */
export interface ApiOptions {
  port: number
  dbPort: number
  database: string
  roles: RoleKeys
  auth: Omit<AuthConfig, 'issuer'>
  restPoolSize: number
  restLog: string
  watchdog: Watchdog
  /** Called when PostgREST was started again. */
  onRestRestart?: () => void
  /** Further handlers by path prefix, once the URL is known. */
  open: (url: string) => Record<string, Handler>
  log: (line: string) => void
}

/**
 * Opens the port first, so that it cannot be lost while the rest starts.
 *
 * @throws StackError `PORT_IN_USE`, `POSTGREST_FAILED`
 */
export async function startApi(options: ApiOptions): Promise<Api> {
  const { dbPort, database, restLog: logFile, restPoolSize: poolSize, watchdog, log } = options
  const postgrest = { dbPort, database, logFile, poolSize }
  const rest = superviseRest({ postgrest, watchdog, onRestart: options.onRestRestart ?? (() => undefined), log })
  const proxy = createProxy(() => rest.current().port)
  const pools: pg.Pool[] = []
  const openPool = (user: string, max: number) => {
    const pool = createPool({ port: options.dbPort, database: options.database, user }, max)
    pools.push(pool)
    return pool
  }
  const outbox = createOutbox()
  const context = {
    pool: openPool('supabase_auth_admin', 10),
    admin: openPool('supabase_admin', 4),
    config: { ...options.auth, issuer: '' },
    outbox,
    log: (line: string) => options.log(`auth: ${line}`),
  }
  const auth = createAuthHandler(context)
  const open: Record<string, Handler> = { '/_dev/mail': createMailPage(outbox) }
  const server = createFrontDoor({
    roles: options.roles,
    auth: (req, res, path, url) => auth(req, res, path, url.searchParams),
    rest: proxy,
    open,
    log: options.log,
  })
  const stop = async () => {
    server.closeAllConnections()
    await new Promise<void>((resolve) => server.close(() => resolve()))
    proxy.close()
    await rest.stop()
    await Promise.all(pools.map((pool) => pool.end()))
  }
  try {
    const url = `http://${HOST}:${await listen(server, options.port)}`
    context.config.issuer = `${url}/auth/v1`
    Object.assign(open, options.open(url))
    await rest.start()
    return {
      url,
      get restUrl() {
        return rest.current().url
      },
      get restPid() {
        return rest.current().pid
      },
      restartRest: rest.restart,
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const hint = 'Choose another port with --port N.'
      reject(new StackError('PORT_IN_USE', `Port ${port} cannot be used: ${cause.message}.`, { hint, cause }))
    })
    server.listen(port, HOST, () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}

/** What never changes from one stack to the next. */
export const CONSTANTS = {
  publishableKey: DEV_KEYS.publishableKey,
  secretKey: DEV_KEYS.secretKey,
  jwtSecret: DEV_KEYS.jwtSecret,
  gatewayApiKey: DEV_KEYS.gatewayApiKey,
} as const
