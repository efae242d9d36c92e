import { afterEach, describe, expect, it, vi } from 'vitest'
import { errorOf, fault, SONNET, settled, setup, USAGE } from './credits/__fixtures__/setup.ts'
import type { Credits } from './credits/types.ts'
import { createCredits, release, reserve, settle } from './credits.ts'
import { memoryStore } from './store/memory/index.ts'
import type { CreditStore } from './store/port.ts'

afterEach(() => vi.restoreAllMocks())

describe('createCredits', () => {
  it('refuses a bad option at once', () => {
    expect(() => createCredits({ store: {} as CreditStore })).toThrow(/store/)
    expect(() => createCredits({ store: memoryStore(), reservationTtlSeconds: 0 })).toThrow(/reservationTtlSeconds/)
    expect(() => createCredits({ store: memoryStore(), onError: 'log' as never })).toThrow(/onError/)
  })

  it('makes a lazy store at the first operation, once', async () => {
    const memory = memoryStore()
    const { userId } = memory.createAccount()
    const make = vi.fn(() => memory)
    const credits = createCredits({ store: make })
    expect(make).not.toHaveBeenCalled()
    await Promise.all([credits.getBalance({ userId }), credits.getBalance({ userId }), credits.pricing()])
    expect(make).toHaveBeenCalledTimes(1)
  })

  it('rejects with CONFIG_INVALID while a lazy store cannot be made, and tries again', async () => {
    const memory = memoryStore()
    const { userId } = memory.createAccount()
    const make = vi.fn((): CreditStore => memory)
    make.mockImplementationOnce(() => {
      throw new Error('supabaseUrl is required')
    })
    make.mockImplementationOnce(() => ({}) as CreditStore)
    const credits = createCredits({ store: make })
    const error = await errorOf(credits.getBalance({ userId }))
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('supabaseUrl is required') })
    expect((await errorOf(credits.getBalance({ userId }))).code).toBe('CONFIG_INVALID')
    expect((await credits.getBalance({ userId })).available).toBe('50')
  })

  it('has functions over a store that share one cache of prices', async () => {
    const { store, userId, calls } = setup()
    const first = await reserve(store, { userId, amount: '10', model: SONNET })
    expect((await settle(store, { userId, reservationId: first.reservationId, amount: '3.36' })).captured).toBe('3.36')
    const second = await reserve(store, { userId, amount: '10', model: SONNET })
    expect(await release(store, { userId, reservationId: second.reservationId })).toMatchObject({ state: 'released' })
    expect(calls.filter((call) => call === 'getPricing')).toHaveLength(1)
  })
})

describe('onError', () => {
  it('receives a failed background refresh with its operation', async () => {
    const onError = vi.fn()
    const { credits, faults } = setup({ pricingTtlSeconds: 0, onError })
    await credits.price({ model: SONNET, usage: USAGE })
    const error = fault('STORE_UNAVAILABLE')
    faults.getPricing = [error]
    await credits.price({ model: SONNET, usage: USAGE })
    await settled()
    expect(onError.mock.calls).toEqual([[error, { operation: 'pricing' }]])
  })

  it('is console.error when none is given', () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    const { credits } = setup()
    credits.onError(new Error('lost'), { operation: 'settle', userId: 'user' })
    expect(log).toHaveBeenCalledWith('credits:', expect.any(Error), { operation: 'settle', userId: 'user' })
  })

  it('never throws, and is logged together with the error when the handler of the app throws', () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    const { credits } = setup({
      onError: () => {
        throw new Error('the handler is broken')
      },
    })
    expect(() => credits.onError(new Error('lost'), { operation: 'settle' })).not.toThrow()
    expect(log).toHaveBeenCalledTimes(2)
  })
})

describe('validation', () => {
  it.each<[string, (credits: Credits, userId: string) => Promise<unknown>]>([
    ['amount', (credits, userId) => credits.reserve({ userId, amount: 1 as never })],
    ['amount', (credits, userId) => credits.reserve({ userId, amount: '1e3' })],
    ['amount', (credits, userId) => credits.reserve({ userId, amount: '-1' })],
    ['amount', (credits, userId) => credits.reserve({ userId, amount: '１' })],
    ['amount', (credits, userId) => credits.reserve({ userId })],
    ['amount', (credits, userId) => credits.grant({ userId, amount: '0', source: 'promo', idempotencyKey: 'k' })],
    ['userId', (credits) => credits.reserve({ userId: "' or 1=1", amount: '1' })],
    ['userId', (credits, userId) => credits.settle({ reservationId: userId } as never)],
    ['userId', (credits, userId) => credits.release({ reservationId: userId } as never)],
    ['userId', (credits, userId) => credits.refund({ transactionId: userId, reason: 'r' } as never)],
    ['userId', (credits, userId) => credits.reverse({ transactionId: userId, reason: 'r' } as never)],
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
    ['marginId', (credits, userId) => credits.findPricing({ model: SONNET, rateId: userId })],
    ['usage.inputTokens', (credits) => credits.price({ model: SONNET, usage: { inputTokens: -1 } })],
  ])('refuses a malformed %s, names its path and changes nothing', async (path, call) => {
    const { credits, userId } = setup()
    const { code, details } = await errorOf(call(credits, userId))
    expect({ code, details }).toMatchObject({ code: 'INVALID_INPUT', details: { issues: [{ path }] } })
    expect(await credits.getBalance({ userId })).toMatchObject({ reserved: '0', version: 1 })
  })

  it('refuses a misspelt field instead of ignoring it', async () => {
    const { credits, userId } = setup()
    const misspelt = { userId, amount: '1', minimunAmount: '1' }
    expect((await errorOf(credits.reserve(misspelt))).message).toContain('minimunAmount')
  })
})
