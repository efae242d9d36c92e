import type pg from 'pg'
import { CreditError, invalidInput } from '../core/errors.ts'
import { command, databaseArgs } from './command.ts'
import { withDatabase } from './database.ts'
import { type MigratedObjects, migratedObjects } from './migrations.ts'
import { migrationsFolder } from './package-root.ts'

/** `credits uninstall` */
export const uninstall = command({
  name: 'uninstall',
  description: 'Print the SQL that removes everything of the library from this database, and nothing else',
  args: {
    ...databaseArgs,
    'dry-run': { type: 'boolean', description: 'Required: the SQL is printed and never run', default: false },
  },
  examples: ['uninstall --dry-run > supabase/migrations/20270101000000_remove_credits.sql'],
  async run(args, output) {
    if (!args['dry-run']) throw invalidInput('--dry-run', 'required: this command prints SQL for you to run')
    const statements = await withDatabase(args['database-url'], (client) => removal(client))
    output.say(HEAD)
    for (const statement of statements) output.say(statement)
    output.answer({ statements })
    return 0
  },
})

const HEAD = `-- Removes @layers/credits. The ledger is the record of what users paid: make a \`credits export\` first.
-- The extension pg_cron stays, where there is one: other jobs may need it.
-- An object of yours that depends on one of these stops the removal instead of going with it.`

/** What is there, in an order in which it can go. */
async function removal(client: pg.Client): Promise<string[]> {
  const { functions, tables, views, policies } = migratedObjects(migrationsFolder())
  const publicFunctions = functions.filter(({ schema }) => schema === 'public').map(({ name }) => name)
  const { rows } = await client.query<{ statement: string }>(QUERY, [tables, views, publicFunctions])
  if (rows.length === 0)
    throw new CreditError({ code: 'CONFIG_INVALID', message: 'The library is not installed in this database' })
  return [
    ...(await cronJobs(client)),
    ...(await policiesElsewhere(client, policies)),
    ...rows.map(({ statement }) => statement),
  ]
}

/** The policy of the private Realtime topic, where the project has Realtime. */
async function policiesElsewhere(client: pg.Client, policies: MigratedObjects['policies']): Promise<string[]> {
  const { rows } = await client.query<{ statement: string }>(
    `select format('drop policy %I on %s;', policy.polname, policy.polrelid::regclass) as statement
     from pg_catalog.pg_policy policy
     join unnest($1::text[], $2::text[]) ours (name, relation)
       on ours.name = policy.polname and to_regclass(ours.relation) = policy.polrelid
     order by 1`,
    [policies.map(({ name }) => name), policies.map(({ table }) => table)],
  )
  return rows.map(({ statement }) => statement)
}

async function cronJobs(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ exists: boolean }>(`select to_regclass('cron.job') is not null as exists`)
  if (!rows[0]?.exists) return []
  const jobs = await client.query<{ statement: string }>(
    `select format('select cron.unschedule(%L);', job.jobname) as statement from cron.job job
     where job.jobname ~ '^credits[-_]' order by job.jobname`,
  )
  return jobs.rows.map(({ statement }) => statement)
}

// Policies, triggers and views use functions, functions have tables and types in their arguments (a few have a view),
// composite types have tables, tables have domains. So nothing needs CASCADE, which would take objects of the app. The
// exception are triggers on tables of others: only an owner of auth.users may drop those by name, so they go with
// their function, on which nothing but triggers can depend.
const QUERY = `
  with relations as (
    select relation.oid, relation.relname, relation.relkind from pg_catalog.pg_class relation
    where relation.relnamespace = 'public'::regnamespace and relation.relname = any ($1::text[] || $2::text[])
      or relation.relnamespace = to_regnamespace('credits_private')
  ), functions as (
    select function.oid, exists (
        select from pg_catalog.pg_trigger trigger where trigger.tgfoid = function.oid and not trigger.tgisinternal
          and trigger.tgrelid not in (select relations.oid from relations)
      ) as fires_elsewhere, exists (
        select from pg_catalog.pg_type type join relations on relations.oid = type.typrelid
        where relations.relkind = 'v' and type.oid = any (function.proargtypes::oid[] || function.prorettype)
      ) as takes_view
    from pg_catalog.pg_proc function
    where function.pronamespace = 'public'::regnamespace and function.proname = any ($3::text[])
      or function.pronamespace = to_regnamespace('credits_private')
  )
  select statement from (
    select 1.0 as step, format('drop trigger %I on %s;', trigger.tgname, trigger.tgrelid::regclass) as statement
      from pg_catalog.pg_trigger trigger join functions on functions.oid = trigger.tgfoid
      where not trigger.tgisinternal and not functions.fires_elsewhere
    union all
    select 1.1, format('drop function %s cascade;', functions.oid::regprocedure)
      from functions where functions.fires_elsewhere
    union all
    select 2, format('drop view %s;', relations.oid::regclass) from relations where relations.relkind = 'v'
    union all
    select 3, format('drop policy %I on %s;', policy.polname, relations.oid::regclass)
      from pg_catalog.pg_policy policy join relations on relations.oid = policy.polrelid
    union all
    select case when functions.takes_view then 1.5 else 4 end,
        format('drop function %s;', functions.oid::regprocedure) from functions where not functions.fires_elsewhere
    union all
    select 5, 'drop type ' || string_agg(relations.oid::regclass::text, ', ' order by relations.relname) || ';'
      from relations where relations.relkind = 'c' having count(*) > 0
    union all
    select 6, 'drop table ' || string_agg(relations.oid::regclass::text, ', ' order by relations.relname) || ';'
      from relations where relations.relkind in ('r', 'p') having count(*) > 0
    union all
    select 7, format('drop %s %s;', case type.typtype when 'd' then 'domain' else 'type' end, type.oid::regtype)
      from pg_catalog.pg_type type
      where type.typnamespace = to_regnamespace('credits_private') and type.typtype in ('d', 'e')
    union all
    select 8, 'drop schema credits_private;' where to_regnamespace('credits_private') is not null
  ) removal
  order by step, statement`
