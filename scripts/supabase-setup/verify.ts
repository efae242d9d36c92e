import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { SetupError } from './errors.ts'

/** How to reach a project over HTTP. */
export interface ProjectApi {
  url: string
  publishableKey: string
  secretKey: string
}

/** PostgREST sees new functions within a second, a new project needs a while to answer at all. */
const PATIENCE_MS = 60_000
const PAUSE_MS = 500

const versionSchema = z.object({ version: z.number().int() })
const refusalSchema = z.object({ code: z.literal('42501') })

/**
 * Proves that the project works as it was set up: the secret key reaches the functions of the credits, and the
 * publishable key, which every browser has, is known but may not call them.
 *
 * @returns the version of the SQL interface
 * @throws SetupError naming which of the two is not so
 */
export async function verify(api: ProjectApi): Promise<number> {
  const secret = await callPatiently(api, api.secretKey)
  const version = secret.status === 200 ? versionSchema.safeParse(secret.body) : undefined
  if (!version?.success) {
    throw new SetupError(
      `The API at ${api.url} did not answer as it should with the secret key (${describe(secret)}).`,
      'Check in the dashboard that the project is healthy and the Data API is enabled, then run this again.',
    )
  }
  const anonymous = await callPatiently(api, api.publishableKey)
  if (refusalSchema.safeParse(anonymous.body).success) return version.data.version
  throw anonymous.status === 200
    ? new SetupError(
        'Anybody can call the functions that move credits: the publishable key was let in.',
        'Do not go live. The last migration revokes these rights; compare with `supabase db advisors`.',
      )
    : new SetupError(`The API at ${api.url} does not know the publishable key (${describe(anonymous)}).`)
}

interface Answer {
  /** 0: no answer. */
  status: number
  body: unknown
}

/** Calls until the answer is final: not reached, restarting, and "no such function" may pass. */
async function callPatiently(api: ProjectApi, key: string): Promise<Answer> {
  const deadline = Date.now() + PATIENCE_MS
  for (;;) {
    const answer = await call(api.url, key)
    const mayPass = answer.status === 0 || answer.status === 404 || answer.status >= 500
    if (!mayPass || Date.now() > deadline) return answer
    await sleep(PAUSE_MS)
  }
}

async function call(url: string, key: string): Promise<Answer> {
  try {
    const response = await fetch(new URL('/rest/v1/rpc/credits_schema_version', url), {
      method: 'POST',
      headers: { apikey: key, 'content-type': 'application/json' },
      body: '{}',
      signal: AbortSignal.timeout(10_000),
    })
    const text = await response.text()
    return { status: response.status, body: parsed(text) }
  } catch {
    return { status: 0, body: undefined }
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function describe({ status, body }: Answer): string {
  if (status === 0) return 'no answer'
  const { code, message } = (body ?? {}) as { code?: unknown; message?: unknown }
  return [`HTTP ${status}`, code, message].filter((part) => typeof part === 'string').join(', ')
}
