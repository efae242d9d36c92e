import { describe, expect, it } from 'vitest'
import { errorOf, fault, SONNET, settled, setup, USAGE } from './__fixtures__/setup.ts'

describe('the cache of prices', () => {
  it('reads the store once for many first calls at once', async () => {
    const { credits, calls } = setup()
    await Promise.all(Array.from({ length: 20 }, () => credits.price({ model: SONNET, usage: USAGE })))
    expect(calls).toEqual(['getPricing'])
  })

  it('reads the store again after a first load that failed', async () => {
    const { credits, faults } = setup()
    faults.getPricing = [fault('STORE_UNAVAILABLE')]
    expect((await errorOf(credits.price({ model: SONNET, usage: USAGE }))).code).toBe('STORE_UNAVAILABLE')
    expect((await credits.price({ model: SONNET, usage: USAGE })).amount).toBe('3.36')
  })

  it('keeps the old prices in use when a refresh fails', async () => {
    const { credits, faults } = setup({ pricingTtlSeconds: 0, onError: () => undefined })
    await credits.price({ model: SONNET, usage: USAGE })
    faults.getPricing = [fault('STORE_UNAVAILABLE')]
    expect((await credits.price({ model: SONNET, usage: USAGE })).amount).toBe('3.36')
    await settled()
    expect((await credits.price({ model: SONNET, usage: USAGE })).amount).toBe('3.36')
  })

  it('serves a stale price once more while a single refresh runs in the background', async () => {
    const { credits, memory, calls } = setup({ pricingTtlSeconds: 0 })
    await credits.price({ model: SONNET, usage: USAGE })
    memory.setRates([{ modelId: SONNET, pricing: { input: '0.000006', output: '0.00003' } }])
    expect((await credits.price({ model: SONNET, usage: USAGE })).amount).toBe('3.36')
    await settled()
    expect((await credits.price({ model: SONNET, usage: USAGE })).amount).toBe('6.72')
    expect(calls.length).toBeLessThanOrEqual(3)
  })
})

describe('price', () => {
  it('charges the cost that the gateway reported and keeps the computed one', async () => {
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

  it('charges a reported cost also where no rate is known or the usage counts nothing', async () => {
    const { credits } = setup()
    const reported = { costUsd: '0.02', source: 'gateway-cost' } as const
    const unpriced = { amount: '3.2', computedCostUsd: null, pricing: null }
    const unknown = await credits.price({ model: 'unknown/model', usage: USAGE, reported })
    expect(unknown).toMatchObject({ ...unpriced, rateId: null })
    expect(await credits.price({ model: SONNET, usage: {}, reported })).toMatchObject(unpriced)
  })

  it('flags the price of the gateway also where the rate was frozen by a reservation', async () => {
    const { credits, memory, userId } = setup()
    const pricing = { input: '0.000003', output: '0.000015' }
    const rates = [{ modelId: 'openai/gpt-5', type: 'language', pricing, source: 'AI Gateway /v1/models' }]
    await memory.addRates({ rates })
    const model = 'openai:gpt-5'
    const now = await credits.price({ model, usage: USAGE })
    expect(now.flags).toEqual(['gateway_price'])
    const { rateId, marginId } = await credits.reserve({ userId, model, amount: '5' })
    const ids = { rateId: rateId ?? '', marginId: marginId ?? '' }
    expect((await credits.price({ model, usage: USAGE, ...ids })).flags).toEqual(['gateway_price'])
    expect((await credits.price({ model: 'openai/gpt-5', usage: USAGE, ...ids })).flags).toEqual([])
  })

  it('refuses a usage without a known count', async () => {
    const { credits } = setup()
    expect((await errorOf(credits.price({ model: SONNET, usage: {} }))).code).toBe('USAGE_MISSING')
  })

  it('keeps no flags and no raw usage for a usage that was fully understood', async () => {
    const { credits } = setup()
    expect(await credits.price({ model: SONNET, usage: USAGE })).toMatchObject({ flags: [], rawUsage: null })
  })

  it('keeps what was reported with the flags of a usage that was not fully understood', async () => {
    const { credits } = setup()
    const usage = { ...USAGE, cacheReadTokens: 3000 }
    const reported = { costUsd: '0.02', source: 'market-cost', flags: ['reported_capped'] } as const
    const charge = await credits.price({ model: SONNET, usage, reported, flags: ['output_estimated'] })
    expect(charge.flags).toEqual(expect.arrayContaining(['usage_inconsistent', 'reported_capped', 'output_estimated']))
    expect(charge.rawUsage).toEqual(usage)
  })

  it('cuts a raw usage to 4 kB', async () => {
    const { credits } = setup()
    const rawUsage = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`field-${index}`, 'x'.repeat(300)]))
    const charge = await credits.price({ model: SONNET, usage: USAGE, rawUsage })
    expect(JSON.stringify(charge.rawUsage).length).toBeLessThanOrEqual(4096)
  })

  it('makes a charge that settle accepts, flags and raw usage included', async () => {
    const { credits, userId } = setup()
    const usage = { ...USAGE, cacheReadTokens: 3000 }
    const charge = await credits.price({ model: SONNET, usage, userId })
    const { reservationId } = await credits.reserve({ userId, amount: '10', model: SONNET })
    const { transaction } = await credits.settle({ userId, reservationId, charge })
    expect(transaction?.amount).toBe(`-${charge.amount}`)
  })

  it('is checked again by settle: a changed charge is refused', async () => {
    const { credits, userId } = setup()
    const charge = await credits.price({ model: SONNET, usage: USAGE })
    const { reservationId } = await credits.reserve({ userId, amount: '10', model: SONNET })
    const settle = credits.settle({ userId, reservationId, charge: { ...charge, amount: '-1' } })
    expect((await errorOf(settle)).code).toBe('INVALID_INPUT')
  })
})

