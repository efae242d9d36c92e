import { type BrokenCopy, UNLOCKED_ACCOUNTS } from '../runner/broken-copy.ts'
import type { Scenario, ScenarioContext } from '../runner/scenario.ts'
import type { TestDatabase } from '../runner/test-database.ts'
import { checkUsable, compareWithHistory, newHistory, type TrafficHistory } from '../workload/history.ts'
import { retryUntilAnswered, sleep } from '../workload/operations.ts'
import type { Random } from '../workload/random.ts'
import { type AccountWindow, traffic } from '../workload/traffic.ts'
import { expireReservations } from './races/race.ts'

/** Every other operation locks the reservation first. */
const RELEASE_LOCKS_ACCOUNT_FIRST: BrokenCopy = {
  name: 'a release locks the account before the reservation',
  sql: `alter function public.credits_release(uuid, uuid) rename to credits_release_in_order;
    create function public.credits_release(p_account_id uuid, p_reservation_id uuid)
    returns jsonb language plpgsql security definer set search_path = '' set lock_timeout = '800ms' as $$
    begin
      perform credits_private.lock_account(p_account_id);
      return public.credits_release_in_order(p_account_id, p_reservation_id);
    end $$;
    grant execute on function public.credits_release to service_role`,
}

const RELEASE_RETURNS_NOTHING: BrokenCopy = {
  name: 'a closed reservation keeps its credits',
  sql: `create or replace function credits_private.return_reserved(
      account public.credit_balances, reservation public.credit_reservations)
    returns public.credit_balances language sql immutable set search_path = '' as $$ select account $$`,
}

interface LoadOptions {
  callers: number
  /** Operations of each caller, or how long the callers work. */
  operations: number | { milliseconds: number }
  accounts: number
  /** Which accounts are used at a time. Default: all. */
  window?: AccountWindow | undefined
  settings?: Record<string, string>
  /** Called repeatedly while the callers work. */
  meanwhile?: (database: TestDatabase) => Promise<void>
}

/** Runs callers over shared accounts, then compares the ledger with what was answered to the callers. */
async function load(context: ScenarioContext, database: TestDatabase, options: LoadOptions): Promise<TrafficHistory> {
  const { callers, window } = options
  const accounts = await database.users(options.accounts, '100')
  const store = database.store(callers, options.settings)
  const history = newHistory()
  let working = true
  const repeating = repeatWhile(() => working, database, options.meanwhile)
  const between = operatorCalls(database)
  const timed = typeof options.operations === 'object' ? Date.now() + options.operations.milliseconds : undefined
  const operations = typeof options.operations === 'object' ? Number.MAX_SAFE_INTEGER : options.operations
  const stopped = (): boolean => timed !== undefined && Date.now() > timed
  await Promise.all(
    Array.from({ length: callers }, (_, caller) => {
      const random = context.random.fork(caller)
      return traffic({ store, accounts, window, random, history, operations, stopped, between })
    }),
  )
  working = false
  await repeating
  context.countRuns(Object.values(history.results).reduce((total, count) => total + count, 0))
  await compareWithHistory(context, database, history)
  await checkUsable(context, store, accounts)
  return history
}

/** Calls it repeatedly, for at most a fifth of the time: it takes processor time from the callers. */
async function repeatWhile(
  working: () => boolean,
  database: TestDatabase,
  call: LoadOptions['meanwhile'],
): Promise<void> {
  while (working()) {
    const start = Date.now()
    await call?.(database)
    await sleep(Math.max(100, 4 * (Date.now() - start)))
  }
}

/** What operators and schedulers do meanwhile. */
function operatorCalls(database: TestDatabase): (userId: string, random: Random) => Promise<unknown> {
  const pool = database.pool(4)
  return (userId, random) => {
    const call = random.pick<[string, unknown[]]>([
      ['select public.credits_expire_due(100)', []],
      ['select public.credits_reconcile(true, 100)', []],
      ['select public.credits_set_margin($1, $2, $3)', ['feature', 'chaos', random.between(-50, 100)]],
      ['select public.credits_freeze_account($1, false)', [userId]],
      ['select public.credits_set_rates($1)', [JSON.stringify([rateOf(random.between(1, 1000))])]],
    ])
    return random.chance(0.3)
      ? retryUntilAnswered(() => expireReservations(database, userId))
      : retryUntilAnswered(() => pool.query(call[0], call[1]))
  }
}

