import { rest } from '../../runner/rest.ts'
import type { Arena, Attack } from '../../runner/scenario.ts'
import { sideBySide } from '../../runner/side-by-side.ts'
import type { Random } from '../../workload/random.ts'
import { castOf, type Presence } from './actors.ts'

const OWNED = [
  'profiles',
  'credit_balances',
  'credit_balances_text',
  'credit_lots',
  'credit_lots_text',
  'credit_reservations',
  'credit_transactions',
  'credit_transactions_text',
]
const COUNT = { Prefer: 'count=exact' }

/** E2: one customer asks for another's rows in every way that PostgREST offers. */
export const E2: Attack = {
  id: 'E2',
  claim: 'No filter, embed, order, count or function shows one customer anything of another',
  faults: ['query'],
  broken: [
    {
      name: 'a policy shows everything',
      sql: 'create policy leak on public.credit_transactions for select to authenticated using (true)',
    },
  ],
  run: async (arena) => {
    const field = await arena.open({ api: true })
    const cast = await castOf(arena, field)
    const of = (actor: string): Presence => {
      const found = cast.find((presence) => presence.actor === actor)
      if (!found?.token || !found.userId) throw new Error(`no ${actor}`)
      return found
    }
    const [a, b] = [of('user A'), of('user B')]
    const { rows } = await field.admin.query<{ id: string }>(
      'select id from public.credit_transactions where account_id = $1 union select id from public.credit_reservations where account_id = $1',
      [b.userId],
    )
    const theirs = [b.userId ?? '', ...rows.map(({ id }) => id)]
    await sideBySide({ random: arena.random, times: arena.goal('query', 150), width: 12 }, async (random) => {
      const query = queryFor(random, theirs)
      const { status, body, headers } = await rest(field, query, {
        ...(a.token ? { token: a.token } : {}),
        headers: COUNT,
      })
      arena.ran()
      arena.reached('query')
      arena.check(status < 500, `a server error for ${query}`, body)
      const leaked = status < 300 && theirs.some((id) => body.includes(id))
      arena.check(!leaked, `a row of another customer through ${query}`)
      const about = /\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1]
      const aimed = /^[a-z_]+\?(account_id|user_id)=eq\./.test(query)
      arena.check(!(aimed && about !== undefined && about !== '0'), `${about} rows are counted by ${query}`)
    })
    await sameSilence(arena, field, a, theirs[1] ?? '')
  },
}

function queryFor(random: Random, theirs: readonly string[]): string {
  const table = random.pick(OWNED)
  const id = random.pick(theirs)
  const key = table === 'profiles' ? 'user_id' : random.pick(['account_id', 'user_id', 'id'])
  return random.pick([
    `${table}?${key}=eq.${id}`,
    `${table}?${key}=in.(${id},${random.uuid()})`,
    `${table}?or=(${key}.eq.${id},${key}.neq.${id})`,
    `${table}?not.and=(${key}.eq.${random.uuid()})`,
    `${table}?select=*,credit_balances(*)&${key}=eq.${id}`,
    `${table}?select=*,credit_plans(*,credit_balances(*))`,
    `${table}?order=${key}.desc&offset=0&limit=1000`,
    `${table}?select=${key}&${key}=gte.00000000-0000-0000-0000-000000000000`,
    `rpc/credits_get_balance?p_user_id=${id}`,
    `rpc/credits_get_history?p_user_id=${id}&p_limit=10`,
    `credit_charges?transaction_id=eq.${id}`,
    `credit_transaction_costs?account_id=eq.${id}`,
  ])
}

/** "Not yours" and "not there" must look the same. */
async function sameSilence(arena: Arena, field: Parameters<typeof rest>[0], a: Presence, id: string): Promise<void> {
  const token = a.token ? { token: a.token } : {}
  for (const table of ['credit_transactions', 'credit_reservations']) {
    const theirs = await rest(field, `${table}?id=eq.${id}`, token)
    const nobodys = await rest(field, `${table}?id=eq.${arena.random.uuid()}`, token)
    arena.check(
      theirs.status === nobodys.status && theirs.body === nobodys.body,
      `${table} tells "not yours" from "not there"`,
    )
  }
}

