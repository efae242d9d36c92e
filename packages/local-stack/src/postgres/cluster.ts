import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf, StackError } from '../errors.ts'
import { tail } from '../process/log.ts'
import { freePort, HOST } from '../process/ports.ts'
import type { RunAs } from '../process/unprivileged.ts'
import type { PostgresBinaries } from './binaries.ts'
import { connect, DB_PASSWORD } from './connect.ts'

/** A running Postgres server. */
export interface Cluster {
  readonly pid: number
  readonly port: number
  /** Resolves when the server has ended, for any reason. */
  readonly exited: Promise<void>
  /** Ends the server; open transactions are rolled back. */
  stop(): Promise<void>
}

/** What a cluster needs to start. */
export interface ClusterOptions {
  binaries: PostgresBinaries
  user: RunAs
  dataDir: string
  port: number
  logFile: string
  /** Server settings, `name=value`. */
  flags: readonly string[]
}

/** How clusters are made; a change makes new templates. Small WAL segments keep a copy of a cluster small. */
export const INITDB_OPTIONS = [
  '-U',
  'supabase_admin',
  '-A',
  'scram-sha-256',
  '-E',
  'UTF8',
  '--wal-segsize=4',
  '--no-sync',
  '--no-instructions',
]

/** Creates an empty cluster owned by the superuser `supabase_admin`, as Supabase's own is. */
export function initCluster(binaries: PostgresBinaries, dataDir: string, user: RunAs): void {
  rmSync(dataDir, { recursive: true, force: true })
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const passwordFile = `${dataDir}.password`
  writeFileSync(passwordFile, `${DB_PASSWORD}\n`, { mode: 0o600 })
  for (const file of [dataDir, passwordFile]) own(file, user)
  // The builtin locale provider gives the same sort order on every machine; it exists from Postgres 17 on.
  const locale =
    majorVersion(binaries) >= 17
      ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C']
      : ['--locale=C']
  try {
    const args = ['-D', dataDir, '--pwfile', passwordFile, ...INITDB_OPTIONS, ...locale]
    const result = spawnSync(binaries.initdb, args, {
      ...user,
      cwd: dataDir,
      encoding: 'utf8',
    })
    if (result.status !== 0) {
      throw new StackError('POSTGRES_FAILED', `initdb failed: ${result.error?.message ?? result.stderr.trim()}`)
    }
  } finally {
    rmSync(passwordFile, { force: true })
  }
}

/** What the server says about its version. */
export function serverVersion(binaries: PostgresBinaries): string {
  const result = spawnSync(binaries.postgres, ['--version'], { encoding: 'utf8' })
  if (result.status === 0) return result.stdout.trim()
  throw new StackError('BINARY_MISSING', `${binaries.postgres} does not run: ${result.error?.message ?? result.stderr}`)
}

/** The major version of the server programs. */
export function majorVersion(binaries: PostgresBinaries): number {
  return Number(/(\d+)(?:\.\d+|beta|rc|devel)/.exec(serverVersion(binaries))?.[1])
}

/** The major version a data folder was created with, or undefined when it holds no cluster. */
export function dataDirVersion(dataDir: string): number | undefined {
  const file = path.join(dataDir, 'PG_VERSION')
  return existsSync(file) ? Number(readFileSync(file, 'utf8').trim()) : undefined
}

/**
 * Starts the server and waits until it answers queries. A port of 0 takes a free one.
 *
 * After kill -9 a server's children need a moment to notice; until then a new server is refused. And a port that
 * was free when it was chosen may be taken when the server opens it. Both pass.
 *
 * @throws StackError `POSTGRES_FAILED` with the end of the server's log
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const deadline = Date.now() + 15_000
  for (;;) {
    const port = options.port || (await freePort())
    try {
      return await startOnce({ ...options, port })
    } catch (error) {
      const message = error instanceof StackError ? error.message : ''
      const passing = /shared memory block|lock file .* already exists|is another postmaster/i.test(message)
      const taken = options.port === 0 && /could not bind|address already in use/i.test(message)
      if (!(passing || taken) || Date.now() > deadline) throw error
      await sleep(200)
    }
  }
}

async function startOnce(options: ClusterOptions): Promise<Cluster> {
  const { binaries, dataDir, port, user } = options
  own(dataDir, user)
  chmodSync(dataDir, 0o700)
  const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'timezone=UTC', 'log_timezone=UTC']
  settings.push('max_connections=200', 'wal_level=logical', ...options.flags)
  const log = openSync(options.logFile, 'a')
  const child = spawn(binaries.postgres, ['-D', dataDir, '-p', String(port), ...settings.flatMap((s) => ['-c', s])], {
    ...user,
    cwd: dataDir,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  const exited = exitOf(child)
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGINT')
    await exited
  }
  try {
    await waitForQueries(child, options)
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
  return { pid: child.pid ?? 0, port, exited, stop }
}

function own(file: string, user: RunAs): void {
  if (user.uid !== undefined && user.gid !== undefined) chownSync(file, user.uid, user.gid)
}

function exitOf(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
}

async function waitForQueries(child: ChildProcess, options: ClusterOptions): Promise<void> {
  const deadline = Date.now() + 60_000
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
      throw new StackError('POSTGRES_FAILED', `Postgres did not start.\n${tail(options.logFile)}`, {
        hint: 'If its data is damaged, start with --fresh to throw the local data away.',
      })
    }
    try {
      const client = await connect({ port: options.port, user: 'supabase_admin', timeoutMs: 2000 })
      await client.end()
      return
    } catch (error) {
      if (Date.now() > deadline) {
        throw new StackError(
          'POSTGRES_FAILED',
          `Postgres did not answer on ${HOST}:${options.port}: ${messageOf(error)}`,
        )
      }
      await sleep(15)
    }
  }
}
