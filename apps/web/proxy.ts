import { createServerClient } from '@supabase/ssr'
import { type NextRequest, NextResponse } from 'next/server'
import { invalidVariables, readEnv } from './lib/env'
import { notConfiguredPage } from './lib/not-configured'
import { sessionCookie } from './lib/session-cookie'

/**
 * Keeps the session fresh before a page renders, because pages cannot set cookies. It decides nothing:
 * every page and route checks for itself who is there.
 */
export async function proxy(request: NextRequest): Promise<Response> {
  const invalid = invalidVariables()
  if (invalid.length > 0) {
    // Routes say it themselves, as a problem body.
    return request.nextUrl.pathname.startsWith('/api/') ? NextResponse.next() : notConfiguredPage(invalid)
  }
  // An app without a session has nothing to refresh, and a bearer token refreshes elsewhere.
  if (!request.cookies.getAll().some(({ name }) => name.startsWith('sb-'))) return NextResponse.next()

  const { NEXT_PUBLIC_SUPABASE_URL, NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY } = readEnv()
  let response = NextResponse.next({ request })
  const client = createServerClient(NEXT_PUBLIC_SUPABASE_URL, NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY, {
    cookieOptions: sessionCookie(request.headers),
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
  matcher: ['/((?!_next/|favicon.ico|icon.svg|api/health).*)'],
}