interface Hygiene {
  what: string
  sql: string
}

const OURS = `n.nspname in ('public', 'credits_private')`

const HYGIENE: readonly Hygiene[] = [
  {
    what: 'a security definer function without an empty search_path',
    sql: `select p.oid::regprocedure::text as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
      where ${OURS} and p.prosecdef and not coalesce(p.proconfig, '{}') @> array['search_path=""']`,
  },
  {
    what: 'a security definer function that API roles can execute in an exposed schema',
    sql: `select p.oid::regprocedure::text as name, r.role from pg_proc p join pg_namespace n on n.oid = p.pronamespace,
      (values ('anon'), ('authenticated')) r (role)
      where n.nspname = 'public' and p.prosecdef and has_function_privilege(r.role, p.oid, 'execute')`,
  },
  {
    what: 'a money function without a lock_timeout',
    sql: `select p.oid::regprocedure::text as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
      where n.nspname = 'public' and p.prosecdef and p.provolatile = 'v' and p.proname like 'credits\\_%'
        and not exists (select from unnest(p.proconfig) s where s like 'lock_timeout=%')`,
  },
  {
    what: 'dynamic SQL in a function',
    sql: `select p.oid::regprocedure::text as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
      where ${OURS} and p.prosrc ~* '\\mexecute\\s+(format|''|\\w+\\s*\\|\\|)'`,
  },
  {
    what: 'a table without row security',
    sql: `select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where ${OURS} and c.relkind = 'r' and not c.relrowsecurity`,
  },
  {
    what: 'a view that runs with its owner’s rights',
    sql: `select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where ${OURS} and c.relkind = 'v' and not coalesce(c.reloptions, '{}') && array['security_invoker=true', 'security_invoker=on']`,
  },
  {
    what: 'an overloaded function',
    sql: `select p.proname as name, count(*) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
      where ${OURS} group by 1 having count(*) > 1`,
  },
  {
    what: 'a numeric column without an upper bound, which NaN would pass',
    sql: `select c.oid::regclass || '.' || a.attname as name
      from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace join pg_type t on t.oid = a.atttypid
      where ${OURS} and c.relkind = 'r' and 'numeric'::regtype in (a.atttypid, t.typbasetype) and a.attnum > 0 and not a.attisdropped
        and not exists (select from pg_constraint k where k.contype = 'c' and (
          (k.conrelid = c.oid and pg_get_constraintdef(k.oid) ~ ('\\m' || a.attname || '(\\)::numeric)? <= '))
          or (k.contypid = t.oid and pg_get_constraintdef(k.oid) ~* '\\mvalue <= ')))`,
  },
  {
    what: 'an API role that may create objects in an exposed schema',
    sql: `select r.role as name from (values ('anon'), ('authenticated'), ('service_role')) r (role)
      where has_schema_privilege(r.role, 'public', 'create')`,
  },
  {
    what: 'cost, margin or provider ids in what a customer reads',
    sql: `select table_name || '.' || column_name as name from information_schema.columns
      where table_schema = 'public' and table_name in ('credit_transactions', 'credit_transactions_text', 'credit_reservations', 'credit_balances', 'credit_balances_text', 'credit_lots', 'credit_lots_text')
        and column_name ~ '(cost|margin_percent|generation|provider|pricing|usage)'`,
  },
]

