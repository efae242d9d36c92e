import { describe, expect, it } from 'vitest'
import { CreditError } from '../core/errors.ts'
import { uuidv7 } from '../core/ids.ts'
import { createCredits } from '../credits.ts'
import { errorOf, fault, SONNET, setup, USAGE } from './__fixtures__/setup.ts'

describe('reserve and settle', () => {
  it('settle by usage charges with the rate and margin of the reservation', async () => {
    const { credits, userId } = setup()
    const reserved = await credits.reserve({ userId, amount: '10', model: SONNET, feature: 'chat' })
    expect(reserved).toMatchObject({ amount: '10', model: SONNET, failedOpen: false })
    const { transaction } = await credits.settle({ userId, reservationId: reserved.reservationId, usage: USAGE })
    expect(transaction).toMatchObject({ amount: '-3.36', model: SONNET, feature: 'chat', inputTokens: 2000 })
  })

  it('a margin that changes after the reserve does not change the charge', async () => {
    const { credits, userId, store } = setup({ pricingTtlSeconds: 0 })
    const { reservationId } = await credits.reserve({ userId, amount: '10', model: SONNET })
    await credits.setMargin({ scope: 'default', marginPercent: '100' })
    expect((await credits.settle({ userId, reservationId, usage: USAGE })).captured).toBe('3.36')
    const other = createCredits({ store })
    const next = await other.reserve({ userId, amount: '10', model: SONNET })
    expect((await other.settle({ userId, reservationId: next.reservationId, usage: USAGE })).captured).toBe('4.2')
  })

  it('another process prices a reservation with the rows that it froze', async () => {
    const { credits, userId, store } = setup()
    const { reservationId } = await credits.reserve({ userId, amount: '10', model: SONNET })
    await credits.setMargin({ scope: 'model', target: SONNET, marginPercent: '300' })
    const elsewhere = createCredits({ store })
    expect((await elsewhere.settle({ userId, reservationId, usage: USAGE })).captured).toBe('3.36')
  })

  it('a reserve and a settle by usage are two calls of the store once prices are cached', async () => {
    const { credits, userId, calls } = setup()
    await credits.pricing()
    calls.length = 0
    const { reservationId } = await credits.reserve({ userId, amount: '10', model: SONNET })
    await credits.settle({ userId, reservationId, usage: USAGE })
    expect(calls).toEqual(['reserve', 'settle'])
  })

  it('reserve with an estimate reserves its price, rounded up', async () => {
    const { credits, userId } = setup()
    const estimate = { inputTokens: 2000, maxOutputTokens: 1000, cacheWrite: 'none' } as const
    expect((await credits.reserve({ userId, model: SONNET, estimate })).amount).toBe('3.36')
  })

  it('reserve of zero makes a reservation that can be settled', async () => {
    const { credits, userId } = setup()
    const { reservationId } = await credits.reserve({ userId, amount: '0', model: SONNET })
    expect(await credits.settle({ userId, reservationId, amount: '0' })).toMatchObject({ captured: '0' })
  })

  it('reserve refuses a model without a known price before anything is reserved', async () => {
    const { credits, userId } = setup()
    const error = await errorOf(credits.reserve({ userId, amount: '1', model: 'unknown/model' }))
    expect(error.code).toBe('UNKNOWN_MODEL')
    expect((await credits.getBalance({ userId })).reserved).toBe('0')
  })

  it('settle and capture refuse a usage without a known count and charge nothing', async () => {
    const { credits, userId } = setup()
    const { reservationId } = await credits.reserve({ userId, amount: '10', model: SONNET })
    const key = { userId, reservationId }
    expect((await errorOf(credits.settle({ ...key, usage: {} }))).code).toBe('USAGE_MISSING')
    const capture = credits.capture({ ...key, usage: {}, idempotencyKey: 'step-1' })
    expect((await errorOf(capture)).code).toBe('USAGE_MISSING')
    expect(await credits.getReservation(key)).toMatchObject({ state: 'active', captured: '0' })
  })

  it('settle by usage in the name of another user finds no reservation', async () => {
    const { credits, memory, userId } = setup()
    const { reservationId } = await credits.reserve({ userId, amount: '10', model: SONNET })
    const stranger = memory.createAccount().userId
    const error = await errorOf(credits.settle({ userId: stranger, reservationId, usage: USAGE }))
    expect(error.code).toBe('RESERVATION_NOT_FOUND')
    expect(await credits.getReservation({ userId, reservationId })).toMatchObject({ state: 'active' })
  })

  it('capture charges once under the same key and reserves more in the same call', async () => {
    const { credits, userId, calls } = setup()
    const { reservationId } = await credits.reserve({ userId, amount: '10' })
    const input = { userId, reservationId, amount: '4', idempotencyKey: 'step-1', extend: { amount: '5' } }
    expect(await credits.capture(input)).toMatchObject({ captured: '4', amount: '11' })
    expect(await credits.capture(input)).toMatchObject({ captured: '4', amount: '11', replayed: true })
    expect(calls.filter((call) => call === 'extend')).toEqual([])
  })

  it('the same capture key in another reservation is another capture', async () => {
    const { credits, userId } = setup()
    for (const captured of ['4', '4']) {
      const { reservationId } = await credits.reserve({ userId, amount: '10' })
      const capture = { userId, reservationId, amount: '4', idempotencyKey: 'step-1' }
      expect(await credits.capture(capture)).toMatchObject({ captured, replayed: false })
    }
  })
})

