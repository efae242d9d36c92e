import { describe, expect, it } from 'vitest'
import { CreditError } from './core/errors.ts'
import type { Credits, CreditsOptions } from './credits/types.ts'
import { createCredits, reserve, settle } from './credits.ts'
import { memoryStore } from './store/memory.ts'
import type { CreditStore } from './store/port.ts'

const SONNET = 'anthropic/claude-sonnet-4.5'
const USAGE = { inputTokens: 2000, outputTokens: 1000 }

/** A store with one model, one user of 50 credits, and the calls that reached it. */
function setup(options: Partial<CreditsOptions> = {}) {
  const memory = memoryStore({ rates: [{ modelId: SONNET, pricing: { input: '0.000003', output: '0.000015' } }] })
  const { userId } = memory.createAccount()
  const calls: string[] = []
  const faults: Partial<Record<keyof CreditStore, unknown[]>> = {}
  const store = new Proxy(memory, {
    get(target, name: keyof CreditStore) {
      const method = target[name]
      if (typeof method !== 'function') return method
      return async (input: never) => {
        calls.push(name)
        const fault = faults[name]?.shift()
        if (fault !== undefined) throw fault
        return (method as (input: never) => unknown)(input)
      }
    },
  })
  const credits = createCredits({ store, ...options })
  return { credits, memory, store, userId, calls, faults }
}

const down = (code: 'STORE_UNAVAILABLE' | 'OUTCOME_UNKNOWN' | 'STORE_BUSY') => new CreditError({ code })

async function errorOf(promise: Promise<unknown>): Promise<CreditError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!CreditError.isInstance(error)) throw new Error(`expected a CreditError, got ${String(error)}`)
  return error
}

