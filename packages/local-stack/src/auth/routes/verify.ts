import { z } from 'zod'
import type { AuthContext, AuthReply, AuthRequest, AuthRoutes } from '../context.ts'
import { AuthError } from '../errors.ts'
import { parseBody, validEmail } from '../input.ts'
import { PKCE_PREFIX, tokenHash } from '../one-time.ts'
import { redirectOf, withCode, withError, withMessage, withSession } from '../redirects.ts'
import { expired, type Verified, verifyOneTimeToken } from '../verify.ts'

const verify = z.object({
  type: z.string().optional(),
  email: z.string().optional(),
  phone: z.string().optional(),
  token: z.string().optional(),
  token_hash: z.string().optional(),
})

/** Following a link, or entering a code. */
export const verifyRoutes: AuthRoutes = {
  'GET /verify': async (request, context) => ({
    status: 303,
    headers: { location: await followLink(request, context) },
  }),

  'POST /verify': async (request, context) => {
    const input = parseBody(verify, request.body)
    const verified = await verifyOneTimeToken(context, request, input.type ?? '', hashesOf(input))
    return bodyOf(verified)
  },
}

async function followLink(request: AuthRequest, context: AuthContext): Promise<string> {
  const target = redirectOf(context, request)
  const token = request.query.get('token') ?? ''
  const type = request.query.get('type') ?? ''
  try {
    const verified = await verifyOneTimeToken(context, request, type, [token])
    if (verified.kind === 'code') return withCode(target, verified.code)
    if (verified.kind === 'half') return withMessage(target, verified.message)
    return withSession(target, verified.session, type)
  } catch (error) {
    if (!(error instanceof AuthError)) throw error
    const said = error.code === 'otp_expired' ? expired(true) : error
    return withError(target, said, token.startsWith(PKCE_PREFIX))
  }
}

function hashesOf(input: z.infer<typeof verify>): string[] {
  if (input.token_hash) {
    if (input.email || input.phone || input.token) {
      throw new AuthError(400, 'validation_failed', 'Only the token_hash and type should be provided')
    }
    return [input.token_hash]
  }
  if (!input.token) throw new AuthError(400, 'validation_failed', 'Verify requires a token or a token hash')
  const hash = tokenHash(validEmail(input.email), input.token)
  return [hash, PKCE_PREFIX + hash]
}

function bodyOf(verified: Verified): AuthReply {
  if (verified.kind === 'session') return { body: verified.session }
  if (verified.kind === 'half') return { body: { msg: verified.message, code: '200' } }
  return { body: { auth_code: verified.code } }
}
