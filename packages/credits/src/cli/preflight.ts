import type pg from 'pg'
import { type MigratedObjects, migratedObjects } from './migrations.ts'

/** What the database of an app says about an install. */
interface Preflight {
  /** The migrations were applied before. */
  installed: boolean
  /** Names that are taken, and settings that stand in the way. */
  collisions: string[]
}

/** Looks for everything that has a name the migrations need. Changes nothing. */
export async function findCollisions(client: pg.Client, folder: string): Promise<Preflight> {
  const { rows } = await client.query<{ installed: boolean }>(
    `select to_regprocedure('public.credits_schema_version()') is not null as installed`,
  )
  if (rows[0]?.installed) return { installed: true, collisions: [] }
  const objects = migratedObjects(folder)
  const found = await client.query<{ collision: string }>(QUERY, parametersOf(objects))
  return { installed: false, collisions: found.rows.map(({ collision }) => collision) }
}

function parametersOf({ functions, tables, views, indexes, triggers, policies }: MigratedObjects): string[][] {
  const publicFunctions = functions.filter(({ schema }) => schema === 'public').map(({ name }) => name)
  const onTables = [...triggers, ...policies].map(({ name, table }) => `${name} on ${table}`)
  return [[...tables, ...views, ...indexes], publicFunctions, onTables]
}

const QUERY = `
  select case relation.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
      when 'i' then 'index' when 'I' then 'index' when 'c' then 'type' else 'table' end
      || ' public.' || relation.relname as collision
    from pg_catalog.pg_class relation
    where relation.relnamespace = 'public'::regnamespace and relation.relname = any ($1::text[])
  union all
  select 'type public.' || type.typname from pg_catalog.pg_type type
    where type.typnamespace = 'public'::regnamespace and type.typname = any ($1::text[])
      and type.typrelid = 0 and type.typcategory <> 'A'
  union all
  select 'function public.' || function.proname || '(' || pg_get_function_identity_arguments(function.oid) || ')'
    from pg_catalog.pg_proc function
    where function.pronamespace = 'public'::regnamespace and function.proname = any ($2::text[])
  union all
  select installed.kind || ' ' || installed.name from (
      select 'trigger' as kind, format('%s on %s.%s', trigger.tgname, namespace.nspname, relation.relname) as name
      from pg_catalog.pg_trigger trigger
      join pg_catalog.pg_class relation on relation.oid = trigger.tgrelid
      join pg_catalog.pg_namespace namespace on namespace.oid = relation.relnamespace
      where not trigger.tgisinternal
      union all
      select 'policy', format('%s on %s.%s', policy.polname, namespace.nspname, relation.relname)
      from pg_catalog.pg_policy policy
      join pg_catalog.pg_class relation on relation.oid = policy.polrelid
      join pg_catalog.pg_namespace namespace on namespace.oid = relation.relnamespace) installed
    where installed.name = any ($3::text[])
  union all
  select 'schema credits_private' from pg_catalog.pg_namespace namespace where namespace.nspname = 'credits_private'
  union all
  select 'the role ' || needed.name || ' does not exist: this is no Supabase database'
    from (values ('anon'), ('authenticated'), ('service_role')) needed (name)
    where not exists (select from pg_catalog.pg_roles role where role.rolname = needed.name)
  union all
  select 'the table auth.users does not exist: this is no Supabase database'
    where to_regclass('auth.users') is null
  union all
  select 'Postgres ' || current_setting('server_version') || ' is too old: 15 or newer is needed'
    where current_setting('server_version_num')::integer < 150000
  order by 1`
