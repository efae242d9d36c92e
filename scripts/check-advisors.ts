/**
 * `pnpm exec node scripts/check-advisors.ts`: runs Supabase's advisors on the migrations and exits with 1 when they
 * find something. What is accepted stands in `accepted`, with its reason.
 */
import pg from 'pg'
import { type StackCli, withStackCli } from './lib/stack-cli.ts'

/** A finding of `supabase db advisors`, which is Supabase's splinter. */
interface Finding {
  name: string
  level: string
  detail: string
}

/** One function of `supabase db lint`. */
interface Lint {
  function: string
  issues: { level: string; message: string }[]
}

function accepted({ name, detail }: Pick<Finding, 'name' | 'detail'>): boolean {
  // A plan is retired, never deleted, so nothing looks an account up by its plan. Every charge would pay for an index
  // on such a column of credit_balances.
  if (name === 'unindexed_foreign_keys' && /plan_id_fkey/.test(detail)) return true
  // Statistics of a database that has not been used yet.
  return name === 'unused_index'
}

/**
 * The lints 0028 and 0029 of the dashboard, which the CLI does not have: functions that run with the rights of their
 * owner and that every visitor, or every signed-in user, may call. The app's own is_admin only says whether its caller
 * is an admin.
 */
const CALLABLE_DEFINERS = `
  select format('%s may call %I.%I(%s)',
    role, n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) as detail
  from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
  cross join unnest(array['anon', 'authenticated']) as role
  where n.nspname in ('public', 'graphql_public') and p.prosecdef and has_function_privilege(role, p.oid, 'execute')
    and p.oid <> 'public.is_admin()'::regprocedure
  order by 1`

/** Checks the bodies of our functions where the server has plpgsql_check: Debian's has it (POSTGRES_BIN), npm's not. */
async function lint(client: pg.Client, cli: StackCli): Promise<Pick<Finding, 'name' | 'level' | 'detail'>[]> {
  const { rowCount } = await client.query(`select from pg_available_extensions where name = 'plpgsql_check'`)
  if (rowCount === 0) return []
  await client.query('create extension plpgsql_check with schema extensions')
  const output = cli('db', 'lint', '--level', 'warning', '--schema', 'public,credits_private')
  const results = output.trim().startsWith('[') ? (JSON.parse(output) as Lint[]) : []
  return results
    .flatMap(({ function: name, issues }) => issues.map(({ level, message }) => ({ name, level, detail: message })))
    .filter(({ level }) => !level.startsWith('performance'))
}

const { findings, linted } = await withStackCli(async (cli, { adminDbUrl }) => {
  const client = new pg.Client({ connectionString: adminDbUrl })
  await client.connect()
  try {
    const advisors = JSON.parse(cli('db', 'advisors', '--type', 'all', '--level', 'info')) as Finding[]
    const { rows } = await client.query<{ detail: string }>(CALLABLE_DEFINERS)
    const lints = await lint(client, cli)
    const { rowCount } = await client.query(`select from pg_extension where extname = 'plpgsql_check'`)
    const callable = rows.map(({ detail }) => ({ name: 'security_definer_function_executable', level: 'WARN', detail }))
    return {
      findings: [...advisors.filter((finding) => !accepted(finding)), ...callable, ...lints],
      linted: rowCount === 1,
    }
  } finally {
    await client.end()
  }
})

for (const { level, name, detail } of findings) console.error(`${level.padEnd(5)} ${name}: ${detail}`)
if (!linted) console.log('Function bodies were not linted: this server has no plpgsql_check.')
console.log(findings.length === 0 ? 'The advisors find nothing.' : `The advisors find ${findings.length}.`)
process.exitCode = findings.length === 0 ? 0 : 1
