import {
  balanceIs,
  type ContractCase,
  chargeOf,
  equal,
  has,
  newId,
  refused,
  reserve,
  type StoreHarness,
} from './case.ts'

/** An extension of a new reservation of 10. */
async function reservedWithExtension(harness: StoreHarness) {
  const userId = await harness.createUser()
  const { reservationId, expiresAt } = await reserve(harness, userId, '10')
  return { userId, expiresAt, extension: { userId, reservationId, extensionId: newId(), ttlSeconds: 600 } }
}

/** Extend and release. */
export const extensionCases: readonly ContractCase[] = [
  {
    claim: 'extend reserves more and prolongs, never shortens',
    async run(harness) {
      const { userId, expiresAt, extension } = await reservedWithExtension(harness)
      const extended = await harness.store.extend({ ...extension, amount: '5' })
      has(extended, { extension: { granted: true, amount: '5' }, amount: '15', state: 'active', replayed: false })
      equal(extended.expiresAt > expiresAt, true, 'later expiry')
      const shorter = { ...extension, extensionId: newId(), amount: '5', ttlSeconds: 1 }
      has(await harness.store.extend(shorter), { expiresAt: extended.expiresAt, amount: '20' })
      await balanceIs(harness, userId, { reserved: '20', available: '30', version: 1 })
    },
  },
  {
    claim: 'extend answers granted: false and changes nothing when too little is available',
    async run(harness) {
      const { expiresAt, extension } = await reservedWithExtension(harness)
      const refusedExtension = { extension: { granted: false, amount: '0' }, amount: '10', expiresAt }
      has(await harness.store.extend({ ...extension, amount: '41' }), refusedExtension)
      const less = await harness.store.extend({ ...extension, amount: '41', minimumAmount: '1' })
      has(less, { extension: { granted: true, amount: '40' }, amount: '50' })
    },
  },
  {
    claim: 'extend adds nothing when it is repeated, and is a mismatch with any other parameter',
    async run(harness) {
      const { userId, extension } = await reservedWithExtension(harness)
      const first = { ...extension, amount: '5', minimumAmount: '4' }
      await harness.store.extend(first)
      has(await harness.store.extend(first), { replayed: true, extension: { granted: true, amount: '5' } })
      for (const change of [{ amount: '6' }, { minimumAmount: '3' }, { ttlSeconds: 601 }]) {
        await refused(harness.store.extend({ ...first, ...change }), 'IDEMPOTENCY_MISMATCH')
      }
      await balanceIs(harness, userId, { reserved: '15' })
    },
  },
  {
    claim: 'release returns the reserved credits, and the first result when it is repeated',
    async run(harness) {
      const { userId, extension } = await reservedWithExtension(harness)
      const key = { userId, reservationId: extension.reservationId }
      has(await harness.store.release(key), { state: 'released', amount: '0', replayed: false })
      has(await harness.store.release(key), { state: 'released', replayed: true })
      await balanceIs(harness, userId, { reserved: '0', available: '50', version: 1 })
    },
  },
  {
    claim: 'a released reservation cannot be settled, captured or extended',
    async run(harness) {
      const { userId, extension } = await reservedWithExtension(harness)
      const { store } = harness
      const key = { userId, reservationId: extension.reservationId }
      await store.release(key)
      const charge = chargeOf('1')
      const details = { reservationId: key.reservationId, state: 'released' }
      await refused(store.settle({ ...key, charge }), 'RESERVATION_CLOSED', details)
      await refused(store.capture({ ...key, captureId: newId(), charge }), 'RESERVATION_CLOSED', details)
      await refused(store.extend({ ...extension, amount: '1' }), 'RESERVATION_CLOSED', details)
      await balanceIs(harness, userId, { available: '50', version: 1 })
    },
  },
  {
    claim: 'a released reservation keeps what was captured from it',
    async run(harness) {
      const { userId, extension } = await reservedWithExtension(harness)
      const key = { userId, reservationId: extension.reservationId }
      await harness.store.capture({ ...key, captureId: newId(), charge: chargeOf('4') })
      has(await harness.store.release(key), { state: 'released', captured: '4', amount: '0' })
      await balanceIs(harness, userId, { available: '46', reserved: '0' })
    },
  },
]
