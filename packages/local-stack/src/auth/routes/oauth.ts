import { createHash } from 'node:crypto'
import { z } from 'zod'
import { escapeHtml } from '../../http/reply.ts'
import { transaction } from '../../postgres/connect.ts'
import type { AuthContext, AuthReply, AuthRequest, AuthRoutes } from '../context.ts'
import { AuthError } from '../errors.ts'
import { challengeSchema, type FlowRow, findFlow, insertFlow, type NewFlow, wantsCode } from '../flows.ts'
import { isUuid, parseBody, validEmail } from '../input.ts'
import { page } from '../mail/page.ts'
import { redirectOf, withCode, withError, withSession } from '../redirects.ts'
import { openSession } from '../sessions.ts'
import { linkIdentity, signInWithIdentity } from '../social.ts'

/** Providers that have a stand-in here. */
const PROVIDERS: Record<string, { name: string; issuer: string }> = {
  google: { name: 'Google', issuer: 'https://accounts.google.com' },
  github: { name: 'GitHub', issuer: 'https://api.github.com' },
}

/** Signing in with Google or GitHub, on a consent page of our own: nothing leaves the machine. */
export const oauthRoutes: AuthRoutes = {
  'GET /authorize': async (request, context) => ({
    status: 302,
    headers: { location: await beginOAuth(request, context) },
  }),

  'GET /_dev/consent': async (request, context) => {
    const flow = await requireFlow(request, context)
    return { html: consentPage(context, flow) }
  },

  'GET /callback': async (request, context) => ({
    status: 302,
    headers: { location: await finishOAuth(request, context) },
  }),
}

/**
 * Remembers what the app wants and says where the person is asked.
 *
 * @throws AuthError `validation_failed` for a provider that does not exist
 */
async function beginOAuth(request: AuthRequest, context: AuthContext, more: Partial<NewFlow> = {}): Promise<string> {
  const provider = request.query.get('provider') ?? ''
  if (!PROVIDERS[provider]) {
    throw new AuthError(400, 'validation_failed', 'Unsupported provider: provider is not enabled')
  }
  const challenge = parseBody(challengeSchema, Object.fromEntries(request.query))
  const pkce = wantsCode(challenge)
  const flow = { method: 'oauth', provider, referrer: redirectOf(context, request), ...(pkce ? { challenge } : {}) }
  const state = await insertFlow(context.pool, { ...flow, ...more })
  return `${context.config.issuer}/_dev/consent?state=${state}`
}

async function requireFlow(request: AuthRequest, context: AuthContext): Promise<FlowRow> {
  const state = request.query.get('state') ?? ''
  const flow = isUuid(state) ? await findFlow(context.pool, state) : undefined
  if (!flow || !PROVIDERS[flow.provider_type]) {
    throw new AuthError(400, 'bad_oauth_state', 'OAuth state parameter is invalid')
  }
  if (Date.now() > flow.created_at.getTime() + 10 * 60_000) {
    throw new AuthError(400, 'bad_oauth_state', 'OAuth state has expired')
  }
  return flow
}

function consentPage(context: AuthContext, flow: FlowRow): string {
  const { name } = PROVIDERS[flow.provider_type] ?? { name: flow.provider_type }
  const action = escapeHtml(`${context.config.issuer}/callback`)
  const state = `<input type="hidden" name="state" value="${escapeHtml(flow.id)}">`
  const body = `<p>This page stands in for ${name}: choose who you are there.</p>
<form action="${action}" method="get">${state}
<p><label>E-mail <input name="email" type="email" required value="ada@example.com"></label></p>
<p><label>Name <input name="name" value="Ada Lovelace"></label></p>
<p><button type="submit">Continue</button></p></form>
<form action="${action}" method="get">${state}<input type="hidden" name="error" value="access_denied">
<p><button type="submit">Cancel</button></p></form>`
  return page(`Sign in with ${name}`, body)
}

const person = z.object({ email: z.string().optional(), name: z.string().optional() })

async function finishOAuth(request: AuthRequest, context: AuthContext): Promise<string> {
  const flow = await requireFlow(request, context)
  const target = flow.referrer ?? context.config.siteUrl
  try {
    if (request.query.get('error')) {
      throw new AuthError(403, 'access_denied', 'The user denied access to the account')
    }
    const { email, name } = parseBody(person, Object.fromEntries(request.query))
    return await transaction(context.pool, async (tx) => {
      const identity = identityOf(flow, validEmail(email), name ?? '')
      const userId = flow.linking_target_id
        ? await linkIdentity(tx, flow.linking_target_id, identity)
        : await signInWithIdentity(context, tx, identity)
      if (!flow.auth_code) {
        await tx.query('delete from auth.flow_state where id = $1', [flow.id])
        return withSession(target, await openSession(context, tx, request, userId, 'oauth'))
      }
      await tx.query(
        `update auth.flow_state set user_id = $2, auth_code_issued_at = now(), provider_access_token = $3,
           updated_at = now() where id = $1`,
        [flow.id, userId, `dev-${flow.provider_type}-token`],
      )
      return withCode(target, flow.auth_code)
    })
  } catch (error) {
    if (error instanceof AuthError) return withError(target, error, flow.auth_code !== null)
    throw error
  }
}

/** A person is the same one whenever they come back with the same address. */
function identityOf(flow: FlowRow, email: string, name: string) {
  const provider = flow.provider_type
  const sub = createHash('sha256').update(`${provider}:${email}`).digest('hex').slice(0, 20)
  const names = { name, full_name: name, user_name: email.split('@')[0] }
  const claims = {
    iss: PROVIDERS[provider]?.issuer,
    sub,
    provider_id: sub,
    email,
    email_verified: true,
    phone_verified: false,
  }
  return { provider, providerId: sub, email, data: { ...claims, ...names } }
}

/** Where linking another identity begins; used by the identity routes. */
export async function beginLinking(request: AuthRequest, context: AuthContext, userId: string): Promise<AuthReply> {
  const url = await beginOAuth(request, context, { linkingTarget: userId })
  if (request.query.get('skip_http_redirect') === 'true') return { body: { url } }
  return { status: 302, headers: { location: url } }
}
