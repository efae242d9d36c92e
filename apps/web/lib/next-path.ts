/** Where to go after signing in: a path of this app, never an address of somebody else's. */
export function safeNextPath(next: unknown): string {
  if (typeof next !== 'string' || !next.startsWith('/')) return '/chat'
  // Resolved as a browser would: it drops tabs and line breaks and reads a backslash as a slash.
  const { origin, pathname, search } = new URL(next, 'http://app.invalid')
  return origin === 'http://app.invalid' ? `${pathname}${search}` : '/chat'
}
