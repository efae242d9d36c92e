import fc from 'fast-check'
import { expect, it } from 'vitest'
import { compareLots } from './burn-down.ts'

const lot = fc.record({
  bucket: fc.constantFrom('plan' as const, 'add-on' as const),
  priority: fc.constantFrom(0, 100, 200),
  expiresAt: fc.constantFrom(1, 2, Number.POSITIVE_INFINITY),
  sequence: fc.nat(),
})

it('burns plan credits before add-on credits, then by priority, soonest expiry and age', () => {
  const plan = { bucket: 'plan', priority: 200, expiresAt: Number.POSITIVE_INFINITY, sequence: 9 } as const
  const first = { bucket: 'add-on', priority: 50, expiresAt: 9, sequence: 8 } as const
  const soon = { bucket: 'add-on', priority: 100, expiresAt: 5, sequence: 7 } as const
  const old = { bucket: 'add-on', priority: 100, expiresAt: Number.POSITIVE_INFINITY, sequence: 1 } as const
  const young = { ...old, sequence: 2 }
  expect([young, old, soon, first, plan].sort(compareLots)).toEqual([plan, first, soon, old, young])
})

it('is a total order: lots that never expire included', () => {
  fc.assert(
    fc.property(lot, lot, lot, (a, b, c) => {
      expect(compareLots(a, b) || 0).toBe(-compareLots(b, a) || 0)
      if (compareLots(a, b) <= 0 && compareLots(b, c) <= 0) expect(compareLots(a, c)).toBeLessThanOrEqual(0)
    }),
  )
})
