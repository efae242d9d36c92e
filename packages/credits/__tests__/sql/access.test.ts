import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { call, closeStack, type Ground, openGround, reserve, signUp } from './ground.ts'

let ground: Ground

beforeAll(async () => {
  ground = await openGround()
})
afterAll(async () => {
  await ground.close()
  await closeStack()
})

type Role = 'anon' | 'authenticated' | 'service_role'
const ROLES: Role[] = ['anon', 'authenticated', 'service_role']
const READABLE: Role[] = ['authenticated', 'service_role']

/** Who may read what. A table or view that is not in this list fails the test: decide, then write it down. */
const RELATIONS: Record<string, Role[]> = {
  'public.credit_audit_log': READABLE,
  'public.credit_balances': READABLE,
  'public.credit_balances_text': READABLE,
  'public.credit_lots': READABLE,
  'public.credit_lots_text': READABLE,
  'public.credit_model_aliases': READABLE,
  'public.credit_plans': ROLES,
  'public.credit_rates': READABLE,
  'public.credit_reservations': READABLE,
  'public.credit_settings': READABLE,
  'public.credit_charges': READABLE,
  'public.credit_transaction_costs': READABLE,
  'public.credit_transactions': READABLE,
  'public.credit_transactions_text': READABLE,
  'public.margin_audit_log': READABLE,
  'public.margin_config': READABLE,
  'public.profiles': READABLE,
  'credits_private.account_plans': [],
  'credits_private.secrets': [],
  'credits_private.signup_claims': [],
}

/** The operations: for a server's key alone. The one function that users may run answers "am I an admin?". */
const OPERATIONS = [
  'credits_adjust',
  'credits_capture',
  'credits_expire_due',
  'credits_extend',
  'credits_freeze_account',
  'credits_freeze_spending',
  'credits_get_balance',
  'credits_get_charges',
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
  'credits_schema_version',
  'credits_set_margin',
  'credits_set_plan',
  'credits_set_rates',
  'credits_set_role',
  'credits_settle',
  'credits_verify_accounts',
  'credits_verify_transactions',
]

const OURS = `n.nspname in ('public', 'credits_private')`

describe('the rights matrix, read from the catalogue', () => {
  it('names every table and view, and gives each role exactly the reading that is written down', async () => {
    const { rows } = await ground.admin.query<{ name: string; roles: Role[] }>(
      `select format('%s.%s', n.nspname, c.relname) as name,
              array(select r from unnest($1::text[]) r where has_table_privilege(r, c.oid, 'select')) as roles
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where ${OURS} and c.relkind in ('r', 'v', 'm', 'p', 'f') order by 1`,
      [ROLES],
    )
    expect(Object.fromEntries(rows.map((row) => [row.name, row.roles]))).toEqual(RELATIONS)
  })

  it('lets no role write, empty or reference a table, but users their own display columns', async () => {
    const { rows } = await ground.admin.query(
      `select c.relname, r.role, p.privilege from pg_class c join pg_namespace n on n.oid = c.relnamespace
       cross join unnest($1::text[]) r (role)
       cross join unnest('{insert,update,delete,truncate,references,trigger}'::text[]) p (privilege)
       where ${OURS} and c.relkind in ('r', 'v', 'm', 'p', 'f') and has_table_privilege(r.role, c.oid, p.privilege)`,
      [ROLES],
    )
    expect(rows).toEqual([])
    const columns = await ground.admin.query(
      `select c.relname || '.' || a.attname as name, r.role from pg_attribute a join pg_class c on c.oid = a.attrelid
       join pg_namespace n on n.oid = c.relnamespace cross join unnest($1::text[]) r (role)
       where ${OURS} and c.relkind in ('r', 'v') and a.attnum > 0 and not a.attisdropped
         and (has_column_privilege(r.role, c.oid, a.attnum, 'update') or has_column_privilege(r.role, c.oid, a.attnum, 'insert'))
       order by 1`,
      [ROLES],
    )
    expect(columns.rows).toEqual([
      { name: 'profiles.avatar_url', role: 'authenticated' },
      { name: 'profiles.display_name', role: 'authenticated' },
    ])
  })

  it('lets no role use a sequence', async () => {
    const { rows } = await ground.admin.query(
      `select c.relname, r.role from pg_class c join pg_namespace n on n.oid = c.relnamespace cross join unnest($1::text[]) r (role)
       where ${OURS} and c.relkind = 'S' and has_sequence_privilege(r.role, c.oid, 'usage, select, update')`,
      [ROLES],
    )
    expect(rows).toEqual([])
  })

  it('names every function: the operations for the service role alone, nothing for anybody else', async () => {
    const { rows } = await ground.admin.query<{ name: string; roles: Role[] }>(
      `select format('%s.%s', n.nspname, p.proname) as name,
              array(select r from unnest($1::text[]) r where has_function_privilege(r, p.oid, 'execute')) as roles
       from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where ${OURS} and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e') order by 1`,
      [ROLES],
    )
    const rights = Object.fromEntries(rows.map((row) => [row.name, row.roles]))
    const expected = Object.fromEntries([
      ...rows.filter((row) => row.name.startsWith('credits_private.')).map((row) => [row.name, []]),
      ...OPERATIONS.map((name) => [`public.${name}`, ['service_role']]),
      ['credits_private.is_admin', ['authenticated']],
    ])
    expect(rights).toEqual(expected)
    expect(new Set(rows.map((row) => row.name)).size, 'no overloads').toBe(rows.length)
  })

  it('has row level security on every table, and a policy only for reading, but for the own profile', async () => {
    const { rows } = await ground.admin.query(
      `select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where ${OURS} and c.relkind = 'r' and not c.relrowsecurity`,
    )
    expect(rows).toEqual([])
    const policies = await ground.admin.query(
      `select policyname from pg_policies where schemaname = 'public' and cmd <> 'SELECT'`,
    )
    expect(policies.rows).toEqual([{ policyname: 'profiles_update' }])
  })
})

