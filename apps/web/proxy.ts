import { createServerClient } from '@supabase/ssr'
import { type NextRequest, NextResponse } from 'next/server'
import { invalidVariables, readEnv } from './lib/env'
import { sessionCookie } from './lib/session-cookie'

/**
 * Keeps the session fresh before a page renders, because pages cannot set cookies. It decides nothing:
 * every page and route checks for itself who is there.
 */
export async function proxy(request: NextRequest): Promise<NextResponse> {
  const isApi = request.nextUrl.pathname.startsWith('/api/')
  if (invalidVariables().length > 0) {
    return isApi ? NextResponse.next() : NextResponse.rewrite(new URL('/not-configured', request.url), { status: 500 })
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
