/**
 * `pnpm exec node scripts/check-advisors.ts`: runs Supabase's advisors on the migrations and exits with 1 when they
 * find something. What is accepted stands in `accepted`, with its reason.
 */
import pg from 'pg'
import { withStackCli } from './lib/stack-cli.ts'

/** A finding of `supabase db advisors`, which is Supabase's splinter. */
interface Finding {
  name: string
  level: string
  detail: string
  metadata: { schema?: string } | null
}

function accepted({ name, metadata, detail }: Finding): boolean {
  // A plan is retired, never deleted, so nothing looks an account up by its plan; an index on a column of
  // credit_balances would be paid for by every charge.
  if (name === 'unindexed_foreign_keys' && /plan_id_fkey/.test(detail)) return true
  // Statistics of a database that nobody has used yet.
  if (name === 'unused_index') return true
  // Nobody reads the private schema through the API; row security without a policy is the lock behind the lock.
  return name === 'rls_enabled_no_policy' && metadata?.schema === 'credits_private'
}

/**
 * The dashboard's lints 0028 and 0029, which the CLI does not carry: functions that run with their owner's rights
 * and that everybody on the internet, or every signed-in user, may call.
 */
const CALLABLE_DEFINERS = `
  select format('%s may call %I.%I(%s)', role, n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) as detail
  from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
  cross join unnest(array['anon', 'authenticated']) as role
  where n.nspname in ('public', 'graphql_public') and p.prosecdef and has_function_privilege(role, p.oid, 'execute')
  order by 1`

const findings = await withStackCli(async (cli, dbUrl) => {
  const fromCli = JSON.parse(cli('db', 'advisors', '--type', 'all', '--level', 'info')) as Finding[]
  const client = new pg.Client({ connectionString: dbUrl })
  await client.connect()
  const { rows } = await client.query<{ detail: string }>(CALLABLE_DEFINERS).finally(() => client.end())
  return [
    ...fromCli.filter((finding) => !accepted(finding)),
    ...rows.map(({ detail }) => ({ name: 'security_definer_function_executable', level: 'WARN', detail })),
  ]
})

for (const { level, name, detail } of findings) console.error(`${level.padEnd(5)} ${name}: ${detail}`)
console.log(findings.length === 0 ? 'The advisors find nothing.' : `The advisors find ${findings.length}.`)
process.exitCode = findings.length === 0 ? 0 : 1
