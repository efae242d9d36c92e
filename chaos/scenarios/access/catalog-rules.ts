import type { Scenario } from '../../runner/scenario.ts'

/** A rule about our schemas as a query: each row that it returns breaks the rule. */
interface CatalogRule {
  what: string
  sql: string
}

const OURS = `n.nspname in ('public', 'credits_private')`

const CATALOG_RULES: readonly CatalogRule[] = [
  {
    what: 'a security definer function without an empty search_path',
    sql: `select p.oid::regprocedure::text as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
      where ${OURS} and p.prosecdef and not coalesce(p.proconfig, '{}') @> array['search_path=""']`,
  },
  {
    what: 'a security definer function that API roles can execute in an exposed schema',
    sql: `select p.oid::regprocedure::text as name, r.role from pg_proc p join pg_namespace n on n.oid = p.pronamespace,
      (values ('anon'), ('authenticated')) r (role)
      where n.nspname = 'public' and p.prosecdef and has_function_privilege(r.role, p.oid, 'execute')
        and p.proname <> 'is_admin' -- of the app, for the policies of its own table`,
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
      where ${OURS} and p.prosrc ~* '\\mexecute\\s+(format|''|\\w+\\s*\\|\\|)'
        -- calls the function that the settings name; a trigger checks that name
        and p.oid <> 'credits_private.is_admin()'::regprocedure`,
  },
  {
    what: 'a table without row security',
    sql: `select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where ${OURS} and c.relkind = 'r' and not c.relrowsecurity`,
  },
  {
    what: 'a view that runs with its owner’s rights',
    sql: `select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where ${OURS} and c.relkind = 'v'
        and not coalesce(c.reloptions, '{}') && array['security_invoker=true', 'security_invoker=on']`,
  },
  {
    what: 'an overloaded function',
    sql: `select n.nspname || '.' || p.proname as name, count(*) from pg_proc p
      join pg_namespace n on n.oid = p.pronamespace
      where ${OURS} group by 1 having count(*) > 1`,
  },
  {
    what: 'a numeric column without an upper bound, which NaN would pass',
    sql: `select c.oid::regclass || '.' || a.attname as name
      from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
        join pg_type t on t.oid = a.atttypid
      where ${OURS} and c.relkind = 'r' and 'numeric'::regtype in (a.atttypid, t.typbasetype) and a.attnum > 0
        and not a.attisdropped
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
    what: 'a cost, a margin, a provider id or a reason in what a user reads',
    sql: `select table_name || '.' || column_name as name from information_schema.columns
      where table_schema = 'public'
        and table_name in ('credit_transactions', 'credit_transactions_text', 'credit_reservations',
        'credit_balances', 'credit_balances_text', 'credit_lots', 'credit_lots_text')
        and column_name ~ '(cost|margin_percent|generation|provider|pricing|usage|reason|actor)'`,
  },
]

/** E3 and E6: what the system catalogue says about definer functions, row security and private columns. */
export const E3: Scenario = {
  id: 'E3',
  claim:
    'Definer functions are closed and have an empty search_path, tables have row security, views run with the ' +
    'rights of their reader, and no relation that users read has a cost.',
  faults: ['rule'],
  broken: [
    { name: 'a definer function has no search_path', sql: 'alter function public.credits_reserve reset search_path' },
    { name: 'a column lets NaN in', sql: 'alter table public.credit_plans add column chaos_price numeric(20, 6)' },
    {
      name: 'a function waits for a lock without limit',
      sql: 'alter function public.credits_settle reset lock_timeout',
    },
  ],
  run: async (context) => {
    const database = await context.openDatabase()
    for (const { what, sql } of CATALOG_RULES) {
      const { rows } = await database.admin.query(sql)
      context.countRuns()
      context.countFault('rule')
      for (const row of rows) context.violation(what, row)
    }
  },
}
