import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { startStack } from '@layers/local-stack'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { call, closeStack, openDatabase, refusal, signUp, spend, type TestDatabase } from './database.ts'

const MIGRATIONS = globSync(join(import.meta.dirname, '../../../../supabase/migrations/*.sql')).sort()

let database: TestDatabase

beforeAll(async () => {
  database = await openDatabase()
})
afterAll(async () => {
  await database.close()
  await closeStack()
})

type Role = 'anon' | 'authenticated' | 'service_role'
const ROLES: Role[] = ['anon', 'authenticated', 'service_role']
const READABLE: Role[] = ['authenticated', 'service_role']

/** Which role may read what. A table or view that is not in this list fails the test: decide, then write it down. */
const RELATIONS: Record<string, Role[]> = {
  'public.credit_admins': READABLE,
  'public.credit_audit_log': READABLE,
  'public.credit_balances': READABLE,
  'public.credit_balances_text': READABLE,
  'public.credit_charges': READABLE,
  'public.credit_lots': READABLE,
  'public.credit_lots_text': READABLE,
  'public.credit_model_aliases': READABLE,
  'public.credit_plans': ROLES,
  'public.credit_rates': READABLE,
  'public.credit_reservations': READABLE,
  'public.credit_session': READABLE,
  'public.credit_settings': READABLE,
  'public.credit_transaction_costs': READABLE,
  'public.credit_transactions': READABLE,
  'public.credit_transactions_text': READABLE,
  'public.margin_audit_log': READABLE,
  'public.margin_config': READABLE,
  'public.profiles': READABLE,
  'credits_private.account_plans': [],
  'credits_private.person_accounts': [],
  'credits_private.secrets': [],
  'credits_private.signup_claims': [],
}

/** The operations: for the key of a server alone. */
const OPERATIONS = [
  'credits_adjust',
  'credits_capture',
  'credits_correct',
  'credits_erase',
  'credits_expire_due',
  'credits_extend',
  'credits_freeze_account',
  'credits_freeze_spending',
  'credits_get_balance',
  'credits_get_charges',
  'credits_get_estimates',
  'credits_get_expired_reservations',
  'credits_get_heads',
  'credits_get_history',
  'credits_get_margin_audit',
  'credits_get_pricing',
  'credits_get_rate_history',
  'credits_get_reservation',
  'credits_grant',
  'credits_reconcile',
  'credits_refund',
  'credits_release',
  'credits_reserve',
  'credits_reverse',
  'credits_schema_version',
  'credits_set_admin',
  'credits_set_margin',
  'credits_set_plan',
  'credits_set_rates',
  'credits_settle',
  'credits_verify_accounts',
  'credits_verify_heads',
  'credits_verify_transactions',
]

/** What policies and views call with the rights of the reader. The app's own function is the last. */
const FOR_READERS = ['credits_private.credits_now', 'credits_private.is_admin', 'public.is_admin']
/** Functions of the app's own base table, which are triggers. */
const OF_THE_APP = ['public.handle_new_user', 'public.touch_profile']

const OURS = `n.nspname in ('public', 'credits_private')`
const NOT_OF_EXTENSIONS = `not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')`

describe('the rights in the catalogue', () => {
  it('let each role read exactly the tables and views that are written down', async () => {
    const { rows } = await database.admin.query<{ name: string; roles: Role[] }>(
      `select format('%s.%s', n.nspname, c.relname) as name,
              array(select r from unnest($1::text[]) r where has_table_privilege(r, c.oid, 'select')) as roles
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where ${OURS} and c.relkind in ('r', 'v', 'm', 'p', 'f') order by 1`,
      [ROLES],
    )
    expect(Object.fromEntries(rows.map((row) => [row.name, row.roles]))).toEqual(RELATIONS)
  })

  it('let no role write, empty or reference a table, but for columns of the profiles of the app', async () => {
    const { rows } = await database.admin.query(WRITABLE_TABLES, [ROLES])
    expect(rows).toEqual([])
    const columns = await database.admin.query(WRITABLE_COLUMNS, [ROLES])
    expect(columns.rows).toEqual([
      { name: 'profiles.avatar_url', role: 'authenticated' },
      { name: 'profiles.display_name', role: 'authenticated' },
      { name: 'profiles.role', role: 'service_role' },
    ])
  })

  it('let no role use a sequence, and no API role see the private schema', async () => {
    const { rows } = await database.admin.query(USABLE_SEQUENCES, [ROLES])
    expect(rows).toEqual([])
    const schema = await database.admin.query(
      `select r from unnest($1::text[]) r where has_schema_privilege(r, 'credits_private', 'usage, create')`,
      [ROLES],
    )
    expect(schema.rows).toEqual([])
  })

  it('let the service role alone execute the operations, and readers what policies and views call', async () => {
    const { rows } = await database.admin.query<{ name: string; roles: Role[] }>(
      `select format('%s.%s', n.nspname, p.proname) as name,
              array(select r from unnest($1::text[]) r where has_function_privilege(r, p.oid, 'execute')) as roles
       from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where ${OURS} and ${NOT_OF_EXTENSIONS} order by 1`,
      [ROLES],
    )
    const rights = Object.fromEntries(rows.map((row) => [row.name, row.roles]))
    const expected = Object.fromEntries([
      ...rows.filter((row) => row.name.startsWith('credits_private.')).map((row) => [row.name, []]),
      ...OPERATIONS.map((name) => [`public.${name}`, ['service_role']]),
      ...OF_THE_APP.map((name) => [name, []]),
      ...FOR_READERS.map((name) => [name, READABLE]),
    ])
    expect(rights).toEqual(expected)
    expect(new Set(rows.map((row) => row.name)).size, 'no overloads').toBe(rows.length)
  })

  it('have row level security on every table, and a policy for writing on the profiles of the app alone', async () => {
    const { rows } = await database.admin.query(
      `select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where ${OURS} and c.relkind = 'r' and not c.relrowsecurity`,
    )
    expect(rows).toEqual([])
    const policies = await database.admin.query(
      `select policyname from pg_policies where schemaname = 'public' and cmd <> 'SELECT'`,
    )
    expect(policies.rows).toEqual([{ policyname: 'profiles_update' }])
  })
})

