import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import type { JSONWebKeySet } from 'jose'
import type { Layout } from './layout.ts'
import { commandOf, endProcess, isAlive } from './process/pids.ts'

/** How to reach a stack. */
export interface StackInfo {
  /** The one URL: Supabase's `SUPABASE_URL`. */
  url: string
  publishableKey: string
  secretKey: string
  /** Legacy role keys. */
  anonKey: string
  serviceRoleKey: string
  /** As the role `postgres`, which migrations run as. */
  dbUrl: string
  /** As the superuser; for tests. */
  adminDbUrl: string
  jwtSecret: string
  /** The public keys that verify access tokens. */
  jwks: JSONWebKeySet
  /** `baseURL` for `createGateway`. */
  gatewayUrl: string
  gatewayApiKey: string
  /** PostgREST itself, without the key exchange. */
  restUrl: string
  /** The Model Context Protocol server. */
  mcpUrl: string
  /** Where the e-mails of the auth server arrive. */
  mailUrl: string
  pids: Pids
}

/** The processes of a stack. */
export interface Pids {
  supervisor: number
  postgres: number
  postgrest: number
  watchdog: number
}

/** What is written to the state file while a stack runs. */
export interface State {
  /** The command line of the supervisor: ids are reused, a dead supervisor's number may belong to another process. */
  command: string
  info: StackInfo
}

/** Reads the state of a stack that runs now; undefined when none does, also when a stale file says otherwise. */
export function readRunning(layout: Layout): State | undefined {
  const state = readState(layout)
  if (!state) return undefined
  const { supervisor } = state.info.pids
  return isAlive(supervisor) && commandOf(supervisor) === state.command ? state : undefined
}

/**
 * Takes the folder for this process.
 *
 * @returns the id of the process that has it already, or undefined when it is ours now
 */
export function takeLock(layout: Layout): number | undefined {
  const mine = `${process.pid} ${commandOf(process.pid)}`
  for (;;) {
    try {
      writeFileSync(layout.lockFile, mine, { flag: 'wx' })
      return undefined
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const holder = lockHolder(layout)
    if (holder !== undefined) return holder
    // Its holder was killed.
    rmSync(layout.lockFile, { force: true })
  }
}

/** The process that starts or runs a stack here; undefined when there is none, also when a stale file says otherwise. */
export function lockHolder(layout: Layout): number | undefined {
  if (!existsSync(layout.lockFile)) return undefined
  const [, pid, command] = /^(\d+) (.*)$/s.exec(readFileSync(layout.lockFile, 'utf8')) ?? []
  return pid && isAlive(Number(pid)) && commandOf(Number(pid)) === command ? Number(pid) : undefined
}

/** Gives the folder back. */
export function releaseLock(layout: Layout): void {
  rmSync(layout.lockFile, { force: true })
}

/** Records a running stack. */
export function writeState(layout: Layout, info: StackInfo): void {
  const state: State = { command: commandOf(info.pids.supervisor), info }
  const partial = `${layout.stateFile}.${process.pid}`
  writeFileSync(partial, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 })
  renameSync(partial, layout.stateFile)
}

/** The stack has stopped. */
export function clearState(layout: Layout): void {
  rmSync(layout.stateFile, { force: true })
}

/** Ends what a killed supervisor left behind, should its watchdog have been killed as well. */
export async function endLeftovers(layout: Layout): Promise<void> {
  const pids = readState(layout)?.info.pids
  if (pids) await endProcess(pids.postgrest, 'postgrest', 'SIGTERM')
}

function readState(layout: Layout): State | undefined {
  if (!existsSync(layout.stateFile)) return undefined
  try {
    return JSON.parse(readFileSync(layout.stateFile, 'utf8')) as State
  } catch {
    // Cut off while it was written: as good as none.
    return undefined
  }
}
