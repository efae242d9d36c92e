import { describe, expect, it, vi } from 'vitest'
import { errorOf, fault, setup } from './__fixtures__/setup.ts'

describe('a store that is down', () => {
  it('refuses every reserve by default', async () => {
    const { credits, userId, faults } = setup()
    faults.reserve = [fault('STORE_UNAVAILABLE')]
    expect((await errorOf(credits.reserve({ userId, amount: '1' }))).code).toBe('STORE_UNAVAILABLE')
  })
})

describe('failOpen', () => {
  it('makes provisional reservations up to the cap, which are charged when they are settled', async () => {
    const { credits, userId, faults } = setup({ failOpen: { maxCredits: '15' }, onError: () => undefined })
    faults.reserve = [fault('STORE_UNAVAILABLE'), fault('OUTCOME_UNKNOWN')]
    const provisional = await credits.reserve({ userId, amount: '10' })
    expect(provisional).toMatchObject({ failedOpen: true, amount: '10', state: 'active' })
    expect((await errorOf(credits.reserve({ userId, amount: '10' }))).code).toBe('OUTCOME_UNKNOWN')
    const { reservationId } = provisional
    expect((await credits.settle({ userId, reservationId, amount: '7' })).captured).toBe('7')
    expect(await credits.getBalance({ userId })).toMatchObject({ available: '43', reserved: '0' })
  })

  it('reports each provisional reservation to onError', async () => {
    const onError = vi.fn()
    const { credits, userId, faults } = setup({ failOpen: { maxCredits: '15' }, onError })
    const error = fault('STORE_UNAVAILABLE')
    faults.reserve = [error]
    const { reservationId } = await credits.reserve({ userId, amount: '10' })
    expect(onError.mock.calls).toEqual([[error, { operation: 'reserve', userId, reservationId }]])
  })

  it('charges a provisional reservation of its own user only', async () => {
    const { credits, memory, userId, faults } = setup({ failOpen: { maxCredits: '15' }, onError: () => undefined })
    faults.reserve = [fault('STORE_UNAVAILABLE')]
    const { reservationId } = await credits.reserve({ userId, amount: '10' })
    const stranger = memory.createAccount().userId
    const error = await errorOf(credits.settle({ userId: stranger, reservationId, amount: '7' }))
    expect(error.code).toBe('RESERVATION_NOT_FOUND')
    expect((await credits.settle({ userId, reservationId, amount: '7' })).captured).toBe('7')
  })

  it('records the cost of a provisional reservation as uncollected when nothing is left, whole or in parts', async () => {
    const { credits, memory, userId, faults } = setup({ failOpen: { maxCredits: '15' }, onError: () => undefined })
    const reserveProvisional = async () => {
      faults.reserve = [fault('STORE_UNAVAILABLE')]
      return (await credits.reserve({ userId, amount: '5' })).reservationId
    }
    const [whole, inParts] = [await reserveProvisional(), await reserveProvisional()]
    await memory.reserve({ reservationId: crypto.randomUUID(), userId, amount: '50', ttlSeconds: 300 })
    const late = { captured: '0', uncollected: '4', late: true }
    expect(await credits.settle({ userId, reservationId: whole, amount: '4' })).toMatchObject(late)
    const part = { userId, reservationId: inParts, amount: '4', idempotencyKey: 'step 1' }
    const captured = await credits.capture(part)
    expect(captured).toMatchObject({ ...late, reservationId: inParts, extension: { granted: false } })
    expect(await credits.capture(part)).toMatchObject({ ...late, replayed: true })
    expect(await credits.settle({ userId, reservationId: inParts, amount: '4' })).toMatchObject(late)
    const { data } = await credits.getHistory({ userId, type: 'usage' })
    expect(data.map((row) => row.uncollected)).toEqual(['4', '4', '4'])
  })

  it('makes a provisional reservation real when it is extended', async () => {
    const { credits, userId, faults } = setup({ failOpen: { maxCredits: '15' }, onError: () => undefined })
    faults.reserve = [fault('STORE_UNAVAILABLE')]
    const { reservationId } = await credits.reserve({ userId, amount: '10' })
    expect(await credits.extend({ userId, reservationId, amount: '5' })).toMatchObject({ amount: '15' })
    expect(await credits.getBalance({ userId })).toMatchObject({ reserved: '15' })
  })

  it('release frees the cap, and the reservation whose lost reserve had arrived', async () => {
    const { credits, memory, userId, faults } = setup({ failOpen: { maxCredits: '10' }, onError: () => undefined })
    for (let count = 0; count < 3; count += 1) {
      faults.reserve = [fault('STORE_UNAVAILABLE')]
      const { reservationId } = await credits.reserve({ userId, amount: '10' })
      await memory.reserve({ reservationId, userId, amount: '10', ttlSeconds: 300 })
      expect(await credits.release({ userId, reservationId })).toMatchObject({ state: 'released', amount: '0' })
    }
    expect((await credits.getBalance({ userId })).reserved).toBe('0')
  })

  it('never turns a refusal into a provisional reservation', async () => {
    const { credits, userId } = setup({ failOpen: { maxCredits: '1000' } })
    expect((await errorOf(credits.reserve({ userId, amount: '60' }))).code).toBe('INSUFFICIENT_CREDITS')
  })
})
