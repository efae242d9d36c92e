import { randomUUID } from 'node:crypto'
import { transaction } from '../postgres/connect.ts'
import { type AuthContext, type AuthRequest, NIL_UUID, type Queryable } from './context.ts'
import { AuthError } from './errors.ts'
import { newRefreshToken, signAccessToken } from './tokens.ts'
import { findUser, type UserJson, userJson } from './users.ts'

/** The answer to every way of signing in. */
export interface TokenResponse {
  access_token: string
  token_type: 'bearer'
  /** Seconds. */
  expires_in: number
  /** Seconds since 1970. */
  expires_at: number
  refresh_token: string
  user: UserJson
}

/** Opens a session. `method` is GoTrue's word for how the user proved who they are: `password`, `otp`, `oauth`... */
export async function openSession(
  context: AuthContext,
  tx: Queryable,
  request: Pick<AuthRequest, 'headers' | 'ip'>,
  userId: string,
  method: string,
): Promise<TokenResponse> {
  const sessionId = randomUUID()
  const refreshToken = newRefreshToken()
  await tx.query(
    `insert into auth.sessions (id, user_id, created_at, updated_at, aal, user_agent, ip) values ($1, $2, now(), now(), 'aal1', $3, $4)`,
    [sessionId, userId, request.headers['user-agent'] ?? null, request.ip],
  )
  await insertRefreshToken(tx, { token: refreshToken, userId, sessionId, parent: '' })
  await tx.query(
    `insert into auth.mfa_amr_claims (id, session_id, created_at, updated_at, authentication_method) values ($1, $2, now(), now(), $3)`,
    [randomUUID(), sessionId, method],
  )
  await tx.query('update auth.users set last_sign_in_at = now(), updated_at = now() where id = $1', [userId])
  return tokenResponse(context, tx, userId, sessionId, refreshToken)
}

interface RefreshRow {
  id: string
  token: string
  user_id: string
  revoked: boolean
  parent: string | null
  updated_at: Date
  session_id: string | null
  not_after: Date | null
}

/**
 * Exchanges a refresh token for a new pair. Each token works once; the parent of the active token, and any token
 * within the reuse window, still yields a session (two tabs refresh at once), anything older ends the session:
 * then there is a copy of it.
 */
export async function refreshSession(context: AuthContext, token: string): Promise<TokenResponse> {
  const outcome = await transaction(context.pool, async (tx) => {
    const row = await lockRefreshToken(tx, token)
    if (!row) return new AuthError(400, 'refresh_token_not_found', 'Invalid Refresh Token: Refresh Token Not Found')
    if (!row.session_id) return new AuthError(400, 'session_not_found', 'Invalid Refresh Token: No Valid Session Found')
    if (row.not_after && row.not_after < new Date()) {
      return new AuthError(400, 'session_expired', 'Invalid Refresh Token: Session Expired')
    }
    const issued = await nextToken(context, tx, row, row.session_id)
    if (issued instanceof AuthError) return issued
    await tx.query(
      `update auth.sessions set refreshed_at = now() at time zone 'utc', updated_at = now() where id = $1`,
      [row.session_id],
    )
    return tokenResponse(context, tx, row.user_id, row.session_id, issued)
  })
  // Thrown only now: the revocation of a stolen session must be committed.
  if (outcome instanceof AuthError) throw outcome
  return outcome
}

async function lockRefreshToken(tx: Queryable, token: string): Promise<RefreshRow | undefined> {
  // The session is locked, not only the token: two refreshes with different tokens of one session must wait for each other.
  await tx.query(
    'select 1 from auth.sessions where id = (select session_id from auth.refresh_tokens where token = $1) for update',
    [token],
  )
  const found = await tx.query<RefreshRow>(
    `select r.id, r.token, r.user_id, r.revoked, r.parent, r.updated_at, s.id as session_id, s.not_after
       from auth.refresh_tokens r left join auth.sessions s on s.id = r.session_id where r.token = $1`,
    [token],
  )
  return found.rows[0]
}

async function nextToken(
  context: AuthContext,
  tx: Queryable,
  row: RefreshRow,
  sessionId: string,
): Promise<string | AuthError> {
  if (row.revoked) {
    const active = await tx.query<RefreshRow>(
      'select * from auth.refresh_tokens where session_id = $1 and not revoked order by id desc limit 1',
      [sessionId],
    )
    if (active.rows[0]?.parent === row.token) return active.rows[0].token
    if (Date.now() > row.updated_at.getTime() + context.config.refreshReuseSeconds * 1000) {
      // Dated back, or the revoked tokens would count as just used and work once more.
      await tx.query(
        'update auth.refresh_tokens set revoked = true, updated_at = now() - make_interval(secs => $2) where session_id = $1',
        [sessionId, context.config.refreshReuseSeconds],
      )
      return new AuthError(400, 'refresh_token_already_used', 'Invalid Refresh Token: Already Used')
    }
  }
  const token = newRefreshToken()
  await tx.query('update auth.refresh_tokens set revoked = true, updated_at = now() where id = $1', [row.id])
  await insertRefreshToken(tx, { token, userId: row.user_id, sessionId, parent: row.token })
  return token
}

async function insertRefreshToken(
  tx: Queryable,
  row: { token: string; userId: string; sessionId: string; parent: string },
): Promise<void> {
  await tx.query(
    `insert into auth.refresh_tokens (instance_id, token, user_id, revoked, created_at, updated_at, parent, session_id)
     values ($1, $2, $3, false, now(), now(), $4, $5)`,
    [NIL_UUID, row.token, row.userId, row.parent, row.sessionId],
  )
}

async function tokenResponse(
  context: AuthContext,
  tx: Queryable,
  userId: string,
  sessionId: string,
  refreshToken: string,
): Promise<TokenResponse> {
  const row = await findUser(tx, userId)
  if (!row) throw new AuthError(403, 'user_not_found', 'User from sub claim in JWT does not exist')
  if (row.banned_until && row.banned_until > new Date()) throw new AuthError(400, 'user_banned', 'User is banned')
  const user = await userJson(tx, row)
  const methods = await tx.query<{ method: string; timestamp: number }>(
    `select authentication_method as method, extract(epoch from updated_at)::int as timestamp
       from auth.mfa_amr_claims where session_id = $1 order by updated_at desc`,
    [sessionId],
  )
  const issuedAt = Math.floor(Date.now() / 1000)
  const expiresAt = issuedAt + context.config.jwtExpirySeconds
  const { app_metadata, user_metadata } = user
  const access_token = await signAccessToken({
    iss: context.config.issuer,
    sub: userId,
    aud: row.aud,
    exp: expiresAt,
    iat: issuedAt,
    email: user.email,
    phone: user.phone,
    app_metadata,
    user_metadata,
    role: row.role,
    aal: 'aal1',
    amr: methods.rows,
    session_id: sessionId,
    is_anonymous: row.is_anonymous,
  })
  const expires_in = context.config.jwtExpirySeconds
  return { access_token, token_type: 'bearer', expires_in, expires_at: expiresAt, refresh_token: refreshToken, user }
}
