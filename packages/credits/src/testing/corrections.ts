import {
  balanceIs,
  type ContractCase,
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

const MONTH_SECONDS = 32 * 86_400

/** A new user with a purchase of 100, of which 70 are spent after the 50 plan credits. */
async function spentPurchase(harness: StoreHarness, plan?: { overageLimit?: string; reversalDebt?: boolean }) {
  const userId = await harness.createUser()
  if (plan !== undefined) await harness.changePlan(userId, plan)
  const { transaction } = await grant(harness, userId, '100')
  await spend(harness, userId, '120')
  return { userId, originalId: transaction.id, reason: 'disputed' }
}

/** Refunds, reversals, adjustments. */
export const correctionCases: readonly ContractCase[] = [
  {
    claim: 'a refund returns a usage once, in parts or whole, linked to it',
    async run(harness) {
      const userId = await harness.createUser()
      const { id: originalId, reservationId } = await spend(harness, userId, '10')
      const input = { userId, originalId, reason: 'bad answer' }
      const part = { ...input, transactionId: newId(), amount: '4' }
      const first = await harness.store.refund(part)
      has(first.transaction, { type: 'refund', amount: '4', reversesId: originalId, balanceAfter: '44' })
      has(first.transaction, { reservationId, model: 'test/model' })
      has(await harness.store.refund(part), { replayed: true, transaction: first.transaction })
      const tooMuch = harness.store.refund({ ...input, transactionId: newId(), amount: '6.000001' })
      await refused(tooMuch, 'REFUND_EXCEEDS_ORIGINAL', { refundable: '6' })
      const rest = await harness.store.refund({ ...input, transactionId: newId() })
      has(rest.transaction, { amount: '6', balanceAfter: '50' })
      await refused(harness.store.refund({ ...input, transactionId: newId() }), 'REFUND_EXCEEDS_ORIGINAL')
      await balanceIs(harness, userId, { planCredits: '50', addOnCredits: '0' })
    },
  },
  {
    claim: 'a refund returns to the credits it came from, the last taken first, and what has expired becomes add-on',
    async run(harness) {
      const userId = await harness.createUser()
      await grant(harness, userId, '10')
      const { id: originalId } = await spend(harness, userId, '55')
      const input = { userId, originalId, reason: 'part' }
      await harness.store.refund({ ...input, amount: '8', transactionId: newId() })
      await balanceIs(harness, userId, { planCredits: '3', addOnCredits: '10' })
      await harness.advance(userId, MONTH_SECONDS)
      await harness.store.refund({ ...input, reason: 'rest', transactionId: newId() })
      await balanceIs(harness, userId, { planCredits: '50', addOnCredits: '57' })
    },
  },
  {
    claim: 'refunds in parts return no more to a bucket than the charge took from it',
    async run(harness) {
      const userId = await harness.createUser()
      await grant(harness, userId, '100')
      const { id: originalId } = await spend(harness, userId, '70')
      const refund = (amount: string) =>
        harness.store.refund({ userId, originalId, amount, transactionId: newId(), reason: 'part' })
      await refund('20')
      await balanceIs(harness, userId, { planCredits: '0', addOnCredits: '100' })
      await refund('20')
      await balanceIs(harness, userId, { planCredits: '20', addOnCredits: '100' })
    },
  },
  {
    claim: 'a reversal takes what is left of the grant, and what was spent becomes a debt',
    async run(harness) {
      const input = await spentPurchase(harness)
      const { userId, originalId } = input
      const reversal = { ...input, transactionId: newId() }
      const reversed = await harness.store.reverse(reversal)
      has(reversed.transaction, { type: 'reversal', source: 'purchase', reversesId: originalId, uncollected: '0' })
      has(reversed.transaction, { amount: '-100', balanceAfter: '-70' })
      has(reversed.balance, { addOnCredits: '0', debt: '70', available: '-70' })
      has(await harness.store.reverse(reversal), { replayed: true, transaction: reversed.transaction })
      await refused(reserve(harness, userId, '1'), 'INSUFFICIENT_CREDITS', { available: '0', balance: '-70' })
      await grant(harness, userId, '80')
      await balanceIs(harness, userId, { debt: '0', addOnCredits: '10', available: '10' })
    },
  },
  {
    claim: 'a reversal records what was spent as uncollected where the plan allows no debt',
    async run(harness) {
      const input = await spentPurchase(harness, { reversalDebt: false })
      const { transaction, balance } = await harness.store.reverse({ ...input, transactionId: newId() })
      has(transaction, { type: 'reversal', amount: '-30', uncollected: '70', balanceAfter: '0' })
      has(balance, { planCredits: '0', addOnCredits: '0', debt: '0', available: '0' })
    },
  },
  {
    claim: 'a reversal of an unspent grant takes it back and leaves other credits alone',
    async run(harness) {
      const userId = await harness.createUser()
      await grant(harness, userId, '7')
      const { transaction } = await grant(harness, userId, '100')
      const input = { userId, originalId: transaction.id, reason: 'refunded', transactionId: newId() }
      has((await harness.store.reverse(input)).transaction, { amount: '-100', balanceAfter: '57' })
      await balanceIs(harness, userId, { planCredits: '50', addOnCredits: '7', debt: '0' })
    },
  },
  {
    claim: 'what was spent of a reversed grant is taken from other credits before there is a debt',
    async run(harness) {
      const input = await spentPurchase(harness)
      await grant(harness, input.userId, '50')
      const { transaction, balance } = await harness.store.reverse({ ...input, transactionId: newId() })
      has(transaction, { amount: '-100', uncollected: '0' })
      has(balance, { addOnCredits: '0', debt: '20', available: '-20' })
    },
  },
  {
    claim: 'a grant is reversed once, in parts or whole',
    async run(harness) {
      const userId = await harness.createUser()
      const { transaction } = await grant(harness, userId, '100')
      const input = { userId, originalId: transaction.id, reason: 'refunded' }
      await harness.store.reverse({ ...input, amount: '40', transactionId: newId() })
      const tooMuch = harness.store.reverse({ ...input, amount: '60.000001', transactionId: newId() })
      await refused(tooMuch, 'REFUND_EXCEEDS_ORIGINAL', { refundable: '60' })
      has((await harness.store.reverse({ ...input, transactionId: newId() })).transaction, { amount: '-60' })
      await refused(harness.store.reverse({ ...input, transactionId: newId() }), 'REFUND_EXCEEDS_ORIGINAL')
      await balanceIs(harness, userId, { addOnCredits: '0', available: '50' })
    },
  },
  {
    claim: 'a refund between two reversals of a grant leaves the second one what is left of the lot, and no more',
    async run(harness) {
      const userId = await harness.createUser()
      const { transaction } = await grant(harness, userId, '100')
      const usage = await spend(harness, userId, '150')
      await grant(harness, userId, '100')
      const input = { userId, originalId: transaction.id, reason: 'disputed' }
      await harness.store.reverse({ ...input, amount: '50', transactionId: newId() })
      await harness.store.refund({ userId, originalId: usage.id, reason: 'bad answer', transactionId: newId() })
      const reversed = await harness.store.reverse({ ...input, transactionId: newId() })
      has(reversed.transaction, { amount: '-50', uncollected: '0', balanceAfter: '150' })
      has(reversed.balance, { planCredits: '50', addOnCredits: '100', debt: '0' })
    },
  },
  {
    claim: 'credits of a reversed grant that reservations keep back are taken, and a settle finds what is left',
    async run(harness) {
      const userId = await harness.createUser()
      const { transaction } = await grant(harness, userId, '10')
      const reserved = await reserve(harness, userId, '60')
      await harness.store.reverse({ userId, originalId: transaction.id, reason: 'refunded', transactionId: newId() })
      await balanceIs(harness, userId, { planCredits: '50', addOnCredits: '0', reserved: '60', available: '-10' })
      has(await settle(harness, reserved, '60'), { captured: '50', uncollected: '10' })
      await balanceIs(harness, userId, { planCredits: '0', debt: '0', available: '0' })
    },
  },
  {
    claim: 'refunds and reversals are a mismatch when their id was used with any other parameter',
    async run(harness) {
      const userId = await harness.createUser()
      const { transaction: granted } = await grant(harness, userId, '10')
      const other = await grant(harness, userId, '10')
      const usages = [await spend(harness, userId, '1'), await spend(harness, userId, '1')] as const
      const first = { userId, amount: '0.5', reason: 'first', actorId: newId() }
      for (const [operation, originalId, otherId] of [
        ['refund', usages[0].id, usages[1].id],
        ['reverse', granted.id, other.transaction.id],
      ] as const) {
        const input = { ...first, originalId, transactionId: newId() }
        await harness.store[operation](input)
        const changes = [
          { originalId: otherId },
          { amount: '0.4' },
          { reason: 'second' },
          { actorId: newId() },
          { actorId: undefined },
        ]
        for (const change of changes) {
          await refused(harness.store[operation]({ ...input, ...change }), 'IDEMPOTENCY_MISMATCH')
        }
        has(await harness.store[operation](input), { replayed: true })
      }
    },
  },
  {
    claim: 'only a usage can be refunded, and only a grant can be reversed',
    async run(harness) {
      const userId = await harness.createUser()
      const { transaction } = await grant(harness, userId, '10')
      const usage = await spend(harness, userId, '1')
      const input = { userId, transactionId: newId(), reason: 'wrong type' }
      await refused(harness.store.refund({ ...input, originalId: transaction.id }), 'INVALID_INPUT')
      await refused(harness.store.reverse({ ...input, originalId: usage.id }), 'INVALID_INPUT')
    },
  },
  {
    claim: 'a transaction that does not exist, or belongs to another user, is not found',
    async run(harness) {
      const [userId, otherId] = [await harness.createUser(), await harness.createUser()]
      const { transaction } = await grant(harness, userId, '10')
      const usage = await spend(harness, userId, '1')
      const input = { userId: otherId, transactionId: newId(), reason: 'not mine' }
      for (const originalId of [usage.id, newId()]) {
        await refused(harness.store.refund({ ...input, originalId }), 'TRANSACTION_NOT_FOUND')
      }
      for (const originalId of [transaction.id, newId()]) {
        await refused(harness.store.reverse({ ...input, originalId }), 'TRANSACTION_NOT_FOUND')
      }
      await balanceIs(harness, userId, { available: '59' })
      await balanceIs(harness, otherId, { available: '50', version: 1 })
    },
  },
  {
    claim: 'an adjustment goes up and down, never below what is available, once',
    async run(harness) {
      const userId = await harness.createUser()
      const { store } = harness
      const up = { userId, transactionId: newId(), amount: '5', reason: 'goodwill' }
      has((await store.adjust(up)).transaction, { type: 'adjustment', amount: '5' })
      has(await store.adjust(up), { replayed: true })
      for (const change of [{ amount: '6' }, { reason: 'other' }, { actorId: newId() }]) {
        await refused(store.adjust({ ...up, ...change }), 'IDEMPOTENCY_MISMATCH')
      }
      await store.adjust({ userId, transactionId: newId(), amount: '-15.5', reason: 'mistake' })
      await balanceIs(harness, userId, { planCredits: '34.5', addOnCredits: '5', available: '39.5' })
      await reserve(harness, userId, '30')
      const tooMuch = store.adjust({ userId, transactionId: newId(), amount: '-9.6', reason: 'mistake' })
      await refused(tooMuch, 'INSUFFICIENT_CREDITS', { available: '9.5', required: '9.6', balance: '39.5' })
      await balanceIs(harness, userId, { available: '9.5', version: 3 })
      const history = await store.getHistory({ userId, limit: 1, type: 'adjustment' })
      equal('reason' in (history.data[0] ?? {}), false, 'an operator reason in the history')
    },
  },
]
