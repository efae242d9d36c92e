import type { EstimatedCharge } from '../store/types.ts'
import {
  balanceIs,
  type ContractCase,
  chargeOf,
  equal,
  grant,
  has,
  newId,
  refused,
  reserve,
  type StoreHarness,
  settle,
  spend,
} from './case.ts'

/** Settles a call of a new generation that was charged by estimate; its transaction. */
async function estimated(harness: StoreHarness, userId: string, amount: string) {
  const generationId = `gen-${newId()}`
  const more = { costSource: 'estimate', generationId } as const
  const { transaction } = await settle(harness, await reserve(harness, userId, amount), amount, more)
  if (transaction === null) throw new Error('a settle with a charge returned no transaction')
  return { transactionId: transaction.id, generationId }
}

/** All estimates of one user, read through pages of one. */
async function estimatesOf({ store }: StoreHarness, userId: string): Promise<EstimatedCharge[]> {
  const rows: EstimatedCharge[] = []
  let page = await store.getEstimates({ limit: 1 })
  rows.push(...page.data)
  while (page.next !== null) {
    page = await store.getEstimates({ limit: 1, after: page.next })
    rows.push(...page.data)
  }
  return rows.filter((row) => row.userId === userId)
}

/** Corrects an estimate under a new id. */
function correct({ store }: StoreHarness, userId: string, originalId: string, amount: string) {
  const charge = chargeOf(amount, { costSource: 'gateway-cost', costUsd: '0.02' })
  return store.correctEstimate({ userId, transactionId: newId(), originalId, charge })
}

/** Charges that were estimated, and their corrections. */
export const estimateCases: readonly ContractCase[] = [
  {
    claim: 'an estimate of a generation is listed, by account and version, until it is corrected',
    async run(harness) {
      const userId = await harness.createUser()
      const first = await estimated(harness, userId, '1')
      await spend(harness, userId, '1')
      await settle(harness, await reserve(harness, userId, '1'), '1', { costSource: 'estimate' })
      const second = await estimated(harness, userId, '2')
      const listed = await estimatesOf(harness, userId)
      equal(
        listed.map(({ transactionId, generationId, amount }) => [transactionId, generationId, amount]),
        [
          [first.transactionId, first.generationId, '1'],
          [second.transactionId, second.generationId, '2'],
        ],
      )
      has(listed[0] as EstimatedCharge, { accountId: userId, marginPercent: '60', model: 'test/model' })
      await correct(harness, userId, first.transactionId, '1')
      equal(
        (await estimatesOf(harness, userId)).map((row) => row.transactionId),
        [second.transactionId],
      )
      await correct(harness, userId, second.transactionId, '3')
      equal(await estimatesOf(harness, userId), [])
      await refused(harness.store.getEstimates({ limit: 0 }), 'INVALID_INPUT')
    },
  },
  {
    claim: 'an estimate that was too low is followed by a usage of the difference, and what is missing is uncollected',
    async run(harness) {
      const userId = await harness.createUser()
      const { transactionId } = await estimated(harness, userId, '10')
      const more = await correct(harness, userId, transactionId, '12.5')
      has(more.transaction, { type: 'usage', amount: '-2.5', uncollected: '0', reversesId: transactionId })
      has(more.transaction, { estimated: false, model: 'test/model' })
      await balanceIs(harness, userId, { available: '37.5' })
      const next = await estimated(harness, userId, '30')
      const missing = await correct(harness, userId, next.transactionId, '40')
      has(missing.transaction, { type: 'usage', amount: '-7.5', uncollected: '2.5' })
      await balanceIs(harness, userId, { available: '0', debt: '0' })
    },
  },
  {
    claim: 'a correction takes nothing that a reservation keeps back',
    async run(harness) {
      const userId = await harness.createUser()
      const { transactionId } = await estimated(harness, userId, '10')
      await reserve(harness, userId, '38')
      has((await correct(harness, userId, transactionId, '15')).transaction, { amount: '-2', uncollected: '3' })
      await balanceIs(harness, userId, { available: '0', reserved: '38' })
    },
  },
  {
    claim: 'an estimate that was too high is followed by a refund, and what was refunded by hand counts',
    async run(harness) {
      const userId = await harness.createUser()
      const { transactionId } = await estimated(harness, userId, '10')
      const input = { userId, originalId: transactionId, amount: '1', reason: 'slow' }
      await harness.store.refund({ ...input, transactionId: newId() })
      const { transaction } = await correct(harness, userId, transactionId, '6')
      has(transaction, { type: 'refund', amount: '3', reversesId: transactionId, balanceAfter: '44' })
      await refused(harness.store.refund({ ...input, amount: '7', transactionId: newId() }), 'REFUND_EXCEEDS_ORIGINAL')
    },
  },
  {
    claim: 'reports show a corrected estimate as one charge with its true figures',
    async run(harness) {
      const from = (await harness.store.getPricing()).asOf
      const userId = await harness.createUser()
      const charged = async () =>
        (await harness.store.getCharges({ from, limit: 5000 })).data
          .filter((row) => row.userId === userId)
          .map((row) => [row.amount, row.refunded, row.costUsd, row.costSource, row.estimated])
      const low = await estimated(harness, userId, '2')
      equal(await charged(), [['2', '0', '0.01', 'estimate', true]])
      await correct(harness, userId, low.transactionId, '3')
      const high = await estimated(harness, userId, '4')
      await correct(harness, userId, high.transactionId, '1')
      equal(await charged(), [
        ['3', '0', '0.02', 'gateway-cost', false],
        ['1', '0', '0.02', 'gateway-cost', false],
      ])
    },
  },
  {
    claim: 'an estimate is corrected once, and a repetition gives the first result',
    async run(harness) {
      const userId = await harness.createUser()
      const { transactionId: originalId } = await estimated(harness, userId, '2')
      const input = { userId, originalId, transactionId: newId(), charge: chargeOf('3') }
      const first = await harness.store.correctEstimate(input)
      has(await harness.store.correctEstimate(input), { transaction: first.transaction, replayed: true })
      const other = harness.store.correctEstimate({ ...input, charge: chargeOf('4') })
      await refused(other, 'IDEMPOTENCY_MISMATCH')
      await refused(correct(harness, userId, originalId, '3'), 'INVALID_INPUT')
      await balanceIs(harness, userId, { available: '47' })
    },
  },
  {
    claim: 'an exact charge, a grant and a charge of another user cannot be corrected',
    async run(harness) {
      const [userId, otherId] = [await harness.createUser(), await harness.createUser()]
      const { id } = await spend(harness, userId, '1')
      await refused(correct(harness, userId, id, '2'), 'INVALID_INPUT')
      const { transaction } = await grant(harness, userId, '1')
      await refused(correct(harness, userId, transaction.id, '2'), 'INVALID_INPUT')
      const { transactionId } = await estimated(harness, userId, '2')
      await refused(correct(harness, otherId, transactionId, '1'), 'TRANSACTION_NOT_FOUND')
      await refused(correct(harness, userId, transactionId, '-1'), 'INVALID_INPUT')
    },
  },
]
