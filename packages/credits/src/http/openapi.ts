import { z } from 'zod'
import * as schemas from './schemas.ts'

/** What {@link openApiDocument} may be told. */
export interface OpenApiOptions {
  /** Where the routes are mounted. Default `/api`. */
  basePath?: string | undefined
}

type JsonObject = Record<string, unknown>

/**
 * The OpenAPI 3.1 description of the HTTP API, made from the same schemas that check it.
 *
 * @example
 * ```ts
 * export const GET = () => Response.json(openApiDocument())
 * ```
 */
export function openApiDocument({ basePath = '/api' }: OpenApiOptions = {}): JsonObject {
  const scope = parameters(schemas.overrideQuerySchema)
  const model: JsonObject = {
    name: 'model',
    in: 'path',
    required: true,
    description: 'The id of the model; its slash may be written raw or as %2F',
    schema: { type: 'string' },
  }
  return {
    openapi: '3.1.0',
    info: { title: '@layers/credits', version: '1', description: 'Amounts are decimal strings of credits.' },
    servers: [{ url: basePath }],
    security: [{ session: [] }, { bearer: [] }],
    paths: {
      '/credits/balance': { get: operation('The balance of the signed-in user', 'Balance') },
      '/credits/history': {
        get: operation('The transactions of the signed-in user, newest first', 'History', {
          parameters: parameters(schemas.historyQuerySchema),
        }),
      },
      '/admin/credits/margins': {
        get: operation('Margins in force and scheduled', 'Margins'),
        put: operation('Set the default margin', 'Margin', setMargin),
      },
      '/admin/credits/margins/{model}': {
        parameters: [model],
        put: operation('Set the margin of one model', 'Margin', { parameters: scope, ...setMargin }),
        delete: operation('Remove the margin of one model', 'Margin', {
          parameters: parameters(schemas.removeMarginQuerySchema),
        }),
      },
      '/admin/credits/audit': {
        get: operation('Who changed which margin, newest first', 'MarginAudit', {
          parameters: parameters(schemas.pageQuerySchema),
        }),
      },
      '/admin/credits/rates': {
        get: operation('Prices of the models', 'Rates', { parameters: parameters(schemas.ratesQuerySchema) }),
      },
      '/admin/credits/report': {
        get: operation('Revenue, cost and profit of a period', 'ProfitReport', {
          parameters: parameters(schemas.periodQuerySchema),
        }),
      },
      '/admin/credits/what-if': {
        get: operation('A period replayed under other margins or prices', 'WhatIf', {
          parameters: parameters(schemas.whatIfQuerySchema),
        }),
      },
      '/admin/credits/drift': {
        get: operation('Computed against reported cost, by model and day', 'Drift', {
          parameters: parameters(schemas.driftQuerySchema),
        }),
      },
    },
    components: {
      schemas: componentSchemas(),
      responses: {
        Problem: {
          description: 'Refused or failed; branch on `code`',
          content: content('application/problem+json', 'Problem'),
        },
      },
      securitySchemes: {
        session: { type: 'apiKey', in: 'cookie', name: 'sb-auth-token', description: 'The cookies of @supabase/ssr' },
        bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
      },
    },
  }
}

const setMargin: JsonObject = { requestBody: { required: true, content: content('application/json', 'SetMargin') } }

function operation(summary: string, body: keyof typeof schemas.components, more: JsonObject = {}): JsonObject {
  return {
    summary,
    ...more,
    responses: {
      200: { description: summary, content: content('application/json', body) },
      default: { $ref: '#/components/responses/Problem' },
    },
  }
}

function content(mediaType: string, body: keyof typeof schemas.components): JsonObject {
  return { [mediaType]: { schema: { $ref: `#/components/schemas/${body}` } } }
}

function parameters(query: z.ZodObject): JsonObject[] {
  return Object.entries(query.shape).map(([name, schema]) => {
    const { $schema: _, description, ...rest } = z.toJSONSchema(schema, { io: 'output' })
    return { name, in: 'query', required: false, ...(description ? { description } : {}), schema: rest }
  })
}

function componentSchemas(): JsonObject {
  const registry = z.registry<{ id: string }>()
  for (const [id, schema] of Object.entries(schemas.components)) registry.add(schema, { id })
  const { schemas: byId } = z.toJSONSchema(registry, { io: 'input', uri: (id) => `#/components/schemas/${id}` })
  return Object.fromEntries(Object.entries(byId).map(([id, { $schema: _, $id: __, ...schema }]) => [id, schema]))
}
