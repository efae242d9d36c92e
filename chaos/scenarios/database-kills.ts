import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Stack, startStack } from '@layers/local-stack'
import type { Arena, Attack } from '../runner/scenario.ts'
import type { Field } from '../runner/test-database.ts'
import { sleep } from '../workload/operations.ts'
import { checkAlive, compareWithHistory, type History, newHistory, traffic } from '../workload/traffic.ts'

const RECOVERY_MS = 2000

/** B1: the whole server is killed, again and again, under load. */
export const B1: Attack = {
  id: 'B1',
  long: true,
  claim: 'kill -9 of the whole server at any moment loses nothing that was acknowledged',
  faults: ['kill on tmpfs', 'kill on disk'],
  broken: [
    {
      name: 'commits are acknowledged before they are durable',
      sql: `do $$ begin execute format('alter database %I set synchronous_commit = off', current_database()); end $$`,
    },
  ],
  run: async (arena) => {
    // A process that is killed leaves the page cache behind: this proves crash recovery, not power loss.
    const kills = arena.goal('kill on tmpfs', 16) / 2
    await killAgainAndAgain(arena, '/dev/shm', 'kill on tmpfs', kills)
    if (arena.tier !== 'probe') await killAgainAndAgain(arena, tmpdir(), 'kill on disk', kills)
    arena.note('kill -9 proves crash recovery; only pulled power would prove the disk')
  },
}

async function killAgainAndAgain(arena: Arena, parent: string, fault: string, kills: number): Promise<void> {
  const folder = mkdtempSync(path.join(parent, 'chaos-'))
  // Postgres runs under an account of its own when this one is root.
  chmodSync(folder, 0o711)
  const stack = await startStack({ port: 0, dataDir: path.join(folder, 'stack'), restartOnCrash: false })
  arena.cleanup(() => rmSync(folder, { recursive: true, force: true }))
  arena.cleanup(() => stack.stop())
  const field = await arena.open({ stack })
  const { accounts, history, stop } = await underLoad(arena, field, 8)
  const recoveries: number[] = []
  for (let count = 0; count < kills; count += 1) {
    await sleep(arena.random.between(20, 250))
    await killServer(stack)
    const start = performance.now()
    // The load goes to Postgres itself.
    await stack.database.start({ apis: false })
    recoveries.push(performance.now() - start)
    arena.reached(fault)
    arena.ran()
  }
  await stop()
  // The middle one: a single slow start on a busy machine says nothing about recovery.
  const usual = recoveries.toSorted((a, b) => a - b)[recoveries.length >> 1] ?? 0
  arena.check(usual < RECOVERY_MS, `recovery usually takes ${usual.toFixed(0)} ms`)
  await compareWithHistory(arena, field, history)
  for (const each of await field.invariants()) arena.violation(each.what, each.detail)
  await checkAlive(arena, field.store(2), accounts)
  const { acked, reservations } = history
  arena.note(`${fault}: ${acked.size} acknowledged transactions, ${reservations.size} reservations`)
  arena.note(`${fault}: back after ${usual.toFixed(0)} ms usually, ${Math.max(...recoveries).toFixed(0)} ms at most`)
}

interface Running {
  accounts: string[]
  history: History
  /** Lets the workers finish their call, whatever it takes. */
  stop(): Promise<void>
}

async function underLoad(
  arena: Arena,
  field: Field,
  workers: number,
  durable: Record<string, string> = {},
): Promise<Running> {
  const accounts = await field.users(6, '1000')
  const history = newHistory()
  let stopped = false
  // The shared server commits asynchronously, which is a loss of its own when a backend is killed.
  const store = field.store(workers, durable)
  const working = Array.from({ length: workers }, (_, worker) => {
    const random = arena.random.fork(`worker ${worker}`)
    const more = { operations: Number.MAX_SAFE_INTEGER, stopped: () => stopped, attempts: 400 }
    return traffic({ store, accounts, random, history, ...more })
  })
  return {
    accounts,
    history,
    stop: async () => {
      stopped = true
      await Promise.all(working)
    },
  }
}

/** The postmaster first, so that it cannot tell its children to finish what they do. */
async function killServer(stack: Stack): Promise<void> {
  const children = childrenOf(stack.database.pid)
  const ended = stack.database.end('crash')
  for (const pid of children) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // Gone already.
    }
  }
  await ended
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => parentOf(pid) === parent)
    .map(Number)
}

function parentOf(pid: string): number | undefined {
  try {
    // The command's name is in parentheses and may hold anything; the parent is the second field after it.
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1])
  } catch {
    return undefined
  }
}

/** B2: single backends end or are interrupted inside the functions. */
export const B2: Attack = {
  id: 'B2',
  claim: 'A backend that is terminated, cancelled or killed inside a function leaves all or nothing behind',
  faults: ['terminated', 'cancelled', 'killed'],
  run: async (arena) => {
    const field = await arena.open()
    const { accounts, history, stop } = await underLoad(arena, field, 10, { synchronous_commit: 'on' })
    const met = new Map<string, number>()
    const shots = arena.goal('terminated', 20)
    for (let count = 0; count < shots; ) {
      await sleep(arena.random.between(0, 20))
      const { rows } = await field.watcher.query<{ pid: number; query: string }>(
        `select pid, query from pg_stat_activity where datname = current_database() and state = 'active'
           and query like 'select public.credits_%' order by random() limit 1`,
      )
      const victim = rows[0]
      if (!victim) continue
      if (!(await shoot(arena, field, victim.pid, count, shots))) continue
      count += 1
      const name = /public\.(\w+)/.exec(victim.query)?.[1] ?? ''
      met.set(name, (met.get(name) ?? 0) + 1)
      arena.ran()
    }
    await stop()
    arena.note([...met].map(([name, times]) => `${name} ${times}`).join(', '))
    await compareWithHistory(arena, field, history)
    await checkAlive(arena, field.store(2), accounts)
  },
}

async function shoot(arena: Arena, field: Field, pid: number, count: number, shots: number): Promise<boolean> {
  // A killed backend takes the whole server through recovery: only now and then.
  if (count > 0 && count % Math.ceil(shots / 6) === 0) {
    process.kill(pid, 'SIGKILL')
    arena.reached('killed')
    await sleep(700)
    return true
  }
  const how = arena.random.pick(['terminated', 'cancelled'] as const)
  const name = how === 'terminated' ? 'pg_terminate_backend' : 'pg_cancel_backend'
  const { rows } = await field.watcher.query<{ hit: boolean }>(`select ${name}($1) as hit`, [pid])
  if (!rows[0]?.hit) return false
  arena.reached(how)
  return true
}
