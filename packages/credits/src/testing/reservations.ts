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

/** Reserve, expiry, freezes, and who may see a reservation. */
export const reservationCases: readonly ContractCase[] = [
  {
    claim: 'reserve keeps credits back and writes no transaction',
    async run(harness) {
      const userId = await harness.createUser()
      const more = { feature: 'chat', model: 'test/model', metadata: { a: 1 } }
      const reserved = await reserve(harness, userId, '10', more)
      has(reserved, { state: 'active', amount: '10', captured: '0', uncollected: '0', replayed: false })
      has(reserved, { userId, feature: 'chat', model: 'test/model', metadata: { a: 1 }, late: false, closedAt: null })
      has(reserved.balance, { planCredits: '50', reserved: '10', available: '40', version: 1 })
      await balanceIs(harness, userId, { planCredits: '50', reserved: '10', available: '40', version: 1 })
      const { replayed: _, balance: __, ...reservation } = reserved
      has(await harness.store.getReservation(reserved), reservation)
    },
  },
  {
    claim: 'a refused reserve leaves nothing, and its id may succeed after a top-up',
    async run(harness) {
      const userId = await harness.createUser()
      const key = { userId, reservationId: newId() }
      const details = { available: '50', required: '60', balance: '50' }
      await refused(reserve(harness, userId, '60', key), 'INSUFFICIENT_CREDITS', details)
      await balanceIs(harness, userId, { reserved: '0', available: '50', version: 1 })
      await refused(harness.store.getReservation(key), 'RESERVATION_NOT_FOUND')
      await grant(harness, userId, '10')
      has(await reserve(harness, userId, '60', key), { amount: '60', replayed: false })
    },
  },
  {
    claim: 'a refused reserve names balance as plan + add-on - debt, and available as what can be reserved',
    async run(harness) {
      const userId = await harness.createUser()
      await harness.changePlan(userId, { overageLimit: '20' })
      await settle(harness, await reserve(harness, userId, '60'), '60')
      await reserve(harness, userId, '4')
      const details = { available: '6', required: '7', balance: '-10' }
      await refused(reserve(harness, userId, '7'), 'INSUFFICIENT_CREDITS', details)
    },
  },
  {
    claim: 'reserve with a minimum takes what there is, down to the minimum',
    async run(harness) {
      const userId = await harness.createUser()
      has(await reserve(harness, userId, '80', { minimumAmount: '20' }), { amount: '50' })
      const details = { available: '0', required: '20' }
      await refused(reserve(harness, userId, '80', { minimumAmount: '20' }), 'INSUFFICIENT_CREDITS', details)
      await refused(reserve(harness, userId, '10', { minimumAmount: '20' }), 'INVALID_INPUT')
    },
  },
  {
    claim: 'reserve of zero reserves nothing, and can be charged, released and found',
    async run(harness) {
      const userId = await harness.createUser()
      await reserve(harness, userId, '50')
      const first = await reserve(harness, userId, '0', { minimumAmount: '0' })
      has(first, { state: 'active', amount: '0', captured: '0' })
      has(await settle(harness, first, '0'), { state: 'settled', captured: '0' })
      has(await harness.store.release(await reserve(harness, userId, '0')), { state: 'released', amount: '0' })
      await balanceIs(harness, userId, { reserved: '50', available: '0', version: 2 })
    },
  },
  {
    claim: 'reserve of zero is refused while the account or all spending is frozen',
    async run(harness) {
      const userId = await harness.createUser()
      await harness.freezeAccount(userId, true)
      await refused(reserve(harness, userId, '0'), 'ACCOUNT_FROZEN')
      await harness.freezeAccount(userId, false)
      await harness.freezeSpending(true)
      try {
        await refused(reserve(harness, userId, '0'), 'SPENDING_FROZEN')
      } finally {
        await harness.freezeSpending(false)
      }
    },
  },
  {
    claim: 'reserve returns the first result when it is repeated with the same id and parameters',
    async run(harness) {
      const userId = await harness.createUser()
      const more = { reservationId: newId(), feature: 'chat', metadata: { a: 1, b: { c: 2, d: 3 } } }
      const first = await reserve(harness, userId, '50', more)
      // In another order of keys, and although nothing is left to reserve.
      const again = await reserve(harness, userId, '50', { ...more, metadata: { b: { d: 3, c: 2 }, a: 1 } })
      has(again, { replayed: true, amount: '50', state: 'active', expiresAt: first.expiresAt })
      await balanceIs(harness, userId, { reserved: '50' })
    },
  },
  {
    claim: 'reserve is a mismatch when its id was used with any other parameter',
    async run(harness) {
      const userId = await harness.createUser()
      const first = {
        reservationId: newId(),
        minimumAmount: '5',
        ttlSeconds: 300,
        feature: 'chat',
        model: 'test/model',
        rateId: newId(),
        marginId: newId(),
        metadata: { a: 1 },
      }
      await reserve(harness, userId, '10', first)
      const changes = [
        { minimumAmount: '6' },
        { minimumAmount: undefined },
        { ttlSeconds: 301 },
        { feature: 'other' },
        { feature: undefined },
        { model: 'test/other' },
        { rateId: newId() },
        { marginId: undefined },
        { metadata: { a: 2 } },
        { metadata: undefined },
      ]
      for (const change of changes) {
        await refused(reserve(harness, userId, '10', { ...first, ...change }), 'IDEMPOTENCY_MISMATCH')
      }
      await refused(reserve(harness, userId, '11', first), 'IDEMPOTENCY_MISMATCH', { id: first.reservationId })
      has(await reserve(harness, userId, '10', first), { replayed: true })
      await balanceIs(harness, userId, { reserved: '10' })
    },
  },
  {
    claim: 'reserve is refused as closed when its id belongs to a settled, released or expired reservation',
    async run(harness) {
      const userId = await harness.createUser()
      const { store } = harness
      const repeated = (reservationId: string) => reserve(harness, userId, '10', { reservationId, ttlSeconds: 60 })
      const settled = await repeated(newId())
      await settle(harness, settled, '1')
      const released = await repeated(newId())
      await store.release(released)
      const expired = await repeated(newId())
      await harness.advance(userId, 61)
      for (const [{ reservationId }, state] of [
        [settled, 'settled'],
        [released, 'released'],
        [expired, 'expired'],
      ] as const) {
        await refused(repeated(reservationId), 'RESERVATION_CLOSED', { reservationId, state })
        const other = { reservationId, feature: 'other' }
        await refused(reserve(harness, userId, '11', other), 'RESERVATION_CLOSED', { reservationId, state })
      }
      await balanceIs(harness, userId, { reserved: '0', available: '49', version: 2 })
    },
  },
  {
    claim: 'the same reservation id of another user is another reservation',
    async run(harness) {
      const [userId, otherId] = [await harness.createUser(), await harness.createUser()]
      const reservationId = newId()
      await reserve(harness, userId, '10', { reservationId })
      has(await reserve(harness, otherId, '7', { reservationId }), { replayed: false, amount: '7', userId: otherId })
      await settle(harness, { userId: otherId, reservationId }, '7')
      await balanceIs(harness, otherId, { available: '43' })
      await balanceIs(harness, userId, { available: '40', reserved: '10' })
    },
  },
  {
    claim: 'concurrent reserves take no more than there is',
    async run(harness) {
      const userId = await harness.createUser()
      const attempts = await Promise.allSettled(Array.from({ length: 20 }, () => reserve(harness, userId, '10')))
      equal(attempts.filter(({ status }) => status === 'fulfilled').length, 5, 'reservations')
      await balanceIs(harness, userId, { reserved: '50', available: '0' })
    },
  },
  {
    claim: 'an expired reservation keeps nothing back and cannot be extended',
    async run(harness) {
      const userId = await harness.createUser()
      const reserved = await reserve(harness, userId, '10', { ttlSeconds: 60 })
      const { reservationId } = reserved
      await harness.advance(userId, 59)
      await balanceIs(harness, userId, { reserved: '10' })
      await harness.advance(userId, 2)
      has(await harness.store.getReservation(reserved), { state: 'expired', amount: '0' })
      await balanceIs(harness, userId, { reserved: '0', available: '50', version: 1 })
      const extension = { userId, reservationId, extensionId: newId(), amount: '1', ttlSeconds: 60 }
      await refused(harness.store.extend(extension), 'RESERVATION_CLOSED', { state: 'expired' })
      has(await harness.store.release(reserved), { state: 'expired' })
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
    claim: 'operations on an unknown reservation or account name what was not found',
    async run(harness) {
      const { store } = harness
      const userId = await harness.createUser()
      await refused(reserve(harness, UNKNOWN_USER, '1'), 'ACCOUNT_NOT_FOUND')
      await refused(store.getBalance({ userId: UNKNOWN_USER }), 'ACCOUNT_NOT_FOUND')
      await refused(store.getHistory({ userId: UNKNOWN_USER, limit: 1 }), 'ACCOUNT_NOT_FOUND')
      await refused(grant(harness, UNKNOWN_USER, '1'), 'ACCOUNT_NOT_FOUND')
      for (const call of reservationCalls(userId, newId())) await refused(call(store), 'RESERVATION_NOT_FOUND')
    },
  },
  {
    claim: 'a reservation of another user is not found and does not change, open or closed',
    async run(harness) {
      const { store } = harness
      const [userId, otherId] = [await harness.createUser(), await harness.createUser()]
      const reserved = await reserve(harness, userId, '10')
      const { reservationId } = reserved
      for (const stranger of [otherId, UNKNOWN_USER]) {
        for (const call of reservationCalls(stranger, reservationId)) {
          await refused(call(store), 'RESERVATION_NOT_FOUND')
        }
      }
      await balanceIs(harness, userId, { available: '40', reserved: '10', version: 1 })
      has(await settle(harness, reserved, '7'), { state: 'settled', captured: '7', replayed: false })
      for (const call of reservationCalls(otherId, reservationId)) await refused(call(store), 'RESERVATION_NOT_FOUND')
      await balanceIs(harness, userId, { available: '43', reserved: '0', version: 2 })
      await balanceIs(harness, otherId, { available: '50', reserved: '0', version: 1 })
    },
  },
  {
    claim: 'a frozen account reserves and extends nothing, and its open reservations settle',
    async run(harness) {
      const userId = await harness.createUser()
      const reserved = await reserve(harness, userId, '10')
      await harness.freezeAccount(userId, true)
      await refused(reserve(harness, userId, '1'), 'ACCOUNT_FROZEN')
      const extension = { ...keyOf(reserved), extensionId: newId(), amount: '1', ttlSeconds: 60 }
      await refused(harness.store.extend(extension), 'ACCOUNT_FROZEN')
      has(await settle(harness, reserved, '4'), { state: 'settled', captured: '4' })
      await harness.freezeAccount(userId, false)
      has(await reserve(harness, userId, '1'), { state: 'active' })
    },
  },
  {
    claim: 'while all spending is frozen no account reserves or extends, and open reservations settle',
    async run(harness) {
      const userId = await harness.createUser()
      const reserved = await reserve(harness, userId, '10')
      await harness.freezeSpending(true)
      try {
        await refused(reserve(harness, userId, '1'), 'SPENDING_FROZEN')
        const extension = { ...keyOf(reserved), extensionId: newId(), amount: '1', ttlSeconds: 60 }
        await refused(harness.store.extend(extension), 'SPENDING_FROZEN')
        has(await settle(harness, reserved, '4'), { state: 'settled', captured: '4' })
      } finally {
        await harness.freezeSpending(false)
      }
    },
  },
]

function keyOf({ userId, reservationId }: { userId: string; reservationId: string }) {
  return { userId, reservationId }
}

/** Every operation on a reservation, in the name of a user. */
function reservationCalls(userId: string, reservationId: string) {
  const key = { userId, reservationId }
  const charge = chargeOf('1')
  type Store = Parameters<ContractCase['run']>[0]['store']
  return [
    (store: Store) => store.getReservation(key),
    (store: Store) => store.release(key),
    (store: Store) => store.settle(key),
    (store: Store) => store.settle({ ...key, charge }),
    (store: Store) => store.capture({ ...key, captureId: newId(), charge }),
    (store: Store) => store.extend({ ...key, extensionId: newId(), amount: '1', ttlSeconds: 9 }),
  ]
}
