import { type ContractCase, equal, has, refused } from './case.ts'

/** A target of its own per run: all tests share the margins, and none is ever deleted. */
const model = (): string => `contract/${crypto.randomUUID()}`

/** Margins, their versions and their audit. */
export const pricingCases: readonly ContractCase[] = [
  {
    claim: 'a default margin is in force, as a decimal string',
    async run({ store }) {
      const { margins, asOf } = await store.getPricing()
      const row = margins.find((margin) => margin.scope === 'default')
      equal(typeof row?.marginPercent, 'string', 'type of the percentage')
      equal((row?.effectiveFrom ?? '~') <= asOf, true, 'in force')
    },
  },
  {
    claim: 'setMargin numbers the versions of a margin and refuses a change that was decided on an old one',
    async run({ store }) {
      const target = model()
      const first = await store.setMargin({ scope: 'model', target, marginPercent: '20.5', expectedVersion: 0 })
      has(first, { scope: 'model', target, marginPercent: '20.5', version: 1 })
      const change = { scope: 'model', target, marginPercent: '30', expectedVersion: 0 } as const
      await refused(store.setMargin(change), 'VERSION_CONFLICT', { expected: 0, actual: 1 })
      has(await store.setMargin({ ...change, expectedVersion: 1 }), { version: 2, marginPercent: '30' })
      const inForce = (await store.getPricing()).margins.filter((margin) => margin.target === target)
      equal(
        inForce.map((row) => row.version),
        [2],
        'in force',
      )
    },
  },
  {
    claim: 'a superseded margin can still be read by its id, because reservations have frozen it',
    async run({ store }) {
      const target = model()
      const old = await store.setMargin({ scope: 'model', target, marginPercent: '10' })
      await store.setMargin({ scope: 'model', target, marginPercent: '20' })
      const { margins } = await store.getPricing({ ids: [old.id] })
      has(margins.find((row) => row.id === old.id) ?? old, { marginPercent: '10', version: 1 })
      equal(margins.filter((row) => row.target === target).length, 2, 'rows of the target')
    },
  },
  {
    claim: 'a row without a percentage removes an override, and the default cannot be removed',
    async run({ store }) {
      const target = model()
      await store.setMargin({ scope: 'model', target, marginPercent: '10' })
      has(await store.setMargin({ scope: 'model', target, marginPercent: null }), { marginPercent: null, version: 2 })
      await refused(store.setMargin({ scope: 'default', target: '', marginPercent: null }), 'INVALID_INPUT')
    },
  },
  {
    claim: 'every change of a margin is in the audit log, newest first, in pages',
    async run({ store }) {
      const target = model()
      const actorId = crypto.randomUUID()
      await store.setMargin({ scope: 'model', target, marginPercent: '10', actorId, reason: 'launch' })
      await store.setMargin({ scope: 'model', target, marginPercent: '12' })
      const first = await store.getMarginAudit({ limit: 1 })
      has(first.data[0] ?? {}, { target, oldMarginPercent: '10', newMarginPercent: '12' } as object)
      const second = await store.getMarginAudit({ limit: 1, before: first.nextBefore ?? 0 })
      const facts = { target, oldMarginPercent: null, newMarginPercent: '10', actorId, reason: 'launch' }
      has(second.data[0] ?? {}, facts as object)
    },
  },
  {
    claim: 'a margin out of range, without its target or in the past is refused',
    async run({ store }) {
      const target = model()
      for (const marginPercent of ['-100', '-101', '10000.1', '60.00001', 'NaN', 'Infinity', 'sixty', '']) {
        await refused(store.setMargin({ scope: 'model', target, marginPercent }), 'INVALID_INPUT')
      }
      await refused(store.setMargin({ scope: 'default', target, marginPercent: '10' }), 'INVALID_INPUT')
      await refused(store.setMargin({ scope: 'model', target: '', marginPercent: '10' }), 'INVALID_INPUT')
      const past = { scope: 'model', target, marginPercent: '10', effectiveFrom: '2020-01-01T00:00:00Z' } as const
      await refused(store.setMargin(past), 'INVALID_INPUT')
    },
  },
  {
    claim: 'a margin may start in the future, and until then the old one is in force',
    async run({ store }) {
      const target = model()
      await store.setMargin({ scope: 'model', target, marginPercent: '10' })
      const effectiveFrom = '2999-01-01T00:00:00.000Z'
      const later = await store.setMargin({ scope: 'model', target, marginPercent: '20', effectiveFrom })
      const rows = (await store.getPricing()).margins.filter((row) => row.target === target)
      equal(
        rows.map((row) => row.version),
        [1, 2],
        'in force and scheduled',
      )
      equal(Date.parse(later.effectiveFrom), Date.parse(effectiveFrom), 'start')
    },
  },
]
