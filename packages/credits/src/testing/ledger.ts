import type { Transaction } from '../store/port.ts'
import {
  balanceIs,
  type ContractCase,
  chargeOf,
  equal,
  grant,
  has,
  refused,
  reserve,
  type StoreHarness,
  spend,
} from './case.ts'

const id = (): string => crypto.randomUUID()
const MONTH_SECONDS = 32 * 86_400

/** All transactions of an account, oldest first, read page by page. */
async function ledger({ store }: StoreHarness, userId: string): Promise<Transaction[]> {
  const rows: Transaction[] = []
  let before: number | undefined
  do {
    const page = await store.getHistory({ userId, limit: 3, before })
    rows.push(...page.data)
    before = page.nextBefore ?? undefined
  } while (before !== undefined)
  return rows.reverse()
}

/** Grants, burn-down order, refunds, adjustments, expiry, history. */
export const ledgerCases: readonly ContractCase[] = [
  {
    claim: 'a new account has its signup credits, and the transaction that gave them',
    async run(harness) {
      const userId = await harness.createUser()
      await balanceIs(harness, userId, { userId, planCredits: '50', addOnCredits: '0', debt: '0', reserved: '0' })
      await balanceIs(harness, userId, { overageLimit: '0', available: '50', status: 'active', version: 1 })
      const [row, ...more] = await ledger(harness, userId)
      equal(more.length, 0, 'further rows')
      if (row === undefined) throw new Error('no signup transaction')
      has(row, { type: 'grant', source: 'signup', amount: '50', balanceAfter: '50', version: 1, userId })
    },
  },
  {
    claim: 'the same grant again gives nothing; with other parameters it is a mismatch',
    async run(harness) {
      const userId = await harness.createUser()
      const input = { transactionId: id(), userId, amount: '25.5', source: 'purchase', bucket: 'add-on' } as const
      const first = await harness.store.grant({ ...input, reason: 'order 1', metadata: { order: '1' } })
      has(first.transaction, { id: input.transactionId, type: 'grant', source: 'purchase', amount: '25.5', version: 2 })
      has(first.transaction, { reason: 'order 1', metadata: { order: '1' }, balanceAfter: '75.5' })
      has(first.balance, { planCredits: '50', addOnCredits: '25.5', available: '75.5', version: 2 })
      const again = await harness.store.grant({ ...input, reason: 'order 1', metadata: { order: '1' } })
      has(again, { replayed: true, transaction: first.transaction })
      const other = { ...input, reason: 'order 1', metadata: { order: '1' }, amount: '26' }
      await refused(harness.store.grant(other), 'IDEMPOTENCY_MISMATCH')
      await balanceIs(harness, userId, { available: '75.5', version: 2 })
    },
  },
  {
    claim: 'plan credits are used before add-on credits, whichever came first',
    async run(harness) {
      const userId = await harness.createUser()
      await grant(harness, userId, '20')
      await grant(harness, userId, '5', { bucket: 'plan', source: 'promo' })
      await spend(harness, userId, '52')
      await balanceIs(harness, userId, { planCredits: '3', addOnCredits: '20' })
      await spend(harness, userId, '10')
      await balanceIs(harness, userId, { planCredits: '0', addOnCredits: '13' })
    },
  },
  {
    claim: 'within a bucket the lower priority is used first, then the soonest expiry, then the oldest',
    async run(harness) {
      const userId = await harness.createUser()
      await spend(harness, userId, '50')
      await grant(harness, userId, '10')
      await grant(harness, userId, '10', { expiresInSeconds: 500 })
      await grant(harness, userId, '10', { expiresInSeconds: 100 })
      await grant(harness, userId, '10', { priority: 1 })
      // 10 of priority 1, then 4 of those that expire first: 6 of them are left to expire.
      await spend(harness, userId, '14')
      await harness.advance(userId, 101)
      await balanceIs(harness, userId, { addOnCredits: '20' })
      await spend(harness, userId, '3')
      await harness.advance(userId, 400)
      await balanceIs(harness, userId, { addOnCredits: '10' })
    },
  },
  {
    claim: 'credits that expire leave a transaction',
    async run(harness) {
      const userId = await harness.createUser()
      await grant(harness, userId, '10', { source: 'promo', expiresInSeconds: 100 })
      await harness.advance(userId, 101)
      await balanceIs(harness, userId, { addOnCredits: '0', available: '50', version: 3 })
      const row = (await ledger(harness, userId)).at(-1)
      if (row === undefined) throw new Error('no expiry transaction')
      has(row, { type: 'expiry', amount: '-10', balanceAfter: '50', version: 3 })
    },
  },
  {
    claim: 'credits under a reservation do not expire under it',
    async run(harness) {
      const userId = await harness.createUser()
      await spend(harness, userId, '50')
      await grant(harness, userId, '10', { expiresInSeconds: 100 })
      const { reservationId } = await reserve(harness, userId, '6', { ttlSeconds: 1000 })
      await harness.advance(userId, 101)
      await balanceIs(harness, userId, { addOnCredits: '6', reserved: '6', available: '0' })
      has(await harness.store.settle({ reservationId, charge: chargeOf('4') }), { captured: '4', uncollected: '0' })
      await balanceIs(harness, userId, { addOnCredits: '0', available: '0' })
    },
  },
  {
    claim: 'plan credits are set anew when the period ends; add-on credits stay',
    async run(harness) {
      const userId = await harness.createUser()
      await grant(harness, userId, '7')
      await spend(harness, userId, '30')
      await harness.advance(userId, MONTH_SECONDS)
      await balanceIs(harness, userId, { planCredits: '50', addOnCredits: '7', available: '57' })
      const [expiry, monthly] = (await ledger(harness, userId)).slice(-2)
      equal([expiry?.type, expiry?.amount], ['expiry', '-20'], 'what was left')
      equal([monthly?.type, monthly?.source, monthly?.amount], ['grant', 'plan', '50'], 'what came')
    },
  },
  {
    claim: 'a refund gives a charge back once, in parts or whole, linked to it',
    async run(harness) {
      const userId = await harness.createUser()
      const { id: originalId } = await spend(harness, userId, '10')
      const input = { originalId, reason: 'bad answer' }
      const part = { ...input, transactionId: id(), amount: '4' }
      const first = await harness.store.refund(part)
      has(first.transaction, { type: 'refund', amount: '4', reversesId: originalId, balanceAfter: '44' })
      has(await harness.store.refund(part), { replayed: true, transaction: first.transaction })
      await refused(harness.store.refund({ ...part, amount: '3' }), 'IDEMPOTENCY_MISMATCH')
      const tooMuch = harness.store.refund({ ...input, transactionId: id(), amount: '6.000001' })
      await refused(tooMuch, 'REFUND_EXCEEDS_ORIGINAL', { refundable: '6' })
      const rest = await harness.store.refund({ ...input, transactionId: id() })
      has(rest.transaction, { amount: '6', balanceAfter: '50' })
      await refused(harness.store.refund({ ...input, transactionId: id() }), 'REFUND_EXCEEDS_ORIGINAL')
      await refused(harness.store.refund({ ...input, originalId: id(), transactionId: id() }), 'TRANSACTION_NOT_FOUND')
      await balanceIs(harness, userId, { planCredits: '50', addOnCredits: '0' })
    },
  },
  {
    claim: 'a refund returns to the credits it came from, the last taken first, and what has expired becomes add-on',
    async run(harness) {
      const userId = await harness.createUser()
      await grant(harness, userId, '10')
      const { id: originalId } = await spend(harness, userId, '55')
      await harness.store.refund({ originalId, reason: 'part', amount: '8', transactionId: id() })
      await balanceIs(harness, userId, { planCredits: '3', addOnCredits: '10' })
      await harness.advance(userId, MONTH_SECONDS)
      await harness.store.refund({ originalId, reason: 'rest', transactionId: id() })
      await balanceIs(harness, userId, { planCredits: '50', addOnCredits: '57' })
    },
  },
  {
    claim: 'only usage can be refunded',
    async run(harness) {
      const userId = await harness.createUser()
      const { transaction } = await grant(harness, userId, '10')
      const input = { transactionId: id(), originalId: transaction.id, reason: 'no' }
      await refused(harness.store.refund(input), 'INVALID_INPUT')
    },
  },
  {
    claim: 'an adjustment goes up and down, never below what is free, and a repeat changes nothing',
    async run(harness) {
      const userId = await harness.createUser()
      const { store } = harness
      const up = { transactionId: id(), userId, amount: '5', reason: 'goodwill' }
      has((await store.adjust(up)).transaction, { type: 'adjustment', amount: '5', reason: 'goodwill' })
      has(await store.adjust(up), { replayed: true })
      await refused(store.adjust({ ...up, amount: '6' }), 'IDEMPOTENCY_MISMATCH')
      await store.adjust({ transactionId: id(), userId, amount: '-15.5', reason: 'mistake' })
      await balanceIs(harness, userId, { planCredits: '34.5', addOnCredits: '5', available: '39.5' })
      await reserve(harness, userId, '30')
      const tooMuch = store.adjust({ transactionId: id(), userId, amount: '-9.6', reason: 'mistake' })
      await refused(tooMuch, 'INSUFFICIENT_CREDITS', { available: '9.5', required: '9.6', balance: '39.5' })
      await balanceIs(harness, userId, { available: '9.5', version: 3 })
    },
  },
  {
    claim: 'the history is numbered without gaps, adds up, and its pages neither repeat nor skip',
    async run(harness) {
      const userId = await harness.createUser()
      for (const amount of ['1', '2', '3', '4']) await spend(harness, userId, amount)
      await grant(harness, userId, '7')
      const rows = await ledger(harness, userId)
      equal(
        rows.map((row) => row.version),
        [1, 2, 3, 4, 5, 6],
        'versions',
      )
      equal(
        rows.map((row) => row.balanceAfter),
        ['50', '49', '47', '44', '40', '47'],
        'balances',
      )
      const last = await harness.store.getHistory({ userId, limit: 6 })
      equal(last.nextBefore, null, 'no further page after exactly all rows')
      equal(last.data.length, 6, 'rows')
    },
  },
  {
    claim: 'the history can be narrowed by type and time',
    async run(harness) {
      const userId = await harness.createUser()
      await spend(harness, userId, '1')
      await grant(harness, userId, '7')
      await spend(harness, userId, '2')
      const { store } = harness
      const usage = await store.getHistory({ userId, limit: 1, type: 'usage' })
      equal(
        usage.data.map((row) => row.amount),
        ['-2'],
        'first page',
      )
      const next = await store.getHistory({ userId, limit: 1, type: 'usage', before: usage.nextBefore ?? 0 })
      equal([next.data.map((row) => row.amount), next.nextBefore], [['-1'], null], 'second page')
      equal((await store.getHistory({ userId, limit: 9, to: '2020-01-01T00:00:00Z' })).data, [], 'before')
      equal((await store.getHistory({ userId, limit: 9, from: '2020-01-01T00:00:00Z' })).data.length, 4, 'since')
      equal((await store.getHistory({ userId, limit: 9, from: '2120-01-01T00:00:00Z' })).data, [], 'after')
    },
  },
  {
    claim: 'what is not an amount of credits is refused everywhere and changes nothing',
    async run(harness) {
      const userId = await harness.createUser()
      const { reservationId } = await reserve(harness, userId, '10')
      for (const poison of ['NaN', 'Infinity', '-1', '0.0000001', '1000000000001', 'abc', '', '1,5']) {
        await refused(reserve(harness, userId, poison), 'INVALID_INPUT')
        await refused(grant(harness, userId, poison), 'INVALID_INPUT')
        await refused(harness.store.settle({ reservationId, charge: chargeOf(poison) }), 'INVALID_INPUT')
        const capture = { reservationId, captureId: id(), charge: chargeOf(poison) }
        await refused(harness.store.capture(capture), 'INVALID_INPUT')
      }
      await refused(reserve(harness, userId, '0'), 'INVALID_INPUT')
      await refused(grant(harness, userId, '0'), 'INVALID_INPUT')
      await refused(harness.store.getBalance({ userId: 'nobody' }), 'INVALID_INPUT')
      await refused(harness.store.getHistory({ userId, limit: 0 }), 'INVALID_INPUT')
      await refused(reserve(harness, userId, '1', { ttlSeconds: 0 }), 'INVALID_INPUT')
      await balanceIs(harness, userId, { available: '40', reserved: '10', version: 1 })
    },
  },
]
