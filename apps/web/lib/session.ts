import 'server-only'
import type { CreditsUser } from '@layers/credits/next'
import { headers } from 'next/headers'
import { redirect } from 'next/navigation'
import { cache } from 'react'
import { getUser } from './credits'

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
