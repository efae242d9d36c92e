import type pg from 'pg'
import type { TestDatabase } from '../runner/test-database.ts'
import { sleep } from './operations.ts'

// Half of reserve's lock_timeout, which would otherwise end the calls before they can race.
const LONGEST_BARRIER_MS = 225
const NO_CHANGE_MS = 100

/** What came of the calls behind a barrier. */
export interface BarrierResult<Value> {
  values: Value[]
  /** How many calls waited for a lock at the same time. */
  waiting: number
}

/**
 * Makes a race certain instead of likely: while a session of its own has the table locked in SHARE mode, calls can read
 * and lock rows, but none can write. So all of them decide on the same state, and then write together.
 *
 * @param calls none of them may throw
 */
export async function throughBarrier<Value>(
  database: TestDatabase,
  table: string,
  calls: readonly (() => Promise<Value>)[],
): Promise<BarrierResult<Value>> {
  const blocker = await database.watcher.connect()
  try {
    await blocker.query('begin')
    await blocker.query(`lock table ${table} in share mode`)
    let done = 0
    const running = calls.map(async (call) => {
      const value = await call()
      done += 1
      return value
    })
    const waiting = await waitUntilBlocked(database.watcher, database.clone.name, calls.length, () => done)
    await blocker.query('commit')
    return { values: await Promise.all(running), waiting }
  } finally {
    await blocker.query('rollback')
    blocker.release()
  }
}

async function waitUntilBlocked(
  watcher: pg.Pool,
  database: string,
  calls: number,
  done: () => number,
): Promise<number> {
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
    const unchanged = Date.now() - changed > NO_CHANGE_MS
    if (waiting + done() >= calls || unchanged || Date.now() - start > LONGEST_BARRIER_MS) return waiting
    await sleep(8)
  }
}
