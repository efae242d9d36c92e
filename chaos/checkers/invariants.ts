import pg from 'pg'
import type { Violation } from '../runner/scenario.ts'
import { numericColumns, outOfRange } from './columns.ts'
import { ACCOUNT_CHECKS, BOOK_CHECKS, SERVER_CHECKS } from './ledger.ts'

/** The ledger as it was seen the last time: `account/version` -> hash. */
export type Memory = Map<string, string>

const SHOWN = 5

/**
 * Checks the promises on the tables themselves, with formulas of its own: none of the functions under test is
 * called. One REPEATABLE READ snapshot, over a connection that nothing under test knows, so it can run while
 * others write.
 *
 * @param memory what the last check saw: every row of it must still be there, unchanged (I6)
 * @param quiet nobody else is at work: then no transaction may be left open and no lock awaited (I12)
 */
export async function assertInvariants(
  adminUrl: string,
  { memory, quiet = true }: { memory?: Memory; quiet?: boolean } = {},
): Promise<Violation[]> {
  const client = new pg.Client({ connectionString: adminUrl, application_name: 'invariants' })
  await client.connect()
  try {
    await client.query('begin isolation level repeatable read read only')
    const found: Violation[] = []
    for (const { what, sql } of [...ACCOUNT_CHECKS, ...BOOK_CHECKS]) found.push(...(await ask(client, what, sql)))
    for (const column of await numericColumns(client)) {
      found.push(...(await ask(client, `I11 ${column.name} holds a number out of range`, outOfRange(column))))
    }
    if (memory) found.push(...(await compare(client, memory)))
    await client.query('commit')
    if (quiet) for (const { what, sql } of SERVER_CHECKS) found.push(...(await ask(client, what, sql)))
    return found
  } finally {
    await client.end()
  }
}

async function ask(client: pg.Client, what: string, sql: string): Promise<Violation[]> {
  const { rows } = await client.query(`select * from (${sql}) finding limit ${SHOWN}`)
  return rows.map((detail) => ({ what, detail }))
}

/** I6: the ledger before is a part of the ledger now. */
async function compare(client: pg.Client, memory: Memory): Promise<Violation[]> {
  const { rows } = await client.query<{ key: string; hash: string }>(
    `select account_id || '/' || version as key, encode(hash, 'hex') as hash from public.credit_transactions`,
  )
  const now = new Map(rows.map(({ key, hash }) => [key, hash]))
  const lost = [...memory].filter(([key, hash]) => now.get(key) !== hash).slice(0, SHOWN)
  for (const [key, hash] of now) memory.set(key, hash)
  return lost.map(([key]) => ({ what: 'I6 a transaction was changed or removed', detail: { key } }))
}