describe('reserve and settle', () => {
  it('settling by usage charges with the rate and margin of the reservation', async () => {
    const { credits, userId } = setup()
    const held = await credits.reserve({ userId, amount: '10', model: SONNET, feature: 'chat' })
    expect(held).toMatchObject({ amount: '10', model: SONNET, failedOpen: false })
    const { transaction } = await credits.settle({ reservationId: held.reservationId, usage: USAGE })
    expect(transaction).toMatchObject({ amount: '-3.36', model: SONNET, feature: 'chat', inputTokens: 2000 })
  })

  it('a margin changed after the reserve does not change the charge', async () => {
    const { credits, userId, store } = setup({ pricingTtlSeconds: 0 })
    const { reservationId } = await credits.reserve({ userId, amount: '10', model: SONNET })
    await credits.setMargin({ scope: 'default', marginPercent: '100' })
    expect((await credits.settle({ reservationId, usage: USAGE })).captured).toBe('3.36')
    const other = createCredits({ store })
    const next = await other.reserve({ userId, amount: '10', model: SONNET })
    expect((await other.settle({ reservationId: next.reservationId, usage: USAGE })).captured).toBe('4.2')
  })

  it('another process prices a reservation it has never seen with the frozen rows', async () => {
    const { credits, userId, store } = setup()
    const { reservationId } = await credits.reserve({ userId, amount: '10', model: SONNET })
    await credits.setMargin({ scope: 'model', target: SONNET, marginPercent: '300' })
    const elsewhere = createCredits({ store })
    expect((await elsewhere.settle({ reservationId, usage: USAGE })).captured).toBe('3.36')
  })

  it('pricing adds no call to the store after the first', async () => {
    const { credits, userId, calls } = setup()
    await credits.pricing()
    calls.length = 0
    const { reservationId } = await credits.reserve({ userId, amount: '10', model: SONNET })
    await credits.settle({ reservationId, usage: USAGE })
    expect(calls).toEqual(['reserve', 'settle'])
  })

  it('an estimate is priced and held, rounded up', async () => {
    const { credits, userId } = setup()
    const estimate = { inputTokens: 2000, maxOutputTokens: 1000, cacheWrite: 'none' } as const
    expect((await credits.reserve({ userId, model: SONNET, estimate })).amount).toBe('3.36')
  })

  it('a model without a known price is refused before anything is held', async () => {
    const { credits, userId } = setup()
    const error = await errorOf(credits.reserve({ userId, amount: '1', model: 'nobody/knows' }))
    expect(error.code).toBe('UNKNOWN_MODEL')
    expect((await credits.getBalance({ userId })).reserved).toBe('0')
  })

  it('the margin of a plan is found from the user, once', async () => {
    const { credits, userId, calls } = setup({ pricingTtlSeconds: 0 })
    await credits.setMargin({ scope: 'plan', target: 'free', marginPercent: '0' })
    const { reservationId } = await credits.reserve({ userId, amount: '10', model: SONNET })
    await credits.reserve({ userId, amount: '10', model: SONNET })
    expect(calls.filter((call) => call === 'getBalance')).toHaveLength(1)
    expect((await credits.settle({ reservationId, usage: USAGE })).captured).toBe('2.1')
  })

  it('the same idempotency key gives the same reservation, another user with that key gets their own', async () => {
    const { credits, memory, userId } = setup()
    const first = await credits.reserve({ userId, amount: '10', idempotencyKey: 'message-1' })
    const again = await credits.reserve({ userId, amount: '10', idempotencyKey: 'message-1' })
    expect(again).toMatchObject({ reservationId: first.reservationId, replayed: true })
    const other = memory.createAccount().userId
    const theirs = await credits.reserve({ userId: other, amount: '10', idempotencyKey: 'message-1' })
    expect(theirs.reservationId).not.toBe(first.reservationId)
  })

  it('a repeat after a change of prices is still the same request', async () => {
    const { credits, userId } = setup()
    const input = { userId, model: SONNET, estimate: { inputTokens: 2000, maxOutputTokens: 1000 }, idempotencyKey: 'k' }
    const first = await credits.reserve(input)
    await credits.setMargin({ scope: 'default', marginPercent: '100' })
    expect(await credits.reserve(input)).toMatchObject({ replayed: true, amount: first.amount })
    const other = { ...input, feature: 'other' }
    expect((await errorOf(credits.reserve(other))).code).toBe('IDEMPOTENCY_MISMATCH')
    const { reservationId } = await credits.reserve({ userId, amount: '1', idempotencyKey: 'fixed' })
    expect((await errorOf(credits.reserve({ userId, amount: '2', idempotencyKey: 'fixed' }))).code).toBe(
      'IDEMPOTENCY_MISMATCH',
    )
    expect((await credits.getReservation({ reservationId })).amount).toBe('1')
  })

  it('a capture under the same key charges once and can hold more in the same call', async () => {
    const { credits, userId, calls } = setup()
    const { reservationId } = await credits.reserve({ userId, amount: '10' })
    const input = { reservationId, amount: '4', idempotencyKey: 'step-1', extend: { amount: '5' } }
    expect(await credits.capture(input)).toMatchObject({ captured: '4', amount: '11' })
    expect(await credits.capture(input)).toMatchObject({ captured: '4', amount: '11', replayed: true })
    expect(calls.filter((call) => call === 'extend')).toEqual([])
  })

  it('the unbound functions do the same', async () => {
    const { store, userId } = setup()
    const { reservationId } = await reserve(store, { userId, amount: '10' })
    expect((await settle(store, { reservationId, amount: '3.36' })).captured).toBe('3.36')
  })
})

