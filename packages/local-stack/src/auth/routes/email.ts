import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { transaction } from '../../postgres/connect.ts'
import type { AuthContext, AuthRequest, AuthRoutes, Queryable } from '../context.ts'
import { sendEmailChange } from '../email-change.ts'
import { AuthError } from '../errors.ts'
import { challengeSchema, insertFlow, wantsCode } from '../flows.ts'
import { metadata, parseBody, validEmail } from '../input.ts'
import { sendToken } from '../one-time.ts'
import { redirectOf } from '../redirects.ts'
import { emailIdentity, findUserByEmail, insertIdentity, insertUser, requireUserRow, type UserRow } from '../users.ts'

const otp = challengeSchema.extend({
  email: z.string().optional(),
  phone: z.string().optional(),
  create_user: z.boolean().nullish(),
  data: metadata.nullish(),
})
const recover = challengeSchema.extend({ email: z.string().optional() })
const resend = challengeSchema.extend({ type: z.string().optional(), email: z.string().optional() })

/** Links and codes by e-mail. */
export const emailRoutes: AuthRoutes = {
  'POST /otp': (request, context) => sendMagicLink(request, context),
  'POST /magiclink': (request, context) => sendMagicLink(request, context),

  'POST /recover': async (request, context) => {
    const input = parseBody(recover, request.body)
    const email = validEmail(input.email)
    await transaction(context.pool, async (tx) => {
      const user = await findUserByEmail(tx, email)
      // The answer is the same for unknown addresses: it does not say who has an account.
      if (user) await sendLink(context, tx, request, user, 'recovery', input)
    })
    return { body: {} }
  },

  'POST /resend': async (request, context) => {
    const input = parseBody(resend, request.body)
    const email = validEmail(input.email)
    if (input.type !== 'signup' && input.type !== 'email_change') {
      throw new AuthError(
        400,
        'validation_failed',
        'Missing one of these types: signup, email_change, sms, phone_change',
      )
    }
    await transaction(context.pool, async (tx) => {
      const user = await findUserByEmail(tx, email)
      if (!user) return
      if (input.type === 'signup' && !user.email_confirmed_at) await sendConfirmation(context, tx, request, user, input)
      if (input.type === 'email_change' && user.email_change) await sendEmailChange(context, tx, request, user, input)
    })
    return { body: {} }
  },
}

type Challenge = z.infer<typeof challengeSchema>

/** Sends the e-mail that confirms a new account. */
export async function sendConfirmation(
  context: AuthContext,
  tx: Queryable,
  request: AuthRequest,
  user: UserRow,
  challenge: Challenge,
): Promise<void> {
  const pkce = wantsCode(challenge)
  if (pkce) await insertFlow(tx, { method: 'email/signup', provider: 'email', userId: user.id, challenge })
  const redirectTo = redirectOf(context, request)
  const to = user.email ?? ''
  await sendToken(context, tx, {
    user,
    kind: 'confirmation',
    tokenType: 'confirmation_token',
    verification: 'signup',
    to,
    redirectTo,
    pkce,
  })
}

async function sendLink(
  context: AuthContext,
  tx: Queryable,
  request: AuthRequest,
  user: UserRow,
  verification: 'magiclink' | 'recovery',
  challenge: Challenge,
): Promise<void> {
  const pkce = wantsCode(challenge)
  if (pkce) await insertFlow(tx, { method: verification, provider: verification, userId: user.id, challenge })
  const kind = verification === 'recovery' ? 'recovery' : 'magic_link'
  const redirectTo = redirectOf(context, request)
  const to = user.email ?? ''
  await sendToken(context, tx, { user, kind, tokenType: 'recovery_token', verification, to, redirectTo, pkce })
}

async function sendMagicLink(request: AuthRequest, context: AuthContext) {
  const input = parseBody(otp, request.body)
  if (input.phone) throw new AuthError(400, 'phone_provider_disabled', 'Unsupported phone provider')
  const email = validEmail(input.email)
  await transaction(context.pool, async (tx) => {
    const known = await findUserByEmail(tx, email)
    if (!known && input.create_user === false) {
      throw new AuthError(422, 'otp_disabled', 'Signups not allowed for otp')
    }
    const user = known ?? (await createUser(context, tx, email, input.data ?? {}))
    const isNew = !known?.email_confirmed_at
    if (isNew && context.config.confirmEmail) await sendConfirmation(context, tx, request, user, input)
    else await sendLink(context, tx, request, user, 'magiclink', input)
  })
  return { body: {} }
}

async function createUser(
  context: AuthContext,
  tx: Queryable,
  email: string,
  data: Record<string, unknown>,
): Promise<UserRow> {
  const password = randomBytes(24).toString('base64url')
  const id = await insertUser(context, tx, { email, password, userMetadata: data })
  await insertIdentity(tx, id, emailIdentity(id, email))
  return requireUserRow(tx, id)
}
