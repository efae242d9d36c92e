import { describe, expect, it } from 'vitest'
import { codeOf, price } from '../../../__tests__/kit/models.ts'
import { calculateCredits } from './calculate.ts'
import { recomputeCharge } from './charge.ts'

describe('what has no price, or is no number, is refused', () => {
  const usage = { inputTokens: 1, outputTokens: 1 }
  const refused = (rate: never) => codeOf(() => calculateCredits(usage, { rate, marginPercent: '60' }))

  it.each([
    ['an empty price', {}],
    ['a row without a price', { modelId: 'x/y', type: 'language', pricing: null, known: false }],
    [
      'a row that says its price is unknown',
      { modelId: 'x/y', type: 'language', pricing: { input: '1' }, known: false },
    ],
    ['no output price for a model that is not input-only', { input: '0.000001' }],
    ['no rate', null],
  ])('refuses %s with UNKNOWN_MODEL, never free', (_, rate) => {
    expect(refused(rate as never)).toBe('UNKNOWN_MODEL')
  })

  it('refuses units without any price', () => {
    expect(codeOf(() => price('openai/gpt-5.4', { images: 1 }))).toBe('UNKNOWN_MODEL')
    expect(codeOf(() => price('google/veo-3.1-generate-001', { seconds: 5, resolution: '8k' }))).toBe('UNKNOWN_MODEL')
  })

  it('does not bill the output of models that are priced by input alone', () => {
    const rate = { modelId: 'x/y', type: 'decision', pricing: { input: '0.000001' } }
    const charge = calculateCredits(usage, { rate, marginPercent: '0' })
    expect(charge).toMatchObject({ costUsd: '0.000001', flags: ['output_price_missing'] })
  })

  it.each([
    { inputTokens: -1 },
    { inputTokens: 1.5 },
    { inputTokens: Number.NaN },
    { inputTokens: Number.POSITIVE_INFINITY },
    { outputTokens: Number.MAX_VALUE },
    { outputTokens: 2 ** 53 },
    { inputTokens: '5' },
    { seconds: -0.1 },
    { seconds: Number.NaN },
    { startedAt: 'yesterday' },
    { fast: 'yes' },
    { inputTokenDetails: { cacheReadTokens: -3 } },
    [1],
    'usage',
    null,
  ])('refuses the usage %j', (poison) => {
    const rate = { input: '1', output: '1' }
    expect(codeOf(() => calculateCredits(poison as never, { rate, marginPercent: '0' }))).toBe('INVALID_INPUT')
  })

  it.each(['', 'sixty', '1e2', 'NaN', '-100', '10000.1', ' 60', '６０', 60, null, undefined])(
    'refuses the margin %j',
    (marginPercent) => {
      const rate = { input: '1', output: '1' }
      expect(codeOf(() => calculateCredits(usage, { rate, marginPercent: marginPercent as string }))).toBe(
        'INVALID_INPUT',
      )
    },
  )

  it.each([
    null,
    {},
    { version: 2, unitPricesUsd: {} },
    { version: 1, unitPricesUsd: { gold: '1' }, marginPercent: '0' },
  ])('refuses to recompute from the snapshot %j', (pricing) => {
    expect(codeOf(() => recomputeCharge({ usage, pricing }))).toBe('INVALID_INPUT')
  })
})
