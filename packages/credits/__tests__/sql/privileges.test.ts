import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { startStack } from '@layers/local-stack'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, stopDatabases, type TestDatabase } from '../kit/database.ts'

const MIGRATIONS = globSync(join(import.meta.dirname, '../../../../supabase/migrations/*.sql')).sort()

let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(async () => {
  await database.close()
  await stopDatabases()
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
  it('each role reads exactly the tables and views that are listed for it', async () => {
    const { rows } = await database.admin.query<{ name: string; roles: Role[] }>(
      `select format('%s.%s', n.nspname, c.relname) as name,
              array(select r from unnest($1::text[]) r where has_table_privilege(r, c.oid, 'select')) as roles
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where ${OURS} and c.relkind in ('r', 'v', 'm', 'p', 'f') order by 1`,
      [ROLES],
    )
    expect(Object.fromEntries(rows.map((row) => [row.name, row.roles]))).toEqual(RELATIONS)
  })

  it('no role writes, empties or references a table, except for columns of the profiles of the app', async () => {
    const { rows } = await database.admin.query(WRITABLE_TABLES, [ROLES])
    expect(rows).toEqual([])
    const columns = await database.admin.query(WRITABLE_COLUMNS, [ROLES])
    expect(columns.rows).toEqual([
      { name: 'profiles.avatar_url', role: 'authenticated' },
      { name: 'profiles.display_name', role: 'authenticated' },
      { name: 'profiles.role', role: 'service_role' },
    ])
  })

  it('no role uses a sequence, and no API role sees the private schema', async () => {
    const { rows } = await database.admin.query(USABLE_SEQUENCES, [ROLES])
    expect(rows).toEqual([])
    const schema = await database.admin.query(
      `select r from unnest($1::text[]) r where has_schema_privilege(r, 'credits_private', 'usage, create')`,
      [ROLES],
    )
    expect(schema.rows).toEqual([])
  })

  it('only the service role executes the operations, and readers execute what policies and views call', async () => {
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

  it('every table has row level security, and only the profiles of the app have a policy for writing', async () => {
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
      `alter default privileges for role postgres in schema public
       grant all on ${kind} to anon, authenticated, service_role`,
  )

  it('a push that stops after any migration leaves open only the operations of service_role', async () => {
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
         cross join unnest($1::text[]) r (role)
         where ${OURS} and ${NOT_OF_EXTENSIONS} and has_function_privilege(r.role, p.oid, 'execute')
           and not (r.role = 'service_role' and n.nspname = 'public' and p.proname = any ($2::text[]))
         union
         select 'PUBLIC: ' || p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
         cross join aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
         where ${OURS} and ${NOT_OF_EXTENSIONS} and a.grantee = 0`,
        [ROLES, OPERATIONS],
      )
      const found = [
        ...functions.rows.map(({ name }) => name).filter((name) => ![...FOR_READERS, ...OF_THE_APP].includes(name)),
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

  it('the migrations of the library run without those of this app: it needs no profiles', async () => {
    const stack = await startStack({ ephemeral: true, migrationsDir: null, seedFile: null })
    const owner = new pg.Client({ connectionString: stack.dbUrl })
    await owner.connect()
    // The starter table of Supabase, and its trigger.
    await owner.query(`
      create table public.profiles (id uuid primary key references auth.users on delete cascade, username text unique);
      create function public.handle_new_user() returns trigger
       language plpgsql security definer set search_path = '' as $$
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
  it('every function fixes its search path', async () => {
    const { rows } = await database.admin.query(
      `select p.oid::regprocedure::text as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where ${OURS} and not ('search_path=""' = any (coalesce(p.proconfig, '{}')))`,
    )
    expect(rows).toEqual([])
  })

  it('no function that runs with the rights of its owner is open to API users', async () => {
    const open = await database.admin.query(
      `select p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where n.nspname = 'public' and p.prosecdef and p.proname like 'credits%'
         and (has_function_privilege('anon', p.oid, 'execute')
           or has_function_privilege('authenticated', p.oid, 'execute'))`,
    )
    expect(open.rows, 'lints 0028 and 0029').toEqual([])
  })

  it('functions that write wait for no lock longer than two seconds', async () => {
    const waiting = await database.admin.query(
      `select p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where ${OURS} and p.prosecdef and p.provolatile = 'v' and p.prorettype <> 'trigger'::regtype
         and not exists (select from unnest(p.proconfig) c where c like 'lock_timeout=%')`,
    )
    expect(waiting.rows).toEqual([])
  })

  it('no function builds SQL from text, except for the admin function that the app names', async () => {
    const { rows } = await database.admin.query(
      `select p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where ${OURS} and p.prosrc ~* '\\mexecute\\M'`,
    )
    expect(rows).toEqual([{ proname: 'is_admin' }])
  })
})

describe('every table, view, function and constraint', () => {
  it('every table, view, function and constraint has a comment, and each number has two bounds', async () => {
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
             and pg_get_constraintdef(k.oid) ~ ('\\m' || a.attname || ' >')
              and pg_get_constraintdef(k.oid) ~ ('\\m' || a.attname || ' <')
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
