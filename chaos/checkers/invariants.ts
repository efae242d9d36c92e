import pg from 'pg'
import type { Violation } from '../runner/scenario.ts'
import { ACCOUNT_INVARIANTS } from './accounts.ts'
import { numericColumns, outOfRange } from './columns.ts'
import { LEDGER_INVARIANTS, SERVER_INVARIANTS } from './ledger.ts'

/** A promise as a query: each row that it returns is a violation. */
export interface InvariantQuery {
  what: string
  sql: string
}

/** The ledger as it was the last time: `account/version` -> hash. */
export type SeenTransactions = Map<string, string>

const MOST_ROWS = 5

/**
 * Checks the invariants on the tables themselves, with formulas of its own: no function under test is called. It reads
 * one REPEATABLE READ snapshot over a connection of its own, so it can run while others write. README.md lists the
 * invariants.
 *
 * @param seen what the last check saw: every row of it must still be there, unchanged (I6)
 * @param quiet nothing else is running: then no transaction may be open and no lock may be waited for (I12)
 */
export async function findViolations(
  adminUrl: string,
  { seen, quiet = true }: { seen?: SeenTransactions; quiet?: boolean } = {},
): Promise<Violation[]> {
  const client = new pg.Client({ connectionString: adminUrl, application_name: 'invariants' })
  await client.connect()
  try {
    await client.query('begin isolation level repeatable read read only')
    const found: Violation[] = []
    for (const query of [...ACCOUNT_INVARIANTS, ...LEDGER_INVARIANTS])
      found.push(...(await violationsOf(client, query)))
    for (const column of await numericColumns(client)) {
      const what = `I11 ${column.name} contains a number out of range`
      found.push(...(await violationsOf(client, { what, sql: outOfRange(column) })))
    }
    if (seen) found.push(...(await compareWithSeen(client, seen)))
    await client.query('commit')
    if (quiet) for (const query of SERVER_INVARIANTS) found.push(...(await violationsOf(client, query)))
    return found
  } finally {
    await client.end()
  }
}

async function violationsOf(client: pg.Client, { what, sql }: InvariantQuery): Promise<Violation[]> {
  const { rows } = await client.query(`select * from (${sql}) finding limit ${MOST_ROWS}`)
  return rows.map((detail) => ({ what, detail }))
}

/** I6: the ledger as it was is a part of the ledger as it is. */
async function compareWithSeen(client: pg.Client, seen: SeenTransactions): Promise<Violation[]> {
  const { rows } = await client.query<{ key: string; hash: string }>(
    `select account_id || '/' || version as key, encode(hash, 'hex') as hash from public.credit_transactions`,
  )
  const now = new Map(rows.map(({ key, hash }) => [key, hash]))
  const lost = [...seen].filter(([key, hash]) => now.get(key) !== hash).slice(0, MOST_ROWS)
  for (const [key, hash] of now) seen.set(key, hash)
  return lost.map(([key]) => ({ what: 'I6 a transaction was changed or removed', detail: { key } }))
}
