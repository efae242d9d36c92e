import { UNLOCKED_ACCOUNTS } from '../runner/broken-copies.ts'
import type { Arena, Attack } from '../runner/scenario.ts'
import type { Field } from '../runner/test-database.ts'
import { insist, sleep } from '../workload/operations.ts'
import type { Random } from '../workload/random.ts'
import { checkAlive, compareWithHistory, type History, type Moving, newHistory, traffic } from '../workload/traffic.ts'
import { letExpire } from './races/index.ts'

interface Load {
  workers: number
  /** Of each worker, or for how long they work. */
  operations: number | { milliseconds: number }
  accounts: number
  /** So many of the accounts at a time; all of them, unless told. */
  moving?: Moving | undefined
  settings?: Record<string, string>
  /** Called again and again while the workers work. */
  meanwhile?: (field: Field) => Promise<void>
}

/** Runs workers over shared accounts, then holds the books against what the workers were told. */
async function load(arena: Arena, field: Field, options: Load): Promise<History> {
  const { workers, moving } = options
  const accounts = await field.users(options.accounts, '100')
  const store = field.store(workers, options.settings)
  const history = newHistory()
  let working = true
  const watching = watch(() => working, field, options.meanwhile)
  const between = operating(field)
  const timed = typeof options.operations === 'object' ? Date.now() + options.operations.milliseconds : undefined
  const operations = typeof options.operations === 'object' ? Number.MAX_SAFE_INTEGER : options.operations
  const stopped = (): boolean => timed !== undefined && Date.now() > timed
  await Promise.all(
    Array.from({ length: workers }, (_, worker) => {
      const random = arena.random.fork(worker)
      return traffic({ store, accounts, moving, random, history, operations, stopped, between })
    }),
  )
  working = false
  await watching
  arena.ran(Object.values(history.results).reduce((total, count) => total + count, 0))
  await compareWithHistory(arena, field, history)
  await checkAlive(arena, store, accounts)
  return history
}

/** Looks again and again, but never for more than a fifth of the time: whoever looks takes it from those that work. */
async function watch(working: () => boolean, field: Field, look: Load['meanwhile']): Promise<void> {
  while (working()) {
    const start = Date.now()
    await look?.(field)
    await sleep(Math.max(100, 4 * (Date.now() - start)))
  }
}

/** What operators and schedulers do at the same time. */
function operating(field: Field): (userId: string, random: Random) => Promise<unknown> {
  const pool = field.pool(4)
  return (userId, random) => {
    const call = random.pick<[string, unknown[]]>([
      ['select public.credits_expire_due(100)', []],
      ['select public.credits_reconcile(true, 100)', []],
      ['select public.credits_set_margin($1, $2, $3)', ['feature', 'chaos', random.between(-50, 100)]],
      ['select public.credits_freeze_account($1, false)', [userId]],
      ['select public.credits_set_rates($1)', [JSON.stringify([rateOf(random.between(1, 1000))])]],
    ])
    return random.chance(0.3) ? insist(() => letExpire(field, userId)) : insist(() => pool.query(call[0], call[1]))
  }
}

/** A price of a model of ours, in millionths of a dollar. */
function rateOf(input: number): object {
  const pricing = { input: (input / 1e6).toFixed(6), output: '0.000002' }
  return { modelId: 'chaos/model', type: 'language', pricing, known: true, source: 'chaos' }
}

/** A6: who locks in another order than the rest. */
export const A6: Attack = {
  id: 'A6',
  claim: 'No mix of operations over four accounts deadlocks',
  faults: ['contention'],
  broken: [
    {
      name: 'a release locks the account before the reservation',
      edits: [
        {
          function: 'credits_private.lock_reservation',
          from: /select x\.\* into r from public\.credit_reservations x where x\.id = p_reservation_id for update;/,
          to: `select x.* into r from public.credit_reservations x where x.id = p_reservation_id;
            perform credits_private.lock_account(r.account_id);
            select x.* into r from public.credit_reservations x where x.id = p_reservation_id for update;`,
        },
      ],
    },
  ],
  run: async (arena) => {
    const field = await arena.open()
    await field.admin.query(`alter database ${field.database.name} set deadlock_timeout = '10ms'`)
    let contended = 0
    const meanwhile = async (): Promise<void> => {
      const { rows } = await field.watcher.query(
        `select count(*)::int as waiting from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      )
      contended += rows[0].waiting
    }
    const probe = arena.tier === 'probe'
    const milliseconds = 1000 * arena.goal('second')
    const operations = probe ? 60 : { milliseconds }
    const moving = { accounts: 4, every: 25 }
    const history = await load(arena, field, { workers: 30, operations, accounts: probe ? 4 : 160, moving, meanwhile })
    arena.note(JSON.stringify(history.results))
    arena.reached('second', Math.floor(milliseconds / 1000))
    arena.reached('contention', contended)
    // Counters arrive with a delay.
    await field.watcher.query('select pg_stat_force_next_flush(), pg_stat_clear_snapshot()')
    await sleep(1200)
    const { rows } = await field.watcher.query(
      'select deadlocks::int from pg_stat_database where datname = current_database()',
    )
    arena.check(rows[0].deadlocks === 0, `${rows[0].deadlocks} deadlocks`)
  },
}

/** A7: other isolation levels fail more often, but never worse. */
export const A7: Attack = {
  id: 'A7',
  claim: 'Under repeatable read and serializable, every failed call can be repeated whole, and the books still add up',
  faults: ['serialization failure'],
  run: async (arena) => {
    const seconds = arena.goal('second')
    const levels = ['repeatable\\ read', 'serializable'].map(async (level) => {
      const field = await arena.open()
      const counted = counting(field)
      const settings = { default_transaction_isolation: level }
      const moving = { accounts: 4, every: 25 }
      const operations = arena.tier === 'probe' ? 10 : { milliseconds: 1000 * seconds }
      await load(arena, field, { workers: 12, operations, accounts: 80, moving, settings })
      arena.reached('serialization failure', await counted())
    })
    await Promise.all(levels)
    arena.reached('second', seconds)
  },
}

/** Serialization failures are retried away before anybody sees them; the server counts the rollbacks. */
function counting(field: Field): () => Promise<number> {
  return async () => {
    await sleep(1200)
    const { rows } = await field.watcher.query(
      'select xact_rollback::int as rollbacks from pg_stat_database where datname = current_database()',
    )
    return rows[0].rollbacks
  }
}

/** A8: the bank. */
export const A8: Attack = {
  id: 'A8',
  long: true,
  claim: 'Sixteen workers, every operation: each snapshot adds up, and the end is what the callers were told',
  faults: ['snapshot'],
  broken: [
    UNLOCKED_ACCOUNTS,
    {
      name: 'a release keeps the credits',
      edits: [{ function: 'public.credits_release', from: 'p.b.reserved := (p.b).reserved - (p.r).held;', to: '' }],
    },
  ],
  run: async (arena) => {
    const field = await arena.open()
    const meanwhile = async (): Promise<void> => {
      for (const each of await field.invariants({ quiet: false })) arena.violation(each.what, each.detail)
      arena.reached('snapshot')
    }
    const probe = arena.tier === 'probe'
    const { results } = await load(arena, field, {
      workers: 16,
      operations: probe ? 60 : arena.goal('operation') / 16,
      accounts: probe ? 8 : 416,
      moving: { accounts: 8, every: 60 },
      meanwhile,
    })
    arena.reached(
      'operation',
      Object.values(results).reduce((total, count) => total + count, 0),
    )
    arena.note(JSON.stringify(results))
  },
}
