import type { TestDatabase } from '../runner/test-database.ts'
import { sleep } from './operations.ts'

/**
 * Makes the server look for deadlocks at once. By default it waits a second, and the lock_timeout of the functions
 * ends a deadlock before that. For connections that are opened afterwards.
 */
export async function detectDeadlocks({ admin, clone }: TestDatabase): Promise<void> {
  await admin.query(`alter database ${clone.name} set deadlock_timeout = '10ms'`)
}

/** How many deadlocks the server has found in this database. */
export async function countDeadlocks({ watcher }: TestDatabase): Promise<number> {
  // The server updates its counters with a delay.
  await watcher.query('select pg_stat_force_next_flush(), pg_stat_clear_snapshot()')
  await sleep(1200)
  const { rows } = await watcher.query<{ deadlocks: number }>(
    'select deadlocks::int from pg_stat_database where datname = current_database()',
  )
  return rows[0]?.deadlocks ?? 0
}
