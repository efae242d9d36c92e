import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compare } from '../money.ts'
import { chooseReportedCost, exactAmount, type ReportedCostChoice, readGatewayCosts } from './gateway-costs.ts'

describe('exactAmount', () => {
  it.each([
    ['0.000011844', '0.000011844'],
    ['1e-7', '0.0000001'],
    ['1.25E-6', '0.00000125'],
    ['12e2', '1200'],
    ['0', '0'],
    ['-0', '0'],
    ['0e5', '0'],
    [1e-7, '0.0000001'],
    [0.1, '0.1'],
    [3, '3'],
    ['007.50', '7.5'],
  ])('reads %j as %s', (value, amount) => {
    expect(exactAmount(value)).toBe(amount)
  })

  it.each([
    '',
    'NaN',
    'Infinity',
    '-1',
    '-1e-7',
    '1e309',
    '1e13',
    '1e-999',
    '0x1',
    '1,5',
    ' 1',
    '1e',
    null,
    undefined,
    true,
    {},
    Number.NaN,
    Number.POSITIVE_INFINITY,
  ])('refuses %j', (value) => {
    expect(exactAmount(value)).toBeNull()
  })

  it('reads every number as the decimal that JavaScript prints', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-30, max: 999_999_999_999, noNaN: true }), (value) => {
        const amount = exactAmount(value)
        expect(amount === null ? null : Number(amount)).toBe(amount === null ? null : value)
        expect(amount === null || /^[0-9]+(\.[0-9]+)?$/.test(amount)).toBe(true)
      }),
    )
  })
})

const metadata = {
  gateway: {
    cost: '0',
    marketCost: '1.1844e-5',
    surchargeCost: '0.0001',
    gatewayCost: '0.000111844',
    generationId: 'gen_1',
    routing: {
      originalModelId: 'anthropic/claude-opus-5',
      finalProvider: 'bedrock',
      modelAttempts: [
        {
          modelId: 'anthropic/claude-opus-5',
          success: false,
          providerAttempts: [{ provider: 'anthropic', credentialType: 'byok', success: false }],
        },
        {
          modelId: 'anthropic/claude-sonnet-4.5',
          canonicalSlug: 'anthropic/claude-sonnet-4.5',
          success: true,
          providerAttempts: [
            { provider: 'anthropic', credentialType: 'byok', success: false },
            { provider: 'bedrock', credentialType: 'system', success: true },
          ],
        },
      ],
    },
  },
}

describe('readGatewayCosts', () => {
  it('reads exact costs, the generation, and who served the call after which fallbacks', () => {
    expect(readGatewayCosts(metadata)).toEqual({
      costUsd: '0',
      marketCostUsd: '0.000011844',
      surchargeCostUsd: '0.0001',
      gatewayCostUsd: '0.000111844',
      generationId: 'gen_1',
      servedModelId: 'anthropic/claude-sonnet-4.5',
      finalProvider: 'bedrock',
      byok: false,
      invalid: [],
    })
  })

  it('knows a call over the own key by its successful attempt', () => {
    const routing = { attempts: [{ provider: 'openai', credentialType: 'byok', success: true }] }
    expect(readGatewayCosts({ gateway: { routing } })).toMatchObject({
      byok: true,
      finalProvider: 'openai',
      costUsd: null,
    })
  })

  it('reads a generation record, whose costs are numbers', () => {
    const record = { id: 'gen_2', totalCost: 1e-7, marketCost: 0.000034, isByok: true }
    expect(readGatewayCosts(record)).toMatchObject({
      costUsd: '0.0000001',
      marketCostUsd: '0.000034',
      generationId: 'gen_2',
      byok: true,
    })
  })

  it('never throws: what is malformed counts as absent and is named', () => {
    expect(
      readGatewayCosts({ gateway: { cost: '-1', marketCost: 'NaN', generationId: 5, routing: 'x' } }),
    ).toMatchObject({
      costUsd: null,
      marketCostUsd: null,
      generationId: null,
      invalid: ['cost', 'marketCost'],
    })
    fc.assert(fc.property(fc.anything(), (anything) => void readGatewayCosts({ gateway: anything })))
    for (const nothing of [undefined, null, {}, { openai: {} }, 'gateway', []])
      expect(readGatewayCosts(nothing)).toBeNull()
  })
})

describe('chooseReportedCost', () => {
  const choose = (gateway: object, options: Partial<ReportedCostChoice> = {}) =>
    chooseReportedCost({ costs: readGatewayCosts({ gateway }), hasRate: true, ...options })

  it('takes the market cost, else a cost above zero, else leaves it to the rate', () => {
    expect(choose({ cost: '0.02', marketCost: '0.03' })).toEqual({ costUsd: '0.03', source: 'market-cost', flags: [] })
    expect(choose({ cost: '0.02' })).toEqual({ costUsd: '0.02', source: 'gateway-cost', flags: [] })
    expect(choose({ cost: '0.02', marketCost: '0' })).toEqual({ costUsd: '0.02', source: 'gateway-cost', flags: [] })
    expect(choose({ cost: '0' })).toBeNull()
    expect(choose({})).toBeNull()
    expect(chooseReportedCost({ costs: null, hasRate: false })).toBeNull()
  })

  it('believes a market cost of zero only where no rate says otherwise', () => {
    expect(choose({ cost: '0', marketCost: '0' })).toBeNull()
    expect(choose({ cost: '0', marketCost: '0' }, { hasRate: false })).toEqual({
      costUsd: '0',
      source: 'market-cost',
      flags: [],
    })
    expect(choose({ cost: '0' }, { hasRate: false })).toBeNull()
  })

  it('follows the rule for calls over the own key', () => {
    const routing = { attempts: [{ credentialType: 'byok', success: true }] }
    expect(choose({ cost: '0', marketCost: '0.03', routing })).toMatchObject({ costUsd: '0.03' })
    expect(choose({ cost: '0', marketCost: '0.03', routing }, { byok: 'free' })).toEqual({
      costUsd: '0',
      source: 'gateway-cost',
      flags: [],
    })
  })

  it("adds the gateway's surcharge to the cost, unless the app bears it, and says so", () => {
    const zeroRetention = { marketCost: '0.000026', surchargeCost: '0.0001' }
    expect(choose(zeroRetention)).toEqual({
      costUsd: '0.000126',
      source: 'market-cost',
      flags: ['surcharge_included'],
    })
    expect(choose(zeroRetention, { surcharges: 'free' })).toMatchObject({ costUsd: '0.000026', flags: [] })
    const routing = { attempts: [{ credentialType: 'byok', success: true }] }
    expect(choose({ ...zeroRetention, routing }, { byok: 'free' })).toMatchObject({ costUsd: '0.0001' })
  })

  it('gives at most 12 places, never rounding a cost to nothing', () => {
    const chosen = choose({ marketCost: '1e-15' })
    expect(chosen?.costUsd).toBe('0.000000000001')
    expect(compare(choose({ marketCost: '0.0000000000014' })?.costUsd ?? '0', '0.000000000002')).toBe(0)
  })
})
