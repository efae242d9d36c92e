import { localhostOriginValidation, toNodeHandler } from '@modelcontextprotocol/node'
import { createMcpHandler } from '@modelcontextprotocol/server'
import { createSupabaseMcpServer } from '@supabase/mcp-server-supabase'
import type { SupabasePlatform } from '@supabase/mcp-server-supabase/platform'
import type { Handler } from '../http/front-door.ts'
import { FEATURES } from './platform.ts'

/** What a caller may narrow the server down to. */
export interface McpScope {
  projectRef?: string | undefined
  readOnly: boolean
  /** Feature groups; those that need the internet are left out. */
  features?: readonly string[] | undefined
}

/** The real Supabase MCP server on a local platform. */
export function createServer(platform: SupabasePlatform, scope: McpScope) {
  const features = FEATURES.filter((feature) => scope.features?.includes(feature) ?? true)
  const project = scope.projectRef === undefined ? {} : { projectId: scope.projectRef }
  return createSupabaseMcpServer({ platform, readOnly: scope.readOnly, features: [...features], ...project })
}

/**
 * The MCP server over HTTP, for clients of the current protocol and of the one before. The URL takes the same
 * parameters as the hosted server: `?project_ref=...&read_only=true&features=database,development`.
 */
export function createMcpRoute(platform: SupabasePlatform, log: (line: string) => void): Handler {
  const onerror = (error: Error) => log(`mcp: ${error.message}`)
  const handler = createMcpHandler(
    ({ requestInfo }) => createServer(platform, scopeOf(new URL(requestInfo?.url ?? 'http://localhost').searchParams)),
    { legacy: 'stateless', onerror },
  )
  const handle = toNodeHandler(handler, { onerror })
  // It runs SQL without asking for a key, so no page of another site may call it.
  const isLocal = localhostOriginValidation()
  return async (req, res) => {
    // A request has a method once it has arrived; only the type does not know.
    if (isLocal(req, res)) await handle(req as Parameters<typeof handle>[0], res)
  }
}

function scopeOf(query: URLSearchParams): McpScope {
  return {
    projectRef: query.get('project_ref') ?? undefined,
    readOnly: query.get('read_only') === 'true',
    features: query.get('features')?.split(','),
  }
}
