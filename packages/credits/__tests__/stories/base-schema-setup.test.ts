import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestStack, type TestStack } from '../kit/stack.ts'

describe('base-schema-setup', () => {
  let test: TestStack
  beforeAll(async () => {
    test = await createTestStack()
  })
  afterAll(() => test?.stop())

  it('a profile that references auth.users appears on signup', async () => {
    const { id } = await test.createUser()
    const rows = await test.sql('select user_id, role from public.profiles where user_id = $1', [id])
    expect(rows).toEqual([{ user_id: id, role: 'user' }])
    const keys = await test.sql<{ confrelid: string }>(
      `select confrelid::regclass::text from pg_constraint where conrelid = 'public.profiles'::regclass and contype = 'f'`,
    )
    expect(keys).toEqual([{ confrelid: 'auth.users' }])
  })

  it('a user reads and updates only their own profile', async () => {
    const [ann, bob] = [await test.createUser(), await test.createUser()]
    const seen = await ann.client.from('profiles').select('user_id')
    expect(seen.data).toEqual([{ user_id: ann.id }])
    const own = await ann.client
      .from('profiles')
      .update({ display_name: 'Ann' })
      .eq('user_id', ann.id)
      .select('display_name')
    expect(own.data).toEqual([{ display_name: 'Ann' }])
    const foreign = await ann.client
      .from('profiles')
      .update({ display_name: 'Eve' })
      .eq('user_id', bob.id)
      .select('user_id')
    expect(foreign.data).toEqual([])
    const rows = await test.sql('select display_name from public.profiles where user_id = $1', [bob.id])
    expect(rows).toEqual([{ display_name: null }])
  })

  it('a user can never change their own role', async () => {
    const { id, client } = await test.createUser()
    const attempts = [
      await client.from('profiles').update({ role: 'admin' }).eq('user_id', id),
      await client.from('profiles').upsert({ user_id: id, role: 'admin' }),
      await client.from('profiles').delete().eq('user_id', id),
      await client.rpc('credits_set_admin', { p_user_id: id, p_is_admin: true }),
      await client.auth.updateUser({ data: { role: 'admin' } }),
    ]
    expect(attempts.slice(0, 4).map(({ error }) => error?.code)).toEqual(['42501', '42501', '42501', '42501'])
    const rows = await test.sql('select role from public.profiles where user_id = $1', [id])
    expect(rows).toEqual([{ role: 'user' }])
    const { data } = await client.from('margin_config').select('id')
    expect(data).toEqual([])
  })

  it('every policy that needs it asks the one admin check function', async () => {
    const policies = await test.sql<{ tablename: string; policyname: string; qual: string }>(
      `select tablename, policyname, qual from pg_policies where schemaname = 'public' order by 1, 2`,
    )
    const others = policies.filter(({ qual }) => /role|admin/i.test(qual) && !qual.includes('is_admin()'))
    expect(others).toEqual([])
    const asking = policies.filter(({ qual }) => qual.includes('is_admin()')).map((p) => p.tablename)
    expect(asking).toEqual(
      expect.arrayContaining(['profiles', 'credit_balances', 'credit_transactions', 'margin_config']),
    )
    const admin = await test.createAdmin()
    const { data } = await admin.client.from('profiles').select('user_id')
    expect(data?.length).toBeGreaterThan(1)
  })
})
