import pg from 'pg'
import type { Driver } from './driver.ts'
import { ACCOUNTS, PAIR } from './setup.ts'

/** The own time of each function in a pair, in microseconds, with one client alone. */
export async function profile(driver: Driver, dbUrl: string): Promise<string> {
  const client = new pg.Client({ connectionString: dbUrl })
  await client.connect()
  try {
    const name = new URL(dbUrl).pathname.slice(1)
    await client.query(`alter database ${name} set track_functions = 'all'`)
    const load = { dbUrl, clients: 1, seconds: 2, accounts: ACCOUNTS }
    const pairs = (await driver.drive(PAIR, load)) * load.seconds
    await client.query(`alter database ${name} reset track_functions`)
    // A backend reports its figures when it ends, a moment after its client has gone.
    await new Promise((resolve) => setTimeout(resolve, 1000))
    const { rows } = await client.query<{ funcname: string; self: number }>(
      `select funcname, self_time * 1000 as self from pg_stat_user_functions
       where schemaname in ($1, $2) order by self_time desc limit 7`,
      ['public', 'credits_private'],
    )
    return rows.map(({ funcname, self }) => `${funcname} ${Math.round(self / pairs)}`).join(', ')
  } finally {
    await client.end()
  }
}
