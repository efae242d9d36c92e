import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { codeOf, model, models } from '../../../__tests__/kit/models.ts'
import { canonical, compare } from '../money.ts'
import { calculateCredits } from './calculate.ts'
import { DEFAULT_MAX_OUTPUT_TOKENS, estimateCharge, maxAffordableOutputTokens } from './estimate.ts'
import type { Usage } from './usage.ts'

const token = models.filter(({ pricing, type }) => (type === 'language' || type === 'realtime') && 'input' in pricing)
const marginPercent = fc.constantFrom('60', '0', '-12.3456', '333.3333')

/** What was asked for, and what was served: the same, or the standard prices. */
const call = fc.record({
  rate: fc.constantFrom(...token),
  marginPercent,
  bound: fc.oneof(fc.nat(5000), fc.nat(400_000), fc.constantFrom(0, 1, 200_000, 200_001, 271_999, 272_000, 272_001)),
  clamp: fc.nat(70_000),
  used: fc.array(fc.nat(1000), { minLength: 6, maxLength: 6 }),
  region: fc.constantFrom(undefined, 'us', 'eu', 'mars'),
  fast: fc.boolean(),
  serviceTier: fc.constantFrom(undefined, 'flex', 'priority', 'fast', 'ultrafast', 'unheard-of'),
  served: fc.record({ fast: fc.boolean(), tier: fc.boolean(), region: fc.boolean(), renamed: fc.boolean() }),
  picture: fc.boolean(),
  startedAt: fc.constantFrom(undefined, '2026-11-13T02:00:00Z', '2026-11-14T12:00:00Z'),
  searches: fc.nat(4),
})
type Call = typeof call extends fc.Arbitrary<infer Value> ? Value : never

const RENAMED = new Map<string | undefined, string>([
  ['fast', 'priority'],
  ['priority', 'fast'],
])

function drawsPictures({ pricing }: { pricing: Record<string, unknown> }): boolean {
  return 'image' in pricing || 'image_dimension_quality_pricing' in pricing
}

function usageOf({ bound, clamp, used, served, searches, ...asked }: Call): Usage {
  const share = (total: number, index: number) => Math.floor((total * (used[index] ?? 0)) / 1000)
  const inputTokens = share(bound, 0)
  const cacheReadTokens = share(inputTokens, 1)
  const cacheWriteTokens = share(inputTokens - cacheReadTokens, 2)
  return {
    inputTokens,
    cacheReadTokens,
    cacheWriteTokens,
    cacheWrite1hTokens: share(cacheWriteTokens, 3),
    outputTokens: share(clamp, 4),
    webSearches: Math.min(searches, 'web_search' in asked.rate.pricing ? searches : 0),
    startedAt: asked.startedAt,
    region: served.region ? asked.region : undefined,
    fast: served.fast && asked.fast,
    serviceTier: served.tier
      ? ((served.renamed ? RENAMED.get(asked.serviceTier) : undefined) ?? asked.serviceTier)
      : 'default',
    images: asked.picture && drawsPictures(asked.rate) ? 1 : undefined,
  }
}

