import { createClient } from '@supabase/supabase-js'
import type { Scenario, ScenarioContext } from '../runner/scenario.ts'
import { signUp, type TestDatabase } from '../runner/test-database.ts'
import { attempt, retryUntilAnswered } from '../workload/operations.ts'

/** A database in which a signup grants 50. */
async function openWithSignupGrant(context: ScenarioContext, api = false): Promise<TestDatabase> {
  const database = await context.openDatabase({ api })
  await database.admin.query('update public.credit_settings set signup_credits = 50')
  return database
}

async function countGrants(database: TestDatabase): Promise<number> {
  const { rows } = await database.admin.query(
    `select count(*)::int as n from public.credit_transactions where type = 'grant' and source = 'signup'`,
  )
  return rows[0].n
}

/** H1: one user, opened in three ways at once. */
export const H1: Scenario = {
  id: 'H1',
  claim: 'Fifty racing calls of the signup trigger, the first use and reconcile give one user one grant.',
  faults: ['racing call'],
  run: async (context) => {
    const database = await openWithSignupGrant(context)
    const store = database.store(30)
    const pool = database.pool(10)
    for (let round = 0; round < context.byTier(20, 400, 2); round += 1) {
      const before = await countGrants(database)
      const id = context.random.uuid()
      const insert = (): Promise<unknown> => attempt(() => signUp(database.admin, id))
      const calls = Array.from({ length: 50 }, (_, index) => {
        if (index < 10) return insert()
        if (index < 20) return retryUntilAnswered(() => pool.query('select public.credits_reconcile(true, 100)'))
        return attempt(() => store.getBalance({ userId: id }))
      })
      await Promise.all(calls)
      context.countRuns(50)
      context.countFault('racing call', 50)
      const { available } = await store.getBalance({ userId: id })
      const given = (await countGrants(database)) - before
      context.check(given === 1 && available === '50', `${given} grants, ${available} available`)
    }
  },
}

/** Spellings of one mailbox. */
const SPELLINGS = [
  'ann.lee@gmail.com',
  'ANN.LEE@gmail.com',
  'annlee@gmail.com',
  'a.n.n.l.e.e@gmail.com',
  'ann.lee+1@gmail.com',
  'annlee@googlemail.com',
  'ａｎｎ.lee@gmail.com',
  ' ann.lee@gmail.com ',
]

/** H2: the same person again. */
export const H2: Scenario = {
  id: 'H2',
  claim:
    'Deleting an account and signing up again under any spelling of the address grants nothing more, and no ' +
    'address is kept.',
  faults: ['spelling'],
  broken: [
    {
      name: 'addresses are not normalised',
      sql: `create or replace function credits_private.person_hash(p_email text, p_phone text)
        returns bytea language sql stable set search_path = '' as $$
          select sha256(convert_to(coalesce(p_email, p_phone), 'UTF8')) $$`,
    },
    { name: 'a person is granted twice', guards: ['signup-once-per-person'] },
  ],
  run: async (context) => {
    const database = await openWithSignupGrant(context)
    for (const email of SPELLINGS) {
      const id = await signUp(database.admin, context.random.uuid(), { email })
      if (context.random.chance(0.5)) await database.admin.query('delete from auth.users where id = $1', [id])
      context.countRuns()
      context.countFault('spelling')
    }
    context.check((await countGrants(database)) === 1, `${await countGrants(database)} grants for one mailbox`)
    await database.admin.query('delete from auth.users')
    context.check((await countGrants(database)) === 1, 'the history was deleted with the user')
    const { rows } = await database.admin.query(
      `select c.table_schema, c.table_name from information_schema.tables c
        where c.table_schema in ('public', 'credits_private') and c.table_type = 'BASE TABLE'`,
    )
    for (const { table_schema: schema, table_name: table } of rows) {
      const { rows: kept } = await database.admin.query(
        `select count(*)::int as n from ${schema}.${table} x where lower(x::text) like '%gmail.com%'`,
      )
      context.check(kept[0].n === 0, `${schema}.${table} keeps an address of a deleted user`)
    }
  },
}

/** H3 and H4: users without a confirmed identity, and identities that change. */
export const H3: Scenario = {
  id: 'H3',
  claim:
    'Anonymous and unconfirmed users have no grant. Linking, changing and confirming an address grants it ' +
    'exactly once.',
  faults: ['identity'],
  run: async (context) => {
    const database = await openWithSignupGrant(context)
    const expect = async (wanted: number, when: string): Promise<void> => {
      const given = await countGrants(database)
      context.countRuns()
      context.countFault('identity')
      context.check(given === wanted, `${given} grants ${when}, ${wanted} expected`)
    }
    const id = await signUp(database.admin, context.random.uuid(), { anonymous: true })
    await expect(0, 'for an anonymous user')
    const change = (sets: string): Promise<unknown> =>
      database.admin.query(`update auth.users set ${sets} where id = '${id}'`)
    await change(`is_anonymous = false, email = 'linked@example.com', email_confirmed_at = now()`)
    await expect(1, 'after linking an identity')
    await change(`email = 'changed@example.com'`)
    await change(`phone = '+15551234'`)
    await change(`email_confirmed_at = now()`)
    await expect(1, 'after changing the address')
    const waiting = context.random.uuid()
    await database.admin.query(`insert into auth.users (id, email) values ($1, 'waiting@example.com')`, [waiting])
    await database.store(1).getBalance({ userId: waiting })
    await expect(1, 'for an unconfirmed address')
    await database.admin.query('update auth.users set email_confirmed_at = now() where id = $1', [waiting])
    await expect(2, 'after the confirmation')
  },
}

