import type { Check } from './doctor.ts'

const TIMEOUT_MS = 10_000
const NAME = 'the API answers'

/** What kind of Supabase key a value is; undefined for anything else. */
export function keyKind(value: string | undefined): 'secret' | 'publishable' | undefined {
  if (!value) return undefined
  if (value.startsWith('sb_secret_')) return 'secret'
  if (value.startsWith('sb_publishable_')) return 'publishable'
  const payload = value.split('.')[1]
  if (payload === undefined || !value.startsWith('eyJ')) return undefined
  const text = Buffer.from(payload, 'base64url').toString()
  if (text.includes('"service_role"')) return 'secret'
  return text.includes('"anon"') ? 'publishable' : undefined
}

/** Tries the way that `supabaseStore` takes, and that the publishable key cannot take it. Skipped without variables. */
export async function checkRest(env: NodeJS.ProcessEnv): Promise<Check[]> {
  const { NEXT_PUBLIC_SUPABASE_URL: url, SUPABASE_SECRET_KEY: secret } = env
  const publishable = env.NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY ?? env.NEXT_PUBLIC_SUPABASE_ANON_KEY
  if (!url || !secret) return []
  if (!URL.canParse(url)) return [fail(NAME, 'NEXT_PUBLIC_SUPABASE_URL is not a URL')]
  const checks = [secretAnswer(url, await call(url, secret))]
  if (publishable) checks.push(publishableAnswer(await call(url, publishable)))
  return checks
}

interface Answer {
  status: number
  code: string | undefined
  /** Why there was no answer. */
  cause: string | undefined
}

async function call(url: string, key: string): Promise<Answer> {
  try {
    const response = await fetch(new URL('/rest/v1/rpc/credits_schema_version', url), {
      method: 'POST',
      headers: { apikey: key, authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: '{}',
      redirect: 'manual',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    const body = (await response.json().catch(() => undefined)) as { code?: unknown } | undefined
    return { status: response.status, code: body === undefined ? 'NOT_JSON' : asText(body?.code), cause: undefined }
  } catch (error) {
    const { cause, message } = error as Error
    return { status: 0, code: undefined, cause: cause instanceof Error ? cause.message || String(cause) : message }
  }
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function secretAnswer(url: string, { status, code, cause }: Answer): Check {
  if (status === 200 && code !== 'NOT_JSON') return { name: NAME, state: 'ok', note: '' }
  if (cause !== undefined) return fail(NAME, `${new URL(url).origin} cannot be reached (${cause})`)
  if (code === 'NOT_JSON')
    return fail(NAME, `${new URL(url).origin} answered ${status} without JSON: no Supabase project?`)
  if (code === '42501') return fail(NAME, 'SUPABASE_SECRET_KEY is a key without the right: use the secret key')
  if (status === 401 || status === 403) return fail(NAME, 'SUPABASE_SECRET_KEY is refused: a key of another project?')
  if (code === 'PGRST202') return fail(NAME, 'the functions are not there: apply the migrations to this project')
  return fail(NAME, `answered ${status}${code === undefined ? '' : ` (${code})`}`)
}

function publishableAnswer({ status, cause }: Answer): Check {
  const name = 'the publishable key is refused'
  if (cause !== undefined) return { name, state: 'warn', note: `not tried: ${cause}` }
  return status === 200 ? fail(name, 'it may call the functions of the credits') : { name, state: 'ok', note: '' }
}

function fail(name: string, note: string): Check {
  return { name, state: 'fail', note }
}
