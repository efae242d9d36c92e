import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, signUp, stopDatabases, type TestDatabase } from '../kit/database.ts'
import { call, refusal, spend } from '../kit/functions.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(async () => {
  await database.close()
  await stopDatabases()
})

type Role = 'anon' | 'authenticated' | 'service_role'

/** Runs a query as a signed-in user, the way PostgREST does. */
async function as(role: Role | 'postgres', userId: string | null, sql: string, values: unknown[] = []) {
  const client = await database.admin.connect()
  try {
    await client.query('begin')
    const claims = JSON.stringify({ sub: userId, role, user_metadata: { role: 'admin' } })
    await client.query(`select set_config('request.jwt.claims', $1, true), set_config('role', $2, true)`, [
      claims,
      role,
    ])
    return await client.query(sql, values)
  } finally {
    await client.query('rollback')
    client.release()
  }
}

const setAdmin = (userId: string, isAdmin: boolean, actorId: string | null = null) =>
  call(database.service, 'credits_set_admin', {
    p_user_id: userId,
    p_is_admin: isAdmin,
    p_actor_id: actorId,
    p_reason: 'on duty',
  })

const seesMargins = async (userId: string) =>
  (await as('authenticated', userId, 'select * from public.margin_config')).rows.length > 0

describe('rows', () => {
  const OWN = [
    'credit_balances',
    'credit_balances_text',
    'credit_lots',
    'credit_lots_text',
    'credit_reservations',
    'credit_transactions',
    'credit_transactions_text',
  ]
  const ADMINS = [
    'credit_audit_log',
    'credit_charges',
    'credit_rates',
    'credit_settings',
    'credit_transaction_costs',
    'margin_audit_log',
    'margin_config',
  ]
  let ann: string
  let bob: string
  let admin: string

  beforeAll(async () => {
    ;[ann, bob, admin] = [await signUp(database.admin), await signUp(database.admin), await signUp(database.admin)]
    for (const user of [ann, bob]) await spend(database, user, 1.5)
    await setAdmin(admin, true)
    await call(database.service, 'credits_set_rates', {
      p_rates: JSON.stringify([{ modelId: 'a/b', type: 'language', pricing: { input: '0.1' }, source: 'test' }]),
    })
  })

  it('of a user are seen by that user alone; forged metadata makes no admin', async () => {
    for (const table of OWN) {
      const { rows } = await as('authenticated', ann, `select distinct account_id::text from public.${table}`)
      expect(rows, table).toEqual([{ account_id: ann }])
    }
    for (const table of [...ADMINS, 'credit_admins']) {
      expect((await as('authenticated', ann, `select * from public.${table}`)).rows, table).toEqual([])
    }
    expect((await as('authenticated', ann, 'select user_id::text from public.profiles')).rows).toEqual([
      { user_id: ann },
    ])
  })

  it('of all users are seen by an admin, costs included', async () => {
    for (const table of [...OWN, ...ADMINS, 'credit_admins']) {
      expect((await as('authenticated', admin, `select * from public.${table}`)).rows.length, table).toBeGreaterThan(0)
    }
    const { rows } = await as(
      'authenticated',
      admin,
      'select count(distinct account_id)::int as accounts from public.credit_transaction_costs',
    )
    expect(rows).toEqual([{ accounts: 2 }])
  })

  it('have no operator reason, cost or margin that their owner may read', async () => {
    for (const table of OWN) {
      const { fields } = await as('authenticated', ann, `select * from public.${table} limit 0`)
      expect(fields.map(({ name }) => name).filter((name) => /reason|cost|margin_p|provider|actor/.test(name))).toEqual(
        [],
      )
    }
  })

  it('are hidden from a visitor who is not signed in, but for the plans', async () => {
    for (const table of [...OWN, ...ADMINS, 'credit_admins', 'credit_session', 'profiles'])
      await expect(as('anon', null, `select * from public.${table}`), table).rejects.toThrow(/permission denied/)
    expect((await as('anon', null, 'select id from public.credit_plans')).rows.length).toBe(4)
  })

  it('of a profile can be renamed by its owner, who cannot change the role or the user', async () => {
    const rename = `update public.profiles set display_name = 'A' where user_id = $1`
    expect((await as('authenticated', ann, rename, [ann])).rowCount).toBe(1)
    expect((await as('authenticated', ann, rename, [bob])).rowCount).toBe(0)
    for (const change of [
      `update public.profiles set role = 'admin'`,
      `update public.profiles set user_id = '${bob}'`,
      `insert into public.profiles (user_id, role) values ('${crypto.randomUUID()}', 'admin')`,
      'delete from public.profiles',
    ]) {
      await expect(as('authenticated', ann, change), change).rejects.toThrow(/permission denied/)
    }
  })

  it('of a profile take an avatar at an https address alone', async () => {
    const set = (url: string) =>
      as('authenticated', ann, 'update public.profiles set avatar_url = $2 where user_id = $1', [ann, url])
    expect((await set('https://example.test/a.png')).rowCount).toBe(1)
    for (const url of ['javascript:alert(1)', 'http://example.test/a.png', 'https://', 'https://a b', '']) {
      await expect(set(url), url).rejects.toThrow(/profiles_avatar_url_check/)
    }
  })
})

