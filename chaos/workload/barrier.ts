import type pg from 'pg'
import type { Field } from '../runner/test-database.ts'
import { sleep } from './operations.ts'

// Half of reserve's lock_timeout, which would otherwise end the calls before they can race.
const LONGEST_HOLD_MS = 225
const STANDSTILL_MS = 100

/** What a barrier saw. */
export interface BarrierResult<Value> {
  values: Value[]
  /** How many calls stood waiting for a lock at once. */
  waiting: number
}

/**
 * Makes a race certain instead of likely: while a side session holds the table in SHARE mode, calls can read and
 * lock rows but none can write. All of them therefore decide on the same state, and then write together.
 *
 * @param calls the calls to fire; each must not throw
 */
export async function throughBarrier<Value>(
  field: Field,
  table: string,
  calls: readonly (() => Promise<Value>)[],
): Promise<BarrierResult<Value>> {
  const side = await field.watcher.connect()
  try {
    await side.query('begin')
    await side.query(`lock table ${table} in share mode`)
    let done = 0
    const running = calls.map(async (call) => {
      const value = await call()
      done += 1
      return value
    })
    const waiting = await gather(field.watcher, field.database.name, calls.length, () => done)
    await side.query('commit')
    return { values: await Promise.all(running), waiting }
  } finally {
    await side.query('rollback')
    side.release()
  }
}

async function gather(watcher: pg.Pool, database: string, calls: number, done: () => number): Promise<number> {
  const start = Date.now()
  let most = 0
  let changed = start
  for (;;) {
    const { rows } = await watcher.query<{ count: number }>(
      `select count(*)::int from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'`,
      [database],
    )
    const waiting = rows[0]?.count ?? 0
    if (waiting + done() > most) {
      most = waiting + done()
      changed = Date.now()
    }
    const standstill = Date.now() - changed > STANDSTILL_MS
    if (waiting + done() >= calls || standstill || Date.now() - start > LONGEST_HOLD_MS) return waiting
    await sleep(8)
  }
}
