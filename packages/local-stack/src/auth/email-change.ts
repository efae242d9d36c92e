import type { z } from 'zod'
import type { AuthContext, AuthRequest, Queryable } from './context.ts'
import { AuthError } from './errors.ts'
import { type challengeSchema, insertFlow, wantsCode } from './flows.ts'
import { dropTokens, sendToken } from './one-time.ts'
import { redirectOf } from './redirects.ts'
import { confirmEmail, emailIdentity, findUserByEmail, insertIdentity, requireUserRow, type UserRow } from './users.ts'

/**
 * Remembers the wish for another address and asks for its confirmation: from the new mailbox and, where there is an
 * old one and the settings say so, from that one too. An anonymous user who need not confirm has it at once.
 *
 * @throws AuthError `email_exists`
 */
export async function requestEmailChange(
  context: AuthContext,
  tx: Queryable,
  request: AuthRequest,
  user: UserRow,
  email: string,
  challenge: z.infer<typeof challengeSchema>,
): Promise<void> {
  if (await findUserByEmail(tx, email)) throw emailExists()
  await tx.query(
    'update auth.users set email_change = $2, email_change_confirm_status = 0, updated_at = now() where id = $1',
    [user.id, email],
  )
  const changed = await requireUserRow(tx, user.id)
  if (changed.is_anonymous && !context.config.confirmEmail) await applyEmailChange(tx, changed)
  else await sendEmailChange(context, tx, request, changed, challenge)
}

/** Sends the e-mails of a change that was asked for. */
export async function sendEmailChange(
  context: AuthContext,
  tx: Queryable,
  request: AuthRequest,
  user: UserRow,
  challenge: z.infer<typeof challengeSchema>,
): Promise<void> {
  const pkce = wantsCode(challenge)
  if (pkce) await insertFlow(tx, { method: 'email_change', provider: 'email', userId: user.id, challenge })
  const mail = {
    user,
    kind: 'email_change',
    verification: 'email_change',
    redirectTo: redirectOf(context, request),
    pkce,
  } as const
  await sendToken(context, tx, { ...mail, tokenType: 'email_change_token_new', to: user.email_change ?? '' })
  if (context.config.doubleConfirmChanges && user.email) {
    await sendToken(context, tx, { ...mail, tokenType: 'email_change_token_current', to: user.email })
  }
}

/**
 * Makes the wished address the address.
 *
 * @throws AuthError `email_exists`
 */
export async function applyEmailChange(tx: Queryable, user: UserRow): Promise<void> {
  const email = user.email_change ?? ''
  const other = await findUserByEmail(tx, email)
  if (other && other.id !== user.id) throw emailExists()
  await dropTokens(tx, user.id, ['email_change_token_new', 'email_change_token_current'])
  await tx.query(
    `update auth.users set email = $2, email_change = '', email_change_confirm_status = 0, updated_at = now() where id = $1`,
    [user.id, email],
  )
  const changed = await tx.query(
    `update auth.identities set identity_data = identity_data || jsonb_build_object('email', $2::text), updated_at = now()
       where user_id = $1 and provider = 'email'`,
    [user.id, email],
  )
  if (!changed.rowCount) await insertIdentity(tx, user.id, emailIdentity(user.id, email, true))
  await confirmEmail(tx, user.id)
}

/** The refusal of an address that belongs to another user. */
export function emailExists(): AuthError {
  return new AuthError(422, 'email_exists', 'A user with this email address has already been registered')
}
