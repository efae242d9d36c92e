import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type EnvFile, readVariables } from './env-file.ts'
import type { Variables } from './env-text.ts'
import { SetupError } from './errors.ts'

/** The pooler's port for sessions. 6543 is the one for single transactions, which long checks outlive. */
const SESSION_PORT = '5432'

/**
 * What `supabase db push --remote=` is to connect to. By default the linked project: the CLI finds a way (direct,
 * or the pooler where there is no IPv6) and, without a password, makes a login that lasts minutes.
 * `SUPABASE_DB_URL` replaces that. A password goes through the environment, never through the arguments.
 */
export function pushTarget(envFile: EnvFile, ref: string): { remote: string; env: Variables } {
  const { SUPABASE_DB_URL: own } = process.env
  if (own) {
    const url = parseUrl(own)
    const password = decodeURIComponent(url.password)
    url.password = ''
    return { remote: url.href, env: { PGPASSWORD: password } }
  }
  const password = knownPassword(envFile)
  return { remote: ref, env: password ? { SUPABASE_DB_PASSWORD: password } : {} }
}

/**
 * The connection for `pnpm credits`: the given one, the pooler's with the password, or the one that the file
 * already has for this project. Empty when none is known, so that it never means another project.
 */
export function databaseUrl({ workdir, envFile, ref }: { workdir: string; envFile: EnvFile; ref: string }): string {
  if (process.env.SUPABASE_DB_URL) return process.env.SUPABASE_DB_URL
  const password = knownPassword(envFile)
  const pooler = poolerUrl(workdir)
  if (password && pooler?.username.endsWith(`.${ref}`)) {
    pooler.password = encodeURIComponent(password)
    pooler.port = SESSION_PORT
    return pooler.href
  }
  const { DATABASE_URL: present = '', SUPABASE_PROJECT_REF: presentRef } = readVariables(envFile)
  return presentRef === ref && present.includes(ref) ? present : ''
}

function knownPassword(envFile: EnvFile): string | undefined {
  return process.env.SUPABASE_DB_PASSWORD || readVariables(envFile).SUPABASE_DB_PASSWORD || undefined
}

/** What `supabase link` wrote down: a URL with `[YOUR-PASSWORD]` where the password goes. */
function poolerUrl(workdir: string): URL | undefined {
  const path = join(workdir, 'supabase', '.temp', 'pooler-url')
  if (!existsSync(path)) return undefined
  const text = readFileSync(path, 'utf8').trim().replace('[YOUR-PASSWORD]', '')
  return URL.canParse(text) ? new URL(text) : undefined
}

function parseUrl(text: string): URL {
  if (URL.canParse(text) && /^postgres(ql)?:$/.test(new URL(text).protocol)) return new URL(text)
  throw new SetupError(
    'SUPABASE_DB_URL is not a Postgres URL.',
    'It looks like postgresql://user:password@host:5432/postgres',
  )
}
