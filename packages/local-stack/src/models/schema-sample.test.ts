import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { sampleOf } from './schema-sample.ts'

describe('a sample value', () => {
  it.each([
    [
      'an object',
      z.object({ name: z.string().min(3), age: z.number().int().positive(), tags: z.array(z.string()).min(3) }),
    ],
    ['a choice', z.enum(['red', 'green'])],
    ['an optional and a nullable member', z.object({ a: z.string().optional(), b: z.number().nullable() })],
    ['a union', z.union([z.object({ kind: z.literal('a') }), z.object({ kind: z.literal('b'), n: z.number() })])],
    ['formats', z.object({ at: z.iso.datetime(), mail: z.email(), id: z.uuid(), link: z.url() })],
    ['bounds', z.object({ low: z.number().min(5), high: z.number().max(0.5), above: z.number().gt(9) })],
    ['an integer without bounds', z.object({ n: z.int() })],
  ])('fits the schema of %s', (_name, schema) => {
    const sample = sampleOf(z.toJSONSchema(schema) as Parameters<typeof sampleOf>[0])
    expect(schema.safeParse(sample)).toMatchObject({ success: true })
  })

  it('of a schema that contains itself comes to an end', () => {
    const tree = { type: 'object', properties: { child: { $ref: '#/$defs/tree' } } }
    expect(() => sampleOf({ ...tree, $defs: { tree } })).not.toThrow()
  })
})
