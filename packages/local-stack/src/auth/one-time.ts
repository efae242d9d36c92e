import { createHash, randomInt, randomUUID } from 'node:crypto'
import type { AuthContext, Queryable } from './context.ts'
import { AuthError } from './errors.ts'
import type { MailKind } from './mail/templates.ts'
import { renderMail } from './mail/templates.ts'
import type { UserRow } from './users.ts'

/** Where GoTrue keeps the tokens of each kind. */
export type TokenType =
  | 'confirmation_token'
  | 'recovery_token'
  | 'email_change_token_new'
  | 'email_change_token_current'

/** Marks a token whose link ends in a code instead of a session. */
export const PKCE_PREFIX = 'pkce_'

/** What is sent, and on whose behalf. */
export interface TokenMail {
  user: UserRow
  kind: MailKind
  tokenType: TokenType
  /** The word in the link: `signup`, `recovery`, `magiclink`, `email_change`, `invite`. */
  verification: string
  to: string
  redirectTo: string
  pkce: boolean
}

/** A token as the person gets it. */
export interface IssuedToken {
  otp: string
  hash: string
  link: string
}

const SENT_AT: Record<TokenType, string> = {
  confirmation_token: 'confirmation_sent_at',
  recovery_token: 'recovery_sent_at',
  email_change_token_new: 'email_change_sent_at',
  email_change_token_current: 'email_change_sent_at',
}

/** GoTrue stores this instead of the digits. */
export function tokenHash(email: string, otp: string): string {
  return createHash('sha224')
    .update(email + otp)
    .digest('hex')
}

/** Makes a token, replacing an older one of its kind, and returns it with its link; nothing is sent. */
export async function issueToken(context: AuthContext, tx: Queryable, mail: TokenMail): Promise<IssuedToken> {
  const otp = String(randomInt(1_000_000)).padStart(6, '0')
  const hash = (mail.pkce ? PKCE_PREFIX : '') + tokenHash(mail.to, otp)
  await tx.query('delete from auth.one_time_tokens where user_id = $1 and token_type = $2', [
    mail.user.id,
    mail.tokenType,
  ])
  await tx.query(
    'insert into auth.one_time_tokens (id, user_id, token_type, token_hash, relates_to) values ($1, $2, $3, $4, $5)',
    [randomUUID(), mail.user.id, mail.tokenType, hash, mail.to],
  )
  await tx.query(
    `update auth.users set ${mail.tokenType} = $2, ${SENT_AT[mail.tokenType]} = now(), updated_at = now()
       where id = $1`,
    [mail.user.id, hash],
  )
  const query = new URLSearchParams({ token: hash, type: mail.verification, redirect_to: mail.redirectTo })
  return { otp, hash, link: `${context.config.issuer}/verify?${query}` }
}

/**
 * Makes a token and puts the e-mail with it into the outbox.
 *
 * @throws AuthError `over_email_send_rate_limit` when the last one is too recent
 */
export async function sendToken(context: AuthContext, tx: Queryable, mail: TokenMail): Promise<void> {
  await limitRate(context, tx, mail)
  const { otp, hash, link } = await issueToken(context, tx, mail)
  const { config } = context
  const rendered = renderMail(mail.kind, config.templates[mail.kind], {
    ConfirmationURL: link,
    Token: otp,
    TokenHash: hash,
    SiteURL: config.siteUrl,
    RedirectTo: mail.redirectTo,
    Email: mail.user.email ?? mail.to,
    NewEmail: mail.user.email_change ?? '',
  })
  context.outbox.send({ to: mail.to, kind: mail.kind, ...rendered, link, otp, tokenHash: hash })
}

async function limitRate(context: AuthContext, tx: Queryable, mail: TokenMail): Promise<void> {
  const last = await tx.query<{ seconds: number }>(
    `select extract(epoch from now()::timestamp - created_at)::float as seconds from auth.one_time_tokens
      where user_id = $1 and token_type = $2 and relates_to = $3`,
    [mail.user.id, mail.tokenType, mail.to],
  )
  const left = context.config.emailIntervalSeconds - (last.rows[0]?.seconds ?? Number.POSITIVE_INFINITY)
  if (left <= 0) return
  const message = `For security purposes, you can only request this after ${Math.ceil(left)} seconds.`
  throw new AuthError(429, 'over_email_send_rate_limit', message)
}

/** A token that was presented. */
export interface FoundToken {
  user_id: string
  token_type: TokenType
  token_hash: string
  expired: boolean
}

/** The token with this hash, if it is of one of the types. It is locked, so that it works once. */
export async function findToken(
  context: AuthContext,
  tx: Queryable,
  hashes: string[],
  types: TokenType[],
): Promise<FoundToken | undefined> {
  const found = await tx.query<FoundToken>(
    `select user_id, token_type, token_hash, created_at < now()::timestamp - make_interval(secs => $3) as expired
       from auth.one_time_tokens where token_hash = any($1) and token_type::text = any($2) for update`,
    [hashes, types, context.config.otpExpirySeconds],
  )
  return found.rows[0]
}

/** Uses a token up. */
export async function dropTokens(tx: Queryable, userId: string, types: TokenType[]): Promise<void> {
  await tx.query('delete from auth.one_time_tokens where user_id = $1 and token_type::text = any($2)', [userId, types])
  const columns = types.map((type) => `${type} = ''`).join(', ')
  await tx.query(`update auth.users set ${columns}, updated_at = now() where id = $1`, [userId])
}
