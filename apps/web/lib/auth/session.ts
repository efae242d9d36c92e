import 'server-only'
import { CreditError } from '@layers/credits'
import { type CreditsUser, supabaseUser } from '@layers/credits/http'
import type { SupabaseClient } from '@supabase/supabase-js'
import { headers } from 'next/headers'
import { redirect } from 'next/navigation'
import { cache } from 'react'
import { sessionClient, tokenClient } from '../server/supabase'

/** Finds the user of a request by session cookie or bearer token. */
export const getUser = supabaseUser<SupabaseClient>({
  createClient: (token) => (token === null ? sessionClient() : tokenClient(token)),
  isAdmin: hasAdminRole,
})

/** The rule of this app: the role of the user's own profile, which users cannot change. Asked each time. */
async function hasAdminRole({ client, userId }: { client: SupabaseClient; userId: string }): Promise<boolean> {
  const { data, error } = await client.from('profiles').select('role').eq('user_id', userId).maybeSingle()
  if (error) {
    throw new CreditError({ code: 'STORE_UNAVAILABLE', message: 'The role cannot be read', cause: error })
  }
  return data?.role === 'admin'
}

/** The signed-in user of the page being rendered, as the auth server knows them; null for a visitor. */
export const currentUser: () => Promise<CreditsUser | null> = cache(async () =>
  getUser(new Request('http://page.invalid', { headers: { cookie: (await headers()).get('cookie') ?? '' } })),
)

/** The signed-in user; a visitor is sent to sign in and comes back to `path`. */
export async function requireUser(path: string): Promise<CreditsUser> {
  const user = await currentUser()
  return user ?? redirect(`/sign-in?next=${encodeURIComponent(path)}`)
}

/** May this user see the admin pages? Asked of the database each time. */
export async function isAdmin(user: CreditsUser): Promise<boolean> {
  return typeof user.isAdmin === 'function' ? await user.isAdmin() : user.isAdmin === true
}