/** A rate of a model of its own, in millionths of a dollar. */
function rateOf(input: number): object {
  const pricing = { input: (input / 1e6).toFixed(6), output: '0.000002' }
  return { modelId: 'chaos/model', type: 'language', pricing, known: true, source: 'chaos' }
}

/** A6: locks in another order. */
export const A6: Scenario = {
  id: 'A6',
  claim: 'Thirty callers that mix all operations over four accounts never deadlock.',
  faults: ['contention'],
  broken: [RELEASE_LOCKS_ACCOUNT_FIRST],
  run: async (context) => {
    const database = await context.openDatabase()
    await database.admin.query(`alter database ${database.clone.name} set deadlock_timeout = '10ms'`)
    let contended = 0
    const meanwhile = async (): Promise<void> => {
      const { rows } = await database.watcher.query(
        `select count(*)::int as waiting from pg_stat_activity where datname = current_database()
          and wait_event_type = 'Lock'`,
      )
      contended += rows[0].waiting
    }
    const probe = context.tier === 'probe'
    const milliseconds = 1000 * context.goal('second')
    const operations = probe ? 60 : { milliseconds }
    const window = { accounts: 4, calls: 25 }
    const history = await load(context, database, {
      callers: 30,
      operations,
      accounts: probe ? 4 : 160,
      window,
      meanwhile,
    })
    context.note(JSON.stringify(history.results))
    context.countFault('second', Math.floor(milliseconds / 1000))
    context.countFault('contention', contended)
    // The server updates its counters with a delay.
    await database.watcher.query('select pg_stat_force_next_flush(), pg_stat_clear_snapshot()')
    await sleep(1200)
    const { rows } = await database.watcher.query(
      'select deadlocks::int from pg_stat_database where datname = current_database()',
    )
    context.check(rows[0].deadlocks === 0, `${rows[0].deadlocks} deadlocks`)
  },
}

/** A7: other isolation levels fail more often, and are repeated. */
export const A7: Scenario = {
  id: 'A7',
  claim:
    'Under repeatable read and serializable, every failed call can be repeated, and the ledger adds up ' +
    'afterwards.',
  faults: ['serialization failure'],
  run: async (context) => {
    const seconds = context.goal('second')
    const levels = ['repeatable\\ read', 'serializable'].map(async (level) => {
      const database = await context.openDatabase()
      const counted = counting(database)
      const settings = { default_transaction_isolation: level }
      const window = { accounts: 4, calls: 25 }
      const operations = context.tier === 'probe' ? 10 : { milliseconds: 1000 * seconds }
      await load(context, database, { callers: 12, operations, accounts: 80, window, settings })
      context.countFault('serialization failure', await counted())
    })
    await Promise.all(levels)
    context.countFault('second', seconds)
  },
}

/** The store repeats serialization failures; the server counts their rollbacks. */
function counting(database: TestDatabase): () => Promise<number> {
  return async () => {
    await sleep(1200)
    const { rows } = await database.watcher.query(
      'select xact_rollback::int as rollbacks from pg_stat_database where datname = current_database()',
    )
    return rows[0].rollbacks
  }
}

/** A8: everything at once. */
export const A8: Scenario = {
  id: 'A8',
  long: true,
  claim:
    'While sixteen callers mix all operations, every snapshot adds up, and the ledger ends as it was answered to ' +
    'them.',
  faults: ['snapshot'],
  broken: [UNLOCKED_ACCOUNTS, RELEASE_RETURNS_NOTHING],
  run: async (context) => {
    const database = await context.openDatabase()
    const meanwhile = async (): Promise<void> => {
      for (const each of await database.findViolations({ quiet: false })) context.violation(each.what, each.detail)
      context.countFault('snapshot')
    }
    const probe = context.tier === 'probe'
    const { results } = await load(context, database, {
      callers: 16,
      operations: probe ? 60 : context.goal('operation') / 16,
      accounts: probe ? 8 : 416,
      window: { accounts: 8, calls: 60 },
      meanwhile,
    })
    context.countFault(
      'operation',
      Object.values(results).reduce((total, count) => total + count, 0),
    )
    context.note(JSON.stringify(results))
  },
}
