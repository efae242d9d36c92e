import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { transaction } from '../../postgres/connect.ts'
import { requireAdmin } from '../caller.ts'
import type { AuthContext, AuthRoutes, Queryable } from '../context.ts'
import { emailExists } from '../email-change.ts'
import { AuthError } from '../errors.ts'
import { metadata, parseBody, validEmail, validPassword } from '../input.ts'
import type { MailKind } from '../mail/templates.ts'
import { issueToken, sendToken, type TokenMail, type TokenType } from '../one-time.ts'
import { allowedRedirect, redirectOf } from '../redirects.ts'
import {
  emailIdentity,
  findUserByEmail,
  insertIdentity,
  insertUser,
  requireUserRow,
  type UserRow,
  userJson,
} from '../users.ts'

const invite = z.object({ email: z.string().optional(), data: metadata.nullish() })
const generate = z.object({
  type: z.string().optional(),
  email: z.string().optional(),
  new_email: z.string().optional(),
  password: z.string().optional(),
  data: metadata.nullish(),
  redirect_to: z.string().optional(),
})

interface LinkKind {
  kind: MailKind
  tokenType: TokenType
  /** Whether the user is created by the call. */
  creates: boolean
}

const LINKS: Record<string, LinkKind> = {
  signup: { kind: 'confirmation', tokenType: 'confirmation_token', creates: true },
  invite: { kind: 'invite', tokenType: 'confirmation_token', creates: true },
  magiclink: { kind: 'magic_link', tokenType: 'recovery_token', creates: false },
  recovery: { kind: 'recovery', tokenType: 'recovery_token', creates: false },
  email_change_new: { kind: 'email_change', tokenType: 'email_change_token_new', creates: false },
  email_change_current: { kind: 'email_change', tokenType: 'email_change_token_current', creates: false },
}

/** Links that the service role makes or has sent. */
export const linkRoutes: AuthRoutes = {
  'POST /invite': async (request, context) => {
    await requireAdmin(request)
    const input = parseBody(invite, request.body)
    const email = validEmail(input.email)
    const body = await transaction(context.pool, async (tx) => {
      const user = await newUser(context, tx, email, randomBytes(24).toString('hex'), input.data ?? {})
      const redirectTo = redirectOf(context, request)
      const mail = { user, kind: 'invite', tokenType: 'confirmation_token', verification: 'invite', to: email } as const
      await sendToken(context, tx, { ...mail, redirectTo, pkce: false })
      await tx.query('update auth.users set invited_at = now() where id = $1', [user.id])
      return userJson(tx, await requireUserRow(tx, user.id))
    })
    return { body }
  },

  'POST /admin/generate_link': async (request, context) => {
    await requireAdmin(request)
    const input = parseBody(generate, request.body)
    const wanted = LINKS[input.type ?? '']
    if (!wanted)
      throw new AuthError(400, 'validation_failed', `Invalid email action link type requested: ${input.type}`)
    const email = validEmail(input.email)
    const body = await transaction(context.pool, async (tx) => {
      const user = await userFor(context, tx, wanted, email, input)
      const redirectTo = allowedRedirect(context.config, input.redirect_to ?? request.query.get('redirect_to'))
      const verification = (input.type ?? '').replace(/_(new|current)$/, '')
      const to = wanted.tokenType === 'email_change_token_new' ? (user.email_change ?? '') : email
      const mail: TokenMail = { user, ...wanted, verification, to, redirectTo, pkce: false }
      const { otp, hash, link } = await issueToken(context, tx, mail)
      const made = {
        action_link: link,
        email_otp: otp,
        hashed_token: hash,
        verification_type: input.type,
        redirect_to: redirectTo,
      }
      return { ...(await userJson(tx, await requireUserRow(tx, user.id))), ...made }
    })
    return { body }
  },
}

async function userFor(
  context: AuthContext,
  tx: Queryable,
  wanted: LinkKind,
  email: string,
  input: z.infer<typeof generate>,
): Promise<UserRow> {
  if (wanted.creates) {
    const password = input.password
      ? validPassword(input.password, context.config.minPasswordLength)
      : randomBytes(24).toString('hex')
    return newUser(context, tx, email, password, input.data ?? {})
  }
  const user = await findUserByEmail(tx, email)
  if (!user) throw new AuthError(404, 'user_not_found', 'User with this email not found')
  if (wanted.kind !== 'email_change') return user
  await tx.query('update auth.users set email_change = $2, email_change_confirm_status = 0 where id = $1', [
    user.id,
    validEmail(input.new_email),
  ])
  return requireUserRow(tx, user.id)
}

/** Creates the user; one who has not confirmed yet is used again. */
async function newUser(
  context: AuthContext,
  tx: Queryable,
  email: string,
  password: string,
  data: Record<string, unknown>,
): Promise<UserRow> {
  const known = await findUserByEmail(tx, email)
  if (known?.email_confirmed_at) throw emailExists()
  if (known) return known
  const id = await insertUser(context, tx, { email, password, userMetadata: data })
  await insertIdentity(tx, id, emailIdentity(id, email))
  return requireUserRow(tx, id)
}
