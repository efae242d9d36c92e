import { CreditError } from '../core/errors.ts'
import type { RouteOptions } from './guard.ts'
import { openApiDocument } from './openapi.ts'
import { withProblems } from './problem.ts'
import { type HandlerCredits, type Route, type RouteMethod, routes, runRoute } from './routes.ts'

/** What {@link createCreditsHandlers} needs. */
export interface CreditsHandlersOptions extends RouteOptions {
  /** Made by `createCredits`. */
  credits: HandlerCredits
  /** Where the routes are mounted. Default `/api`, so that a balance is at `/api/credits/balance`. */
  basePath?: string | undefined
}

/** A route handler: a web-standard request in, a response out. */
export type Handler = (request: Request) => Promise<Response>

/** The verbs of one route. */
export type RouteHandlers<Name extends keyof typeof routes> = {
  [Method in keyof (typeof routes)[Name]['actions'] & RouteMethod]: Handler
}

/** Handlers of the whole API by verb, and of each route by name. */
export type CreditsHandlers = Record<RouteMethod | 'POST' | 'PATCH', Handler> & {
  /** Answers any verb, for servers without one export per verb. */
  handle: Handler
} & {
  [Name in keyof typeof routes]: RouteHandlers<Name>
}

/**
 * The HTTP API as web-standard handlers. Mount the verbs in a catch-all route, or single routes by name;
 * each request is authorised here, whatever stands in front. `POST` and `PATCH` answer 404 and 405 with a
 * problem body.
 *
 * @example
 * ```ts
 * // app/api/credits/[...path]/route.ts and app/api/admin/credits/[...path]/route.ts
 * export const { GET, PUT, DELETE, POST, PATCH } = createCreditsHandlers({ credits, getUser, upgradeUrl: '/upgrade' })
 * ```
 */
export function createCreditsHandlers(options: CreditsHandlersOptions): CreditsHandlers {
  const basePath = options.basePath ?? '/api'
  const handle = withProblems(async (request) => {
    const { pathname } = new URL(request.url)
    if (pathname === `${basePath}/credits/openapi.json`) return Response.json(openApiDocument({ basePath }))
    return runRoute(findRoute(pathname, basePath), request, options)
  }, options)

  const named = Object.fromEntries(
    Object.entries(routes).map(([name, route]: [string, Route]) => {
      const handler = withProblems((request) => runRoute(route, request, options), options)
      return [name, Object.fromEntries(Object.keys(route.actions).map((method) => [method, handler]))]
    }),
  )
  return { handle, GET: handle, PUT: handle, DELETE: handle, POST: handle, PATCH: handle, ...named } as CreditsHandlers
}

function findRoute(pathname: string, basePath: string): Route {
  const candidates: Route[] = Object.values(routes)
  const route = candidates.find(({ path, hasTarget }) => {
    const full = `${basePath}${path}`
    return hasTarget ? pathname.startsWith(`${full}/`) && pathname.length > full.length + 1 : pathname === full
  })
  if (!route) throw new CreditError({ code: 'NOT_FOUND', message: 'There is no such route' })
  return route
}
