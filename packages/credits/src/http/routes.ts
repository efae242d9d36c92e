import { getErrorCodes } from './error-routes.ts'
import * as margins from './margin-routes.ts'
import { describeRoutes } from './openapi.ts'
import * as reports from './report-routes.ts'
import { type Route, route } from './route.ts'
import * as schemas from './schemas.ts'
import { getBalance, getHistory } from './user-routes.ts'

/** Every route of the API: the router, the OpenAPI document and the tests of access read this table. */
export const routes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/credits/balance',
    summary: 'The balance of the signed-in user',
    access: 'user',
    response: schemas.balanceSchema,
    handle: getBalance,
  }),
  route({
    method: 'GET',
    path: '/credits/history',
    summary: 'The transactions of the signed-in user, newest first',
    access: 'user',
    query: schemas.historyQuerySchema,
    response: schemas.historySchema,
    handle: getHistory,
  }),
  route({
    method: 'GET',
    path: '/credits/errors',
    summary: 'What each error code means; the `type` of a problem body leads here',
    access: 'public',
    response: schemas.errorCodesSchema,
    handle: getErrorCodes,
  }),
  route({
    method: 'GET',
    path: '/credits/openapi.json',
    summary: 'This document',
    access: 'public',
    response: schemas.openApiSchema,
    handle: ({ basePath }) => openApiDocument({ basePath }),
  }),
  route({
    method: 'GET',
    path: '/admin/credits/margins',
    summary: 'Margins in force and scheduled',
    access: 'admin',
    response: schemas.marginsSchema,
    handle: margins.getMargins,
  }),
  route({
    method: 'PUT',
    path: '/admin/credits/margins',
    summary: 'Set the default margin',
    access: 'admin',
    body: schemas.setMarginSchema,
    response: schemas.marginSchema,
    handle: margins.setDefaultMargin,
  }),
  route({
    method: 'PUT',
    path: '/admin/credits/margins/{model}',
    summary: 'Set the margin of one model, provider, feature or plan',
    access: 'admin',
    query: schemas.overrideQuerySchema,
    body: schemas.setMarginSchema,
    response: schemas.marginSchema,
    handle: margins.setOverride,
  }),
  route({
    method: 'DELETE',
    path: '/admin/credits/margins/{model}',
    summary: 'Remove the margin of one model, provider, feature or plan',
    access: 'admin',
    query: schemas.removeMarginQuerySchema,
    response: schemas.marginSchema,
    handle: margins.removeOverride,
  }),
  route({
    method: 'GET',
    path: '/admin/credits/audit',
    summary: 'Who changed which margin, newest first',
    access: 'admin',
    query: schemas.pageQuerySchema,
    response: schemas.auditSchema,
    handle: margins.getAudit,
  }),
  route({
    method: 'GET',
    path: '/admin/credits/rates',
    summary: 'Prices of the models',
    access: 'admin',
    query: schemas.ratesQuerySchema,
    response: schemas.ratesSchema,
    handle: margins.getRates,
  }),
  route({
    method: 'GET',
    path: '/admin/credits/report',
    summary: 'Revenue, cost and profit of a period',
    access: 'admin',
    query: schemas.periodQuerySchema,
    response: schemas.profitReportSchema,
    handle: reports.getReport,
  }),
  route({
    method: 'GET',
    path: '/admin/credits/what-if',
    summary: 'A period replayed under other margins or prices',
    access: 'admin',
    query: schemas.whatIfQuerySchema,
    response: schemas.whatIfSchema,
    handle: reports.getWhatIf,
  }),
  route({
    method: 'GET',
    path: '/admin/credits/drift',
    summary: 'Computed against reported cost, by model and day',
    access: 'admin',
    query: schemas.driftQuerySchema,
    response: schemas.driftSchema,
    handle: reports.getDrift,
  }),
]

/** Options of {@link openApiDocument}. */
export interface OpenApiOptions {
  /** Where the routes are mounted. Default `/api`. */
  basePath?: string | undefined
}

/**
 * The OpenAPI 3.1 description of the HTTP API, made from the route table and the schemas that check each request.
 *
 * @example
 * ```ts
 * export const GET = () => Response.json(openApiDocument())
 * ```
 */
export function openApiDocument({
  basePath = '/api',
}: OpenApiOptions = {}): { openapi: string } & Record<string, unknown> {
  return describeRoutes(routes, basePath)
}
