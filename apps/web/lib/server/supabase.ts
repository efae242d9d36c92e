import 'server-only'
import { createServerClient } from '@supabase/ssr'
import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import { cookies, headers } from 'next/headers'
import { authFetch } from '../auth/auth-fetch'
import { clientIp } from '../auth/client-ip'
import { sessionCookie } from '../auth/session-cookie'
import { readEnv } from './env'

/** Acts as the person whose cookies the request carries. */
export async function sessionClient(): Promise<SupabaseClient> {
  const env = readEnv()
  const store = await cookies()
  const requestHeaders = await headers()
  return createServerClient(env.NEXT_PUBLIC_SUPABASE_URL, env.NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY, {
    cookieOptions: sessionCookie(requestHeaders),
    global: { fetch: authFetch(env, clientIp(requestHeaders, env.CLIENT_IP_HEADER)) },
    cookies: {
      getAll: () => store.getAll(),
      setAll: (changes) => {
        try {
          for (const { name, value, options } of changes) store.set(name, value, options)
        } catch {
          // Pages cannot set cookies while they render; proxy.ts has already refreshed the session for them.
        }
      },
    },
  })
}

/** Acts as the owner of an access token. */
export function tokenClient(token: string): SupabaseClient {
  const { NEXT_PUBLIC_SUPABASE_URL, NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY } = readEnv()
  return createClient(NEXT_PUBLIC_SUPABASE_URL, NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    // Capitalised as supabase-js itself does: a second spelling would be a second header.
    global: { headers: { Authorization: `Bearer ${token}` } },
  })
}

/** Acts as the app itself and may move credits. Server only, as this module is. */
export function serviceClient(): SupabaseClient {
  const { NEXT_PUBLIC_SUPABASE_URL, SUPABASE_SECRET_KEY } = readEnv()
  return createClient(NEXT_PUBLIC_SUPABASE_URL, SUPABASE_SECRET_KEY, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
  })
}