/** E3 and E6: what the catalogue says about definer functions, row security and private columns. */
export const E3: Attack = {
  id: 'E3',
  claim: 'Definer functions are closed and pinned, tables have row security, views run as their reader, no cost leaks',
  faults: ['question'],
  broken: [
    { name: 'a definer function has no search_path', sql: 'alter function public.credits_reserve reset search_path' },
    { name: 'a column lets NaN in', sql: 'alter table public.credit_plans add column chaos_price numeric(20, 6)' },
    { name: 'a function waits for ever', sql: 'alter function public.credits_settle reset lock_timeout' },
  ],
  run: async (arena) => {
    const field = await arena.open()
    for (const { what, sql } of HYGIENE) {
      const { rows } = await field.admin.query(sql)
      arena.ran()
      arena.reached('question')
      for (const row of rows) arena.violation(what, row)
    }
    // What a migration adds later must not be open by default privileges.
    await field.admin.query(
      'set role postgres; create function public.credits_later() returns int language sql as $$select 1$$; reset role',
    )
  },
}

const SHADOWS: readonly string[] = [
  'create temp table credit_balances (account_id uuid, plan_credits numeric)',
  'create temp table credit_settings (spending_frozen boolean)',
  'create function pg_temp.now() returns timestamptz language sql as $$select timestamptz $t$2000-01-01$t$$$',
  'create function pg_temp.clock_timestamp() returns timestamptz language sql as $$select timestamptz $t$2000-01-01$t$$$',
  'create function pg_temp.coalesce_numeric(numeric) returns numeric language sql as $$select 0$$',
  'create function pg_temp.sha256(bytea) returns bytea language sql as $$select $t$\\x$t$::bytea$$',
  'create function pg_temp.least(numeric, numeric) returns numeric language sql as $$select 0$$',
  'create function pg_temp.never(numeric, numeric) returns boolean language sql as $$select false$$',
  'create operator pg_temp.>= (leftarg = numeric, rightarg = numeric, function = pg_temp.never)',
  'create domain pg_temp.uuid as text',
  ...[
    ...['credit_transactions', 'credit_reservations', 'credit_lots', 'credit_plans', 'credit_rates', 'margin_config'],
    ...['credit_transaction_costs', 'margin_audit_log', 'credit_audit_log', 'profiles', 'users', 'secrets'],
  ].map((name) => `create temp table ${name} (account_id uuid)`),
  ...['available', 'fail', 'check_amount', 'lock_account', 'reservation_json'].map(
    (name) => `create function pg_temp.${name}(numeric) returns numeric language sql as $$select 1e12$$`,
  ),
  ...['greatest', 'coalesce_text', 'trim_scale', 'abs', 'round'].map(
    (name) => `create function pg_temp.${name}(numeric) returns numeric language sql as $$select 1e12$$`,
  ),
  'set search_path = pg_temp, public',
]

/** E5: objects of the caller's own, named like ours. */
export const E5: Attack = {
  id: 'E5',
  claim: 'Temporary objects and operators named like ours change nothing for the functions',
  faults: ['shadow'],
  broken: [
    {
      name: 'a definer function finds its tables by the caller’s search_path',
      sql: 'alter function public.credits_reserve reset search_path',
      edits: [{ function: 'public.credits_reserve', from: 'from public.credit_settings', to: 'from credit_settings' }],
    },
  ],
  run: async (arena) => {
    const field = await arena.open()
    const userId = await field.user('5')
    const client = await field.pool(1).connect()
    try {
      for (const shadow of SHADOWS) {
        const made = await client.query(shadow).then(
          () => true,
          () => false,
        )
        if (made) arena.reached('shadow')
        arena.ran()
      }
      const call = (): Promise<unknown> =>
        client.query('select public.credits_reserve($1, $2, 3)', [arena.random.uuid(), userId])
      const first = await call().then(
        () => 'ok',
        (error: Error) => error.message,
      )
      const second = await call().then(
        () => 'ok',
        (error: Error) => error.message,
      )
      arena.check(first === 'ok' && second === 'INSUFFICIENT_CREDITS', `shadowed: ${first}, then ${second}`)
      for (const statement of [
        'create table public.credit_shadow (id int)',
        'create function public.least(numeric) returns numeric language sql as $$select 0$$',
      ]) {
        const made = await client.query(statement).then(
          () => true,
          () => false,
        )
        arena.check(!made, `service_role may create in public: ${statement}`)
        arena.ran()
      }
    } finally {
      client.release(true)
    }
  },
}