const BREAKAGES: readonly { name: string; damage: string; repair: string }[] = [
  {
    name: 'a table renamed',
    damage: 'alter table public.credit_balances rename to gone',
    repair: 'alter table public.gone rename to credit_balances',
  },
  {
    name: 'profiles renamed',
    damage: 'alter table public.profiles rename to gone',
    repair: 'alter table public.gone rename to profiles',
  },
  {
    name: 'a constraint that no row satisfies',
    damage: 'alter table public.credit_lots add constraint damage check (false) not valid',
    repair: 'alter table public.credit_lots drop constraint damage',
  },
  {
    name: 'a function gone',
    damage: 'alter function credits_private.grant_signup rename to gone',
    repair: 'alter function credits_private.gone rename to grant_signup',
  },
  {
    name: 'no settings',
    damage: 'create table public.kept as table public.credit_settings; delete from public.credit_settings',
    repair: 'insert into public.credit_settings select * from public.kept; drop table public.kept',
  },
  {
    name: 'no key',
    damage: 'create table public.kept as table credits_private.secrets; delete from credits_private.secrets',
    repair: 'insert into credits_private.secrets select * from public.kept; drop table public.kept',
  },
  {
    name: 'a ledger that divides by zero',
    damage:
      'alter table public.credit_transactions add constraint damage check (1 / (version - version) > 0) not valid',
    repair: 'alter table public.credit_transactions drop constraint damage',
  },
]

/** H5: a signup while the ledger is broken or locked. */
export const H5: Scenario = {
  id: 'H5',
  claim:
    'A signup works within a second while anything in the credits schema is broken or locked. Afterwards ' +
    'reconcile grants exactly once.',
  faults: ['breakage', 'lock'],
  broken: [
    { name: 'a signup waits for a locked table', guards: ['signup-never-waits'] },
    { name: 'a fault of the ledger stops the signup', guards: ['signup-never-fails'] },
  ],
  run: async (context) => {
    const database = await openWithSignupGrant(context, true)
    const client = createClient(database.clone.url, context.stack.secretKey, { auth: { persistSession: false } })
    const createUser = async (what: string): Promise<void> => {
      const start = performance.now()
      const email = `${context.random.uuid()}@example.com`
      const { error } = await client.auth.admin.createUser({ email, password: 'secret-enough', email_confirm: true })
      const took = performance.now() - start
      context.countRuns()
      context.check(error === null, `${what}: signing up failed: ${error?.message}`)
      context.check(took < 1000, `${what}: signing up took ${took.toFixed(0)} ms`)
    }
    let missed = 0
    for (const { name, damage, repair } of BREAKAGES) {
      await database.admin.query(damage)
      await createUser(name)
      await database.admin.query(repair)
      missed += name === 'profiles renamed' ? 0 : 1
      context.countFault('breakage')
    }
    missed += await signUpBehindLock(context, database, createUser)
    const before = await countGrants(database)
    await database.pool(1).query('select public.credits_reconcile(true, 1000)')
    await database.pool(1).query('select public.credits_reconcile(true, 1000)')
    const granted = (await countGrants(database)) - before
    context.check(granted === missed, `reconcile granted ${granted} of ${missed} missed signups`)
  },
}

async function signUpBehindLock(
  context: ScenarioContext,
  database: TestDatabase,
  createUser: (what: string) => Promise<void>,
): Promise<number> {
  const blocker = await database.watcher.connect()
  try {
    await blocker.query('begin; lock table public.credit_balances in access exclusive mode')
    await database.admin.query(`alter role supabase_auth_admin set statement_timeout = '3s'`)
    await createUser('the accounts locked')
    context.countFault('lock')
    return 1
  } finally {
    await blocker.query('rollback')
    await database.admin.query('alter role supabase_auth_admin reset statement_timeout')
    blocker.release()
  }
}

/** H6: an import of users. */
export const H6: Scenario = {
  id: 'H6',
  claim: 'Ten thousand signups in one transaction all get their one grant.',
  faults: ['signup'],
  run: async (context) => {
    const database = await openWithSignupGrant(context)
    const many = context.goal('signup', 50)
    await database.admin.query(
      `insert into auth.users (id, email, email_confirmed_at) select gen_random_uuid(), n || '@bulk.example', now()
        from generate_series(1, ${many}) n`,
    )
    context.countRuns(many)
    context.countFault('signup', many)
    context.check((await countGrants(database)) === many, `${await countGrants(database)} grants for ${many} signups`)
  },
}

/** H7: the daily ceiling of signup grants. */
export const H7: Scenario = {
  id: 'H7',
  claim:
    'Thirty racing signups of new persons never pass the daily ceiling of signup grants, and all of it is ' +
    'granted.',
  faults: ['ceiling'],
  broken: [
    { name: 'the ceiling of signup grants is not asked for', guards: ['signup-ceiling'] },
    { name: 'two signups see the same free place', guards: ['lock-ceiling'] },
  ],
  run: async (context) => {
    const database = await openWithSignupGrant(context)
    const pool = database.pool(1)
    for (let round = 1; round <= context.goal('ceiling', 2); round += 1) {
      const ceiling = 10 * round
      await database.admin.query('update public.credit_settings set max_signup_grants_per_day = $1', [ceiling])
      await Promise.all(Array.from({ length: 30 }, () => signUp(database.admin, context.random.uuid())))
      // Signups that could not wait for the others are decided here.
      for (let run = 0; run < 2; run += 1) await pool.query('select public.credits_reconcile(true, 1000)')
      context.countRuns(30)
      context.countFault('ceiling')
      const granted = await countGrants(database)
      context.check(granted === ceiling, `${granted} grants under a ceiling of ${ceiling}`)
    }
  },
}
