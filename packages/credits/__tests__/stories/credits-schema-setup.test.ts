import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestStack, type TestStack } from '../kit/stack.ts'

const SIX = [
  'credit_balances',
  'credit_rates',
  'credit_reservations',
  'credit_transactions',
  'margin_audit_log',
  'margin_config',
]

describe('credits-schema-setup', () => {
  let test: TestStack
  beforeAll(async () => {
    test = await createTestStack()
  })
  afterAll(() => test?.stop())

  it('the six tables exist with proper types and named constraints', async () => {
    const tables = await test.sql<{ name: string }>(
      `select table_name as name from information_schema.tables where table_schema = 'public' and table_name = any($1) order by 1`,
      [SIX],
    )
    expect(tables.map(({ name }) => name)).toEqual(SIX)
    const loose = await test.sql(
      `select table_name, column_name, data_type from information_schema.columns
       where table_schema = 'public' and table_name = any($1)
         and (data_type in ('real', 'double precision', 'money', 'timestamp without time zone')
              or (data_type = 'numeric' and numeric_precision is null))`,
      [SIX],
    )
    expect(loose).toEqual([])
    // What Postgres names by itself ends in a bare number when there are several; ours say what they guard.
    const unnamed = await test.sql(
      `select conname from pg_constraint c join pg_class t on t.oid = c.conrelid
       where t.relname = any($1) and contype in ('c', 'u', 'p', 'f') and (conname ~ '_check\\d+$' or conname not like t.relname || '%')`,
      [SIX],
    )
    expect(unnamed).toEqual([])
  })

  it('rows that live and die with the user reference auth.users; the ledger outlives the user', async () => {
    const keys = await test.sql<{ relname: string }>(
      `select t.relname from pg_constraint c join pg_class t on t.oid = c.conrelid
       where c.contype = 'f' and c.confrelid = 'auth.users'::regclass order by 1`,
    )
    const names = keys.map(({ relname }) => relname)
    expect(names).toEqual(expect.arrayContaining(['credit_balances', 'profiles']))
    expect(names).not.toContain('credit_transactions')
    const [comment] = await test.sql<{ text: string }>(
      `select obj_description('public.credit_transactions'::regclass) as text`,
    )
    expect(comment?.text).toMatch(/outlives the user/)

    const { id } = await test.createUser()
    const { error } = await test.service.auth.admin.deleteUser(id)
    expect(error).toBeNull()
    const rows = await test.sql('select type, source from public.credit_transactions where account_id = $1', [id])
    expect(rows).toEqual([{ type: 'grant', source: 'signup' }])
  })

  it("each user's history has an index that the history page uses", async () => {
    const { id } = await test.createUser()
    const plan = await test.sql<{ 'QUERY PLAN': string }>(
      `explain select * from public.credit_transactions where account_id = $1 order by version desc limit 50`,
      [id],
    )
    const text = plan.map((row) => row['QUERY PLAN']).join('\n')
    expect(text).toMatch(/Index Scan Backward using credit_transactions_pkey/)
    expect(text).not.toMatch(/Sort|Bitmap|Seq Scan/)
  })

  it('RLS is on for every table: users see their own rows, admins all, nobody but the functions writes', async () => {
    const open = await test.sql(
      `select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' and not relrowsecurity`,
    )
    expect(open).toEqual([])
    const [ann, bob, admin] = [await test.createUser(), await test.createUser(), await test.createAdmin()]
    for (const table of ['credit_balances', 'credit_transactions']) {
      const own = await ann.client.from(table).select('account_id')
      expect([...new Set(own.data?.map((row) => row.account_id))]).toEqual([ann.id])
      const all = await admin.client.from(table).select('account_id')
      expect(all.data?.map((row) => row.account_id)).toEqual(expect.arrayContaining([ann.id, bob.id, admin.id]))
    }
    const writable = await test.sql(
      `select grantee, table_name, privilege_type from information_schema.role_table_grants
       where table_schema = 'public' and grantee in ('anon', 'authenticated', 'service_role')
         and privilege_type in ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')`,
    )
    expect(writable).toEqual([])
    const refused = await ann.client.from('credit_balances').update({ plan_credits: 1000 }).eq('account_id', ann.id)
    expect(refused.error?.code).toBe('42501')
    const called = await ann.client.rpc('credits_grant', {
      p_account_id: ann.id,
      p_amount: '1000',
      p_source: 'promo',
      p_bucket: 'add-on',
      p_transaction_id: ann.id,
    })
    expect(called.error?.code).toBe('42501')
  })

  it('a balance row appears on signup', async () => {
    const { id, client } = await test.createUser()
    const { data } = await client.from('credit_balances').select('account_id, plan_id, credits:plan_credits::text')
    expect(data).toEqual([{ account_id: id, plan_id: 'free', credits: '50.000000' }])
  })
})