describe('errors', () => {
  it('too few credits tells what there is, what it takes and where to get more', async () => {
    const { credits, userId } = setup({ upgradeUrl: '/upgrade' })
    const { code, status, details } = await errorOf(credits.reserve({ userId, amount: '60' }))
    expect({ code, status }).toEqual({ code: 'INSUFFICIENT_CREDITS', status: 402 })
    expect(details).toEqual({ available: '50', required: '60', balance: '50', upgradeUrl: '/upgrade' })
  })

  it.each<[string, (credits: Credits, userId: string) => Promise<unknown>]>([
    ['amount', (credits, userId) => credits.reserve({ userId, amount: 1 as never })],
    ['amount', (credits, userId) => credits.reserve({ userId, amount: '1e3' })],
    ['amount', (credits, userId) => credits.reserve({ userId, amount: '0' })],
    ['amount', (credits, userId) => credits.reserve({ userId, amount: '１' })],
    ['amount', (credits, userId) => credits.reserve({ userId })],
    ['userId', (credits) => credits.reserve({ userId: "' or 1=1", amount: '1' })],
    ['minimumAmount', (credits, userId) => credits.reserve({ userId, amount: '1', minimumAmount: 'NaN' })],
    ['idempotencyKey', (credits, userId) => credits.reserve({ userId, amount: '1', idempotencyKey: 'a\0b' })],
    ['feature', (credits, userId) => credits.reserve({ userId, amount: '1', feature: '\ud800' })],
    ['metadata', (credits, userId) => credits.reserve({ userId, amount: '1', metadata: { a: 'x'.repeat(5000) } })],
    ['metadata', (credits, userId) => credits.reserve({ userId, amount: '1', metadata: { a: '\0' } })],
    ['metadata', (credits, userId) => credits.reserve({ userId, amount: '1', metadata: { a: 1n } })],
    ['limit', (credits, userId) => credits.getHistory({ userId, limit: 201 })],
    ['cursor', (credits, userId) => credits.getHistory({ userId, cursor: 'x' })],
    ['from', (credits, userId) => credits.getHistory({ userId, from: 'yesterday' })],
    ['marginPercent', (credits) => credits.setMargin({ scope: 'default', marginPercent: '-100' })],
    ['target', (credits) => credits.setMargin({ scope: 'model', marginPercent: '10' })],
    ['usage.inputTokens', (credits) => credits.price({ model: SONNET, usage: { inputTokens: -1 } })],
  ])('bad input is refused with its path: %s', async (path, call) => {
    const { credits, userId } = setup()
    const { code, details } = await errorOf(call(credits, userId))
    expect({ code, details }).toMatchObject({ code: 'INVALID_INPUT', details: { issues: [{ path }] } })
    expect(await credits.getBalance({ userId })).toMatchObject({ reserved: '0', version: 1 })
  })

  it('a misspelt field is refused instead of being passed over', async () => {
    const { credits, userId } = setup()
    const misspelt = { userId, amount: '1', minimunAmount: '1' }
    expect((await errorOf(credits.reserve(misspelt))).message).toContain('minimunAmount')
  })

  it('a bad option is refused when credits are made', () => {
    expect(() => createCredits({ store: {} as CreditStore })).toThrow(/store/)
    expect(() => createCredits({ store: memoryStore(), reservationTtlSeconds: 0 })).toThrow(/reservationTtlSeconds/)
  })

  it('an unknown outcome carries the id that makes it known', async () => {
    const { credits, userId, faults } = setup()
    faults.reserve = [down('OUTCOME_UNKNOWN')]
    const { code, details } = await errorOf(credits.reserve({ userId, amount: '1', idempotencyKey: 'k' }))
    expect(code).toBe('OUTCOME_UNKNOWN')
    const { reservationId } = await credits.reserve({ userId, amount: '1', idempotencyKey: 'k' })
    expect(details.reservationId).toBe(reservationId)
  })

  it('a charge that meets a busy store is tried again; a reserve is not', async () => {
    const { credits, userId, faults } = setup()
    faults.reserve = [down('STORE_BUSY')]
    expect((await errorOf(credits.reserve({ userId, amount: '10' }))).code).toBe('STORE_BUSY')
    const { reservationId } = await credits.reserve({ userId, amount: '10' })
    faults.settle = [down('STORE_BUSY'), down('STORE_BUSY')]
    expect((await credits.settle({ reservationId, amount: '4' })).captured).toBe('4')
  })
})

