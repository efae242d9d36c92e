import { join } from 'node:path'
import type { NextConfig } from 'next'

/** The workspace: the library and its dependencies are linked from there. */
const workspace = join(import.meta.dirname, '../..')

/** On every answer. The policy of a page's scripts needs a nonce, so proxy.ts sets it. */
const securityHeaders = [
  { key: 'x-content-type-options', value: 'nosniff' },
  { key: 'x-frame-options', value: 'DENY' },
  { key: 'referrer-policy', value: 'strict-origin-when-cross-origin' },
  { key: 'permissions-policy', value: 'camera=(), geolocation=(), microphone=(), payment=()' },
  // Browsers read it over HTTPS only, so it does not concern a local http address.
  { key: 'strict-transport-security', value: 'max-age=31536000' },
]

/** The API gives data, which no browser should take for a page. */
const apiHeaders = [{ key: 'content-security-policy', value: "default-src 'none'; frame-ancestors 'none'" }]

const config: NextConfig = {
  outputFileTracingRoot: workspace,
  turbopack: { root: workspace },
  poweredByHeader: false,
  experimental: {
    // `forbidden()` answers 403 with app/forbidden.tsx.
    authInterrupts: true,
    optimizePackageImports: ['@mantine/core', '@mantine/hooks', '@tabler/icons-react'],
  },
  headers: async () => [
    { source: '/:path*', headers: securityHeaders },
    { source: '/api/:path*', headers: apiHeaders },
  ],
}

export default config
