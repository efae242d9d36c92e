import type { NextRequest } from 'next/server'
import { safeNextPath } from '@/lib/auth/next-path'
import { sessionClient } from '@/lib/server/supabase'

/** Where a provider, or a link in an e-mail, sends the browser back to. */
export async function GET(request: NextRequest): Promise<Response> {
  const query = request.nextUrl.searchParams
  const code = query.get('code')
  const signedIn = code !== null && !(await (await sessionClient()).auth.exchangeCodeForSession(code)).error
  const path = signedIn ? safeNextPath(query.get('next')) : '/sign-in?error=callback'
  return new Response(null, {
    status: 303,
    headers: { location: path, 'cache-control': 'no-store' },
  })
}
