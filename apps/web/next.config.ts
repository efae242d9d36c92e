import { join } from 'node:path'
import type { NextConfig } from 'next'

/** The workspace: the library and its dependencies are linked from there. */
const workspace = join(import.meta.dirname, '../..')

const securityHeaders = [
  { key: 'x-content-type-options', value: 'nosniff' },
  { key: 'x-frame-options', value: 'DENY' },
  { key: 'referrer-policy', value: 'strict-origin-when-cross-origin' },
  { key: 'content-security-policy', value: "frame-ancestors 'none'; base-uri 'self'; object-src 'none'" },
]

const config: NextConfig = {
  outputFileTracingRoot: workspace,
  turbopack: { root: workspace },
  poweredByHeader: false,
  experimental: {
    // `forbidden()` answers 403 with app/forbidden.tsx.
    authInterrupts: true,
    optimizePackageImports: ['@mantine/core', '@mantine/hooks', '@tabler/icons-react'],
  },
  headers: async () => [{ source: '/:path*', headers: securityHeaders }],
}

export default config
