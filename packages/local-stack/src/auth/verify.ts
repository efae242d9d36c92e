import { transaction } from '../postgres/connect.ts'
import type { AuthContext, AuthRequest, Queryable } from './context.ts'
import { applyEmailChange } from './email-change.ts'
import { AuthError } from './errors.ts'
import { issueCode } from './flows.ts'
import { dropTokens, type FoundToken, findToken, PKCE_PREFIX, type TokenType } from './one-time.ts'
import { openSession, type TokenResponse } from './sessions.ts'
import { audit, confirmEmail, findUser, type UserRow } from './users.ts'

/** How each kind of link is kept. */
const TYPES: Record<string, TokenType[]> = {
  signup: ['confirmation_token'],
  invite: ['confirmation_token'],
  magiclink: ['recovery_token', 'confirmation_token'],
  recovery: ['recovery_token'],
  email: ['confirmation_token', 'recovery_token'],
  email_change: ['email_change_token_new', 'email_change_token_current'],
}

/** The name under which a flow that ends with such a link was remembered. */
const METHODS: Record<TokenType, (type: string) => string> = {
  confirmation_token: () => 'email/signup',
  recovery_token: (type) => (type === 'recovery' ? 'recovery' : 'magiclink'),
  email_change_token_new: () => 'email_change',
  email_change_token_current: () => 'email_change',
}

/** What a token leads to. */
export type Verified =
  | { kind: 'session'; session: TokenResponse }
  | { kind: 'code'; code: string }
  | { kind: 'half'; message: string }

const HALF_CONFIRMED = 'Confirmation link accepted. Please proceed to confirm link sent to the other email'

/**
 * Takes a token that came by e-mail.
 *
 * @param hashes the forms in which it may be stored
 * @throws AuthError `otp_expired` also for unknown tokens: the answer does not say which exist
 */
export function verifyOneTimeToken(
  context: AuthContext,
  request: AuthRequest,
  type: string,
  hashes: string[],
): Promise<Verified> {
  const types = TYPES[type]
  if (!types) throw new AuthError(400, 'validation_failed', 'Verify requires a verification type')
  return transaction(context.pool, async (tx) => {
    const token = await findToken(context, tx, hashes, types)
    const user = token && (await findUser(tx, token.user_id))
    if (!token || !user || token.expired) throw expired()
    if (user.banned_until && user.banned_until > new Date()) throw new AuthError(403, 'user_banned', 'User is banned')
    if (type === 'email_change') {
      if (!(await confirmChange(context, tx, user, token))) return { kind: 'half', message: HALF_CONFIRMED }
    } else {
      await dropTokens(tx, user.id, [token.token_type])
      if (!user.email_confirmed_at) await confirmEmail(tx, user.id)
    }
    await audit(tx, 'user_confirmation_requested', user)
    if (token.token_hash.startsWith(PKCE_PREFIX)) {
      return { kind: 'code', code: await issueCode(tx, user.id, METHODS[token.token_type](type)) }
    }
    return { kind: 'session', session: await openSession(context, tx, request, user.id, 'otp') }
  })
}

/** The refusal of a token; links and forms say it a little differently. */
export function expired(link = false): AuthError {
  return new AuthError(
    403,
    'otp_expired',
    link ? 'Email link is invalid or has expired' : 'Token has expired or is invalid',
  )
}

/** @returns false when the link in the other mailbox is still to be followed */
async function confirmChange(context: AuthContext, tx: Queryable, user: UserRow, token: FoundToken): Promise<boolean> {
  const both = context.config.doubleConfirmChanges && user.email !== null
  if (both && user.email_change_confirm_status === 0) {
    await dropTokens(tx, user.id, [token.token_type])
    await tx.query('update auth.users set email_change_confirm_status = 1 where id = $1', [user.id])
    return false
  }
  await applyEmailChange(tx, user)
  return true
}
