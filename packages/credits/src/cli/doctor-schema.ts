/** Our tables: by their names, so that tables of the app are left out. */
const OURS = `(relation.relname like 'credit\\_%' or relation.relname in ('margin_config', 'margin_audit_log'))`

/** Questions to the database. Each lists the offenders: none is good. */
export const SCHEMA_QUESTIONS: readonly { name: string; state: 'warn' | 'fail'; text: string }[] = [
  {
    name: 'row level security on every table',
    state: 'fail',
    text: `select relation.relname as offender from pg_catalog.pg_class relation
      where relation.relnamespace = 'public'::regnamespace and relation.relkind in ('r', 'p')
        and not relation.relrowsecurity and ${OURS}`,
  },
  {
    name: 'no API role writes a table',
    state: 'fail',
    text: `select role.rolname || ' may ' || privilege.name || ' ' || relation.relname as offender
      from pg_catalog.pg_class relation
      cross join (values ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE')) privilege (name)
      join pg_catalog.pg_roles role on role.rolname in ('anon', 'authenticated', 'service_role')
      where relation.relnamespace = 'public'::regnamespace and relation.relkind in ('r', 'p') and ${OURS}
        and has_table_privilege(role.rolname, relation.oid, privilege.name)`,
  },
  {
    name: 'only the service role executes the functions',
    state: 'fail',
    text: `select role.rolname || ' may call ' || function.proname as offender
      from pg_catalog.pg_proc function
      join pg_catalog.pg_roles role on role.rolname in ('anon', 'authenticated')
      where function.pronamespace = 'public'::regnamespace and function.prosecdef
        and function.proname like 'credits\\_%' and has_function_privilege(role.rolname, function.oid, 'EXECUTE')`,
  },
  {
    name: 'no API role reaches the private schema',
    state: 'fail',
    text: `select role.rolname || ' may use credits_private' as offender from pg_catalog.pg_roles role
      where role.rolname in ('anon', 'authenticated', 'service_role')
        and has_schema_privilege(role.rolname, 'credits_private', 'USAGE')`,
  },
  {
    name: 'functions pin their search_path',
    state: 'fail',
    text: `select function.proname as offender from pg_catalog.pg_proc function
      join pg_catalog.pg_namespace namespace on namespace.oid = function.pronamespace
      where (namespace.nspname = 'credits_private'
          or namespace.nspname = 'public' and function.proname like 'credits\\_%')
        and not coalesce(array_to_string(function.proconfig, ','), '') like '%search_path=%'`,
  },
  {
    name: 'a default margin is in force',
    state: 'fail',
    text: `select 'margin_config has none: no call can be priced' as offender
      where not exists (select from public.margin_config where scope = 'default' and effective_from <= now())`,
  },
  {
    name: 'rates are seeded',
    state: 'fail',
    text: `select 'credit_rates is empty and every model is refused: npx @layers/credits rates sync' as offender
      where not exists (select from public.credit_rates where known)`,
  },
  {
    name: 'commits are durable',
    state: 'fail',
    text: `select 'synchronous_commit is off: a crash may lose settled charges' as offender
      where current_setting('synchronous_commit') = 'off'`,
  },
  {
    name: 'pg_cron tidies up',
    state: 'warn',
    text: `select 'not installed: expired reservations are released when their account is used next' as offender
      where not exists (select from pg_catalog.pg_extension where extname = 'pg_cron')`,
  },
]
