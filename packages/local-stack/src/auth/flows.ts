import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { Queryable } from './context.ts'
import { AuthError } from './errors.ts'

/** The half of a PKCE exchange that comes with a request. */
export const challengeSchema = z.object({
  code_challenge: z.string().nullish(),
  code_challenge_method: z.string().nullish(),
})

/** A row of `auth.flow_state`. */
export interface FlowRow {
  id: string
  user_id: string | null
  auth_code: string | null
  code_challenge: string | null
  code_challenge_method: 's256' | 'plain' | null
  provider_type: string
  authentication_method: string
  auth_code_issued_at: Date | null
  provider_access_token: string | null
  provider_refresh_token: string | null
  referrer: string | null
  linking_target_id: string | null
  created_at: Date
}

/** What a flow begins with. */
export interface NewFlow {
  method: string
  provider: string
  challenge?: z.infer<typeof challengeSchema>
  userId?: string
  referrer?: string
  linkingTarget?: string
}

/** Whether the caller wants a code instead of tokens. */
export function wantsCode(challenge: z.infer<typeof challengeSchema>): boolean {
  const { code_challenge, code_challenge_method } = challenge
  if (!code_challenge && !code_challenge_method) return false
  if (!code_challenge || !/^[\w.~-]{43,128}$/.test(code_challenge)) {
    throw new AuthError(400, 'validation_failed', 'code challenge has to be between 43 and 128 characters')
  }
  if (!['s256', 'plain'].includes((code_challenge_method ?? '').toLowerCase())) {
    throw new AuthError(400, 'validation_failed', `unsupported code_challenge method: ${code_challenge_method}`)
  }
  return true
}

/** Remembers a flow until it comes back. Returns its id, which is also the OAuth state. */
export async function insertFlow(db: Queryable, flow: NewFlow): Promise<string> {
  const id = randomUUID()
  const { code_challenge, code_challenge_method } = flow.challenge ?? {}
  await db.query(
    `insert into auth.flow_state (id, user_id, auth_code, code_challenge, code_challenge_method, provider_type,
       authentication_method, referrer, linking_target_id, created_at, updated_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, now(), now())`,
    [
      id,
      flow.userId ?? null,
      code_challenge ? randomUUID() : null,
      code_challenge ?? null,
      code_challenge_method?.toLowerCase() ?? null,
      flow.provider,
      flow.method,
      flow.referrer ?? null,
      flow.linkingTarget ?? null,
    ],
  )
  return id
}

/** The flow with this id, or undefined. */
export async function findFlow(db: Queryable, id: string): Promise<FlowRow | undefined> {
  return (await db.query<FlowRow>('select * from auth.flow_state where id = $1', [id])).rows[0]
}

/** Makes the newest flow of a user and method ready to be exchanged. Returns its code. */
export async function issueCode(db: Queryable, userId: string, method: string): Promise<string> {
  const issued = await db.query<{ auth_code: string }>(
    `update auth.flow_state set auth_code_issued_at = now(), updated_at = now() where id = (
         select id from auth.flow_state where user_id = $1 and authentication_method = $2
         order by created_at desc limit 1)
       returning auth_code`,
    [userId, method],
  )
  const code = issued.rows[0]?.auth_code
  if (!code) throw new AuthError(404, 'flow_state_not_found', 'invalid flow state, no valid flow state found')
  return code
}