const WRITABLE_TABLES = `
  select c.relname, r.role, p.privilege from pg_class c join pg_namespace n on n.oid = c.relnamespace
  cross join unnest($1::text[]) r (role)
  cross join unnest('{insert,update,delete,truncate,references,trigger}'::text[]) p (privilege)
  where ${OURS} and c.relkind in ('r', 'v', 'm', 'p', 'f') and has_table_privilege(r.role, c.oid, p.privilege)`

const WRITABLE_COLUMNS = `
  select c.relname || '.' || a.attname as name, r.role from pg_attribute a join pg_class c on c.oid = a.attrelid
  join pg_namespace n on n.oid = c.relnamespace cross join unnest($1::text[]) r (role)
  where ${OURS} and c.relkind in ('r', 'v') and a.attnum > 0 and not a.attisdropped
    and (has_column_privilege(r.role, c.oid, a.attnum, 'update')
      or has_column_privilege(r.role, c.oid, a.attnum, 'insert'))
  order by 1`

const USABLE_SEQUENCES = `
  select c.relname, r.role from pg_class c join pg_namespace n on n.oid = c.relnamespace
  cross join unnest($1::text[]) r (role)
  where ${OURS} and c.relkind = 'S' and has_sequence_privilege(r.role, c.oid, 'usage, select, update')`

describe('a push that stops after any migration', () => {
  /** What an older hosted project grants by itself on every new object of `public`. */
  const OLD_DEFAULTS = ['tables', 'functions', 'sequences'].map(
    (kind) =>
      `alter default privileges for role postgres in schema public grant all on ${kind} to anon, authenticated, service_role`,
  )

  it('leaves nothing that anon or authenticated may execute or write', async () => {
    const stack = await startStack({ ephemeral: true, migrationsDir: null, seedFile: null })
    const owner = new pg.Client({ connectionString: stack.dbUrl })
    await owner.connect()
    for (const text of OLD_DEFAULTS) await owner.query(text)
    const open: Record<string, unknown[]> = {}
    for (const file of MIGRATIONS) {
      await owner.query('begin')
      await owner.query(readFileSync(file, 'utf8'))
      await owner.query('commit')
      const functions = await owner.query<{ name: string }>(
        `select distinct format('%s.%s', n.nspname, p.proname) as name
         from pg_proc p join pg_namespace n on n.oid = p.pronamespace
         cross join unnest('{anon,authenticated}'::text[]) r (role)
         where ${OURS} and ${NOT_OF_EXTENSIONS} and has_function_privilege(r.role, p.oid, 'execute')`,
      )
      const found = [
        ...functions.rows.map(({ name }) => name).filter((name) => !FOR_READERS.includes(name)),
        ...(await owner.query(WRITABLE_TABLES, [ROLES])).rows,
        ...(await owner.query(WRITABLE_COLUMNS, [ROLES])).rows.filter(({ name }) => !name.startsWith('profiles.')),
        ...(await owner.query(USABLE_SEQUENCES, [ROLES])).rows,
      ]
      if (found.length > 0) open[basename(file)] = found
    }
    await owner.end()
    await stack.stop()
    expect(open).toEqual({})
  }, 60_000)

  it('is possible without the migrations of this app: the library needs no profiles', async () => {
    const stack = await startStack({ ephemeral: true, migrationsDir: null, seedFile: null })
    const owner = new pg.Client({ connectionString: stack.dbUrl })
    await owner.connect()
    // The starter table of Supabase, and its trigger.
    await owner.query(`
      create table public.profiles (id uuid primary key references auth.users on delete cascade, username text unique);
      create function public.handle_new_user() returns trigger language plpgsql security definer set search_path = '' as $$
      begin insert into public.profiles (id) values (new.id); return new; end $$;
      create trigger on_auth_user_created after insert on auth.users
        for each row execute function public.handle_new_user();
      grant insert, update, delete on public.profiles to authenticated`)
    const before = await fingerprint(owner)
    for (const file of MIGRATIONS.filter((name) => basename(name).includes('_credits_'))) {
      await owner.query(`begin;${readFileSync(file, 'utf8')};commit`)
    }
    expect(await fingerprint(owner)).toEqual(before)
    const id = crypto.randomUUID()
    await owner.query(`insert into auth.users (id, email, email_confirmed_at) values ($1, 'a@b.test', now())`, [id])
    const { rows } = await owner.query(
      `select (select count(*)::int from public.profiles where id = $1) as profiles,
              public.credits_get_balance($1) ->> 'available' as available`,
      [id],
    )
    expect(rows).toEqual([{ profiles: 1, available: '50' }])
    await owner.end()
    await stack.stop()
  }, 60_000)
})

