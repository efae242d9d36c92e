import type { SupabasePlatform } from '@supabase/mcp-server-supabase/platform'
import { tail } from '../process/log.ts'
import { createProject, databaseOf, listProjects, MAIN_PROJECT, ORGANIZATION, requireProject } from './projects.ts'
import { applyMigration, executeSql, listMigrations } from './sql.ts'
import { advisors, generateTypes } from './supabase-cli.ts'

/** What the platform needs to know about the stack. */
export interface PlatformOptions {
  dbPort: number
  /** The URL of the main project. */
  url: string
  /** The URL of another project; its API is started when first asked for. */
  projectUrl: (ref: string) => Promise<string>
  publishableKey: string
  anonKey: string
  /** Log files by the service names of the MCP server. */
  logs: Record<string, string>
}

/** The feature groups that work without the internet. */
export const FEATURES: readonly string[] = ['account', 'database', 'debugging', 'development']

/**
 * Supabase as the MCP server sees it, on the local cluster: a project is a database, creating one copies the
 * mould of new projects, and linter and type generator are the real CLI's.
 */
export function createPlatform(options: PlatformOptions): SupabasePlatform {
  const { dbPort } = options
  const target = (ref: string) => ({ port: dbPort, database: databaseOf(ref) })
  return {
    account: {
      listOrganizations: async () => [{ ...ORGANIZATION }],
      getOrganization: async () => ({
        ...ORGANIZATION,
        plan: 'free',
        allowed_release_channels: ['ga'],
        opt_in_tags: [],
      }),
      listProjects: () => listProjects(dbPort),
      getProject: (ref) => requireProject(dbPort, ref),
      createProject: ({ name }) => createProject(dbPort, name),
      pauseProject: () => unsupported('paused'),
      restoreProject: () => unsupported('restored'),
    },
    database: {
      executeSql: async <T>(ref: string, sql: { query: string; parameters?: unknown[]; read_only?: boolean }) => {
        const { query, parameters, read_only } = sql
        return (await executeSql(target(ref), { query, parameters, readOnly: read_only ?? false })) as T[]
      },
      listMigrations: (ref) => listMigrations(target(ref)),
      applyMigration: (ref, migration) => applyMigration(target(ref), migration),
    },
    development: {
      getProjectUrl: async (ref) => (ref === MAIN_PROJECT ? options.url : options.projectUrl(ref)),
      getPublishableKeys: async () => [
        { api_key: options.publishableKey, name: 'default', type: 'publishable' },
        { api_key: options.anonKey, name: 'anon', type: 'legacy' },
      ],
      generateTypescriptTypes: async (ref) => ({ types: await generateTypes(target(ref)) }),
    },
    debugging: {
      getLogs: async (_ref, { service }) =>
        tail(options.logs[service] ?? '', 100)
          .split('\n')
          .filter((line) => line !== '')
          .map((event_message) => ({ event_message })),
      getSecurityAdvisors: (ref) => advisors(target(ref), 'security'),
      getPerformanceAdvisors: (ref) => advisors(target(ref), 'performance'),
    },
  }
}

async function unsupported(what: string): Promise<never> {
  throw new Error(`A local project cannot be ${what}: it is a database of the running stack.`)
}
