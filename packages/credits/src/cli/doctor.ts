import { existsSync, readdirSync } from 'node:fs'
import type pg from 'pg'
import { CreditError } from '../core/errors.ts'
import { command, databaseArgs } from './command.ts'
import { callFunction, withDatabase } from './database.ts'
import { checkRest, keyKind } from './doctor-rest.ts'
import { SCHEMA_QUESTIONS } from './doctor-schema.ts'
import { bodyHash, MIGRATION_NAME, migratedObjects, migrationFiles } from './migrations.ts'
import { migrationsFolder } from './package-root.ts'

/** The SQL interface that this version of the package uses. */
const SCHEMA_VERSION = 1
const LEAST_NODE = [22, 12] as const
const LEAST_POSTGRES = 150_000
/** Most names in one line of the report. */
const MOST_NAMED = 12

/** One thing that was looked at. `warn` does not fail the command. */
export interface Check {
  name: string
  state: 'ok' | 'warn' | 'fail'
  note: string
}

/** `credits doctor` */
export const doctor = command({
  name: 'doctor',
  description:
    'Check the environment, the schema, the permissions and the way in; exit 1 when something must be mended',
  args: {
    ...databaseArgs,
    dir: { type: 'string', description: 'Folder of the migrations', default: 'supabase/migrations' },
  },
  examples: ['doctor', 'doctor --json'],
  async run(args, output) {
    const checks = [node(process.versions.node), ...environment(process.env), ...files(args.dir)]
    try {
      checks.push(...(await withDatabase(args['database-url'], database)))
    } catch (error) {
      if (!CreditError.isInstance(error)) throw error
      checks.push({ name: 'database', state: 'fail', note: withCause(error) })
    }
    checks.push(...(await checkRest(process.env)))
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

function withCause({ code, message, cause }: CreditError): string {
  const reason = cause instanceof Error && !message.includes(cause.message) ? ` (${cause.message})` : ''
  return `${code}: ${message}${reason}`
}

function node(running: string): Check {
  const [major = 0, minor = 0] = running.split('.').map(Number)
  const good = major > LEAST_NODE[0] || (major === LEAST_NODE[0] && minor >= LEAST_NODE[1])
  return check('node', good, `${running} is too old: ${LEAST_NODE.join('.')} or newer is needed`)
}

/** What the variables say. A secret with a public name would end up in the browser's bundle. */
export function environment(env: NodeJS.ProcessEnv): Check[] {
  const leaked = Object.entries(env)
    .filter(([name, value]) => name.startsWith('NEXT_PUBLIC_') && keyKind(value) === 'secret')
    .map(([name]) => name)
  return [
    check('secret keys', leaked.length === 0, `${leaked.join(', ')} would be sent to every browser: rename it`),
    secretKey(env.SUPABASE_SECRET_KEY),
    check('NEXT_PUBLIC_SUPABASE_URL', Boolean(env.NEXT_PUBLIC_SUPABASE_URL), 'not set', 'warn'),
  ]
}

function secretKey(value: string | undefined): Check {
  const name = 'SUPABASE_SECRET_KEY'
  if (!value) return check(name, false, 'not set: supabaseStore needs it', 'warn')
  const kind = keyKind(value)
  if (kind === 'publishable') return check(name, false, 'is a publishable (anon) key: the secret key belongs here')
  return check(name, kind === 'secret', 'is no key of Supabase (sb_secret_..., or a JWT of service_role)', 'warn')
}

/** Files of the package that the app's folder does not have. */
function files(folder: string): Check[] {
  if (!existsSync(folder)) return []
  const own = new Set(readdirSync(folder).map((file) => MIGRATION_NAME.exec(file)?.[1]))
  const missing = migrationFiles(migrationsFolder()).filter((file) => !own.has(MIGRATION_NAME.exec(file)?.[1]))
  return [
    check('migration files', missing.length === 0, `${list(missing)} missing in ${folder}: npx @layers/credits init`),
  ]
}

function list(names: readonly string[]): string {
  const rest = names.length - MOST_NAMED
  return names.slice(0, MOST_NAMED).join(', ') + (rest > 0 ? ` and ${rest} more` : '')
}

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
    return [...checks, check('schema', false, 'not installed: npx @layers/credits init, then apply the migrations')]
  }
  checks.push(await schema(client), await functions(client), ...(await triggers(client)))
  for (const { name, state, text } of SCHEMA_QUESTIONS) {
    const { rows: offenders } = await client.query<{ offender: string }>(text)
    checks.push(check(name, offenders.length === 0, list(offenders.map((row) => row.offender)), state))
  }
  return checks
}

async function schema(client: pg.Client): Promise<Check> {
  const { version } = await callFunction<{ version: number }>(client, 'credits_schema_version', [])
  const old = 'npx @layers/credits init, then apply the migrations'
  const remedy = version < SCHEMA_VERSION ? old : 'upgrade this package'
  return check('schema', version === SCHEMA_VERSION, `version ${version}, the package has ${SCHEMA_VERSION}: ${remedy}`)
}

/** Compares the body of each function with the one in the package. */
async function functions(client: pg.Client): Promise<Check> {
  const { rows } = await client.query<{ schema: string; name: string; body: string; definer: boolean }>(
    `select namespace.nspname as schema, function.proname as name, function.prosrc as body,
       function.prosecdef as definer
     from pg_catalog.pg_proc function join pg_catalog.pg_namespace namespace on namespace.oid = function.pronamespace
     where namespace.nspname = 'credits_private'
       or (namespace.nspname = 'public' and function.proname like 'credits\\_%')`,
  )
  const installed = new Map(rows.map((row) => [`${row.schema}.${row.name}`, row]))
  const faults = migratedObjects(migrationsFolder()).functions.flatMap((expected) => {
    const id = `${expected.schema}.${expected.name}`
    const found = installed.get(id)
    if (found === undefined) return [`${id} is missing`]
    const same = bodyHash(found.body) === expected.bodyHash && found.definer === expected.securityDefiner
    return same ? [] : [`${id} differs from the package`]
  })
  return check('functions are those of the package', faults.length === 0, list(faults))
}

async function triggers(client: pg.Client): Promise<Check[]> {
  const { rows } = await client.query<{ id: string; enabled: boolean }>(
    `select trigger.tgname || ' on ' || namespace.nspname || '.' || relation.relname as id,
       trigger.tgenabled = 'O' as enabled
     from pg_catalog.pg_trigger trigger
     join pg_catalog.pg_class relation on relation.oid = trigger.tgrelid
     join pg_catalog.pg_namespace namespace on namespace.oid = relation.relnamespace
     where not trigger.tgisinternal`,
  )
  const installed = new Map(rows.map((row) => [row.id, row.enabled]))
  const expected = migratedObjects(migrationsFolder()).triggers.map(({ name, table }) => `${name} on ${table}`)
  const missing = expected.filter((id) => !installed.has(id)).map((id) => `${id} is missing`)
  const disabled = expected.filter((id) => installed.get(id) === false).map((id) => `${id} is disabled`)
  const faults = [...missing, ...disabled]
  return [check('triggers are in place', faults.length === 0, list(faults))]
}
