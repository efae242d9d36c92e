import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { transaction } from '../../postgres/connect.ts'
import type { AuthContext, AuthReply, AuthRequest, AuthRoutes } from '../context.ts'
import { AuthError } from '../errors.ts'
import { challengeSchema } from '../flows.ts'
import { metadata, parseBody, validEmail, validPassword } from '../input.ts'
import { openSession } from '../sessions.ts'
import {
  audit,
  confirmEmail,
  emailIdentity,
  findUserByEmail,
  insertIdentity,
  insertUser,
  requireUserRow,
  userExists,
  userJson,
} from '../users.ts'
import { sendConfirmation } from './email.ts'

const signup = challengeSchema.extend({
  email: z.string().optional(),
  phone: z.string().optional(),
  password: z.string().optional(),
  data: metadata.nullish(),
})

type Signup = z.infer<typeof signup>

/** Creating an account. */
export const signupRoutes: AuthRoutes = {
  'POST /signup': async (request, context) => {
    const input = parseBody(signup, request.body)
    if (input.phone) throw new AuthError(400, 'phone_provider_disabled', 'Phone signups are disabled')
    if (!input.email && !input.password) return signUpAnonymously(request, context, input)
    const password = validPassword(input.password, context.config.minPasswordLength)
    const email = validEmail(input.email)
    return context.config.confirmEmail
      ? signUpUnconfirmed(request, context, { ...input, email, password })
      : signUpAtOnce(request, context, { ...input, email, password })
  },
}

type Account = Signup & { email: string; password: string }

async function signUpAtOnce(request: AuthRequest, context: AuthContext, account: Account): Promise<AuthReply> {
  const body = await transaction(context.pool, async (tx) => {
    const known = await findUserByEmail(tx, account.email)
    if (known?.email_confirmed_at) throw userExists()
    const id = known?.id ?? (await createAccount(context, tx, account))
    await audit(tx, 'user_signedup', { id, email: account.email })
    await confirmEmail(tx, id)
    return openSession(context, tx, request, id, 'password')
  })
  return { body }
}

/** The answer is a user without a session; for an address that is taken it only looks like one. */
async function signUpUnconfirmed(request: AuthRequest, context: AuthContext, account: Account): Promise<AuthReply> {
  const body = await transaction(context.pool, async (tx) => {
    const known = await findUserByEmail(tx, account.email)
    if (known?.email_confirmed_at) return lookalike(account)
    const id = known?.id ?? (await createAccount(context, tx, account))
    const user = await requireUserRow(tx, id)
    await audit(tx, 'user_confirmation_requested', user)
    await sendConfirmation(context, tx, request, user, account)
    return userJson(tx, await requireUserRow(tx, id))
  })
  return { body }
}

type Transaction = Parameters<typeof insertUser>[1]

async function createAccount(context: AuthContext, tx: Transaction, account: Account): Promise<string> {
  const { email, password } = account
  const id = await insertUser(context, tx, { email, password, userMetadata: account.data ?? {} })
  await insertIdentity(tx, id, emailIdentity(id, email))
  return id
}

/** A sign-up does not say whether an address has an account. */
function lookalike(account: Account): Record<string, unknown> {
  const now = new Date()
  const dates = { confirmation_sent_at: now, created_at: now, updated_at: now }
  const app_metadata = { provider: 'email', providers: ['email'] }
  const names = { id: randomUUID(), aud: 'authenticated', role: '', email: account.email, phone: '' }
  return { ...names, ...dates, app_metadata, user_metadata: account.data ?? {}, identities: [], is_anonymous: false }
}

async function signUpAnonymously(request: AuthRequest, context: AuthContext, input: Signup): Promise<AuthReply> {
  if (!context.config.anonymousSignIns) {
    throw new AuthError(422, 'anonymous_provider_disabled', 'Anonymous sign-ins are disabled')
  }
  const body = await transaction(context.pool, async (tx) => {
    const id = await insertUser(context, tx, { userMetadata: input.data ?? {} })
    await audit(tx, 'user_signedup', { id })
    return openSession(context, tx, request, id, 'anonymous')
  })
  return { body }
}
