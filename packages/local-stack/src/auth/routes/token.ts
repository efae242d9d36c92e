import { createHash, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { transaction } from '../../postgres/connect.ts'
import type { AuthContext, AuthReply, AuthRequest, AuthRoutes } from '../context.ts'
import { AuthError } from '../errors.ts'
import type { FlowRow } from '../flows.ts'
import { parseBody } from '../input.ts'
import { checkPassword } from '../passwords.ts'
import { openSession, refreshSession } from '../sessions.ts'
import { audit, findUserByEmail } from '../users.ts'

/** Life of the code that an app exchanges after a redirect. */
const AUTH_CODE_LIFE_MS = 5 * 60_000

const password = z.object({
  email: z.string().optional(),
  phone: z.string().optional(),
  password: z.string().optional(),
})
const refresh = z.object({ refresh_token: z.string().optional() })
const pkce = z.object({ auth_code: z.string().optional(), code_verifier: z.string().optional() })

type Grant = (request: AuthRequest, context: AuthContext) => Promise<AuthReply>

const GRANTS: Record<string, Grant> = { password: byPassword, refresh_token: byRefreshToken, pkce: byCode }

/** Signing in and staying signed in. */
export const tokenRoutes: AuthRoutes = {
  'POST /token': async (request, context) => {
    const grant = GRANTS[request.query.get('grant_type') ?? '']
    if (!grant) throw new AuthError(400, 'invalid_credentials', 'unsupported_grant_type')
    return grant(request, context)
  },
}

async function byPassword(request: AuthRequest, context: AuthContext): Promise<AuthReply> {
  const input = parseBody(password, request.body)
  if (!input.email) throw new AuthError(400, 'validation_failed', 'missing email or phone')
  const user = await findUserByEmail(context.pool, input.email.toLowerCase())
  const invalid = new AuthError(400, 'invalid_credentials', 'Invalid login credentials')
  if (!user || !(await checkPassword(context, input.password ?? '', user.encrypted_password))) throw invalid
  if (user.banned_until && user.banned_until > new Date()) throw new AuthError(400, 'user_banned', 'User is banned')
  if (!user.email_confirmed_at) throw new AuthError(400, 'email_not_confirmed', 'Email not confirmed')
  const body = await transaction(context.pool, async (tx) => {
    await audit(tx, 'login', user)
    return openSession(context, tx, request, user.id, 'password')
  })
  return { body }
}

async function byRefreshToken(request: AuthRequest, context: AuthContext): Promise<AuthReply> {
  const token = parseBody(refresh, request.body).refresh_token
  if (!token) throw new AuthError(400, 'validation_failed', 'refresh_token required')
  return { body: await refreshSession(context, token) }
}

async function byCode(request: AuthRequest, context: AuthContext): Promise<AuthReply> {
  const input = parseBody(pkce, request.body)
  if (!input.auth_code || !input.code_verifier) {
    throw new AuthError(
      400,
      'validation_failed',
      'invalid request: both auth code and code verifier should be non-empty',
    )
  }
  const verifier = input.code_verifier
  const body = await transaction(context.pool, async (tx) => {
    const flow = (
      await tx.query<FlowRow>('select * from auth.flow_state where auth_code = $1 for update', [input.auth_code])
    ).rows[0]
    if (!flow?.user_id) {
      throw new AuthError(404, 'flow_state_not_found', 'invalid flow state, no valid flow state found')
    }
    if (!flow.auth_code_issued_at || Date.now() > flow.auth_code_issued_at.getTime() + AUTH_CODE_LIFE_MS) {
      throw new AuthError(403, 'flow_state_expired', 'invalid flow state, flow state has expired')
    }
    if (!matches(flow, verifier)) {
      throw new AuthError(400, 'bad_code_verifier', 'code challenge does not match previously saved code verifier')
    }
    await tx.query('delete from auth.flow_state where id = $1', [flow.id])
    const session = await openSession(context, tx, request, flow.user_id, flow.authentication_method)
    return { ...session, ...providerTokens(flow) }
  })
  return { body }
}

function providerTokens(flow: FlowRow): Record<string, string> {
  return {
    ...(flow.provider_access_token ? { provider_token: flow.provider_access_token } : {}),
    ...(flow.provider_refresh_token ? { provider_refresh_token: flow.provider_refresh_token } : {}),
  }
}

function matches(flow: FlowRow, verifier: string): boolean {
  const given =
    flow.code_challenge_method === 'plain' ? verifier : createHash('sha256').update(verifier).digest('base64url')
  const expected = Buffer.from(flow.code_challenge ?? '')
  return expected.length === Buffer.byteLength(given) && timingSafeEqual(expected, Buffer.from(given))
}
