import {
  balanceIs,
  type ContractCase,
  equal,
  grant,
  has,
  ledgerOf,
  newId,
  refused,
  reserve,
  settle,
  spend,
} from './case.ts'

const MONTH_SECONDS = 32 * 86_400

/** Grants, burn-down order, expiry, periods, history. */
export const grantCases: readonly ContractCase[] = [
  {
    claim: 'a new account has its signup credits and the transaction that gave them',
    async run(harness) {
      const userId = await harness.createUser()
      await balanceIs(harness, userId, { userId, planCredits: '50', addOnCredits: '0', debt: '0', reserved: '0' })
      await balanceIs(harness, userId, { overageLimit: '0', available: '50', status: 'active', version: 1 })
      const [row, ...more] = await ledgerOf(harness, userId)
      equal(more.length, 0, 'further rows')
      if (row === undefined) throw new Error('no signup transaction')
      has(row, { type: 'grant', source: 'signup', amount: '50', balanceAfter: '50', version: 1, userId })
    },
  },
  {
    claim: 'grant gives credits once, also when it is repeated',
    async run(harness) {
      const userId = await harness.createUser()
      const input = { transactionId: newId(), reason: 'order 1', metadata: { order: '1' } }
      const first = await grant(harness, userId, '25.5', input)
      has(first.transaction, { id: input.transactionId, type: 'grant', source: 'purchase', amount: '25.5', version: 2 })
      has(first.transaction, { metadata: { order: '1' }, balanceAfter: '75.5' })
      equal('reason' in first.transaction, false, 'an operator reason on the transaction')
      has(first.balance, { planCredits: '50', addOnCredits: '25.5', available: '75.5', version: 2 })
      has(await grant(harness, userId, '25.5', input), { replayed: true, transaction: first.transaction })
      await balanceIs(harness, userId, { available: '75.5', version: 2 })
    },
  },
  {
    claim: 'grant is a mismatch when its id was used with any other parameter',
    async run(harness) {
      const userId = await harness.createUser()
      const first = {
        transactionId: newId(),
        priority: 10,
        expiresInSeconds: 3600,
        reason: 'order 1',
        actorId: newId(),
        metadata: { order: '1' },
      }
      await grant(harness, userId, '25.5', first)
      const changes = [
        { source: 'promo' },
        { bucket: 'plan' },
        { priority: 11 },
        { priority: undefined },
        { expiresInSeconds: 7200 },
        { expiresInSeconds: undefined },
        { reason: 'order 2' },
        { actorId: newId() },
        { actorId: undefined },
        { metadata: { order: '2' } },
      ] as const
      for (const change of changes) {
        await refused(grant(harness, userId, '25.5', { ...first, ...change }), 'IDEMPOTENCY_MISMATCH')
      }
      await refused(grant(harness, userId, '26', first), 'IDEMPOTENCY_MISMATCH', { id: first.transactionId })
      await balanceIs(harness, userId, { available: '75.5', version: 2 })
    },
  },
  {
    claim: 'the same transaction id of another user is another transaction',
    async run(harness) {
      const [userId, otherId] = [await harness.createUser(), await harness.createUser()]
      const transactionId = newId()
      await grant(harness, userId, '5', { transactionId })
      has(await grant(harness, otherId, '7', { transactionId }), { replayed: false })
      await balanceIs(harness, userId, { available: '55' })
      await balanceIs(harness, otherId, { available: '57' })
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
      const row = (await ledgerOf(harness, userId)).at(-1)
      if (row === undefined) throw new Error('no expiry transaction')
      has(row, { type: 'expiry', amount: '-10', balanceAfter: '50', version: 3 })
    },
  },
  {
    claim: 'credits do not expire under a reservation that was made before their expiry',
    async run(harness) {
      const userId = await harness.createUser()
      await spend(harness, userId, '50')
      await grant(harness, userId, '10', { expiresInSeconds: 100 })
      const reserved = await reserve(harness, userId, '6', { ttlSeconds: 1000 })
      await harness.advance(userId, 101)
      await balanceIs(harness, userId, { addOnCredits: '6', reserved: '6', available: '0' })
      has(await settle(harness, reserved, '4'), { captured: '4', uncollected: '0' })
      await balanceIs(harness, userId, { addOnCredits: '0', available: '0' })
    },
  },
  {
    claim: 'a reservation that was made after their expiry does not keep credits alive',
    async run(harness) {
      const userId = await harness.createUser()
      await spend(harness, userId, '50')
      await grant(harness, userId, '10', { expiresInSeconds: 100 })
      const early = await reserve(harness, userId, '6', { ttlSeconds: 1000 })
      await harness.advance(userId, 101)
      await grant(harness, userId, '3')
      const late = await reserve(harness, userId, '3', { ttlSeconds: 1000 })
      await harness.store.release(early)
      await balanceIs(harness, userId, { addOnCredits: '3', reserved: '3', available: '0' })
      has(await settle(harness, late, '3'), { captured: '3' })
    },
  },
  {
    claim: 'plan credits are granted again when the period ends, and add-on credits stay',
    async run(harness) {
      const userId = await harness.createUser()
      await grant(harness, userId, '7')
      await spend(harness, userId, '30')
      await harness.advance(userId, MONTH_SECONDS)
      await balanceIs(harness, userId, { planCredits: '50', addOnCredits: '7', available: '57' })
      const [expiry, monthly] = (await ledgerOf(harness, userId)).slice(-2)
      equal([expiry?.type, expiry?.amount], ['expiry', '-20'], 'what was left')
      equal([monthly?.type, monthly?.source, monthly?.amount], ['grant', 'plan', '50'], 'what came')
    },
  },
  {
    claim: 'the history is numbered without gaps, adds up, and its pages neither repeat nor skip a row',
    async run(harness) {
      const userId = await harness.createUser()
      for (const amount of ['1', '2', '3', '4']) await spend(harness, userId, amount)
      await grant(harness, userId, '7')
      const rows = await ledgerOf(harness, userId)
      const column = <Key extends 'version' | 'balanceAfter'>(key: Key) => rows.map((row) => row[key])
      equal(column('version'), [1, 2, 3, 4, 5, 6], 'versions')
      equal(column('balanceAfter'), ['50', '49', '47', '44', '40', '47'], 'balances')
      const last = await harness.store.getHistory({ userId, limit: 6 })
      equal([last.data.length, last.nextBefore], [6, null], 'one page of exactly all rows')
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
      const amounts = (page: { data: { amount: string }[] }) => page.data.map((row) => row.amount)
      const usage = await store.getHistory({ userId, limit: 1, type: 'usage' })
      equal(amounts(usage), ['-2'], 'first page')
      const next = await store.getHistory({ userId, limit: 1, type: 'usage', before: usage.nextBefore ?? 0 })
      equal([amounts(next), next.nextBefore], [['-1'], null], 'second page')
      equal((await store.getHistory({ userId, limit: 9, to: '2020-01-01T00:00:00Z' })).data, [], 'before')
      equal((await store.getHistory({ userId, limit: 9, from: '2020-01-01T00:00:00Z' })).data.length, 4, 'since')
      equal((await store.getHistory({ userId, limit: 9, from: '2120-01-01T00:00:00Z' })).data, [], 'after')
    },
  },
]
