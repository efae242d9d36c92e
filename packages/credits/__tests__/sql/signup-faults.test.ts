import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, signUp, stopDatabases, type TestDatabase } from '../kit/database.ts'
import { balanceOf, call, reserve } from '../kit/functions.ts'
import { assertInvariants } from '../kit/invariants.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase()
})
afterEach(() => assertInvariants(database.admin))
afterAll(async () => {
  await database.close()
  await stopDatabases()
})

const accounts = async (userId: string) =>
  (await database.admin.query('select * from public.credit_balances where account_id = $1', [userId])).rows

const available = async (userId: string) => (await balanceOf(database, userId)).available

describe('a fault in the credits schema', () => {
  const FAULTS: Record<string, [breakIt: string, repair: string]> = {
    'the table of accounts is missing': [
      'alter table public.credit_balances rename to elsewhere',
      'alter table public.elsewhere rename to credit_balances',
    ],
    'the ledger refuses every row': [
      'alter table public.credit_transactions add constraint refuse check (false) not valid',
      'alter table public.credit_transactions drop constraint refuse',
    ],
    'the function that opens accounts is missing': [
      'alter function credits_private.open_account_of(auth.users) rename to elsewhere',
      'alter function credits_private.elsewhere(auth.users) rename to open_account_of',
    ],
    'the settings are missing': [
      'create table public.kept as table public.credit_settings; delete from public.credit_settings',
      'insert into public.credit_settings select * from public.kept; drop table public.kept',
    ],
  }

  it.each(Object.entries(FAULTS))(
    'never fails a signup, and is healed exactly once: %s',
    async (_, [fault, repair]) => {
      await database.admin.query(fault)
      const userId = await signUp(database.admin)
      await database.admin.query(repair)
      const healed = await call(database.service, 'credits_reconcile', { p_apply: true })
      expect(healed).toMatchObject({ applied: true, signupGrants: 1, accountsFailed: 0 })
      expect(await accounts(userId)).toMatchObject([{ user_id: userId, version: '1' }])
      expect(await available(userId)).toBe('50')
      expect(await call(database.service, 'credits_reconcile')).toMatchObject({ accountsToOpen: [] })
    },
  )

  it('is healed by the first use of the account as well', async () => {
    await database.admin.query('alter table public.credit_balances rename to elsewhere')
    const userId = await signUp(database.admin)
    await database.admin.query('alter table public.elsewhere rename to credit_balances')
    expect(await accounts(userId)).toEqual([])
    await reserve(database, userId, 50)
  })

  it('is not made by a profile of the app that cannot be written', async () => {
    await database.admin.query('alter table public.profiles rename to elsewhere')
    const userId = await signUp(database.admin)
    expect(await accounts(userId)).toHaveLength(1)
    await database.admin.query('alter table public.elsewhere rename to profiles')
  })
})

describe('locks', () => {
  const TABLES = [
    'public.credit_balances',
    'public.credit_lots',
    'public.credit_transactions',
    'public.credit_settings',
    'public.credit_plans',
    'public.profiles',
    'credits_private.signup_claims',
    'credits_private.secrets',
  ]

  it.each(TABLES)('on %s neither stop nor delay a signup, and the grant is made up for', async (table) => {
    const blocker = await database.admin.connect()
    await blocker.query(`begin; lock table ${table} in access exclusive mode`)
    const started = performance.now()
    const userId = await signUp(database.admin)
    expect(performance.now() - started).toBeLessThan(400)
    await blocker.query('rollback')
    blocker.release()
    expect(await available(userId)).toBe('50')
  })

  it('on all tables at once fail no signup whose statement timeout is 300 ms', async () => {
    const blocker = await database.admin.connect()
    await blocker.query(`begin; lock table ${TABLES.join(', ')} in access exclusive mode`)
    const server = await database.admin.connect()
    await server.query(`set statement_timeout = '300ms'`)
    const users: string[] = []
    for (let count = 0; count < 10; count += 1) {
      const userId = crypto.randomUUID()
      await server.query('insert into auth.users (id, email, email_confirmed_at) values ($1, $2, now())', [
        userId,
        `${userId}@example.test`,
      ])
      users.push(userId)
    }
    await server.query('reset statement_timeout')
    server.release()
    await blocker.query('rollback')
    blocker.release()
    for (const userId of users) expect(await available(userId)).toBe('50')
  })

  it('that are freed one after the other do not add up', async () => {
    // In the order in which a signup needs them. Each is free before a wait for it alone would end.
    const tables = [
      'credits_private.secrets',
      'public.credit_balances',
      'public.credit_settings',
      'credits_private.person_accounts',
      'credits_private.signup_claims',
      'public.credit_lots',
    ]
    const blockers = await Promise.all(
      tables.map(async (table) => {
        const client = new pg.Client({ connectionString: database.dbUrl })
        await client.connect()
        await client.query(`begin; lock table ${table} in access exclusive mode`)
        return client
      }),
    )
    const server = await database.admin.connect()
    await server.query(`set statement_timeout = '90ms'`)
    const userId = crypto.randomUUID()
    const signup = server.query('insert into auth.users (id, email, email_confirmed_at) values ($1, $2, now())', [
      userId,
      `${userId}@example.test`,
    ])
    const freed = blockers.map(async (client, index) => {
      await setTimeout(20 * (index + 1))
      await client.query('rollback')
      await client.end()
    })
    const [outcome] = await Promise.allSettled([signup])
    await Promise.all(freed)
    await server.query('reset statement_timeout')
    server.release()
    expect(outcome).toMatchObject({ status: 'fulfilled' })
    expect(await available(userId)).toBe('50')
  })

  it('that another signup of the same person has taken do not delay this one', async () => {
    const other = await database.admin.connect()
    await other.query('begin')
    const first = crypto.randomUUID()
    await other.query(`insert into auth.users (id, email, email_confirmed_at) values ($1, 'race@example.org', now())`, [
      first,
    ])
    const started = performance.now()
    const second = await signUp(database.admin, { email: 'race+2@example.org' })
    expect(performance.now() - started).toBeLessThan(300)
    await other.query('commit')
    other.release()
    expect([await available(first), await available(second)]).toEqual(['50', '0'])
  })
})

describe('an app with its own profiles and signup trigger', () => {
  it('keeps its trigger first, its table as it is, and its signups', async () => {
    const { rows } = await database.admin.query<{ tgname: string }>(
      `select tgname from pg_trigger where tgrelid = 'auth.users'::regclass and not tgisinternal order by tgname`,
    )
    expect(rows.map(({ tgname }) => tgname)).toEqual([
      'on_auth_user_created',
      'zz_credits_user_created',
      'zz_credits_user_identified',
    ])
    const { rows: reading } = await database.admin.query(
      `select proname from pg_proc where prosrc ~ '\\mprofiles\\M' and proname not in ('is_admin', 'handle_new_user')
       and pronamespace in ('public'::regnamespace, 'credits_private'::regnamespace)`,
    )
    expect(reading).toEqual([])
  })
})
