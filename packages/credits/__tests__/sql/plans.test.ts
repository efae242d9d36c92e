import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, stopDatabases, type TestDatabase } from '../kit/database.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(async () => {
  await database.close()
  await stopDatabases()
})

const LOOKUPS: readonly [name: string, sql: string, index: string][] = [
  ['a reservation by its id', 'credit_reservations where account_id = $1 and id = $2', 'credit_reservations_pkey'],
  [
    'a transaction by its id',
    'credit_transactions where account_id = $1 and id = $2',
    'credit_transactions_account_id_id_key',
  ],
  ['a lot by its id', 'credit_lots where account_id = $1 and id = $2', 'credit_lots_pkey'],
]
const BY_VERSION = 'credit_transactions where account_id = $1 and version = $2'
const OVERDUE = `credit_reservations where account_id = $1 and state = 'active' and expires_at > $2
  and expires_at <= $3 and expires_at > '-infinity'`

async function planOf(sql: string): Promise<string> {
  const { rows } = await database.admin.query(`explain (generic_plan) select * from public.${sql}`)
  return rows.map((row) => row['QUERY PLAN']).join('\n')
}

async function expectKeys(): Promise<void> {
  for (const [name, sql, index] of LOOKUPS) {
    const plan = await planOf(sql)
    expect(plan, name).toContain(index)
    expect(plan, name).not.toContain('Filter')
  }
  expect(await planOf(OVERDUE)).toContain('credit_reservations_account_id_expires_at_idx')
}

/** 20,000 rows: one account has a tenth of them, all others have one. */
async function fill(): Promise<void> {
  const accounts = `select n, case when n % 10 = 0 then '00000000-0000-4000-8000-000000000000'::uuid
    else gen_random_uuid() end as account from generate_series(1, 20000) n`
  await database.admin.query(
    `begin; set local session_replication_role = replica;
     insert into public.credit_reservations (account_id, id, user_id, reserved, requested, minimum, expires_at)
     select account, gen_random_uuid(), account, 0, 0, 0, now() + interval '1 hour' from (${accounts}) x;
     insert into public.credit_transactions
       (account_id, version, id, user_id, type, amount, balance_after, text_hash, created_at, hash)
     select account, n, gen_random_uuid(), account, 'usage', 0, 0, '', now(), '' from (${accounts}) x;
     commit`,
  )
  await database.admin.query('analyze public.credit_reservations')
  await database.admin.query('analyze public.credit_transactions')
}

describe('the plans of lookups in an account', () => {
  it('use the key on a new database, of which the planner knows nothing', expectKeys)

  it('use the key when one account has a thousand times as many rows as the others', async () => {
    await fill()
    await expectKeys()
    const byVersion = await planOf(BY_VERSION)
    expect(byVersion).toContain('credit_transactions_pkey')
    expect(byVersion).not.toContain('Filter')
  })
})
