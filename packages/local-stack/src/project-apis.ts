import { type Api, type ApiOptions, startApi } from './api.ts'
import { messageOf } from './errors.ts'
import type { Handler } from './http/front-door.ts'
import { replyJson } from './http/reply.ts'
import { databaseOf, requireProject } from './mcp/projects.ts'

/** The APIs of the projects other than the main one. */
export interface ProjectApis {
  /** The URL of a project; its PostgREST and auth server are started when first asked for. */
  urlOf(ref: string): Promise<string>
  /** Answers `/_dev/projects/<ref>` with the URL, for the MCP server in another process. */
  route: Handler
  stopAll(): Promise<void>
}

/** No API runs yet. */
export function createProjectApis(apiOptions: Omit<ApiOptions, 'port' | 'database' | 'open'>): ProjectApis {
  const running = new Map<string, Promise<Api>>()

  async function begin(ref: string): Promise<Api> {
    await requireProject(apiOptions.dbPort, ref)
    return startApi({ ...apiOptions, port: 0, database: databaseOf(ref), open: () => ({}) })
  }

  async function urlOf(ref: string): Promise<string> {
    const started = running.get(ref) ?? begin(ref)
    running.set(ref, started)
    // A start that failed may be tried again.
    started.catch(() => running.delete(ref))
    return (await started).url
  }

  return {
    urlOf,
    route: async (_req, res, path) => {
      try {
        replyJson(res, 200, { url: await urlOf(decodeURIComponent(path.slice(1))) })
      } catch (error) {
        replyJson(res, 404, { message: messageOf(error) })
      }
    },
    stopAll: async () => {
      await Promise.all([...running.values()].map(async (api) => (await api.catch(() => undefined))?.stop()))
    },
  }
}
