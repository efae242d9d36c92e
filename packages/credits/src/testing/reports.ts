import type { StoredCharge } from '../store/types.ts'
import {
  type ContractCase,
  chargeOf,
  equal,
  has,
  newId,
  refused,
  reserve,
  type StoreHarness,
  settle,
  spend,
} from './case.ts'

/** All charges since a moment, through pages of one. */
async function chargesSince(harness: StoreHarness, from: string): Promise<StoredCharge[]> {
  const all: StoredCharge[] = []
  for (let after: StoredCharge | undefined; ; ) {
    const page = await harness.store.getCharges({ from, limit: 1, ...(after && { after }) })
    all.push(...page.data)
    if (page.next === null) return all
    after = page.data.at(-1)
  }
}

const clock = async ({ store }: StoreHarness): Promise<string> => (await store.getPricing()).asOf

/** What operators read: charges with their cost, and rates over time. */
export const reportCases: readonly ContractCase[] = [
  {
    claim: 'charges are read with their cost, oldest first, page by page, captures as well as settlements',
    async run(harness) {
      const from = await clock(harness)
      const userId = await harness.createUser()
      const { reservationId } = await reserve(harness, userId, '10', { feature: 'chat' })
      const key = { userId, reservationId }
      const first = chargeOf('1.5', { costUsd: '0.009375', generationId: 'gen-1', reportedCostUsd: '0.009' })
      await harness.store.capture({ ...key, captureId: newId(), charge: first })
      await settle(harness, key, '2')
      const mine = (await chargesSince(harness, from)).filter((row) => row.userId === userId)
      equal(
        mine.map((row) => [row.amount, row.costUsd, row.feature, row.planId, row.refunded]),
        [
          ['1.5', '0.009375', 'chat', 'free', '0'],
          ['2', '0.01', 'chat', 'free', '0'],
        ],
      )
      has(mine[0] as StoredCharge, { generationId: 'gen-1', reportedCostUsd: '0.009', computedCostUsd: '0.01' })
      has(mine[0] as StoredCharge, { marginPercent: '60', costSource: 'rate', model: 'test/model', pricing: null })
      equal(mine[0]?.usage, { inputTokens: 12, outputTokens: 34 }, 'usage')
    },
  },
  {
    claim: 'a charge has its uncollected and its refunded credits, and its price snapshot on demand',
    async run(harness) {
      const from = await clock(harness)
      const userId = await harness.createUser()
      const { id } = await spend(harness, userId, '48')
      await harness.store.refund({ userId, transactionId: newId(), originalId: id, amount: '3', reason: 'sorry' })
      await settle(harness, await reserve(harness, userId, '5'), '9')
      const { data } = await harness.store.getCharges({ from, limit: 5000, details: true })
      const mine = data.filter((row) => row.userId === userId)
      equal(
        mine.map((row) => [row.amount, row.uncollected, row.refunded]),
        [
          ['48', '0', '3'],
          ['5', '4', '0'],
        ],
      )
      equal(mine[0]?.pricing, { version: 1 }, 'pricing')
    },
  },
  {
    claim: 'a period of charges begins inclusively and ends exclusively, and a malformed page is refused',
    async run(harness) {
      const from = await clock(harness)
      const userId = await harness.createUser()
      await spend(harness, userId, '1')
      const [mine] = (await chargesSince(harness, from)).filter((row) => row.userId === userId)
      const at = mine?.createdAt ?? ''
      const { store } = harness
      const within = async (period: { from?: string; to?: string }) =>
        (await store.getCharges({ ...period, limit: 5000 })).data.some((row) => row.userId === userId)
      equal([await within({ from: at }), await within({ from, to: at })], [true, false])
      for (const limit of [0, 5001]) await refused(store.getCharges({ limit }), 'INVALID_INPUT')
      const after = { createdAt: 'whenever', accountId: userId, version: 1 }
      await refused(store.getCharges({ limit: 1, after }), 'INVALID_INPUT')
    },
  },
  {
    claim: 'renames of models are added and replaced with the rates',
    async run({ store }) {
      const alias = `contract/${newId()}`
      equal(await store.addRates({ rates: [], aliases: { [alias]: 'contract/first' } }), { inserted: 0, unchanged: 0 })
      await store.addRates({ rates: [], aliases: { [alias]: 'contract/second' } })
      await store.addRates({ rates: [] })
      equal((await store.getPricing()).aliases[alias], 'contract/second', 'the new id')
    },
  },
  {
    claim: 'rates are added where they differ from the latest, all or none, and a model keeps its history',
    async run({ store }) {
      const modelId = `contract/${newId()}`
      const rate = (input: string) => ({ modelId, type: 'language', pricing: { input, output: '0.1' }, source: 'test' })
      equal(await store.addRates({ rates: [rate('0.1')] }), { inserted: 1, unchanged: 0 })
      equal(await store.addRates({ rates: [rate('0.1')] }), { inserted: 0, unchanged: 1 })
      await new Promise((resolve) => setTimeout(resolve, 2))
      equal(await store.addRates({ rates: [rate('0.2')] }), { inserted: 1, unchanged: 0 })
      const past = { ...rate('0.3'), effectiveFrom: '2020-01-01T00:00:00Z' }
      const other = { ...rate('0.1'), modelId: `${modelId}-other` }
      await refused(store.addRates({ rates: [other, past] }), 'INVALID_INPUT')
      equal((await store.getRateHistory({ modelId: other.modelId })).length, 0, 'rows of the refused list')
      const history = await store.getRateHistory({ modelId })
      equal(
        history.map((row) => row.pricing?.input),
        ['0.2', '0.1'],
        'newest first',
      )
      equal((await store.getRateHistory({ modelId, limit: 1 })).length, 1, 'limit')
    },
  },
]
