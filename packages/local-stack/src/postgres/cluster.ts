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
import { endProcess } from '../process/pids.ts'
import { HOST } from '../process/ports.ts'
import type { RunAs } from '../process/unprivileged.ts'
import type { PostgresBinaries } from './binaries.ts'
import { connect } from './connect.ts'

/** A running Postgres server. */
export interface Cluster {
  readonly pid: number
  readonly port: number
  /** Resolves when the server has ended, for whatever reason. */
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

/** The only password there is. The server listens on the loopback address. */
export const DB_PASSWORD = 'postgres'

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
    const args = ['-D', dataDir, '-U', 'supabase_admin', '--pwfile', passwordFile, '-A', 'scram-sha-256', '-E', 'UTF8']
    const result = spawnSync(binaries.initdb, [...args, ...locale, '--no-sync', '--no-instructions'], {
      ...user,
      cwd: dataDir,
      encoding: 'utf8',
    })
    if (result.status !== 0) {
      throw new StackError('POSTGRES_FAILED', `initdb failed: ${result.error?.message ?? result.stderr.trim()}`, {
        hint: 'Is the disk full, or the data folder not writable?',
      })
    }
  } finally {
    rmSync(passwordFile, { force: true })
  }
}

/** The major version of the server programs. */
export function majorVersion(binaries: PostgresBinaries): number {
  const result = spawnSync(binaries.postgres, ['--version'], { encoding: 'utf8' })
  const major = /(\d+)(?:\.\d+|beta|rc|devel)/.exec(result.stdout ?? '')?.[1]
  if (!major) {
    throw new StackError(
      'BINARY_MISSING',
      `${binaries.postgres} does not run: ${result.error?.message ?? result.stderr}`,
    )
  }
  return Number(major)
}

/** The major version a data folder was created with, or undefined when it holds no cluster. */
export function dataDirVersion(dataDir: string): number | undefined {
  const file = path.join(dataDir, 'PG_VERSION')
  return existsSync(file) ? Number(readFileSync(file, 'utf8').trim()) : undefined
}

/**
 * Starts the server and waits until it answers queries.
 *
 * @throws StackError `POSTGRES_FAILED` with the end of the server's log
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { binaries, dataDir, port, user } = options
  if (user.uid !== undefined) for (const file of [dataDir]) own(file, user)
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

/** Ends a server that outlived its owner, so that its data folder can be opened again. */
export async function endOrphan(dataDir: string): Promise<void> {
  const file = path.join(dataDir, 'postmaster.pid')
  if (!existsSync(file)) return
  const pid = Number(readFileSync(file, 'utf8').split('\n')[0])
  if (Number.isInteger(pid) && pid > 1) await endProcess(pid, dataDir, 'SIGINT')
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
      throw new StackError('POSTGRES_FAILED', `Postgres did not start.\n${tail(options.logFile)}`)
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

/** The last lines of a log, for error messages. */
export function tail(file: string, lines = 12): string {
  if (!existsSync(file)) return ''
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
}
