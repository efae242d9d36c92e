import type { AuthContext, AuthRequest } from './context.ts'
import { AuthError } from './errors.ts'
import { isUuid } from './input.ts'
import { type AccessClaims, verifyToken } from './tokens.ts'
import { findUser, type UserRow } from './users.ts'

/** The signed-in user of a request. */
export interface Caller {
  user: UserRow
  claims: AccessClaims
}

function bearer(request: AuthRequest): string {
  const token = /^Bearer\s+(.+)$/i.exec(request.headers.authorization ?? '')?.[1]
  if (!token) throw new AuthError(401, 'no_authorization', 'This endpoint requires a valid Bearer token')
  return token
}

/**
 * The user that the access token names, whose session must still be open.
 *
 * @throws AuthError `no_authorization`, `bad_jwt`, `user_not_found`, `session_not_found`
 */
export async function requireUser(context: AuthContext, request: AuthRequest): Promise<Caller> {
  const claims = await verifyToken(bearer(request))
  if (!claims.sub || !isUuid(claims.sub)) throw new AuthError(403, 'bad_jwt', 'invalid claim: missing sub claim')
  const user = await findUser(context.pool, claims.sub)
  if (!user) throw new AuthError(403, 'user_not_found', 'User from sub claim in JWT does not exist')
  if (claims.session_id) {
    const session = await context.pool.query('select 1 from auth.sessions where id = $1', [claims.session_id])
    if (!session.rowCount) {
      throw new AuthError(403, 'session_not_found', 'Session from session_id claim in JWT does not exist')
    }
  }
  return { user, claims }
}

/**
 * Lets only the service role pass.
 *
 * @throws AuthError `no_authorization`, `bad_jwt`, `not_admin`
 */
export async function requireAdmin(request: AuthRequest): Promise<void> {
  const claims = await verifyToken(bearer(request))
  if (claims.role !== 'service_role' && claims.role !== 'supabase_admin') {
    throw new AuthError(403, 'not_admin', 'User not allowed')
  }
}