describe('definer functions', () => {
  it('fix the search path, wait for no lock longer than two seconds, and none is open to API users', async () => {
    const { rows } = await ground.admin.query(
      `select p.oid::regprocedure::text as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where ${OURS} and not ('search_path=""' = any (coalesce(p.proconfig, '{}')))`,
    )
    expect(rows, 'search_path').toEqual([])
    const waiting = await ground.admin.query(
      `select p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where ${OURS} and p.prosecdef and p.provolatile = 'v' and p.prorettype <> 'trigger'::regtype
         and not exists (select from unnest(p.proconfig) c where c like 'lock_timeout=%')`,
    )
    expect(waiting.rows, 'lock_timeout').toEqual([])
    const open = await ground.admin.query(
      `select p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where n.nspname = 'public' and p.prosecdef and p.proname like 'credits%'
         and (has_function_privilege('anon', p.oid, 'execute') or has_function_privilege('authenticated', p.oid, 'execute'))`,
    )
    expect(open.rows, 'lints 0028 and 0029').toEqual([])
  })

  it('build no SQL from text', async () => {
    const { rows } = await ground.admin.query(
      `select p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where ${OURS} and p.prosrc ~* '\\mexecute\\M'`,
    )
    expect(rows).toEqual([])
  })
})

describe('every table, view, function and constraint', () => {
  it('has a comment, and numbers have a lower and an upper bound', async () => {
    const { rows } = await ground.admin.query(
      `select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where ${OURS} and c.relkind in ('r', 'v') and obj_description(c.oid, 'pg_class') is null
       union all
       select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where ${OURS} and obj_description(p.oid, 'pg_proc') is null`,
    )
    expect(rows).toEqual([])
    const unbounded = await ground.admin.query(
      `select c.relname || '.' || a.attname as name from pg_attribute a join pg_class c on c.oid = a.attrelid
       join pg_namespace n on n.oid = c.relnamespace
       where ${OURS} and c.relkind = 'r' and a.atttypid = 'numeric'::regtype
         and not exists (
           select from pg_constraint k where k.conrelid = c.oid and k.contype = 'c'
             and pg_get_constraintdef(k.oid) ~ ('\\m' || a.attname || ' >') and pg_get_constraintdef(k.oid) ~ ('\\m' || a.attname || ' <')
         )`,
    )
    expect(unbounded.rows).toEqual([])
    const domains = await ground.admin.query(
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
  const client = await ground.admin.connect()
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

describe('rows', () => {
  const OWN = [
    'credit_balances',
    'credit_balances_text',
    'credit_lots',
    'credit_reservations',
    'credit_transactions',
    'credit_transactions_text',
    'profiles',
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
    ;[ann, bob, admin] = [await signUp(ground), await signUp(ground), await signUp(ground)]
    for (const user of [ann, bob]) {
      const id = await reserve(ground, user, 10)
      await call(ground.service, 'credits_settle', {
        p_reservation_id: id,
        p_charge: { amount: '1.5', costUsd: '0.01', marginPercent: '60', usage: { inputTokens: 5 } },
      })
    }
    await call(ground.service, 'credits_set_role', { p_user_id: admin, p_role: 'admin', p_actor_id: null })
    await call(ground.service, 'credits_set_rates', {
      p_rates: JSON.stringify([{ modelId: 'a/b', type: 'language', pricing: { input: '0.1' }, source: 'test' }]),
    })
  })

  it('of a user are seen by that user alone; forged metadata makes nobody an admin', async () => {
    for (const table of OWN) {
      const { rows } = await as(
        'authenticated',
        ann,
        `select distinct user_id::text from ${table === 'credit_lots' ? '(select account_id as user_id from public.credit_lots) x' : `public.${table}`}`,
      )
      expect(rows, table).toEqual([{ user_id: ann }])
    }
    for (const table of ADMINS)
      expect((await as('authenticated', ann, `select * from public.${table}`)).rows, table).toEqual([])
  })

  it('of everybody are seen by an admin, costs included', async () => {
    for (const table of [...OWN.filter((name) => name !== 'profiles'), ...ADMINS, 'profiles']) {
      expect((await as('authenticated', admin, `select * from public.${table}`)).rows.length, table).toBeGreaterThan(0)
    }
    const { rows } = await as(
      'authenticated',
      admin,
      'select count(distinct account_id)::int as n from public.credit_transaction_costs',
    )
    expect(rows).toEqual([{ n: 2 }])
  })

  it('are hidden from whoever is not signed in, but for the plans', async () => {
    for (const table of [...OWN, ...ADMINS])
      await expect(as('anon', null, `select * from public.${table}`), table).rejects.toThrow(/permission denied/)
    expect((await as('anon', null, 'select id from public.credit_plans')).rows.length).toBe(4)
  })

  it('of a profile can be renamed by its owner, who can become nobody else and no admin', async () => {
    const rename = `update public.profiles set display_name = 'A' where user_id = $1`
    expect((await as('authenticated', ann, rename, [ann])).rowCount).toBe(1)
    expect((await as('authenticated', ann, rename, [bob])).rowCount).toBe(0)
    await expect(as('authenticated', ann, `update public.profiles set role = 'admin'`)).rejects.toThrow(
      /permission denied/,
    )
    await expect(as('authenticated', ann, `update public.profiles set user_id = $1`, [bob])).rejects.toThrow(
      /permission denied/,
    )
    await expect(
      as('authenticated', ann, `insert into public.profiles (user_id, role) values ($1, 'admin')`, [
        crypto.randomUUID(),
      ]),
    ).rejects.toThrow(/permission denied/)
  })

  it('of an admin lose their reach with the role, while the token still lives', async () => {
    const demoted = await signUp(ground)
    for (const [p_role, seen] of [
      ['admin', true],
      ['user', false],
    ] as const) {
      await call(ground.service, 'credits_set_role', { p_user_id: demoted, p_role, p_actor_id: admin })
      const { rows } = await as('authenticated', demoted, 'select * from public.margin_config')
      expect(rows.length > 0).toBe(seen)
    }
    const audit = await ground.admin.query(
      `select old ->> 'role' as old, new ->> 'role' as new, actor_id, actor_role from public.credit_audit_log where action = 'role' and subject = $1`,
      [demoted],
    )
    expect(audit.rows).toEqual([
      { old: 'user', new: 'admin', actor_id: admin, actor_role: 'service_role' },
      { old: 'admin', new: 'user', actor_id: admin, actor_role: 'service_role' },
    ])
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
      const attacks = [
        `update public.${table} set ${key} = ${key}`,
        `delete from public.${table}`,
        `truncate public.${table}`,
        `truncate public.${table} cascade`,
        `merge into public.${table} t using public.${table} s on true when matched then delete`,
      ]
      for (const attack of attacks) {
        await expect(as('service_role', null, attack), attack).rejects.toThrow(/permission denied/)
        await expect(as('postgres', null, attack), attack).rejects.toThrow(/append-only/)
      }
    }
  })
})
