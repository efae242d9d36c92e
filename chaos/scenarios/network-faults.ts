import pg from 'pg'
import type { CreditStore } from '../../packages/credits/src/store/port.ts'
import { postgresStore } from '../../packages/credits/src/store/postgres.ts'
import { restStore } from '../runner/rest.ts'
import type { Arena, Attack } from '../runner/scenario.ts'
import type { Field } from '../runner/test-database.ts'
import { faultyProxy, replayingProxy, type WireProxy } from '../workload/proxy.ts'
import { checkAlive, compareWithHistory, newHistory, traffic } from '../workload/traffic.ts'

const WORKERS = 16
// Short, so that a stalled connection costs the attack half a second and not five.
const ATTEMPTS = 60
const PATIENCE = { timeoutMs: 400, retries: 2 }

/** B5: a network that loses, cuts, delays and drips. */
export const B5: Attack = {
  id: 'B5',
  claim: 'Cut, stalled, reset, half-closed and trickling connections on both hops lose nothing and double nothing',
  faults: ['cut', 'reset', 'half-close', 'stall', 'trickle'],
  run: async (arena) => {
    const direct = await arena.open()
    const toPostgres = await harmful(arena, Number(new URL(direct.database.dbUrl).port))
    const pool = through(direct, toPostgres)
    arena.cleanup(() => pool.end())
    const cuts = Math.ceil(arena.goal('cut', 40) / 2)
    await roughWeather(arena, direct, postgresStore(pool, PATIENCE), toPostgres, cuts)

    const served = await arena.open({ api: true })
    const toRest = await harmful(arena, Number(new URL(served.database.url).port))
    const store = restStore(arena.stack, `http://127.0.0.1:${toRest.port}`, PATIENCE)
    await roughWeather(arena, served, store, toRest, cuts)
  },
}

async function harmful(arena: Arena, targetPort: number): Promise<HarmfulProxy> {
  let cuts = 0
  const proxy = await faultyProxy({
    targetPort,
    random: arena.random.fork(`proxy ${targetPort}`),
    probability: 0.08,
    stallMs: 800,
    onFault: (fault) => {
      cuts += 1
      arena.reached(fault)
    },
  })
  arena.cleanup(() => proxy.close())
  return { ...proxy, cuts: () => cuts }
}

interface HarmfulProxy extends WireProxy {
  /** How often it has done harm. */
  cuts(): number
}

function through(field: Field, proxy: WireProxy): pg.Pool {
  const url = new URL(field.database.dbUrl)
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

async function roughWeather(
  arena: Arena,
  field: Field,
  store: CreditStore,
  proxy: HarmfulProxy,
  cuts: number,
): Promise<void> {
  const accounts = await field.users(6, '1000')
  const history = newHistory()
  const stopped = (): boolean => proxy.cuts() >= cuts
  const operations = Number.MAX_SAFE_INTEGER
  await Promise.all(
    Array.from({ length: WORKERS }, (_, worker) =>
      traffic({ store, accounts, random: arena.random.fork(worker), history, operations, stopped, attempts: ATTEMPTS }),
    ),
  )
  const { total, most } = history.attempts
  const operated = Object.values(history.results).reduce((sum, count) => sum + count, 0)
  arena.ran(operated)
  arena.note(`${operated} operations took ${total} calls, one of them ${most}`)
  arena.check(most < ATTEMPTS, `an operation was not over after ${most} calls`)
  proxy.calm()
  await compareWithHistory(arena, field, history)
  await checkAlive(arena, store, accounts)
}

/** B6: everything arrives, some of it twice and late. */
export const B6: Attack = {
  id: 'B6',
  long: true,
  claim: 'Requests that are delivered again, later and out of order, have one effect',
  faults: ['replay'],
  broken: [
    {
      name: 'a repeated capture is not recognised',
      sql: `create or replace function credits_private.find_transaction(p_id uuid) returns public.credit_transactions
        language sql stable set search_path = '' as 'select null::public.credit_transactions'`,
    },
  ],
  run: async (arena) => {
    const field = await arena.open({ api: true })
    const proxy = await replayingProxy({
      target: field.database.url,
      random: arena.random.fork('proxy'),
      probability: 0.1,
      withinMs: arena.count(60_000, 60_000, 500),
      onReplay: () => arena.reached('replay'),
    })
    arena.cleanup(() => proxy.close())
    const store = restStore(arena.stack, `http://127.0.0.1:${proxy.port}`)
    // So many that what the workers leave open stays far below the limit of open reservations.
    const accounts = await field.users(120, '1000')
    const history = newHistory()
    const replays = arena.goal('replay', 40)
    const moving = { accounts: 6, every: 60 }
    const stopped = (): boolean => proxy.planned() >= replays
    const operations = Number.MAX_SAFE_INTEGER
    await Promise.all(
      Array.from({ length: WORKERS }, (_, worker) =>
        traffic({ store, accounts, moving, random: arena.random.fork(worker), history, operations, stopped }),
      ),
    )
    await proxy.drained()
    arena.ran(Object.values(history.results).reduce((total, count) => total + count, 0))
    // Documented: what was refused may succeed when the very same call comes again after a top-up.
    for (const id of history.refused) history.unknown.add(id)
    await compareWithHistory(arena, field, history)
    await checkAlive(arena, field.store(2), accounts)
  },
}