describe('findPricing', () => {
  it('finds the rate and margin in force, and the frozen ones by their ids', async () => {
    const { credits } = setup()
    const { rate, margin, marginPercent, ceilingCredits } = await credits.findPricing({ model: SONNET })
    expect({ modelId: rate?.modelId, marginPercent, ceilingCredits }).toEqual({
      modelId: SONNET,
      marginPercent: '60',
      ceilingCredits: null,
    })
    await credits.setMargin({ scope: 'default', marginPercent: '100' })
    expect((await credits.findPricing({ model: SONNET })).marginPercent).toBe('100')
    const frozen = { model: SONNET, rateId: rate?.id, marginId: margin.id }
    expect((await credits.findPricing(frozen)).marginPercent).toBe('60')
  })

  it('finds no rate but a ceiling for an unknown model where unknown models are allowed', async () => {
    const { credits } = setup({ unknownModels: { ceilingCredits: '5' } })
    const pricing = await credits.findPricing({ model: 'unknown/model' })
    expect(pricing).toMatchObject({ rate: null, marginPercent: '60', ceilingCredits: '5' })
    const charge = await credits.price({ model: 'unknown/model', usage: USAGE })
    expect(charge).toMatchObject({ amount: '5', costUsd: '0.03125', costSource: 'estimate', rateId: null })
  })

  it('refuses an unknown model where unknown models are not allowed', async () => {
    const { credits } = setup()
    expect((await errorOf(credits.findPricing({ model: 'unknown/model' }))).code).toBe('UNKNOWN_MODEL')
  })

  it('finds the margin of a plan from the user, with one look at the balance', async () => {
    const { credits, userId, calls } = setup({ pricingTtlSeconds: 0 })
    await credits.setMargin({ scope: 'plan', target: 'free', marginPercent: '0' })
    const { reservationId } = await credits.reserve({ userId, amount: '10', model: SONNET })
    await credits.reserve({ userId, amount: '10', model: SONNET })
    expect(calls.filter((call) => call === 'getBalance')).toHaveLength(1)
    expect((await credits.settle({ userId, reservationId, usage: USAGE })).captured).toBe('2.1')
  })
})

describe('margins', () => {
  it('getMargins separates those in force, overrides and scheduled ones', async () => {
    const { credits } = setup()
    await credits.setMargin({ scope: 'model', target: SONNET, marginPercent: '20' })
    await credits.setMargin({ scope: 'model', target: 'a/b', marginPercent: '30' })
    await credits.removeMargin({ scope: 'model', target: 'a/b' })
    const effectiveFrom = '2999-01-01T00:00:00Z'
    await credits.setMargin({ scope: 'provider', target: 'a', marginPercent: '9', effectiveFrom })
    const margins = await credits.getMargins()
    expect(margins.default?.marginPercent).toBe('60')
    expect(margins.overrides.map((row) => row.target)).toEqual([SONNET])
    expect(margins.scheduled.map((row) => row.target)).toEqual(['a'])
    const { data } = await credits.getMarginAudit({ limit: 2 })
    expect(data.map((entry) => entry.operation)).toEqual(['insert', 'delete'])
  })
})
