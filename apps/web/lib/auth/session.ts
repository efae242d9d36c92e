import 'server-only'
import { type CreditsUser, supabaseUser } from '@layers/credits/http'
import type { SupabaseClient } from '@supabase/supabase-js'
import { headers } from 'next/headers'
import { redirect } from 'next/navigation'
import { cache } from 'react'
import { sessionClient, tokenClient } from '../server/supabase'

/**
 * Finds the user of a request by session cookie or bearer token. Who is an admin is answered by the database: this app
 * named its function `public.is_admin()` in `credit_settings`.
 */
export const getUser = supabaseUser<SupabaseClient>({
  createClient: (token) => (token === null ? sessionClient() : tokenClient(token)),
})

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