describe('idempotency keys of reserve', () => {
  it('the same key is the same reservation, and of another user another one', async () => {
    const { credits, memory, userId } = setup()
    const first = await credits.reserve({ userId, amount: '10', idempotencyKey: 'message-1' })
    const again = await credits.reserve({ userId, amount: '10', idempotencyKey: 'message-1' })
    expect(again).toMatchObject({ reservationId: first.reservationId, replayed: true })
    const other = memory.createAccount().userId
    const theirs = await credits.reserve({ userId: other, amount: '10', idempotencyKey: 'message-1' })
    expect(theirs.reservationId).not.toBe(first.reservationId)
  })

  it('a repetition after a change of prices is still the same request', async () => {
    const { credits, userId } = setup()
    const input = { userId, model: SONNET, estimate: { inputTokens: 2000, maxOutputTokens: 1000 }, idempotencyKey: 'k' }
    const first = await credits.reserve(input)
    await credits.setMargin({ scope: 'default', marginPercent: '100' })
    expect(await credits.reserve(input)).toMatchObject({ replayed: true, amount: first.amount })
    const other = { ...input, feature: 'other' }
    expect((await errorOf(credits.reserve(other))).code).toBe('IDEMPOTENCY_MISMATCH')
  })

  it('another amount under the same key is a mismatch and changes nothing', async () => {
    const { credits, userId } = setup()
    const { reservationId } = await credits.reserve({ userId, amount: '1', idempotencyKey: 'fixed' })
    const other = credits.reserve({ userId, amount: '2', idempotencyKey: 'fixed' })
    expect((await errorOf(other)).code).toBe('IDEMPOTENCY_MISMATCH')
    expect((await credits.getReservation({ userId, reservationId })).amount).toBe('1')
  })

  it.each(['settle', 'release'] as const)(
    'the key of a reservation after %s is refused, never a go-ahead',
    async (end) => {
      const { credits, userId } = setup()
      const job = { userId, amount: '10', idempotencyKey: 'job-1' }
      const { reservationId } = await credits.reserve(job)
      const { state } = await credits[end]({ userId, reservationId })
      const { code, details } = await errorOf(credits.reserve(job))
      expect({ code, details }).toMatchObject({ code: 'RESERVATION_CLOSED', details: { reservationId, state } })
    },
  )

  it('the key of an expired reservation is refused too', async () => {
    const { credits, memory, userId } = setup()
    const job = { userId, amount: '10', ttlSeconds: 60, idempotencyKey: 'job-1' }
    await credits.reserve(job)
    memory.advance(61)
    const { code, details } = await errorOf(credits.reserve(job))
    expect({ code, details }).toMatchObject({ code: 'RESERVATION_CLOSED', details: { state: 'expired' } })
  })
})

describe('a reserve whose answer was lost', () => {
  it('is made again with a new id when the first reservation expired meanwhile and no key was given', async () => {
    const { credits, userId, faults, calls } = setup()
    const details = { reservationId: await uuidv7({ accountId: userId }), state: 'expired' }
    faults.reserve = [new CreditError({ code: 'RESERVATION_CLOSED', details })]
    expect(await credits.reserve({ userId, amount: '10' })).toMatchObject({ state: 'active', amount: '10' })
    expect(calls).toEqual(['reserve', 'reserve'])
    expect(await credits.getBalance({ userId })).toMatchObject({ reserved: '10' })
  })

  it('is not made again for a reservation that was closed otherwise', async () => {
    const { credits, userId, faults } = setup()
    const details = { reservationId: await uuidv7({ accountId: userId }), state: 'released' }
    faults.reserve = [new CreditError({ code: 'RESERVATION_CLOSED', details })]
    expect((await errorOf(credits.reserve({ userId, amount: '10' }))).code).toBe('RESERVATION_CLOSED')
  })

  it('carries the id that makes its outcome known', async () => {
    const { credits, userId, faults } = setup()
    faults.reserve = [fault('OUTCOME_UNKNOWN')]
    const { code, details } = await errorOf(credits.reserve({ userId, amount: '1', idempotencyKey: 'k' }))
    expect(code).toBe('OUTCOME_UNKNOWN')
    const { reservationId } = await credits.reserve({ userId, amount: '1', idempotencyKey: 'k' })
    expect(details).toMatchObject({ reservationId })
  })
})

describe('errors of reserve', () => {
  it('INSUFFICIENT_CREDITS says what is available, what is required, the balance and where to get more', async () => {
    const { credits, userId } = setup({ upgradeUrl: '/upgrade' })
    await credits.reserve({ userId, amount: '20' })
    const { code, status, details } = await errorOf(credits.reserve({ userId, amount: '60' }))
    expect({ code, status }).toEqual({ code: 'INSUFFICIENT_CREDITS', status: 402 })
    expect(details).toEqual({ available: '30', required: '60', balance: '50', upgradeUrl: '/upgrade' })
  })

  it('the use cases repeat nothing: an error of the store is final', async () => {
    const { credits, userId, faults, calls } = setup()
    const { reservationId } = await credits.reserve({ userId, amount: '10' })
    calls.length = 0
    faults.settle = [fault('STORE_BUSY')]
    expect((await errorOf(credits.settle({ userId, reservationId, amount: '4' }))).code).toBe('STORE_BUSY')
    faults.reserve = [fault('STORE_BUSY')]
    expect((await errorOf(credits.reserve({ userId, amount: '10' }))).code).toBe('STORE_BUSY')
    expect(calls).toEqual(['settle', 'reserve'])
  })
})
