import { CreditError } from '../core/errors.ts'
import { bearerToken, type GetUser } from './guard.ts'

/** The part of a supabase-js client that {@link supabaseUser} uses. */
export interface SupabaseUserClient {
  auth: {
    getUser(jwt?: string): PromiseLike<{
      data: { user: { id: string; email?: string | undefined } | null }
      error: { status?: number | undefined; name: string } | null
    }>
  }
  // The builders of supabase-js are too deep a type to be compared member by member: see RoleQuery.
  from(table: string): { select(columns: string): unknown }
}

/** What `from('profiles').select('role')` gives. */
interface RoleQuery {
  eq(
    column: string,
    value: string,
  ): { maybeSingle(): PromiseLike<{ data: unknown; error: { message: string } | null }> }
}

/** How {@link supabaseUser} gets a client that acts as the sender of a request. */
export interface SupabaseUserOptions {
  /** With a token: a client that sends it as its Authorization header. With null: one bound to the request's cookies. */
  createClient: (token: string | null, request: Request) => SupabaseUserClient | Promise<SupabaseUserClient>
}

/**
 * A `getUser` for Supabase sessions, in cookies or as `Authorization: Bearer`. The auth server is asked each
 * time, so a forged token, a signed-out session and a deleted user are all refused, and the right of an
 * admin is read from `profiles.role` when a route needs it, so taking it away works at once.
 *
 * @example
 * ```ts
 * const getUser = supabaseUser({ createClient: (token) => token ? clientWithToken(token) : clientWithCookies() })
 * ```
 */
export function supabaseUser({ createClient }: SupabaseUserOptions): GetUser {
  return async (request) => {
    const token = bearerToken(request)
    // A malformed header is a failed attempt to sign in, not a reason to fall back to the cookies beside it.
    if (token === null && request.headers.has('authorization')) return null
    const client = await createClient(token, request)
    const { data, error } = token === null ? await client.auth.getUser() : await client.auth.getUser(token)
    // Nobody may be told to sign in again only because the auth server is away.
    const status = error?.status ?? 0
    if (error && (error.name === 'AuthRetryableFetchError' || status === 429 || status >= 500)) {
      throw new CreditError({ code: 'STORE_UNAVAILABLE', message: 'The auth server cannot be reached', cause: error })
    }
    if (error || !data.user) return null
    const { id, email } = data.user
    return { id, email, isAdmin: () => isAdmin(client, id) }
  }
}

async function isAdmin(client: SupabaseUserClient, userId: string): Promise<boolean> {
  const roles = client.from('profiles').select('role') as RoleQuery
  const { data, error } = await roles.eq('user_id', userId).maybeSingle()
  if (error) throw new CreditError({ code: 'STORE_UNAVAILABLE', message: 'The role cannot be read', cause: error })
  return typeof data === 'object' && data !== null && 'role' in data && data.role === 'admin'
}
