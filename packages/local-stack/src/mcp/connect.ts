import type { SupabasePlatform } from '@supabase/mcp-server-supabase/platform'
import type { Layout } from '../layout.ts'
import type { StackInfo } from '../state.ts'
import { createPlatform } from './platform.ts'

/** The platform of a stack that runs in another process. */
export function platformOf(info: StackInfo, layout: Layout): SupabasePlatform {
  return createPlatform({
    dbPort: Number(new URL(info.dbUrl).port),
    url: info.url,
    publishableKey: info.publishableKey,
    anonKey: info.anonKey,
    logs: logsOf(layout),
    projectUrl: async (ref) => {
      const response = await fetch(`${info.url}/_dev/projects/${encodeURIComponent(ref)}`)
      const body = (await response.json()) as { url?: string; message?: string }
      if (!body.url) throw new Error(body.message ?? `The API of project ${ref} could not be started`)
      return body.url
    },
  })
}

/** The log files by the names that the MCP server has for services. */
export function logsOf(layout: Layout): Record<string, string> {
  return { postgres: layout.postgresLog, api: layout.postgrestLog, auth: layout.serverLog }
}
