/** The policy of one page: scripts run only with the nonce of this very answer. */
export function contentSecurityPolicy(supabaseUrl: string): { nonce: string; value: string } {
  const nonce = btoa(crypto.randomUUID())
  const isDevelopment = process.env.NODE_ENV === 'development'
  const directives = [
    "default-src 'self'",
    // The development build of React evaluates code to show better stacks.
    `script-src 'self' 'nonce-${nonce}' 'strict-dynamic'${isDevelopment ? " 'unsafe-eval'" : ''}`,
    // Mantine writes style attributes, which cannot carry a nonce.
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self'",
    `connect-src 'self'${isDevelopment ? ' ws:' : ''}`,
    // The form of a sign-in provider is redirected to the auth server and on to the provider.
    `form-action 'self' ${new URL(supabaseUrl).origin} https:`,
    "object-src 'none'",
    "base-uri 'self'",
    "frame-ancestors 'none'",
  ]
  return { nonce, value: directives.join('; ') }
}