describe('estimateCharge', () => {
  it('is never below the charge of the call within its clamp, for every tier, cache, region and hour it may get', () => {
    fc.assert(
      fc.property(call, (tried) => {
        const { rate, marginPercent, bound, clamp, region, fast, serviceTier, searches } = tried
        const estimate = estimateCharge({
          rate,
          marginPercent,
          inputTokens: bound,
          maxOutputTokens: clamp,
          usage: { region, fast, serviceTier, webSearches: searches },
        })
        const charge = calculateCredits(usageOf(tried), { rate, marginPercent })
        if (compare(estimate.credits, charge.credits) < 0) {
          expect.fail(
            `${rate.id} ${JSON.stringify(usageOf(tried))}: reserved ${estimate.credits}, charged ${charge.credits}`,
          )
        }
      }),
      { numRuns: 20_000 },
    )
  })

  it('is the price of the clamp at the dearest input, rounded up', () => {
    const rate = model('anthropic/claude-sonnet-4.5')
    const call = { rate, marginPercent: '60', inputTokens: 2000, maxOutputTokens: 1000 }
    expect(estimateCharge({ ...call, cacheWrite: 'none' }).credits).toBe('3.36')
    expect(estimateCharge({ ...call, cacheWrite: '5m' }).credits).toBe('3.6')
    expect(estimateCharge(call)).toEqual({
      credits: '4.32',
      costUsd: '0.027',
      inputTokens: 2000,
      maxOutputTokens: 1000,
      maxOutputTokensFrom: 'call',
    })
  })

  it('takes the clamp from the rate, else the default, and says which', () => {
    const rate = { ...model('openai/gpt-5'), maxOutputTokens: 500 }
    expect(estimateCharge({ rate, marginPercent: '0' })).toMatchObject({
      maxOutputTokens: 500,
      maxOutputTokensFrom: 'model',
    })
    expect(estimateCharge({ rate: model('openai/gpt-5'), marginPercent: '0' })).toMatchObject({
      maxOutputTokens: DEFAULT_MAX_OUTPUT_TOKENS,
      maxOutputTokensFrom: 'default',
    })
  })

  it('reserves the standard price for a tier that is only asked for, and the peak for an hour that may come', () => {
    const flex = {
      rate: model('openai/gpt-5.4'),
      marginPercent: '0',
      inputTokens: 1000,
      maxOutputTokens: 0,
      cacheWrite: 'none',
    } as const
    expect(estimateCharge({ ...flex, usage: { serviceTier: 'flex' } }).costUsd).toBe('0.0025')
    expect(estimateCharge({ ...flex, usage: { serviceTier: 'priority' } }).costUsd).toBe('0.005')
    expect(estimateCharge({ ...flex, rate: model('deepseek/deepseek-v4-pro') }).costUsd).toBe('0.00132')
  })

  it('prices what is known beforehand of other modalities', () => {
    const at = (id: string, usage: Usage) => estimateCharge({ rate: model(id), marginPercent: '0', usage }).costUsd
    expect(at('bfl/flux-pro-1.1-ultra', { images: 4 })).toBe('0.24')
    expect(at('openai/tts-1', { characters: 1000 })).toBe('0.015')
    expect(at('google/veo-3.1-generate-001', { seconds: 8, resolution: '1080p', audio: true })).toBe('3.2')
    const drawn = {
      rate: model('google/gemini-3-pro-image'),
      marginPercent: '0',
      maxOutputTokens: 0,
      usage: { images: 2, size: '4K' },
    }
    expect(estimateCharge(drawn).costUsd).toBe('0.48')
  })

  it('includes one picture of a language model that draws, unless the call says how many', () => {
    const rate = model('google/gemini-3-pro-image')
    const chat = { rate, marginPercent: '0', inputTokens: 0, maxOutputTokens: 0 }
    expect(estimateCharge(chat).costUsd).toBe('0.24')
    expect(estimateCharge({ ...chat, usage: { serviceTier: 'default' } }).costUsd).toBe('0.24')
    expect(estimateCharge({ ...chat, usage: { images: 0 } }).costUsd).toBe('0')
    expect(estimateCharge({ ...chat, rate: model('openai/gpt-5') }).costUsd).toBe('0')
  })

  it('covers the tokens of drawn pictures where image tokens are billed', () => {
    const usage = { images: 2, size: '1024x1024', quality: 'high' }
    const options = { rate: model('openai/gpt-image-2'), marginPercent: '0' }
    expect(estimateCharge({ ...options, usage }).costUsd).toBe(calculateCredits(usage, options).costUsd)
  })

  it('reserves the listed batch price', () => {
    const batch = { input: '0.0000008', output: '0' }
    const rate = { modelId: 'a/b', type: 'language', pricing: { input: '0.000001', output: '0', batch } }
    const call = { rate, marginPercent: '0', inputTokens: 1000, cacheWrite: 'none' } as const
    expect(estimateCharge({ ...call, usage: { batch: true } }).costUsd).toBe('0.0008')
  })

  it('refuses a model without a price, and bounds that are no numbers', () => {
    expect(codeOf(() => estimateCharge({ rate: {}, marginPercent: '60' }))).toBe('UNKNOWN_MODEL')
    expect(codeOf(() => estimateCharge({ rate: model('openai/tts-1'), marginPercent: '60' }))).toBe('UNKNOWN_MODEL')
    for (const inputTokens of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(codeOf(() => estimateCharge({ rate: model('openai/gpt-5'), marginPercent: '60', inputTokens }))).toBe(
        'INVALID_INPUT',
      )
    }
  })
})

describe('maxAffordableOutputTokens', () => {
  it('is the largest clamp whose estimate still fits, to the token', () => {
    const amounts = fc
      .nat(50_000_000)
      .map((millionths) => canonical(`${Math.floor(millionths / 1e6)}.${String(millionths % 1e6).padStart(6, '0')}`))
    fc.assert(
      fc.property(
        fc.constantFrom(...token),
        marginPercent,
        fc.nat(300_000),
        amounts,
        (rate, marginPercent, inputTokens, credits) => {
          const options = { rate, marginPercent, inputTokens }
          const most = maxAffordableOutputTokens({ ...options, credits })
          const cost = (maxOutputTokens: number) => estimateCharge({ ...options, maxOutputTokens }).credits
          if (most > 0) expect(compare(cost(most), credits)).toBeLessThanOrEqual(0)
          if (most < 1e12) expect(compare(cost(most + 1), credits) > 0 || compare(cost(0), credits) > 0).toBe(true)
        },
      ),
      { numRuns: 3000 },
    )
  })

  it('is 0 when the input alone costs too much, and bounded where output is free', () => {
    const rate = { modelId: 'a/b', type: 'language', pricing: { input: '0.001', output: '0' } }
    expect(maxAffordableOutputTokens({ rate, marginPercent: '0', inputTokens: 100, credits: '1' })).toBe(0)
    expect(maxAffordableOutputTokens({ rate, marginPercent: '0', inputTokens: 0, credits: '0' })).toBe(1e12)
  })
})
