import type { CookieOptions } from '@supabase/ssr'

/**
 * How the session is kept. Every sign-in goes through the server, so no script of a page needs to read it;
 * over HTTPS it never travels in the clear.
 */
export function sessionCookie(headers: Headers): CookieOptions {
  const secure = headers.get('x-forwarded-proto')?.split(',')[0]?.trim() === 'https'
  return { httpOnly: true, sameSite: 'lax', path: '/', secure }
}
