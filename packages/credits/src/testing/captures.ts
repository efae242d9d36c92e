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
  settle,
} from './case.ts'

/** A new user's reservation of 10. */
async function reserved(harness: StoreHarness, ttlSeconds = 300) {
  const userId = await harness.createUser()
  const { reservationId } = await reserve(harness, userId, '10', { ttlSeconds })
  return { userId, reservationId }
}

/** Charges of one provider call that keep the reservation open. */
export const captureCases: readonly ContractCase[] = [
  {
    claim: 'capture charges one provider call and keeps the reservation open',
    async run(harness) {
      const key = await reserved(harness)
      const { userId, reservationId } = key
      const captured = await harness.store.capture({ ...key, captureId: newId(), charge: chargeOf('4') })
      has(captured, { state: 'active', amount: '6', captured: '4', extension: null, replayed: false })
      has(captured.transaction, { type: 'usage', amount: '-4', balanceAfter: '46', reservationId })
      await balanceIs(harness, userId, { planCredits: '46', reserved: '6', available: '40' })
      has(await settle(harness, key, '1.5'), { captured: '5.5', amount: '0' })
      await balanceIs(harness, userId, { available: '44.5', reserved: '0', version: 3 })
    },
  },
  {
    claim: 'a capture above the reserved credits takes the difference from what is available',
    async run(harness) {
      const key = await reserved(harness)
      const captured = await harness.store.capture({ ...key, captureId: newId(), charge: chargeOf('60') })
      has(captured, { state: 'active', amount: '0', captured: '50', uncollected: '10' })
      await balanceIs(harness, key.userId, { available: '0', reserved: '0' })
    },
  },
  {
    claim: 'a refused extension does not undo the capture that carried it',
    async run(harness) {
      const key = await reserved(harness)
      const charge = chargeOf('10')
      const capture = (extend: { amount: string; minimumAmount?: string }) =>
        harness.store.capture({ ...key, captureId: newId(), charge, extend: { ...extend, ttlSeconds: 300 } })
      has(await capture({ amount: '20' }), { extension: { granted: true, amount: '20' }, amount: '20' })
      const notGranted = { extension: { granted: false, amount: '0' }, amount: '10', captured: '20' }
      has(await capture({ amount: '40' }), notGranted)
      const some = { extension: { granted: true, amount: '20' }, amount: '20', captured: '30' }
      has(await capture({ amount: '40', minimumAmount: '1' }), some)
      await balanceIs(harness, key.userId, { planCredits: '20', reserved: '20', available: '0' })
    },
  },
  {
    claim: 'capture charges nothing when it is repeated, also after the settle',
    async run(harness) {
      const key = await reserved(harness)
      const extend = { amount: '5', ttlSeconds: 300 }
      const input = { ...key, captureId: newId(), charge: chargeOf('4'), extend }
      const { transaction } = await harness.store.capture(input)
      has(await harness.store.capture(input), { replayed: true, transaction, captured: '4', amount: '11' })
      await harness.store.settle(key)
      has(await harness.store.capture(input), { replayed: true, transaction, state: 'settled' })
      await balanceIs(harness, key.userId, { available: '46', version: 2 })
    },
  },
  {
    claim: 'capture is a mismatch when its id was used with any other parameter',
    async run(harness) {
      const key = await reserved(harness)
      const extend = { amount: '5', minimumAmount: '4', ttlSeconds: 300 }
      const input = { ...key, captureId: newId(), charge: chargeOf('4'), extend }
      await harness.store.capture(input)
      const charges = [
        chargeOf('5'),
        chargeOf('4', { costUsd: '0.02' }),
        chargeOf('4', { model: 'test/other' }),
        chargeOf('4', { usage: { inputTokens: 13, outputTokens: 34 } }),
        chargeOf('4', { flags: ['usage_missing'] }),
        chargeOf('4', { metadata: { step: 2 } }),
      ]
      for (const charge of charges) await refused(harness.store.capture({ ...input, charge }), 'IDEMPOTENCY_MISMATCH')
      for (const change of [{ amount: '6' }, { minimumAmount: '3' }, { ttlSeconds: 301 }]) {
        const other = { ...input, extend: { ...extend, ...change } }
        await refused(harness.store.capture(other), 'IDEMPOTENCY_MISMATCH')
      }
      await refused(harness.store.capture({ ...input, extend: undefined }), 'IDEMPOTENCY_MISMATCH')
      await balanceIs(harness, key.userId, { available: '35', reserved: '11', version: 2 })
    },
  },
  {
    claim: 'a capture after the expiry is charged late and extends nothing',
    async run(harness) {
      const key = await reserved(harness, 60)
      await harness.advance(key.userId, 61)
      const extend = { amount: '5', ttlSeconds: 60 }
      const captured = await harness.store.capture({ ...key, captureId: newId(), charge: chargeOf('7'), extend })
      has(captured, { state: 'expired', captured: '7', late: true, extension: { granted: false, amount: '0' } })
      equal(captured.transaction.late, true, 'late')
      await balanceIs(harness, key.userId, { available: '43', reserved: '0' })
    },
  },
  {
    claim: 'a settled reservation cannot be captured',
    async run(harness) {
      const key = await reserved(harness)
      await settle(harness, key, '1')
      const capture = harness.store.capture({ ...key, captureId: newId(), charge: chargeOf('1') })
      await refused(capture, 'RESERVATION_CLOSED', { reservationId: key.reservationId, state: 'settled' })
      await balanceIs(harness, key.userId, { available: '49', version: 2 })
    },
  },
]
