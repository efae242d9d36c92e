import type { z } from 'zod'
import type { Credits } from '../credits/types.ts'
import type { CreditsUser } from './guard.ts'

/** The use cases that the HTTP API serves. */
export type HandlerCredits = Pick<
  Credits,
  | 'getBalance'
  | 'getHistory'
  | 'getMargins'
  | 'setMargin'
  | 'removeMargin'
  | 'getMarginAudit'
  | 'pricing'
  | 'report'
  | 'whatIf'
  | 'drift'
>

/** The verbs of the API. */
export type RouteMethod = 'GET' | 'PUT' | 'POST' | 'DELETE'

/** What a public route is given. */
export interface PublicContext<Query, Body> {
  query: Query
  body: Body
  /** The rest of the path where the path of the route ends in a name in braces, decoded; else empty. */
  target: string
  /** Where the routes are mounted. */
  basePath: string
}

/** What a route is given once its sender is known and allowed. */
export interface RouteContext<Query, Body> extends PublicContext<Query, Body> {
  user: CreditsUser
  credits: HandlerCredits
}

interface RouteShape<Query, Body, Answer> {
  method: RouteMethod
  /** Below the base path. A name in braces at the end stands for the rest of the path, slashes included. */
  path: `/${string}`
  /** One line for the OpenAPI document. */
  summary: string
  query?: z.ZodType<Query> & z.ZodObject
  body?: z.ZodType<Body>
  response: z.ZodType<Answer>
}

interface PublicRoute<Query, Body, Answer> extends RouteShape<Query, Body, Answer> {
  access: 'public'
  handle(context: PublicContext<Query, Body>): Answer | Promise<Answer>
}

interface ProtectedRoute<Query, Body, Answer> extends RouteShape<Query, Body, Answer> {
  access: 'user' | 'admin'
  handle(context: RouteContext<Query, Body>): Answer | Promise<Answer>
}

/** One row of the route table: from it come the router, the OpenAPI document and the tests of access. */
// The schemas of a row belong to its own handler; the router passes what they parsed.
// biome-ignore lint/suspicious/noExplicitAny: see above
export type Route = PublicRoute<any, any, any> | ProtectedRoute<any, any, any>

/** A row of the table, with its handler typed by its schemas. */
export function route<Answer, Query = undefined, Body = undefined>(
  row: PublicRoute<Query, Body, Answer> | ProtectedRoute<Query, Body, Answer>,
): Route {
  return row
}
