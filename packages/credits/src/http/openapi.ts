import { z } from 'zod'
import type { Route } from './route.ts'
import { components } from './schemas.ts'

type JsonObject = Record<string, unknown>

/** What is known of the names in braces. */
const TARGETS: Record<string, string> = {
  model: 'The id of the model; its slash may be written raw or as %2F',
}

/** The OpenAPI 3.1 description of a route table. */
export function describeRoutes(routes: readonly Route[], basePath: string): { openapi: string } & JsonObject {
  const paths: Record<string, JsonObject> = {}
  for (const route of routes) {
    const path = paths[route.path] ?? { ...pathParameters(route.path) }
    path[route.method.toLowerCase()] = operation(route)
    paths[route.path] = path
  }
  return {
    openapi: '3.1.0',
    info: { title: '@layers/credits', version: '1', description: 'Amounts are decimal strings of credits.' },
    servers: [{ url: basePath }],
    security: [{ session: [] }, { bearer: [] }],
    paths,
    components: {
      schemas: componentSchemas(),
      responses: {
        Problem: {
          description: 'Refused or failed; branch on `code`',
          content: content('application/problem+json', components.Problem),
        },
      },
      securitySchemes: {
        session: { type: 'apiKey', in: 'cookie', name: 'sb-auth-token', description: 'The cookies of @supabase/ssr' },
        bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
      },
    },
  }
}

function operation({ summary, access, query, body, response }: Route): JsonObject {
  return {
    summary,
    ...(access === 'admin' && { description: 'Admins only.' }),
    ...(access === 'public' && { security: [] }),
    ...(query && { parameters: queryParameters(query) }),
    ...(body && { requestBody: { required: true, content: content('application/json', body) } }),
    responses: {
      200: { description: summary, content: content('application/json', response) },
      default: { $ref: '#/components/responses/Problem' },
    },
  }
}

function pathParameters(path: string): JsonObject {
  const [, name] = /\{(\w+)\}/.exec(path) ?? []
  if (name === undefined) return {}
  const description = TARGETS[name]
  return { parameters: [{ name, in: 'path', required: true, description, schema: { type: 'string' } }] }
}

function content(mediaType: string, schema: z.ZodType): JsonObject {
  const [name] = Object.entries(components).find(([, component]) => component === schema) ?? []
  if (name === undefined) throw new TypeError('A body of the route table is not among the named schemas')
  return { [mediaType]: { schema: { $ref: `#/components/schemas/${name}` } } }
}

function queryParameters(query: z.ZodObject): JsonObject[] {
  return Object.entries(query.shape).map(([name, schema]) => {
    const { $schema: _, description, ...rest } = z.toJSONSchema(schema, { io: 'output' })
    return { name, in: 'query', required: false, ...(description ? { description } : {}), schema: rest }
  })
}

function componentSchemas(): JsonObject {
  const registry = z.registry<{ id: string }>()
  for (const [id, schema] of Object.entries(components)) registry.add(schema, { id })
  const { schemas } = z.toJSONSchema(registry, { io: 'input', uri: (id) => `#/components/schemas/${id}` })
  return Object.fromEntries(Object.entries(schemas).map(([id, { $schema: _, $id: __, ...schema }]) => [id, schema]))
}