/** Everything that an app may have made: columns, grants, policies and triggers of its table. */
async function fingerprint(client: pg.Client) {
  const { rows } = await client.query(
    `select relacl::text, relrowsecurity,
       (select json_agg(a.attname order by a.attnum) from pg_attribute a where a.attrelid = c.oid) as columns,
       (select json_agg(t.tgname) from pg_trigger t where t.tgrelid = c.oid) as triggers,
       (select json_agg(p.polname) from pg_policy p where p.polrelid = c.oid) as policies
     from pg_class c where c.oid = 'public.profiles'::regclass`,
  )
  return rows
}

describe('functions', () => {
  it('fix the search path, and none that runs with the rights of its owner is open to API users', async () => {
    const { rows } = await database.admin.query(
      `select p.oid::regprocedure::text as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where ${OURS} and not ('search_path=""' = any (coalesce(p.proconfig, '{}')))`,
    )
    expect(rows, 'search_path').toEqual([])
    const open = await database.admin.query(
      `select p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where n.nspname = 'public' and p.prosecdef and p.proname like 'credits%'
         and (has_function_privilege('anon', p.oid, 'execute') or has_function_privilege('authenticated', p.oid, 'execute'))`,
    )
    expect(open.rows, 'lints 0028 and 0029').toEqual([])
  })

  it('that write wait for no lock longer than two seconds', async () => {
    const waiting = await database.admin.query(
      `select p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where ${OURS} and p.prosecdef and p.provolatile = 'v' and p.prorettype <> 'trigger'::regtype
         and not exists (select from unnest(p.proconfig) c where c like 'lock_timeout=%')`,
    )
    expect(waiting.rows).toEqual([])
  })

  it('build no SQL from text, but for the admin function that the app names', async () => {
    const { rows } = await database.admin.query(
      `select p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where ${OURS} and p.prosrc ~* '\\mexecute\\M'`,
    )
    expect(rows).toEqual([{ proname: 'is_admin' }])
  })
})

describe('every table, view, function and constraint', () => {
  it('has a comment, and each number has a lower and an upper bound', async () => {
    const { rows } = await database.admin.query(
      `select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where ${OURS} and c.relkind in ('r', 'v') and obj_description(c.oid, 'pg_class') is null
       union all
       select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where ${OURS} and obj_description(p.oid, 'pg_proc') is null`,
    )
    expect(rows).toEqual([])
    const unbounded = await database.admin.query(
      `select c.relname || '.' || a.attname as name from pg_attribute a join pg_class c on c.oid = a.attrelid
       join pg_namespace n on n.oid = c.relnamespace
       where ${OURS} and c.relkind = 'r' and a.atttypid = 'numeric'::regtype
         and not exists (
           select from pg_constraint k where k.conrelid = c.oid and k.contype = 'c'
             and pg_get_constraintdef(k.oid) ~ ('\\m' || a.attname || ' >') and pg_get_constraintdef(k.oid) ~ ('\\m' || a.attname || ' <')
         )`,
    )
    expect(unbounded.rows).toEqual([])
    const domains = await database.admin.query(
      `select y.typname as name from pg_type y join pg_namespace n on n.oid = y.typnamespace
       where ${OURS} and y.typtype = 'd' and y.typbasetype = 'numeric'::regtype
         and not exists (
           select from pg_constraint k where k.contypid = y.oid
             and pg_get_constraintdef(k.oid) ~ 'VALUE >' and pg_get_constraintdef(k.oid) ~ 'VALUE <'
         )`,
    )
    expect(domains.rows).toEqual([])
  })
})

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
    ;[ann, bob, admin] = [await signUp(database), await signUp(database), await signUp(database)]
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
    const [actor, user] = [await signUp(database), await signUp(database)]
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
    const user = await signUp(database)
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
    const user = await signUp(database)
    expect(await seesMargins(user)).toBe(true)
    await database.admin.query('drop function public.all_admins()')
    expect(await seesMargins(user)).toBe(false)
    await set('public.is_admin')
  })

  it('is no longer one once the user is deleted', async () => {
    const user = await signUp(database)
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

  it('hold no personal data of a deleted user', async () => {
    const email = 'personal.data@example.test'
    const user = await signUp(database, { email })
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
