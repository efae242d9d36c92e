import { describe, expect, it } from 'vitest'
import { codeOf, models } from '../../../__tests__/kit/models.ts'
import { CreditError } from '../errors.ts'
import { parsePricing } from './schema.ts'

const pathOf = (raw: unknown) => {
  try {
    parsePricing(raw)
  } catch (error) {
    if (CreditError.isInstance(error) && error.code === 'INVALID_INPUT') return error.details.issues?.[0]?.path
  }
  return 'accepted'
}

describe('parsePricing', () => {
  it.each(models.map((model) => [model.id, model.pricing] as const))(
    'reads %s without a change and knows all its keys',
    (_, pricing) => {
      expect(parsePricing(pricing)).toEqual({ pricing, unknownKeys: [] })
    },
  )

  it('keeps unknown keys at any depth and reports their paths', () => {
    const raw = {
      input: '0.1',
      shiny: { a: 1 },
      input_tiers: [{ cost: '0.1', per: 'token' }],
      service_tiers: { flex: { input: '0.1', vip: true } },
      regional: { eu: { fast: { output: '0.2', extra: 'x' } } },
    }
    const { pricing, unknownKeys } = parsePricing(raw)
    expect(pricing).toEqual(raw)
    expect(unknownKeys).toEqual(['input_tiers[0].per', 'service_tiers.flex.vip', 'regional.eu.fast.extra', 'shiny'])
  })

  it('reads the exponents that JavaScript prints, exactly', () => {
    expect(parsePricing({ input: '1e-7', output: '1.25E-6' }).pricing).toEqual({
      input: '0.0000001',
      output: '0.00000125',
    })
  })

  it.each([
    [{ input: '-0.1' }, 'pricing.input'],
    [{ input: 'NaN' }, 'pricing.input'],
    [{ input: '1e309' }, 'pricing.input'],
    [{ input: 'Infinity' }, 'pricing.input'],
    [{ input: 0.000003 }, 'pricing.input'],
    [{ input: null }, 'pricing.input'],
    [{ input: '' }, 'pricing.input'],
    [{ input: '0.1 ' }, 'pricing.input'],
    [{ input: '１' }, 'pricing.input'],
    [{ input: '3' }, 'pricing.input'],
    [{ input: '1e-99' }, 'pricing.input'],
    [{ input: `0.${'1'.repeat(19)}` }, 'pricing.input'],
    [{ image: '10000.01' }, 'pricing.image'],
    [{ input_tiers: [{ cost: '0.1' }, { cost: '-1' }] }, 'pricing.input_tiers[1].cost'],
    [{ input_tiers: [{ cost: '0.1', min: 5, max: 5 }] }, 'pricing.input_tiers[0].max'],
    [{ input_tiers: [{ cost: '0.1', min: -1 }] }, 'pricing.input_tiers[0].min'],
    [{ input_tiers: 'cheap' }, 'pricing.input_tiers'],
    [
      { service_tiers: { flex: { long_context: { threshold: 1.5 } } } },
      'pricing.service_tiers.flex.long_context.threshold',
    ],
    [{ regional: { eu: { input: '-1' } } }, 'pricing.regional.eu.input'],
    [{ peak_pricing: { multiplier: Number.NaN, windows: [] } }, 'pricing.peak_pricing.multiplier'],
    [
      { peak_pricing: { multiplier: 2, windows: [{ start_minute_utc: 0, end_minute_utc: 1441 }] } },
      'pricing.peak_pricing.windows[0].end_minute_utc',
    ],
    [{ video_duration_pricing: [{ resolution: '4k' }] }, 'pricing.video_duration_pricing[0].cost_per_second'],
    [{ web_search: '-5' }, 'pricing.web_search'],
    [[], 'pricing'],
    [null, 'pricing'],
    ['0.1', 'pricing'],
  ])('refuses %j, naming the path', (raw, path) => {
    expect(pathOf(raw)).toBe(path)
    expect(codeOf(() => parsePricing(raw))).toBe('INVALID_INPUT')
  })

  it('does not let a price object reach a prototype', () => {
    const raw = JSON.parse('{"input":"0.1","__proto__":{"output":"0"}}')
    expect(parsePricing(raw).pricing.output).toBeUndefined()
    expect(({} as { output?: string }).output).toBeUndefined()
  })
})
