import { balanceIs, type ContractCase, chargeOf, equal, grant, has, NOBODY, refused, reserve } from './case.ts'

const id = (): string => crypto.randomUUID()

/** Reserve, extend, release, expiry. */
export const reservationCases: readonly ContractCase[] = [
  {
    claim: 'reserve holds credits and writes no transaction',
    async run(harness) {
      const userId = await harness.createUser()
      const held = await reserve(harness, userId, '10', { feature: 'chat', model: 'test/model', metadata: { a: 1 } })
      has(held, { state: 'active', amount: '10', captured: '0', feature: 'chat', model: 'test/model', replayed: false })
      has(held, { metadata: { a: 1 }, userId, late: false, closedAt: null })
      has(held.balance, { planCredits: '50', reserved: '10', available: '40', version: 1 })
      await balanceIs(harness, userId, { planCredits: '50', reserved: '10', available: '40', version: 1 })
    },
  },
  {
    claim: 'a refused reserve leaves nothing, and its id may succeed after a top-up',
    async run(harness) {
      const userId = await harness.createUser()
      const reservationId = id()
      const facts = { available: '50', required: '60', balance: '50' }
      await refused(reserve(harness, userId, '60', { reservationId }), 'INSUFFICIENT_CREDITS', facts)
      await balanceIs(harness, userId, { reserved: '0', available: '50', version: 1 })
      await refused(harness.store.getReservation({ reservationId }), 'RESERVATION_NOT_FOUND')
      await grant(harness, userId, '10')
      has(await reserve(harness, userId, '60', { reservationId }), { amount: '60', replayed: false })
    },
  },
  {
    claim: 'reserve with a minimum takes what there is, down to the minimum',
    async run(harness) {
      const userId = await harness.createUser()
      has(await reserve(harness, userId, '80', { minimumAmount: '20' }), { amount: '50' })
      const facts = { available: '0', required: '20' }
      await refused(reserve(harness, userId, '80', { minimumAmount: '20' }), 'INSUFFICIENT_CREDITS', facts)
      await refused(reserve(harness, userId, '10', { minimumAmount: '20' }), 'INVALID_INPUT')
    },
  },
  {
    claim: 'the same reserve again gives the first result; with other parameters it is a mismatch',
    async run(harness) {
      const userId = await harness.createUser()
      const reservationId = id()
      await reserve(harness, userId, '10', { reservationId })
      has(await reserve(harness, userId, '10', { reservationId }), { replayed: true, amount: '10', state: 'active' })
      await refused(reserve(harness, userId, '11', { reservationId }), 'IDEMPOTENCY_MISMATCH')
      await refused(reserve(harness, await harness.createUser(), '10', { reservationId }), 'IDEMPOTENCY_MISMATCH')
      await balanceIs(harness, userId, { reserved: '10' })
    },
  },
  {
    claim: 'a repeated reserve is answered even when there would be no credits for it now',
    async run(harness) {
      const userId = await harness.createUser()
      const reservationId = id()
      await reserve(harness, userId, '50', { reservationId })
      has(await reserve(harness, userId, '50', { reservationId }), { replayed: true, amount: '50' })
    },
  },
  {
    claim: 'many reserves at once take no more than there is',
    async run(harness) {
      const userId = await harness.createUser()
      const tries = Array.from({ length: 20 }, () =>
        reserve(harness, userId, '10')
          .then(() => 1)
          .catch(() => 0),
      )
      const granted = (await Promise.all(tries)).reduce((sum: number, one) => sum + one, 0)
      equal(granted, 5, 'granted')
      await balanceIs(harness, userId, { reserved: '50', available: '0' })
    },
  },
  {
    claim: 'extend holds more and prolongs, never shortens',
    async run(harness) {
      const userId = await harness.createUser()
      const { reservationId, expiresAt } = await reserve(harness, userId, '10')
      const extended = await harness.store.extend({ reservationId, extensionId: id(), amount: '5', ttlSeconds: 600 })
      has(extended, { extension: { granted: true, amount: '5' }, amount: '15', state: 'active' })
      equal(extended.expiresAt > expiresAt, true, 'later expiry')
      const again = await harness.store.extend({ reservationId, extensionId: id(), amount: '5', ttlSeconds: 1 })
      has(again, { expiresAt: extended.expiresAt, amount: '20' })
      await balanceIs(harness, userId, { reserved: '20', available: '30', version: 1 })
    },
  },
  {
    claim: 'an extension that cannot be had is an answer, and changes nothing',
    async run(harness) {
      const userId = await harness.createUser()
      const { reservationId, expiresAt } = await reserve(harness, userId, '10')
      const input = { reservationId, extensionId: id(), amount: '41', ttlSeconds: 600 }
      has(await harness.store.extend(input), { extension: { granted: false, amount: '0' }, amount: '10', expiresAt })
      const less = await harness.store.extend({ ...input, extensionId: id(), minimumAmount: '1' })
      has(less, { extension: { granted: true, amount: '40' }, amount: '50' })
    },
  },
  {
    claim: 'the same extension again adds nothing; with another amount it is a mismatch',
    async run(harness) {
      const userId = await harness.createUser()
      const { reservationId } = await reserve(harness, userId, '10')
      const input = { reservationId, extensionId: id(), amount: '5', ttlSeconds: 300 }
      await harness.store.extend(input)
      has(await harness.store.extend(input), { replayed: true, extension: { granted: true, amount: '5' } })
      await refused(harness.store.extend({ ...input, amount: '6' }), 'IDEMPOTENCY_MISMATCH')
      await balanceIs(harness, userId, { reserved: '15' })
    },
  },
  {
    claim: 'release gives the hold back; again, it gives the first result',
    async run(harness) {
      const userId = await harness.createUser()
      const { reservationId } = await reserve(harness, userId, '10')
      has(await harness.store.release({ reservationId }), { state: 'released', amount: '0', replayed: false })
      has(await harness.store.release({ reservationId }), { state: 'released', replayed: true })
      await balanceIs(harness, userId, { reserved: '0', available: '50', version: 1 })
      const { store } = harness
      await refused(store.settle({ reservationId, charge: chargeOf('1') }), 'RESERVATION_CLOSED', { state: 'released' })
      await refused(store.capture({ reservationId, captureId: id(), charge: chargeOf('1') }), 'RESERVATION_CLOSED')
      await refused(
        store.extend({ reservationId, extensionId: id(), amount: '1', ttlSeconds: 9 }),
        'RESERVATION_CLOSED',
      )
    },
  },
  {
    claim: 'a reservation past its time holds nothing, whoever looks',
    async run(harness) {
      const userId = await harness.createUser()
      const { reservationId } = await reserve(harness, userId, '10', { ttlSeconds: 60 })
      await harness.advance(userId, 59)
      await balanceIs(harness, userId, { reserved: '10' })
      await harness.advance(userId, 2)
      has(await harness.store.getReservation({ reservationId }), { state: 'expired', amount: '0' })
      await balanceIs(harness, userId, { reserved: '0', available: '50', version: 1 })
      await refused(
        harness.store.extend({ reservationId, extensionId: id(), amount: '1', ttlSeconds: 60 }),
        'RESERVATION_CLOSED',
        { state: 'expired' },
      )
      has(await harness.store.release({ reservationId }), { state: 'expired' })
    },
  },
  {
    claim: 'credits of an expired reservation can be reserved again at once',
    async run(harness) {
      const userId = await harness.createUser()
      await reserve(harness, userId, '50', { ttlSeconds: 60 })
      await harness.advance(userId, 61)
      has(await reserve(harness, userId, '50'), { amount: '50' })
    },
  },
  {
    claim: 'unknown reservations and accounts are told as such',
    async run(harness) {
      const { store } = harness
      const reservationId = id()
      await refused(reserve(harness, NOBODY, '1'), 'ACCOUNT_NOT_FOUND')
      await refused(store.getBalance({ userId: NOBODY }), 'ACCOUNT_NOT_FOUND')
      await refused(store.getHistory({ userId: NOBODY, limit: 1 }), 'ACCOUNT_NOT_FOUND')
      await refused(grant(harness, NOBODY, '1'), 'ACCOUNT_NOT_FOUND')
      const charge = chargeOf('1')
      for (const call of [
        () => store.getReservation({ reservationId }),
        () => store.release({ reservationId }),
        () => store.settle({ reservationId, charge }),
        () => store.capture({ reservationId, captureId: id(), charge }),
        () => store.extend({ reservationId, extensionId: id(), amount: '1', ttlSeconds: 9 }),
      ]) {
        await refused(call(), 'RESERVATION_NOT_FOUND')
      }
    },
  },
  {
    claim: 'a frozen account reserves nothing, and what is open still settles',
    async run(harness) {
      const userId = await harness.createUser()
      const { reservationId } = await reserve(harness, userId, '10')
      await harness.freezeAccount(userId, true)
      await refused(reserve(harness, userId, '1'), 'ACCOUNT_FROZEN')
      has(await harness.store.settle({ reservationId, charge: chargeOf('4') }), { state: 'settled', captured: '4' })
      await harness.freezeAccount(userId, false)
      has(await reserve(harness, userId, '1'), { state: 'active' })
    },
  },
  {
    claim: 'when all spending is frozen nobody reserves, and what is open still settles',
    async run(harness) {
      const userId = await harness.createUser()
      const { reservationId } = await reserve(harness, userId, '10')
      await harness.freezeSpending(true)
      try {
        await refused(reserve(harness, userId, '1'), 'SPENDING_FROZEN')
        has(await harness.store.settle({ reservationId, charge: chargeOf('4') }), { state: 'settled', captured: '4' })
      } finally {
        await harness.freezeSpending(false)
      }
    },
  },
]
