import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { boundedRawUsage } from './raw-usage.ts'
import { isStorableJson } from './storable.ts'

describe('boundedRawUsage', () => {
  it('keeps plain JSON as it is, and numbers that JSON does not know as text', () => {
    const raw = { prompt_tokens: 5, details: { cached: [1, null, true] } }
    expect(boundedRawUsage(raw)).toEqual(raw)
    expect(boundedRawUsage({ a: Number.NaN, b: 10n, c: Number.POSITIVE_INFINITY, d: () => 1 })).toEqual({
      a: 'NaN',
      b: '10',
      c: 'Infinity',
    })
  })

  it('gives up the largest fields first', () => {
    const raw = { prompt_tokens: 5, image: Array.from({ length: 50 }, () => 'x'.repeat(200)), model: 'a' }
    expect(boundedRawUsage(raw)).toEqual({ prompt_tokens: 5, image: '(truncated)', model: 'a' })
  })

  it('is null for what is no object, and for an object that cannot be read', () => {
    const hostile = Object.defineProperty({}, 'tokens', {
      enumerable: true,
      get: () => {
        throw new Error('no')
      },
    })
    for (const raw of [undefined, null, 5, 'text', hostile]) expect(boundedRawUsage(raw)).toBeNull()
  })

  it('fits into 4 kB that Postgres can store, whatever is reported', () => {
    const cycle: Record<string, unknown> = {}
    cycle.self = cycle
    fc.assert(
      fc.property(fc.object({ withNullPrototype: true, withBigInt: true, maxDepth: 8 }), (raw) => {
        expect(isStorableJson(boundedRawUsage(raw) ?? {}, 4096)).toBe(true)
      }),
    )
    const wide = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`key-${index}-\0`, 'ü'.repeat(500)]))
    for (const raw of [cycle, wide, { text: '\ud800\0' }]) {
      expect(isStorableJson(boundedRawUsage(raw) ?? {}, 4096)).toBe(true)
    }
  })
})
