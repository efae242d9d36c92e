/** Where to go after signing in: a path of this app, never an address of somebody else's. */
export function safeNextPath(next: unknown): string {
  if (typeof next !== 'string' || !next.startsWith('/') || next.startsWith('//') || next.includes('\\')) return '/chat'
  return next
}