describe('history', () => {
  it('pages follow each other by cursor, and a cursor only fits its own listing', async () => {
    const { credits, memory, userId } = setup()
    for (const key of ['a', 'b', 'c']) {
      await credits.grant({ userId, amount: '1', source: 'promo', idempotencyKey: key })
    }
    const first = await credits.getHistory({ userId, limit: 3 })
    expect(first.data.map((row) => row.version)).toEqual([4, 3, 2])
    const cursor = first.nextCursor ?? ''
    expect(await credits.getHistory({ userId, limit: 3, cursor })).toMatchObject({
      data: [{ version: 1 }],
      nextCursor: null,
    })
    const other = memory.createAccount().userId
    expect((await errorOf(credits.getHistory({ userId: other, cursor }))).code).toBe('INVALID_INPUT')
    expect((await errorOf(credits.getHistory({ userId, type: 'grant', cursor }))).code).toBe('INVALID_INPUT')
  })

  it('any changed character of a cursor is noticed', async () => {
    const { credits, userId } = setup()
    await credits.grant({ userId, amount: '1', source: 'promo', idempotencyKey: 'a' })
    const cursor = (await credits.getHistory({ userId, limit: 1 })).nextCursor ?? ''
    for (let index = 0; index < cursor.length; index += 1) {
      const changed = cursor.slice(0, index) + (cursor[index] === 'A' ? 'B' : 'A') + cursor.slice(index + 1)
      expect((await errorOf(credits.getHistory({ userId, cursor: changed }))).code).toBe('INVALID_INPUT')
    }
  })
})

describe('prices', () => {
  it('many first calls at once read the store once', async () => {
    const { credits, calls } = setup()
    await Promise.all(Array.from({ length: 20 }, () => credits.price({ model: SONNET, usage: USAGE })))
    expect(calls).toEqual(['getPricing'])
  })

  it('a first load that fails is tried again by the next call', async () => {
    const { credits, faults } = setup()
    faults.getPricing = [down('STORE_UNAVAILABLE')]
    expect((await errorOf(credits.price({ model: SONNET, usage: USAGE }))).code).toBe('STORE_UNAVAILABLE')
    expect((await credits.price({ model: SONNET, usage: USAGE })).amount).toBe('3.36')
  })

  it('a refresh that fails leaves the old prices in use and tells onError', async () => {
    const told: string[] = []
    const { credits, faults } = setup({
      pricingTtlSeconds: 0,
      onError: (error, { operation }) => told.push(`${operation} ${error.code}`),
    })
    await credits.price({ model: SONNET, usage: USAGE })
    faults.getPricing = [down('STORE_UNAVAILABLE')]
    expect((await credits.price({ model: SONNET, usage: USAGE })).amount).toBe('3.36')
    await new Promise((resolve) => setImmediate(resolve))
    expect(told).toEqual(['pricing STORE_UNAVAILABLE'])
  })

  it('a stale price is served once more while one refresh runs behind it', async () => {
    const { credits, memory, calls } = setup({ pricingTtlSeconds: 0 })
    await credits.price({ model: SONNET, usage: USAGE })
    memory.setRates([{ modelId: SONNET, pricing: { input: '0.000006', output: '0.00003' } }])
    expect((await credits.price({ model: SONNET, usage: USAGE })).amount).toBe('3.36')
    await new Promise((resolve) => setImmediate(resolve))
    expect((await credits.price({ model: SONNET, usage: USAGE })).amount).toBe('6.72')
    expect(calls.length).toBeLessThanOrEqual(3)
  })

  it('the cost that the gateway reported wins, and both are kept', async () => {
    const { credits } = setup()
    const reported = { costUsd: '0.02', source: 'market-cost' } as const
    expect(await credits.price({ model: SONNET, usage: USAGE, reported })).toMatchObject({
      amount: '3.2',
      costUsd: '0.02',
      costSource: 'market-cost',
      computedCostUsd: '0.021',
      reportedCostUsd: '0.02',
    })
  })

  it('a reported cost is charged even where no rate is known', async () => {
    const { credits } = setup()
    const reported = { costUsd: '0.02', source: 'gateway-cost' } as const
    const charge = await credits.price({ model: 'nobody/knows', usage: USAGE, reported })
    expect(charge).toMatchObject({ amount: '3.2', rateId: null, computedCostUsd: null, pricing: null })
  })

  it('margins in force, overrides and scheduled ones are told apart', async () => {
    const { credits } = setup()
    await credits.setMargin({ scope: 'model', target: SONNET, marginPercent: '20' })
    await credits.setMargin({ scope: 'model', target: 'a/b', marginPercent: '30' })
    await credits.removeMargin({ scope: 'model', target: 'a/b' })
    await credits.setMargin({
      scope: 'provider',
      target: 'a',
      marginPercent: '9',
      effectiveFrom: '2999-01-01T00:00:00Z',
    })
    const margins = await credits.getMargins()
    expect(margins.default?.marginPercent).toBe('60')
    expect(margins.overrides.map((row) => row.target)).toEqual([SONNET])
    expect(margins.scheduled.map((row) => row.target)).toEqual(['a'])
    expect((await credits.getMarginAudit({ limit: 2 })).data.map((entry) => entry.operation)).toEqual([
      'insert',
      'delete',
    ])
  })
})

