const HOME = '/chat'

/** Where to go after signing in: a path of this app, never an address of another site. */
export function safeNextPath(next: unknown): string {
  if (typeof next !== 'string' || !next.startsWith('/')) return HOME
  // Resolved as a browser would: it drops tabs and line breaks and reads a backslash as a slash.
  const { origin, pathname, search } = new URL(next, 'http://app.invalid')
  if (origin !== 'http://app.invalid') return HOME
  // The result is resolved once more by the browser. After `/./` is gone it may begin with the name of a host.
  return /^[/\\]{2}/.test(pathname) ? HOME : `${pathname}${search}`
}
