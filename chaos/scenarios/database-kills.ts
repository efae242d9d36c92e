import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Stack, startStack } from '@layers/local-stack'
import type { Scenario, ScenarioContext } from '../runner/scenario.ts'
import type { TestDatabase } from '../runner/test-database.ts'
import { checkUsable, compareWithHistory, newHistory, type TrafficHistory } from '../workload/history.ts'
import { sleep } from '../workload/operations.ts'
import { traffic } from '../workload/traffic.ts'

const RECOVERY_MS = 2000

/** B1: the whole server is killed repeatedly under load. */
export const B1: Scenario = {
  id: 'B1',
  long: true,
  claim: 'A kill -9 of the whole database server at any moment loses nothing that was acknowledged.',
  faults: ['kill on tmpfs', 'kill on disk'],
  broken: [
    {
      name: 'commits are acknowledged before they are durable',
      sql: `do $$ begin execute format('alter database %I set synchronous_commit = off', current_database()); end $$`,
    },
  ],
  run: async (context) => {
    // The page cache outlives a killed process: this tests crash recovery, not power loss.
    const kills = context.goal('kill on tmpfs', 16) / 2
    await killRepeatedly(context, '/dev/shm', 'kill on tmpfs', kills)
    if (context.tier !== 'probe') await killRepeatedly(context, tmpdir(), 'kill on disk', kills)
    context.note('kill -9 shows crash recovery; only a power cut would test the disk')
  },
}

async function killRepeatedly(context: ScenarioContext, parent: string, fault: string, kills: number): Promise<void> {
  const folder = mkdtempSync(path.join(parent, 'chaos-'))
  // Postgres runs as a user of its own when this one is root.
  chmodSync(folder, 0o711)
  const stack = await startStack({ port: 0, dataDir: path.join(folder, 'stack'), restartOnCrash: false })
  context.cleanup(() => rmSync(folder, { recursive: true, force: true }))
  context.cleanup(() => stack.stop())
  const database = await context.openDatabase({ stack })
  const { accounts, history, stop } = await underLoad(context, database, 8)
  const recoveries: number[] = []
  for (let count = 0; count < kills; count += 1) {
    await sleep(context.random.between(20, 250))
    await killServer(stack)
    const start = performance.now()
    // The load goes to Postgres itself.
    await stack.database.start({ apis: false })
    recoveries.push(performance.now() - start)
    context.countFault(fault)
    context.countRuns()
  }
  await stop()
  // The median: a single slow start on a busy machine says nothing about recovery.
  const median = recoveries.toSorted((a, b) => a - b)[recoveries.length >> 1] ?? 0
  context.check(median < RECOVERY_MS, `the median recovery takes ${median.toFixed(0)} ms`)
  await compareWithHistory(context, database, history)
  for (const each of await database.findViolations()) context.violation(each.what, each.detail)
  await checkUsable(context, database.store(2), accounts)
  const { transactions, reservations } = history
  context.note(`${fault}: ${transactions.size} acknowledged transactions, ${reservations.size} reservations`)
  context.note(
    `${fault}: recovery ${median.toFixed(0)} ms (median), ${Math.max(...recoveries).toFixed(0)} ms (longest)`,
  )
}

interface Running {
  accounts: string[]
  history: TrafficHistory
  /** Lets every caller finish its last call. */
  stop(): Promise<void>
}

async function underLoad(
  context: ScenarioContext,
  database: TestDatabase,
  workers: number,
  durable: Record<string, string> = {},
): Promise<Running> {
  const accounts = await database.users(6, '1000')
  const history = newHistory()
  let stopped = false
  // The shared server commits asynchronously, which would itself lose commits when a session is killed.
  const store = database.store(workers, durable)
  const working = Array.from({ length: workers }, (_, worker) => {
    const random = context.random.fork(`worker ${worker}`)
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
      // It has ended already.
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
    // The command's name is in parentheses and may contain anything. The parent is the second number after it.
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1])
  } catch {
    return undefined
  }
}

/** B2: single sessions are ended or interrupted inside the functions. */
export const B2: Scenario = {
  id: 'B2',
  claim:
    'A database session that is terminated, cancelled or killed inside a function leaves all of a call or ' +
    'nothing.',
  faults: ['terminated', 'cancelled', 'killed'],
  run: async (context) => {
    const database = await context.openDatabase()
    const { accounts, history, stop } = await underLoad(context, database, 10, { synchronous_commit: 'on' })
    const interrupted = new Map<string, number>()
    const wanted = context.goal('terminated', 20)
    for (let count = 0; count < wanted; ) {
      await sleep(context.random.between(0, 20))
      const { rows } = await database.watcher.query<{ pid: number; query: string }>(
        `select pid, query from pg_stat_activity where datname = current_database() and state = 'active'
           and query like 'select public.credits_%' order by random() limit 1`,
      )
      const session = rows[0]
      if (!session) continue
      if (!(await interrupt(context, database, session.pid, count, wanted))) continue
      count += 1
      const name = /public\.(\w+)/.exec(session.query)?.[1] ?? ''
      interrupted.set(name, (interrupted.get(name) ?? 0) + 1)
      context.countRuns()
    }
    await stop()
    context.note([...interrupted].map(([name, times]) => `${name} ${times}`).join(', '))
    await compareWithHistory(context, database, history)
    await checkUsable(context, database.store(2), accounts)
  },
}

async function interrupt(
  context: ScenarioContext,
  database: TestDatabase,
  pid: number,
  count: number,
  wanted: number,
): Promise<boolean> {
  // A killed session makes the whole server recover, so this is rare.
  if (count > 0 && count % Math.ceil(wanted / 6) === 0) {
    process.kill(pid, 'SIGKILL')
    context.countFault('killed')
    await sleep(700)
    return true
  }
  const how = context.random.pick(['terminated', 'cancelled'] as const)
  const name = how === 'terminated' ? 'pg_terminate_backend' : 'pg_cancel_backend'
  const { rows } = await database.watcher.query<{ hit: boolean }>(`select ${name}($1) as hit`, [pid])
  if (!rows[0]?.hit) return false
  context.countFault(how)
  return true
}