describe('a store that is down', () => {
  it('refuses by default', async () => {
    const { credits, userId, faults } = setup()
    faults.reserve = [down('STORE_UNAVAILABLE')]
    expect((await errorOf(credits.reserve({ userId, amount: '1' }))).code).toBe('STORE_UNAVAILABLE')
  })

  it('under failOpen a call is promised up to the cap, and booked when it is settled', async () => {
    const { credits, userId, faults } = setup({ failOpen: { maxCredits: '15' } })
    faults.reserve = [down('STORE_UNAVAILABLE'), down('STORE_UNAVAILABLE')]
    const promise = await credits.reserve({ userId, amount: '10' })
    expect(promise).toMatchObject({ failedOpen: true, amount: '10', state: 'active' })
    expect((await errorOf(credits.reserve({ userId, amount: '10' }))).code).toBe('STORE_UNAVAILABLE')
    expect((await credits.settle({ reservationId: promise.reservationId, amount: '7' })).captured).toBe('7')
    expect(await credits.getBalance({ userId })).toMatchObject({ available: '43', reserved: '0' })
  })

  it('the cost of a promised call is recorded when nothing is left to pay it, whole or in parts', async () => {
    const { credits, memory, userId, faults } = setup({ failOpen: { maxCredits: '15' } })
    const promise = async () => {
      faults.reserve = [down('STORE_UNAVAILABLE')]
      return (await credits.reserve({ userId, amount: '5' })).reservationId
    }
    const [whole, inParts] = [await promise(), await promise()]
    await memory.reserve({ reservationId: crypto.randomUUID(), userId, amount: '50', ttlSeconds: 300 })
    const late = { captured: '0', uncollected: '4', late: true }
    expect(await credits.settle({ reservationId: whole, amount: '4' })).toMatchObject(late)
    const part = { reservationId: inParts, amount: '4', idempotencyKey: 'step 1' }
    expect(await credits.capture(part)).toMatchObject({
      ...late,
      reservationId: inParts,
      extension: { granted: false },
    })
    expect(await credits.capture(part)).toMatchObject({ ...late, replayed: true })
    expect(await credits.settle({ reservationId: inParts, amount: '4' })).toMatchObject(late)
    const { data } = await credits.getHistory({ userId, type: 'usage' })
    expect(data.map((row) => row.uncollected)).toEqual(['4', '4', '4'])
  })

  it('a promise given back frees the cap, and the reservation if its lost reserve had arrived', async () => {
    const { credits, memory, userId, faults } = setup({ failOpen: { maxCredits: '10' } })
    for (let count = 0; count < 3; count += 1) {
      faults.reserve = [down('STORE_UNAVAILABLE')]
      const { reservationId } = await credits.reserve({ userId, amount: '10' })
      await memory.reserve({ reservationId, userId, amount: '10', ttlSeconds: 300 })
      expect(await credits.release({ reservationId })).toMatchObject({ state: 'released', amount: '0' })
    }
    expect((await credits.getBalance({ userId })).reserved).toBe('0')
  })

  it('a refusal is never turned into a promise', async () => {
    const { credits, userId } = setup({ failOpen: { maxCredits: '1000' } })
    expect((await errorOf(credits.reserve({ userId, amount: '60' }))).code).toBe('INSUFFICIENT_CREDITS')
  })
})
