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
  // The builders of supabase-js are too deep a type to be compared member by member: see AdminQuery.
  from(table: string): { select(columns: string): unknown }
}

/** What `from('credit_session').select('user_id, is_admin')` gives. */
interface SessionQuery {
  maybeSingle(): PromiseLike<{ data: unknown; error: { message: string } | null }>
}

/** How {@link supabaseUser} gets a client that acts as the sender of a request. */
export interface SupabaseUserOptions<Client extends SupabaseUserClient = SupabaseUserClient> {
  /** With a token: a client that sends it as its Authorization header. With null: one bound to the request's cookies. */
  createClient: (token: string | null, request: Request) => Client | Promise<Client>
  /**
   * Whether the user is an admin, asked with the client of the user. Default: the view `credit_session` answers it, so
   * the table `credit_admins` counts and the function that the app named in `credit_settings.admin_function`. Give one
   * where the rule of the app is outside its database.
   */
  isAdmin?: ((input: { client: Client; userId: string }) => boolean | Promise<boolean>) | undefined
}

/**
 * A `getUser` for Supabase sessions, in cookies or as `Authorization: Bearer`. The auth server is asked each time, so
 * a forged token, a signed-out session and a deleted user are all refused. Whether the user is an admin is read from
 * the database when a route needs it, so taking the right away works at once.
 *
 * @throws CreditError `STORE_UNAVAILABLE` when the auth server or the database does not answer
 * @example
 * ```ts
 * const getUser = supabaseUser({ createClient: (token) => (token ? clientWithToken(token) : clientWithCookies()) })
 * ```
 */
export function supabaseUser<Client extends SupabaseUserClient>({
  createClient,
  isAdmin = isSessionAdmin,
}: SupabaseUserOptions<Client>): GetUser {
  return async (request) => {
    const token = bearerToken(request)
    // A malformed header is a failed attempt to sign in, not a reason to use the cookies instead.
    if (token === null && request.headers.has('authorization')) return null
    const client = await createClient(token, request)
    const { data, error } = token === null ? await client.auth.getUser() : await client.auth.getUser(token)
    // An outage of the auth server must not look like a session that has ended.
    const status = error?.status ?? 0
    if (error && (error.name === 'AuthRetryableFetchError' || status === 429 || status >= 500)) {
      throw new CreditError({ code: 'STORE_UNAVAILABLE', message: 'The auth server cannot be reached', cause: error })
    }
    if (error || !data.user) return null
    const { id, email } = data.user
    return { id, email, isAdmin: () => isAdmin({ client, userId: id }) }
  }
}

/** The view has one row, about the sender of the query. A client that acts as another user must not answer for this one. */
async function isSessionAdmin({ client, userId }: { client: SupabaseUserClient; userId: string }): Promise<boolean> {
  const session = client.from('credit_session').select('user_id, is_admin') as SessionQuery
  const { data, error } = await session.maybeSingle()
  if (error) {
    throw new CreditError({ code: 'STORE_UNAVAILABLE', message: 'credit_session cannot be read', cause: error })
  }
  const row = (data ?? {}) as { user_id?: unknown; is_admin?: unknown }
  return row.user_id === userId && row.is_admin === true
}
