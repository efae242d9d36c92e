import type pg from 'pg'
import { CreditError } from '../core/errors.ts'
import { command, databaseArgs } from './command.ts'
import { withDatabase } from './database.ts'

/** The SQL interface that this version of the package speaks. */
const SCHEMA_VERSION = 1
const LEAST_NODE = [22, 12] as const
const LEAST_POSTGRES = 150_000

/** One thing that was looked at. `warn` does not fail the command. */
export interface Check {
  name: string
  state: 'ok' | 'warn' | 'fail'
  note: string
}

/** `credits doctor` */
export const doctor = command({
  name: 'doctor',
  description: 'Check the environment, the schema and the permissions; exit 1 when something must be mended',
  args: databaseArgs,
  async run(args, output) {
    const checks = [node(process.versions.node), ...environment(process.env)]
    try {
      checks.push(...(await withDatabase(args['database-url'], database)))
    } catch (error) {
      if (!CreditError.isInstance(error)) throw error
      checks.push({ name: 'database', state: 'fail', note: `${error.code}: ${error.message}` })
    }
    for (const { name, state, note } of checks)
      output.say(`${state.padEnd(5)} ${name}${note === '' ? '' : `: ${note}`}`)
    const ok = checks.every((check) => check.state !== 'fail')
    output.answer({ ok, checks })
    return ok ? 0 : 1
  },
})

function check(name: string, good: boolean, note: string, otherwise: 'warn' | 'fail' = 'fail'): Check {
  return { name, state: good ? 'ok' : otherwise, note: good ? '' : note }
}

function node(running: string): Check {
  const [major = 0, minor = 0] = running.split('.').map(Number)
  const good = major > LEAST_NODE[0] || (major === LEAST_NODE[0] && minor >= LEAST_NODE[1])
  return check('node', good, `${running} is too old: ${LEAST_NODE.join('.')} or newer is needed`)
}

/** Exported for its test: a secret with a public name would end up in the browser's bundle. */
export function environment(env: NodeJS.ProcessEnv): Check[] {
  const leaked = Object.entries(env)
    .filter(([name, value]) => name.startsWith('NEXT_PUBLIC_') && isSecret(value ?? ''))
    .map(([name]) => name)
  return [
    check('secret keys', leaked.length === 0, `${leaked.join(', ')} would be sent to every browser: rename it`),
    check('SUPABASE_SECRET_KEY', Boolean(env.SUPABASE_SECRET_KEY), 'not set: supabaseStore needs it', 'warn'),
    check('NEXT_PUBLIC_SUPABASE_URL', Boolean(env.NEXT_PUBLIC_SUPABASE_URL), 'not set', 'warn'),
  ]
}

function isSecret(value: string): boolean {
  if (value.startsWith('sb_secret_')) return true
  const payload = value.split('.')[1]
  if (payload === undefined || !value.startsWith('eyJ')) return false
  return Buffer.from(payload, 'base64url').toString().includes('"service_role"')
}

/** Each question gives the offenders: none is good. */
const QUESTIONS: readonly { name: string; state: 'warn' | 'fail'; text: string }[] = [
  {
    name: 'row level security on every table',
    state: 'fail',
    text: `select c.relname as offender from pg_catalog.pg_class c
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relrowsecurity
        and (c.relname like 'credit\\_%' or c.relname in ('profiles', 'margin_config', 'margin_audit_log'))`,
  },
  {
    name: 'no API role writes a table',
    state: 'fail',
    text: `select r.rolname || ' may ' || p.privilege || ' ' || c.relname as offender
      from pg_catalog.pg_class c
      cross join (values ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE')) p (privilege)
      join pg_catalog.pg_roles r on r.rolname in ('anon', 'authenticated', 'service_role')
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
        and (c.relname like 'credit\\_%' or c.relname in ('margin_config', 'margin_audit_log'))
        and has_table_privilege(r.rolname, c.oid, p.privilege)`,
  },
  {
    name: 'only the service role executes the functions',
    state: 'fail',
    text: `select r.rolname || ' may call ' || f.proname as offender
      from pg_catalog.pg_proc f
      join pg_catalog.pg_roles r on r.rolname in ('anon', 'authenticated')
      where f.pronamespace = 'public'::regnamespace and f.proname like 'credits\\_%' and f.prosecdef
        and has_function_privilege(r.rolname, f.oid, 'EXECUTE')`,
  },
  {
    name: 'functions pin their search_path',
    state: 'fail',
    text: `select f.proname as offender from pg_catalog.pg_proc f
      where f.pronamespace = 'public'::regnamespace and f.proname like 'credits\\_%'
        and not coalesce(array_to_string(f.proconfig, ','), '') like '%search_path=%'`,
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
    text: `select 'credit_rates is empty: every model is refused' as offender
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
    text: `select 'not installed: expired reservations are released when their account is touched' as offender
      where not exists (select from pg_catalog.pg_extension where extname = 'pg_cron')`,
  },
]

async function database(client: pg.Client): Promise<Check[]> {
  const { rows } = await client.query<{ version: number; schema: string | null }>(
    `select current_setting('server_version_num')::int as version,
       to_regprocedure('public.credits_schema_version()')::text as schema`,
  )
  const server = rows[0]
  const checks = [
    check('database', true, ''),
    check('Postgres', (server?.version ?? 0) >= LEAST_POSTGRES, `${server?.version} is too old: 15 or newer is needed`),
  ]
  if (server?.schema == null) {
    return [...checks, check('schema', false, 'not installed: npx credits init, then apply the migrations')]
  }
  checks.push(await schema(client))
  for (const { name, state, text } of QUESTIONS) {
    const { rows: offenders } = await client.query<{ offender: string }>(text)
    checks.push(check(name, offenders.length === 0, offenders.map((row) => row.offender).join('; '), state))
  }
  return checks
}

async function schema(client: pg.Client): Promise<Check> {
  const { rows } = await client.query<{ answer: { version: number } }>(
    'select public.credits_schema_version() as answer',
  )
  const found = rows[0]?.answer.version
  const remedy = (found ?? 0) < SCHEMA_VERSION ? 'npx credits init, then apply the migrations' : 'upgrade this package'
  return check('schema', found === SCHEMA_VERSION, `version ${found}, this package speaks ${SCHEMA_VERSION}: ${remedy}`)
}
