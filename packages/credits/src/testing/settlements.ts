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
  settle,
  UNKNOWN_USER,
} from './case.ts'

/** Settle, late settle, overage. */
export const settlementCases: readonly ContractCase[] = [
  {
    claim: 'settle charges and returns the rest of the reservation',
    async run(harness) {
      const userId = await harness.createUser()
      const reserved = await reserve(harness, userId, '10', { feature: 'chat' })
      const { reservationId } = reserved
      const settled = await settle(harness, reserved, '7', { metadata: { b: 2 } })
      has(settled, { state: 'settled', amount: '0', captured: '7', uncollected: '0', replayed: false, late: false })
      if (settled.transaction === null) throw new Error('no transaction')
      has(settled.transaction, { type: 'usage', amount: '-7', balanceAfter: '43', version: 2, reservationId })
      has(settled.transaction, { inputTokens: 12, outputTokens: 34, feature: 'chat', model: 'test/model' })
      has(settled.transaction, { uncollected: '0', estimated: false, metadata: { b: 2 } })
      equal('reason' in settled.transaction, false, 'an operator reason on the transaction')
      await balanceIs(harness, userId, { planCredits: '43', reserved: '0', available: '43', version: 2 })
    },
  },
  {
    claim: 'settle above the reserved credits takes the difference from what is available',
    async run(harness) {
      const userId = await harness.createUser()
      const reserved = await reserve(harness, userId, '10')
      has(await settle(harness, reserved, '12'), { captured: '12', uncollected: '0' })
      await balanceIs(harness, userId, { available: '38', reserved: '0' })
    },
  },
  {
    claim: 'a cost that cannot be paid is uncollected, and other reservations keep their credits',
    async run(harness) {
      const userId = await harness.createUser()
      const reserved = await reserve(harness, userId, '10')
      const other = await reserve(harness, userId, '35')
      const settled = await settle(harness, reserved, '18.5')
      has(settled, { captured: '15', uncollected: '3.5' })
      equal([settled.transaction?.amount, settled.transaction?.uncollected], ['-15', '3.5'], 'transaction')
      await balanceIs(harness, userId, { planCredits: '35', reserved: '35', available: '0', debt: '0' })
      has(await settle(harness, other, '35'), { captured: '35' })
      await balanceIs(harness, userId, { planCredits: '0', available: '0' })
    },
  },
  {
    claim: 'a settle of zero leaves a transaction of zero, and a settle without a charge leaves none',
    async run(harness) {
      const userId = await harness.createUser()
      const settled = await settle(harness, await reserve(harness, userId, '10'), '0')
      equal(settled.transaction?.amount, '0', 'amount')
      const { reservationId } = await reserve(harness, userId, '10')
      has(await harness.store.settle({ userId, reservationId }), { state: 'settled', transaction: null })
      await balanceIs(harness, userId, { available: '50', version: 2 })
    },
  },
  {
    claim: 'settle returns the first result when it is called twice, and release returns it too',
    async run(harness) {
      const userId = await harness.createUser()
      const reserved = await reserve(harness, userId, '10')
      const { reservationId } = reserved
      const first = await settle(harness, reserved, '7')
      has(await settle(harness, reserved, '7'), { replayed: true, captured: '7', transaction: first.transaction })
      const bare = await harness.store.settle({ userId, reservationId })
      has(bare, { replayed: true, captured: '7', transaction: first.transaction })
      has(await harness.store.release(reserved), { replayed: true, state: 'settled', captured: '7' })
      await balanceIs(harness, userId, { available: '43', version: 2 })
    },
  },
  {
    claim: 'a second settle gives the first result, also when its charge has another amount',
    async run(harness) {
      const userId = await harness.createUser()
      const reserved = await reserve(harness, userId, '10')
      const first = await settle(harness, reserved, '7')
      has(await settle(harness, reserved, '9'), { replayed: true, captured: '7', transaction: first.transaction })
      const { reservationId } = await reserve(harness, userId, '10')
      await harness.store.settle({ userId, reservationId })
      has(await settle(harness, { userId, reservationId }, '9'), { replayed: true, captured: '0', transaction: null })
      await balanceIs(harness, userId, { available: '43', version: 2 })
    },
  },
  {
    claim: 'a charge after a release is refused, and the error carries its amount',
    async run(harness) {
      const userId = await harness.createUser()
      const reserved = await reserve(harness, userId, '10')
      await harness.store.release(reserved)
      const details = { reservationId: reserved.reservationId, state: 'released', amount: '7' }
      await refused(settle(harness, reserved, '7'), 'RESERVATION_CLOSED', details)
      await balanceIs(harness, userId, { available: '50', reserved: '0' })
    },
  },
  {
    claim: 'a settle after the expiry is charged late, from what is available',
    async run(harness) {
      const userId = await harness.createUser()
      const reserved = await reserve(harness, userId, '10', { ttlSeconds: 60 })
      await harness.advance(userId, 61)
      await reserve(harness, userId, '45')
      const settled = await settle(harness, reserved, '7')
      has(settled, { state: 'settled', captured: '5', uncollected: '2', late: true })
      equal(settled.transaction?.late, true, 'late')
      await balanceIs(harness, userId, { planCredits: '45', reserved: '45', available: '0' })
      has(await settle(harness, reserved, '7'), { replayed: true, captured: '5' })
    },
  },
  {
    claim: 'an unknown reservation is not found by settle, and with createMissing it is charged late, once',
    async run(harness) {
      const userId = await harness.createUser()
      const reservationId = newId()
      const charge = chargeOf('7', { feature: 'chat' })
      await refused(harness.store.settle({ userId, reservationId, charge }), 'RESERVATION_NOT_FOUND')
      const late = { userId, reservationId, charge, createMissing: true }
      const settled = await harness.store.settle(late)
      has(settled, { state: 'settled', userId, captured: '7', late: true, replayed: false, feature: 'chat' })
      has(settled.transaction ?? {}, { amount: '-7', late: true, reservationId } as object)
      has(await harness.store.settle(late), { replayed: true, captured: '7' })
      await balanceIs(harness, userId, { available: '43', reserved: '0', version: 2 })
      const unknown = { userId: UNKNOWN_USER, reservationId: newId(), charge, createMissing: true }
      await refused(harness.store.settle(unknown), 'ACCOUNT_NOT_FOUND')
    },
  },
  {
    claim: 'a late charge with nothing available is recorded as uncollected',
    async run(harness) {
      const userId = await harness.createUser()
      await reserve(harness, userId, '50')
      const charge = chargeOf('7')
      const settled = await harness.store.settle({ userId, reservationId: newId(), charge, createMissing: true })
      has(settled, { state: 'settled', captured: '0', uncollected: '7', late: true })
      has(settled.transaction ?? {}, { amount: '0', uncollected: '7' } as object)
      await balanceIs(harness, userId, { available: '0', reserved: '50' })
    },
  },
  {
    claim: 'createMissing changes nothing for an open reservation, and charges a released one late',
    async run(harness) {
      const userId = await harness.createUser()
      const charge = chargeOf('7')
      const open = await reserve(harness, userId, '10')
      const settleMissing = ({ reservationId }: { reservationId: string }) =>
        harness.store.settle({ userId, reservationId, charge, createMissing: true })
      has(await settleMissing(open), { captured: '7', late: false })
      const released = await reserve(harness, userId, '10')
      await harness.store.release(released)
      has(await settleMissing(released), { state: 'settled', captured: '7', late: true })
      await balanceIs(harness, userId, { available: '36', reserved: '0' })
    },
  },
  {
    claim: 'overage is spent after all credits, as debt, up to its limit; beyond it the cost is uncollected',
    async run(harness) {
      const userId = await harness.createUser()
      await harness.changePlan(userId, { overageLimit: '20' })
      await balanceIs(harness, userId, { overageLimit: '20', available: '70' })
      has(await settle(harness, await reserve(harness, userId, '60'), '60'), { captured: '60', uncollected: '0' })
      await balanceIs(harness, userId, { planCredits: '0', addOnCredits: '0', debt: '10', available: '10' })
      const settled = await settle(harness, await reserve(harness, userId, '10'), '12')
      has(settled, { captured: '10', uncollected: '2' })
      equal(settled.transaction?.balanceAfter, '-20', 'balanceAfter')
      await balanceIs(harness, userId, { debt: '20', available: '0' })
    },
  },
  {
    claim: 'the next grant pays the debt first',
    async run(harness) {
      const userId = await harness.createUser()
      await harness.changePlan(userId, { overageLimit: '20' })
      await settle(harness, await reserve(harness, userId, '60'), '60')
      const { transaction } = await grant(harness, userId, '4')
      has(transaction, { amount: '4', balanceAfter: '-6' })
      await balanceIs(harness, userId, { debt: '6', addOnCredits: '0', available: '14' })
      await grant(harness, userId, '10')
      await balanceIs(harness, userId, { debt: '0', addOnCredits: '4', available: '24' })
    },
  },
  {
    claim: 'amounts are exact to the sixth place',
    async run(harness) {
      const userId = await harness.createUser()
      for (const amount of ['0.1', '0.2', '0.000001', '33.333333']) {
        await settle(harness, await reserve(harness, userId, amount), amount)
      }
      await balanceIs(harness, userId, { planCredits: '16.366666', available: '16.366666' })
    },
  },
]
