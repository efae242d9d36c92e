import pg from 'pg'
import type { CreditStore } from '../../packages/credits/src/store/port.ts'
import { postgresStore } from '../../packages/credits/src/store/postgres.ts'
import { restStore } from '../runner/rest.ts'
import type { Scenario, ScenarioContext } from '../runner/scenario.ts'
import type { TestDatabase } from '../runner/test-database.ts'
import { checkUsable, compareWithHistory, newHistory } from '../workload/history.ts'
import { faultyProxy, replayingProxy, type WireProxy } from '../workload/proxy.ts'
import { traffic } from '../workload/traffic.ts'

const WORKERS = 16
// Short, so that a stalled connection costs half a second and not five.
const ATTEMPTS = 60
const RETRIES = { timeoutMs: 400, retries: 2 }

/** B5: a network that loses, cuts, delays and slows down. */
export const B5: Scenario = {
  id: 'B5',
  claim:
    'Connections to Postgres and to PostgREST that are cut, stalled, reset, half-closed or slowed down lose no ' +
    'call and repeat no effect.',
  faults: ['cut', 'reset', 'half-close', 'stall', 'trickle'],
  run: async (context) => {
    const direct = await context.openDatabase()
    const toPostgres = await injectFaults(context, Number(new URL(direct.clone.dbUrl).port))
    const pool = through(direct, toPostgres)
    context.cleanup(() => pool.end())
    const cuts = Math.ceil(context.goal('cut', 40) / 2)
    await runTraffic(context, direct, postgresStore(pool, RETRIES), toPostgres, cuts)

    const served = await context.openDatabase({ api: true })
    const toRest = await injectFaults(context, Number(new URL(served.clone.url).port))
    const store = restStore(context.stack, `http://127.0.0.1:${toRest.port}`, RETRIES)
    await runTraffic(context, served, store, toRest, cuts)
  },
}

async function injectFaults(context: ScenarioContext, targetPort: number): Promise<CountingProxy> {
  let cuts = 0
  const proxy = await faultyProxy({
    targetPort,
    random: context.random.fork(`proxy ${targetPort}`),
    probability: 0.08,
    stallMs: 800,
    onFault: (fault) => {
      cuts += 1
      context.countFault(fault)
    },
  })
  context.cleanup(() => proxy.close())
  return { ...proxy, cuts: () => cuts }
}

interface CountingProxy extends WireProxy {
  /** How many faults it has injected. */
  cuts(): number
}

function through(database: TestDatabase, proxy: WireProxy): pg.Pool {
  const url = new URL(database.clone.dbUrl)
  url.port = String(proxy.port)
  const pool = new pg.Pool({
    connectionString: url.href,
    max: WORKERS * 3,
    options: '-c role=service_role',
    connectionTimeoutMillis: 2000,
  })
  pool.on('error', () => undefined)
  return pool
}

async function runTraffic(
  context: ScenarioContext,
  database: TestDatabase,
  store: CreditStore,
  proxy: CountingProxy,
  cuts: number,
): Promise<void> {
  const accounts = await database.users(6, '1000')
  const history = newHistory()
  const stopped = (): boolean => proxy.cuts() >= cuts
  const operations = Number.MAX_SAFE_INTEGER
  await Promise.all(
    Array.from({ length: WORKERS }, (_, worker) =>
      traffic({
        store,
        accounts,
        random: context.random.fork(worker),
        history,
        operations,
        stopped,
        attempts: ATTEMPTS,
      }),
    ),
  )
  const { total, most } = history.attempts
  const operated = Object.values(history.results).reduce((sum, count) => sum + count, 0)
  context.countRuns(operated)
  context.note(`${operated} operations took ${total} calls, one of them ${most}`)
  context.check(most < ATTEMPTS, `an operation had no answer after ${most} calls`)
  proxy.stopFaults()
  await compareWithHistory(context, database, history)
  await checkUsable(context, store, accounts)
}

/** B6: a network that delivers some requests twice, and late. */
export const B6: Scenario = {
  id: 'B6',
  long: true,
  claim: 'Requests that are delivered twice, later and out of order, have one effect.',
  faults: ['replay'],
  broken: [{ name: 'a repeated extension extends again', guards: ['extend-once'] }],
  run: async (context) => {
    const database = await context.openDatabase({ api: true })
    const proxy = await replayingProxy({
      target: database.clone.url,
      random: context.random.fork('proxy'),
      probability: 0.1,
      withinMs: context.byTier(60_000, 60_000, 500),
      onReplay: () => context.countFault('replay'),
    })
    context.cleanup(() => proxy.close())
    const store = restStore(context.stack, `http://127.0.0.1:${proxy.port}`)
    // So many accounts that their open reservations stay far below the limit.
    const accounts = await database.users(120, '1000')
    const history = newHistory()
    const replays = context.goal('replay', 40)
    const window = { accounts: 6, calls: 60 }
    const stopped = (): boolean => proxy.planned() >= replays
    const operations = Number.MAX_SAFE_INTEGER
    await Promise.all(
      Array.from({ length: WORKERS }, (_, worker) =>
        traffic({ store, accounts, window, random: context.random.fork(worker), history, operations, stopped }),
      ),
    )
    await proxy.drained()
    context.countRuns(Object.values(history.results).reduce((total, count) => total + count, 0))
    // As documented, a refused call may succeed when it is repeated after a top-up.
    for (const id of history.refused) history.unknown.add(id)
    await compareWithHistory(context, database, history)
    await checkUsable(context, database.store(2), accounts)
  },
}
