import { createServerClient } from '@supabase/ssr'
import { type NextRequest, NextResponse } from 'next/server'
import { authFetch } from './lib/auth/auth-fetch'
import { clientIp } from './lib/auth/client-ip'
import { sessionCookie } from './lib/auth/session-cookie'
import { contentSecurityPolicy } from './lib/server/content-security-policy'
import { invalidVariables, readEnv } from './lib/server/env'
import { notConfiguredPage } from './lib/server/not-configured'

/**
 * Keeps the session fresh before a page renders, because pages cannot set cookies, and sets the policy for the
 * page's scripts. It decides nothing: every page and route checks by itself who sent the request.
 */
export async function proxy(request: NextRequest): Promise<Response> {
  const invalid = invalidVariables()
  const isApi = request.nextUrl.pathname.startsWith('/api/')
  if (invalid.length > 0) {
    // Routes say it themselves, as a problem body.
    return isApi ? NextResponse.next() : notConfiguredPage(invalid)
  }
  const policy = isApi ? undefined : contentSecurityPolicy(readEnv().NEXT_PUBLIC_SUPABASE_URL)
  if (policy) {
    // Next.js reads the nonce of its own scripts from the policy; the layout reads it for the others.
    request.headers.set('content-security-policy', policy.value)
    request.headers.set('x-nonce', policy.nonce)
  }
  // Without a session there is nothing to refresh, and the holder of a bearer token refreshes it elsewhere.
  const hasSession = request.cookies.getAll().some(({ name }) => name.startsWith('sb-'))
  const response = hasSession ? await refreshSession(request) : NextResponse.next({ request })
  if (policy) response.headers.set('content-security-policy', policy.value)
  return response
}

async function refreshSession(request: NextRequest): Promise<NextResponse> {
  const env = readEnv()
  let response = NextResponse.next({ request })
  const client = createServerClient(env.NEXT_PUBLIC_SUPABASE_URL, env.NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY, {
    cookieOptions: sessionCookie(request.headers),
    global: { fetch: authFetch(env, clientIp(request.headers, env.CLIENT_IP_HEADER)) },
    cookies: {
      getAll: () => request.cookies.getAll(),
      setAll: (changes, headers) => {
        for (const { name, value } of changes) request.cookies.set(name, value)
        response = NextResponse.next({ request })
        for (const { name, value, options } of changes) response.cookies.set(name, value, options)
        for (const [name, value] of Object.entries(headers)) response.headers.set(name, value)
      },
    },
  })
  await client.auth.getClaims().catch(() => null)
  return response
}

export const config = {
  matcher: ['/((?!_next/|favicon.ico|icon.svg|robots.txt|api/health).*)'],
}
