import { balanceIs, type ContractCase, chargeOf, equal, grant, has, NOBODY, refused, reserve } from './case.ts'

const id = (): string => crypto.randomUUID()

/** Capture, settle, overage. */
export const chargeCases: readonly ContractCase[] = [
  {
    claim: 'settle takes the charge and returns the rest of the hold',
    async run(harness) {
      const userId = await harness.createUser()
      const { reservationId } = await reserve(harness, userId, '10', { feature: 'chat' })
      const settled = await harness.store.settle({ reservationId, charge: chargeOf('7', { metadata: { b: 2 } }) })
      has(settled, { state: 'settled', amount: '0', captured: '7', uncollected: '0', replayed: false, late: false })
      if (settled.transaction === null) throw new Error('no transaction')
      has(settled.transaction, { type: 'usage', amount: '-7', balanceAfter: '43', version: 2, reservationId })
      has(settled.transaction, { inputTokens: 12, outputTokens: 34, feature: 'chat', model: 'test/model' })
      has(settled.transaction, { uncollected: '0', estimated: false, metadata: { b: 2 } })
      await balanceIs(harness, userId, { planCredits: '43', reserved: '0', available: '43', version: 2 })
    },
  },
  {
    claim: 'settle above the hold takes the difference from what is free',
    async run(harness) {
      const userId = await harness.createUser()
      const { reservationId } = await reserve(harness, userId, '10')
      has(await harness.store.settle({ reservationId, charge: chargeOf('12') }), { captured: '12', uncollected: '0' })
      await balanceIs(harness, userId, { available: '38', reserved: '0' })
    },
  },
  {
    claim: 'what nobody can pay is uncollected, on the row and on the reservation, and holds of others stay',
    async run(harness) {
      const userId = await harness.createUser()
      const { reservationId } = await reserve(harness, userId, '10')
      const other = await reserve(harness, userId, '35')
      const settled = await harness.store.settle({ reservationId, charge: chargeOf('18.5') })
      has(settled, { captured: '15', uncollected: '3.5' })
      equal(settled.transaction?.amount, '-15', 'amount')
      equal(settled.transaction?.uncollected, '3.5', 'uncollected')
      await balanceIs(harness, userId, { planCredits: '35', reserved: '35', available: '0', debt: '0' })
      has(await harness.store.settle({ reservationId: other.reservationId, charge: chargeOf('35') }), {
        captured: '35',
      })
      await balanceIs(harness, userId, { planCredits: '0', available: '0' })
    },
  },
  {
    claim: 'a settle of nothing leaves a row of nothing; without a charge it leaves none',
    async run(harness) {
      const userId = await harness.createUser()
      const free = await reserve(harness, userId, '10')
      const settled = await harness.store.settle({ reservationId: free.reservationId, charge: chargeOf('0') })
      equal(settled.transaction?.amount, '0', 'amount')
      const none = await reserve(harness, userId, '10')
      has(await harness.store.settle({ reservationId: none.reservationId }), { state: 'settled', transaction: null })
      await balanceIs(harness, userId, { available: '50', version: 2 })
    },
  },
  {
    claim: 'settling again gives the first result, whatever the amount; releasing then too',
    async run(harness) {
      const userId = await harness.createUser()
      const { reservationId } = await reserve(harness, userId, '10')
      const first = await harness.store.settle({ reservationId, charge: chargeOf('7') })
      const again = await harness.store.settle({ reservationId, charge: chargeOf('9') })
      has(again, { replayed: true, captured: '7', transaction: first.transaction })
      has(await harness.store.release({ reservationId }), { replayed: true, state: 'settled', captured: '7' })
      await balanceIs(harness, userId, { available: '43', version: 2 })
    },
  },
  {
    claim: 'capture charges one call and keeps the reservation open',
    async run(harness) {
      const userId = await harness.createUser()
      const { reservationId } = await reserve(harness, userId, '10')
      const captured = await harness.store.capture({ reservationId, captureId: id(), charge: chargeOf('4') })
      has(captured, { state: 'active', amount: '6', captured: '4', extension: null })
      has(captured.transaction, { type: 'usage', amount: '-4', balanceAfter: '46', reservationId })
      await balanceIs(harness, userId, { planCredits: '46', reserved: '6', available: '40' })
      has(await harness.store.settle({ reservationId, charge: chargeOf('1.5') }), { captured: '5.5', amount: '0' })
      await balanceIs(harness, userId, { available: '44.5', reserved: '0', version: 3 })
    },
  },
  {
    claim: 'a capture above the hold takes the difference from what is free and leaves an empty hold',
    async run(harness) {
      const userId = await harness.createUser()
      const { reservationId } = await reserve(harness, userId, '10')
      const captured = await harness.store.capture({ reservationId, captureId: id(), charge: chargeOf('60') })
      has(captured, { state: 'active', amount: '0', captured: '50', uncollected: '10' })
      await balanceIs(harness, userId, { available: '0', reserved: '0' })
    },
  },
  {
    claim: 'capture and extension ride together; a refused extension does not undo the capture',
    async run(harness) {
      const userId = await harness.createUser()
      const { reservationId } = await reserve(harness, userId, '10')
      const charge = chargeOf('10')
      const input = { reservationId, captureId: id(), charge, extend: { amount: '20', ttlSeconds: 300 } }
      has(await harness.store.capture(input), { extension: { granted: true, amount: '20' }, amount: '20' })
      const more = { ...input, captureId: id(), extend: { amount: '40', ttlSeconds: 300 } }
      has(await harness.store.capture(more), {
        extension: { granted: false, amount: '0' },
        amount: '10',
        captured: '20',
      })
      const some = { ...input, captureId: id(), extend: { amount: '40', minimumAmount: '1', ttlSeconds: 300 } }
      has(await harness.store.capture(some), {
        extension: { granted: true, amount: '20' },
        amount: '20',
        captured: '30',
      })
      await balanceIs(harness, userId, { planCredits: '20', reserved: '20', available: '0' })
    },
  },
  {
    claim: 'the same capture again charges nothing; with another charge it is a mismatch',
    async run(harness) {
      const userId = await harness.createUser()
      const { reservationId } = await reserve(harness, userId, '10')
      const input = { reservationId, captureId: id(), charge: chargeOf('4') }
      const { transaction } = await harness.store.capture(input)
      has(await harness.store.capture(input), { replayed: true, transaction, captured: '4' })
      await refused(harness.store.capture({ ...input, charge: chargeOf('5') }), 'IDEMPOTENCY_MISMATCH')
      await harness.store.settle({ reservationId })
      has(await harness.store.capture(input), { replayed: true, transaction, state: 'settled' })
      await balanceIs(harness, userId, { available: '46', version: 2 })
    },
  },
  {
    claim: 'a settle after the expiry is taken late, from what is available',
    async run(harness) {
      const userId = await harness.createUser()
      const { reservationId } = await reserve(harness, userId, '10', { ttlSeconds: 60 })
      await harness.advance(userId, 61)
      await reserve(harness, userId, '45')
      const settled = await harness.store.settle({ reservationId, charge: chargeOf('7') })
      has(settled, { state: 'settled', captured: '5', uncollected: '2', late: true })
      equal(settled.transaction?.late, true, 'late')
      await balanceIs(harness, userId, { planCredits: '45', reserved: '45', available: '0' })
      has(await harness.store.settle({ reservationId, charge: chargeOf('7') }), { replayed: true, captured: '5' })
    },
  },
  {
    claim: 'a capture after the expiry is taken late, and extends nothing',
    async run(harness) {
      const userId = await harness.createUser()
      const { reservationId } = await reserve(harness, userId, '10', { ttlSeconds: 60 })
      await harness.advance(userId, 61)
      const extend = { amount: '5', ttlSeconds: 60 }
      const captured = await harness.store.capture({ reservationId, captureId: id(), charge: chargeOf('7'), extend })
      has(captured, { state: 'expired', captured: '7', late: true, extension: { granted: false, amount: '0' } })
      equal(captured.transaction.late, true, 'late')
      await balanceIs(harness, userId, { available: '43', reserved: '0' })
    },
  },
  {
    claim: 'a settle of a reservation that never arrived is booked late when its user is named, once',
    async run(harness) {
      const userId = await harness.createUser()
      const reservationId = id()
      const charge = chargeOf('7', { feature: 'chat' })
      await refused(harness.store.settle({ reservationId, charge }), 'RESERVATION_NOT_FOUND')
      const settled = await harness.store.settle({ reservationId, charge, userId })
      has(settled, { state: 'settled', userId, captured: '7', late: true, replayed: false, feature: 'chat' })
      has(settled.transaction ?? {}, { amount: '-7', late: true, reservationId } as object)
      has(await harness.store.settle({ reservationId, charge, userId }), { replayed: true, captured: '7' })
      await balanceIs(harness, userId, { available: '43', reserved: '0', version: 2 })
      await refused(harness.store.settle({ reservationId: id(), charge, userId: NOBODY }), 'ACCOUNT_NOT_FOUND')
    },
  },
  {
    claim: 'a late booking with nothing available is recorded as uncollected, never lost',
    async run(harness) {
      const userId = await harness.createUser()
      await reserve(harness, userId, '50')
      const settled = await harness.store.settle({ reservationId: id(), charge: chargeOf('7'), userId })
      has(settled, { state: 'settled', captured: '0', uncollected: '7', late: true })
      has(settled.transaction ?? {}, { amount: '0', uncollected: '7' } as object)
      await balanceIs(harness, userId, { available: '0', reserved: '50' })
    },
  },
  {
    claim: 'a user named for a reservation that is there changes nothing',
    async run(harness) {
      const userId = await harness.createUser()
      const { reservationId } = await reserve(harness, userId, '10')
      has(await harness.store.settle({ reservationId, charge: chargeOf('7'), userId }), { captured: '7', late: false })
      await balanceIs(harness, userId, { available: '43', reserved: '0' })
    },
  },
  {
    claim: 'a settle that names another user finds nothing and changes nothing, open or closed',
    async run(harness) {
      const userId = await harness.createUser()
      const other = await harness.createUser()
      const { reservationId } = await reserve(harness, userId, '10')
      const charge = chargeOf('7')
      for (const named of [other, NOBODY]) {
        await refused(harness.store.settle({ reservationId, charge, userId: named }), 'RESERVATION_NOT_FOUND')
        await refused(harness.store.settle({ reservationId, userId: named }), 'RESERVATION_NOT_FOUND')
      }
      await balanceIs(harness, userId, { available: '40', reserved: '10', version: 1 })
      await balanceIs(harness, other, { available: '50', reserved: '0', version: 1 })
      has(await harness.store.settle({ reservationId, charge }), { state: 'settled', captured: '7', replayed: false })
      await refused(harness.store.settle({ reservationId, charge, userId: other }), 'RESERVATION_NOT_FOUND')
      const released = await reserve(harness, userId, '10')
      await harness.store.release({ reservationId: released.reservationId })
      const again = { reservationId: released.reservationId, userId: other }
      await refused(harness.store.settle(again), 'RESERVATION_NOT_FOUND')
      await balanceIs(harness, userId, { available: '43', reserved: '0', version: 2 })
      await balanceIs(harness, other, { available: '50', version: 1 })
    },
  },
  {
    claim: 'overage is spent after all credits, as debt, up to the limit; beyond it, uncollected',
    async run(harness) {
      const userId = await harness.createUser()
      await harness.allowOverage(userId, '20')
      await balanceIs(harness, userId, { overageLimit: '20', available: '70' })
      const { reservationId } = await reserve(harness, userId, '60')
      has(await harness.store.settle({ reservationId, charge: chargeOf('60') }), { captured: '60', uncollected: '0' })
      await balanceIs(harness, userId, { planCredits: '0', addOnCredits: '0', debt: '10', available: '10' })
      const last = await reserve(harness, userId, '10')
      const settled = await harness.store.settle({ reservationId: last.reservationId, charge: chargeOf('12') })
      has(settled, { captured: '10', uncollected: '2' })
      equal(settled.transaction?.balanceAfter, '-20', 'balanceAfter')
      await balanceIs(harness, userId, { debt: '20', available: '0' })
    },
  },
  {
    claim: 'the next grant pays the debt first',
    async run(harness) {
      const userId = await harness.createUser()
      await harness.allowOverage(userId, '20')
      const { reservationId } = await reserve(harness, userId, '60')
      await harness.store.settle({ reservationId, charge: chargeOf('60') })
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
        const { reservationId } = await reserve(harness, userId, amount)
        await harness.store.settle({ reservationId, charge: chargeOf(amount) })
      }
      await balanceIs(harness, userId, { planCredits: '16.366666', available: '16.366666' })
    },
  },
]
