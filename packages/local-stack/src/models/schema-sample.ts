/** The part of JSON Schema that structured output uses. */
interface Schema {
  type?: string | string[]
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  enum?: unknown[]
  const?: unknown
  anyOf?: Schema[]
  oneOf?: Schema[]
  allOf?: Schema[]
  $ref?: string
  $defs?: Record<string, Schema>
  definitions?: Record<string, Schema>
  minItems?: number
  minLength?: number
  minimum?: number
  exclusiveMinimum?: number
  maximum?: number
  format?: string
}

const FORMATS: Record<string, string> = {
  date: '2026-11-20',
  'date-time': '2026-11-20T12:00:00Z',
  email: 'ada@example.com',
  uri: 'https://example.com/',
  url: 'https://example.com/',
  uuid: '3f0c9d0e-5d5c-4f6e-9a55-0d7f8a1c2b3e',
}

/** A value that fits the schema, so that structured output works without a script. */
export function sampleOf(schema: Schema, root: Schema = schema, name = 'value', depth = 0): unknown {
  if (depth > 12) return null
  const again = (part: Schema, as = name) => sampleOf(part, root, as, depth + 1)
  if (schema.const !== undefined) return schema.const
  if (schema.enum) return schema.enum[0]
  if (schema.$ref) return again(resolve(schema.$ref, root))
  const choice = schema.anyOf?.[0] ?? schema.oneOf?.[0]
  if (choice) return again(choice)
  if (schema.allOf) return again(Object.assign({}, ...schema.allOf) as Schema)
  const type = [schema.type].flat()[0] ?? (schema.properties ? 'object' : 'string')
  if (type === 'object') {
    const entries = Object.entries(schema.properties ?? {})
    return Object.fromEntries(entries.map(([key, part]) => [key, again(part, key)]))
  }
  if (type === 'array') {
    return Array.from({ length: Math.max(1, schema.minItems ?? 2) }, () => again(schema.items ?? {}))
  }
  if (type === 'integer' || type === 'number') return sampleNumber(schema)
  if (type === 'boolean') return true
  if (type === 'null') return null
  return FORMATS[schema.format ?? ''] ?? `Example ${name}`.padEnd(schema.minLength ?? 0, '.')
}

/** 1, or what the bounds leave of it. */
function sampleNumber(schema: Schema): number {
  const least = schema.minimum ?? (schema.exclusiveMinimum === undefined ? 1 : schema.exclusiveMinimum + 1)
  return Math.min(Math.max(least, 1), schema.maximum ?? Number.MAX_SAFE_INTEGER)
}

function resolve(ref: string, root: Schema): Schema {
  const name = ref.split('/').at(-1) ?? ''
  return root.$defs?.[name] ?? root.definitions?.[name] ?? {}
}