describe('an admin', () => {
  it('of the credits loses the rights at once, while the token still lives; both changes are audited', async () => {
    const [actor, user] = [await signUp(database.admin), await signUp(database.admin)]
    for (const isAdmin of [true, false]) {
      expect(await setAdmin(user, isAdmin, actor)).toEqual({ userId: user, isAdmin, actorId: actor })
      expect(await seesMargins(user)).toBe(isAdmin)
      const { rows } = await as('authenticated', user, 'select * from public.credit_session')
      expect(rows).toEqual([{ user_id: user, is_admin: isAdmin }])
    }
    const audit = await database.admin.query(
      `select old ->> 'user_id' as old, new ->> 'user_id' as new, actor_id, actor_role, reason
       from public.credit_audit_log where action = 'admin' and subject = $1 order by id`,
      [user],
    )
    const by = { actor_id: actor, actor_role: 'service_role', reason: 'on duty' }
    expect(audit.rows).toEqual([
      { old: null, new: user, ...by },
      { old: user, new: null, ...by },
    ])
    await refusal(setAdmin(crypto.randomUUID(), true), 'ACCOUNT_NOT_FOUND')
  })

  it('of the app is one of the credits, and the audit of the role has no name', async () => {
    const user = await signUp(database.admin)
    await database.admin.query(
      `update public.profiles set display_name = 'Anna Berger', avatar_url = 'https://example.test/anna' where user_id = $1`,
      [user],
    )
    expect(await seesMargins(user)).toBe(false)
    await database.service.query(`update public.profiles set role = 'admin' where user_id = $1`, [user])
    expect(await seesMargins(user)).toBe(true)
    expect((await as('authenticated', user, 'select * from public.profiles')).rows.length).toBeGreaterThan(1)
    await database.service.query(`update public.profiles set role = 'user' where user_id = $1`, [user])
    expect(await seesMargins(user)).toBe(false)
    const audit = await database.admin.query(
      `select old, new, actor_role from public.credit_audit_log where action = 'role' and subject = $1 order by id`,
      [user],
    )
    expect(audit.rows).toEqual([
      { old: { role: 'user' }, new: { role: 'admin' }, actor_role: 'service_role' },
      { old: { role: 'admin' }, new: { role: 'user' }, actor_role: 'service_role' },
    ])
  })

  it('function must exist and answer with a boolean, and counts no more once the app has dropped it', async () => {
    const set = (name: string | null) =>
      database.admin.query('update public.credit_settings set admin_function = $1', [name])
    for (const name of ['public.nothing', 'auth.uid', `public.x(); drop table y`, 'is_admin', 'Public.is_admin']) {
      await expect(set(name), name).rejects.toThrow()
    }
    await database.admin.query(
      `create function public.all_admins() returns boolean language sql stable as 'select true'`,
    )
    await set('public.all_admins')
    const user = await signUp(database.admin)
    expect(await seesMargins(user)).toBe(true)
    await database.admin.query('drop function public.all_admins()')
    expect(await seesMargins(user)).toBe(false)
    await set('public.is_admin')
  })

  it('is no longer one once the user is deleted', async () => {
    const user = await signUp(database.admin)
    await setAdmin(user, true)
    await database.admin.query('delete from auth.users where id = $1', [user])
    const { rows } = await database.admin.query('select from public.credit_admins where user_id = $1', [user])
    expect(rows).toEqual([])
  })
})

describe('append-only tables', () => {
  const TABLES = [
    'credit_transactions',
    'credit_transaction_costs',
    'credit_rates',
    'margin_audit_log',
    'credit_audit_log',
  ]

  it('refuse every change, from the service role and from their owner, by statement, merge or truncate', async () => {
    for (const table of TABLES) {
      const key =
        { margin_audit_log: 'actor_id', credit_audit_log: 'actor_id', credit_rates: 'id' }[table] ?? 'account_id'
      const changes = [
        `update public.${table} set ${key} = ${key}`,
        `delete from public.${table}`,
        `truncate public.${table}`,
        `truncate public.${table} cascade`,
        `merge into public.${table} t using public.${table} s on true when matched then delete`,
      ]
      for (const change of changes) {
        await expect(as('service_role', null, change), change).rejects.toThrow(/permission denied/)
        await expect(as('postgres', null, change), change).rejects.toThrow(/append-only/)
      }
    }
  })

  it('have no personal data of a deleted user', async () => {
    const email = 'personal.data@example.test'
    const user = await signUp(database.admin, { email })
    await database.admin.query(`update public.profiles set display_name = 'Personal Name' where user_id = $1`, [user])
    await setAdmin(user, true)
    await database.service.query(`update public.profiles set role = 'admin' where user_id = $1`, [user])
    await database.admin.query('delete from auth.users where id = $1', [user])
    for (const table of TABLES) {
      const { rows } = await database.admin.query(
        `select count(*)::int as found from public.${table} t where lower(t::text) ~ 'personal.(data|name)'`,
      )
      expect(rows, table).toEqual([{ found: 0 }])
    }
  })
})
