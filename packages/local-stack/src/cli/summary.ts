import type { StackInfo } from '../state.ts'

/** What a person wants to know about a running stack. */
export function summary(info: StackInfo): string {
  const lines = [
    ['URL', info.url],
    ['Publishable key', info.publishableKey],
    ['Secret key', info.secretKey],
    ['Database', info.dbUrl],
    ['Model gateway', `${info.gatewayUrl} (key ${info.gatewayApiKey})`],
    ['MCP', info.mcpUrl],
    ['Mail', info.mailUrl],
  ]
  const rows = lines.map(([name, value]) => `  ${name?.padEnd(16)} ${value}`)
  return ['The local stack runs. For development only: every key is public.', ...rows].join('\n')
}
