import { CreditError, invalidInput } from '../core/errors.ts'
import { readJson, readQuery } from './body.ts'
import { authorize, type RouteOptions } from './guard.ts'
import { withProblems } from './problem.ts'
import type { HandlerCredits, Route } from './route.ts'
import { routes } from './routes.ts'

/** What {@link createCreditsHandlers} needs. */
export interface CreditsHandlersOptions extends RouteOptions {
  /** Made by `createCredits`; or a function that makes it at the first request, because a build has no environment. */
  credits: HandlerCredits | (() => HandlerCredits)
  /** Where the routes are mounted. Default `/api`, so that a balance is at `/api/credits/balance`. */
  basePath?: string | undefined
}

/** A route handler: a web-standard request in, a response out. */
export type Handler = (request: Request) => Promise<Response>

/** One handler for the whole API, under each name that a server may want it. */
export interface CreditsHandlers {
  /** For servers without one export per verb. */
  handle: Handler
  GET: Handler
  PUT: Handler
  POST: Handler
  DELETE: Handler
  PATCH: Handler
}

/**
 * The HTTP API as one web-standard handler. Mount it in a catch-all route; each request is authorised here, no matter
 * what stands in front. An unknown address answers 404 and an unknown verb 405, both with a problem body.
 *
 * @example
 * ```ts
 * // app/api/credits/[...path]/route.ts and app/api/admin/credits/[...path]/route.ts
 * export const { GET, PUT, POST, DELETE, PATCH } = createCreditsHandlers({ credits: getCredits, getUser })
 * ```
 */
export function createCreditsHandlers(options: CreditsHandlersOptions): CreditsHandlers {
  const { basePath = '/api', errorsUrl = `${basePath}/credits/errors` } = options
  const handle = withProblems(
    async (request, context) => {
      const url = new URL(request.url)
      const { route, target } = findRoute(url.pathname, request.method, basePath)
      const shared = { target, basePath }
      if (route.access === 'public')
        return answer(await route.handle({ ...(await readInput(route, request, url)), ...shared }))
      const user = await authorize(request, { ...options, admin: route.access === 'admin' })
      context.userId = user.id
      const credits = typeof options.credits === 'function' ? options.credits() : options.credits
      return answer(await route.handle({ ...(await readInput(route, request, url)), ...shared, user, credits }))
    },
    { ...options, errorsUrl },
  )
  return { handle, GET: handle, PUT: handle, POST: handle, DELETE: handle, PATCH: handle }
}

async function readInput(route: Route, request: Request, url: URL): Promise<{ query: unknown; body: unknown }> {
  const query = route.query && readQuery(url, route.query)
  return { query, body: route.body && (await readJson(request, route.body)) }
}

function answer(body: unknown): Response {
  return Response.json(body, { headers: { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } })
}

/** The row of the table for an address and a verb. HEAD is GET without the body, which the server in front cuts off. */
function findRoute(pathname: string, method: string, basePath: string): { route: Route; target: string } {
  const found = routes.flatMap((route) => {
    const target = targetOf(pathname, `${basePath}${route.path}`)
    return target === undefined ? [] : [{ route, target }]
  })
  if (found.length === 0) throw new CreditError({ code: 'NOT_FOUND', message: 'There is no such route' })
  const wanted = method === 'HEAD' ? 'GET' : method
  const match = found.find(({ route }) => route.method === wanted)
  if (match) return { route: match.route, target: decoded(match.target) }
  const allowed = found.map(({ route }) => route.method)
  throw new CreditError({
    code: 'METHOD_NOT_ALLOWED',
    message: `Use ${allowed.join(' or ')} here`,
    details: { allow: allowed.join(', ') },
  })
}

/** The rest of the path that a name in braces stands for, still encoded; undefined for another path. */
function targetOf(pathname: string, pattern: string): string | undefined {
  const brace = pattern.indexOf('{')
  if (brace === -1) return pathname === pattern ? '' : undefined
  const prefix = pattern.slice(0, brace)
  return pathname.startsWith(prefix) && pathname.length > prefix.length ? pathname.slice(prefix.length) : undefined
}

/** A model id contains a slash, which arrives raw or encoded depending on who wrote the URL. */
function decoded(target: string): string {
  try {
    return decodeURIComponent(target)
  } catch {
    throw invalidInput('', 'The address is not encoded properly')
  }
}
