import { describe, expect, it } from 'vitest'
import { codeOf, model, price } from '../../../__tests__/kit/models.ts'
import { calculateCredits } from './calculate.ts'
import type { Usage } from './usage.ts'

describe('text', () => {
  it('counts cached and reasoning tokens as parts of their totals, whichever usage object they come in', () => {
    const flat = price('openai/gpt-5', { inputTokens: 100, cacheReadTokens: 60, outputTokens: 50, reasoningTokens: 40 })
    const sdk = calculateCredits(
      {
        inputTokens: 100,
        inputTokenDetails: { noCacheTokens: 40, cacheReadTokens: 60, cacheWriteTokens: undefined },
        outputTokens: 50,
        outputTokenDetails: { textTokens: 10, reasoningTokens: 40 },
      },
      { rate: model('openai/gpt-5'), marginPercent: '0' },
    )
    const v4 = calculateCredits(
      {
        inputTokens: { total: 100, noCache: 40, cacheRead: 60, cacheWrite: undefined },
        outputTokens: { total: 50, text: 10, reasoning: 40 },
      },
      { rate: model('openai/gpt-5'), marginPercent: '0' },
    )
    expect(flat.costUsd).toBe('0.0005575')
    expect(sdk).toEqual(flat)
    expect(v4).toEqual(flat)
  })

  it('prices a 1-hour cache write at twice the input, for Anthropic alone, and says that it assumed so', () => {
    const usage = { inputTokens: 1000, cacheWriteTokens: 1000, cacheWrite1hTokens: 400, outputTokens: 0 }
    const claude = price('anthropic/claude-sonnet-4.5', usage)
    expect(claude.costUsd).toBe('0.00465')
    expect(claude.flags).toEqual(['cache_write_1h_price_assumed'])
    expect(price('openai/gpt-6-luna', usage).costUsd).toBe('0.000125')
  })

  it('takes the input price for a cache price that is missing, flagged', () => {
    const charge = price('alibaba/qwen-3-14b', {
      inputTokens: 10,
      cacheReadTokens: 4,
      cacheWriteTokens: 2,
      outputTokens: 0,
    })
    expect(charge.costUsd).toBe('0.0000012')
    expect(charge.flags).toEqual(['cache_read_price_missing', 'cache_write_price_missing'])
  })

  it('re-prices the whole request above a threshold, with the base price where a dimension has no tier there', () => {
    const beta = 'spacexai/grok-4.20-non-reasoning-beta'
    const usage = { cacheReadTokens: 1000, outputTokens: 0 }
    expect(price(beta, { inputTokens: 200_000, ...usage }).costUsd).toBe('0.24895')
    expect(price(beta, { inputTokens: 200_001, ...usage }).costUsd).toBe('0.4979025')
    const seed = price('bytedance/seed-1.6', { inputTokens: 130_000, ...usage })
    expect(seed.costUsd).toBe('0.06455')
    expect(seed.flags).toEqual(['cache_tier_missing'])
  })

  it('lifts the smallest charge above zero to a millionth of a credit, and leaves zero at zero', () => {
    const tiny = price('openai/text-embedding-3-small', { tokens: 1 }, '-99.9999')
    expect(tiny).toMatchObject({ credits: '0.000001', exactCredits: '0.000000000002', rounding: 'minimum' })
    expect(price('openai/text-embedding-3-small', { tokens: 0 })).toMatchObject({
      credits: '0',
      items: [],
      rounding: 'none',
    })
  })

  it('does not bill missing counts in silence', () => {
    expect(codeOf(() => price('openai/gpt-5', {}))).toBe('USAGE_MISSING')
    expect(price('openai/gpt-5', { inputTokens: 5 })).toMatchObject({ estimated: true, usage: { outputTokens: 5 } })
    expect(price('openai/gpt-5', { inputTokens: 5 }).flags).toContain('usage_estimated')
    expect(
      codeOf(() => calculateCredits({ tokens: Number.NaN }, { rate: model('voyage/voyage-4'), marginPercent: '0' })),
    ).toBe('USAGE_MISSING')
  })

  it('says when the price list has a dimension that it does not know', () => {
    const rate = { input: '0.000001', output: '0', input_per_smile: '0.1' }
    const charge = calculateCredits({ inputTokens: 1, outputTokens: 0 }, { rate, marginPercent: '0' })
    expect(charge.flags).toEqual(['price_dimension_unknown'])
  })

  it('flags parts that exceed their total', () => {
    expect(price('openai/gpt-5.4', { inputTokens: 5, cacheReadTokens: 9, outputTokens: 0 }).flags).toEqual([
      'usage_inconsistent',
    ])
  })
})

describe('what was served', () => {
  const usage = { inputTokens: 1000, outputTokens: 100 }

  it('prices a pinned region, fast mode in it, and a service tier from their own prices', () => {
    expect(price('openai/gpt-5.4', usage).costUsd).toBe('0.004')
    expect(price('openai/gpt-5.4', { ...usage, region: 'us' }).costUsd).toBe('0.0044')
    expect(price('openai/gpt-5.4', { ...usage, region: 'US', fast: true }).costUsd).toBe('0.0088')
    expect(price('openai/gpt-5.4', { ...usage, serviceTier: 'priority' }).costUsd).toBe('0.008')
    expect(price('openai/gpt-6-astra', { ...usage, serviceTier: 'ultrafast' }).costUsd).toBe('0.09')
  })

  it('uses the long-context prices of a service tier, and flags a tier that documents none', () => {
    const long = { inputTokens: 300_000, outputTokens: 0 }
    expect(price('openai/gpt-5.4', { ...long, serviceTier: 'flex' })).toMatchObject({ costUsd: '0.75', flags: [] })
    expect(price('openai/gpt-5.4', { ...long, serviceTier: 'priority' })).toMatchObject({
      costUsd: '1.5',
      flags: ['long_context_undocumented'],
    })
  })

  it('falls back to the base price for what the model has no price for, flagged', () => {
    const flagsOf = (served: Usage) => price('alibaba/qwen-3-14b', { ...usage, ...served })
    const base = flagsOf({}).costUsd
    expect(flagsOf({ region: 'eu' })).toMatchObject({ costUsd: base, flags: ['region_price_missing'] })
    expect(flagsOf({ fast: true })).toMatchObject({ costUsd: base, flags: ['fast_price_missing'] })
    expect(flagsOf({ serviceTier: 'turbo' })).toMatchObject({ costUsd: base, flags: ['service_tier_price_missing'] })
    expect(flagsOf({ serviceTier: 'default' })).toMatchObject({ costUsd: base, flags: [] })
    expect(flagsOf({ serviceTier: '__proto__' })).toMatchObject({ costUsd: base })
  })

  it('halves a batch', () => {
    expect(price('openai/gpt-5.4', { ...usage, batch: true })).toMatchObject({
      costUsd: '0.002',
      flags: ['batch_factor_assumed'],
    })
    expect(price('openai/gpt-5.4', { ...usage, serviceTier: 'batch' }).costUsd).toBe('0.002')
  })

  it('takes the listed batch price before half the price, and halves no batch row again', () => {
    const batch = { input: '0.0000016', output: '0.000008' }
    const rate = { modelId: 'a/b', type: 'language', pricing: { input: '0.000002', output: '0.00001', batch } }
    const at = (usage: Usage) =>
      calculateCredits({ inputTokens: 1000, outputTokens: 100, ...usage }, { rate, marginPercent: '0' })
    for (const served of [{ batch: true }, { serviceTier: 'batch' }]) {
      expect(at(served)).toMatchObject({ costUsd: '0.0024', flags: [] })
      expect(at(served).pricing.basis).toMatchObject({ serviceTier: 'batch', factor: '1' })
    }
    expect(at({}).costUsd).toBe('0.003')
    const row = { modelId: 'a/b-batch', type: 'language', pricing: batch }
    const direct = calculateCredits(
      { inputTokens: 1000, outputTokens: 100, batch: true },
      { rate: row, marginPercent: '0' },
    )
    expect(direct).toMatchObject({ costUsd: '0.0024', flags: [] })
  })

  it('takes `fast` and `priority` for the same service tier, as OpenAI renamed it', () => {
    for (const id of ['openai/gpt-6-luna', 'openai/gpt-5.6-sol', 'openai/gpt-4.1']) {
      const priority = price(id, { ...usage, serviceTier: 'priority' }).costUsd
      expect(price(id, { ...usage, serviceTier: 'fast' })).toMatchObject({ costUsd: priority })
      expect(priority).not.toBe(price(id, usage).costUsd)
    }
  })

  it('finds the service tier of a list that knows only one of its two names', () => {
    const at = (listed: string, serviceTier: string) => {
      const rate = { input: '0.000001', output: '0', service_tiers: { [listed]: { input: '0.000002', output: '0' } } }
      return calculateCredits({ inputTokens: 1000, outputTokens: 0, serviceTier }, { rate, marginPercent: '0' }).costUsd
    }
    expect([at('priority', 'fast'), at('fast', 'priority'), at('flex', 'fast')]).toEqual(['0.002', '0.002', '0.001'])
  })

  it('does not take the priority tier of Anthropic for its fast mode', () => {
    const opus = (served: Usage) => price('anthropic/claude-opus-5', { ...usage, ...served })
    expect(opus({ serviceTier: 'priority' })).toMatchObject({
      costUsd: opus({}).costUsd,
      flags: ['service_tier_price_missing'],
    })
    expect(opus({ fast: true }).costUsd).not.toBe(opus({}).costUsd)
  })

  it('derives cache prices that a tier does not list from the base: reads capped by its input, writes by ratio', () => {
    const read = price('google/gemini-2.5-flash', {
      inputTokens: 1000,
      cacheReadTokens: 900,
      outputTokens: 0,
      serviceTier: 'flex',
    })
    expect(read).toMatchObject({ costUsd: '0.000042', flags: ['cache_read_price_from_base'] })
    const write = price('openai/gpt-6-sol', {
      inputTokens: 1000,
      cacheWriteTokens: 1000,
      outputTokens: 0,
      serviceTier: 'flex',
    })
    expect(write).toMatchObject({ costUsd: '0.00125', flags: ['cache_write_price_from_base'] })
    const dear = {
      input: '0.000001',
      output: '0',
      input_cache_read: '0.0000009',
      service_tiers: { flex: { input: '0.0000005' } },
    }
    const flex = { inputTokens: 1000, cacheReadTokens: 1000, outputTokens: 0, serviceTier: 'flex' }
    expect(calculateCredits(flex, { rate: dear, marginPercent: '0' }).costUsd).toBe('0.0005')
  })

  it('doubles in peak windows of the right weekday, to the minute', () => {
    const at = (startedAt?: string) => price('deepseek/deepseek-v4-pro', { ...usage, startedAt })
    expect(at('2026-11-13T00:59:59Z').costUsd).toBe('0.000858')
    expect(at('2026-11-13T01:00:00Z')).toMatchObject({ costUsd: '0.001716' })
    expect(at('2026-11-13T01:00:00Z').flags).toContain('holiday_calendar_ignored')
    expect(at('2026-11-13T04:00:00Z').costUsd).toBe('0.000858')
    expect(at('2026-11-14T02:00:00Z').costUsd).toBe('0.000858')
    expect(at(undefined).flags).toContain('peak_time_missing')
  })

  it('keeps a peak window that runs over midnight on the day it began', () => {
    const windows = [{ start_minute_utc: 1380, end_minute_utc: 60, days_of_week: [5] }]
    const rate = { input: '0.000001', output: '0', peak_pricing: { multiplier: 1.5, windows } }
    const at = (startedAt: string) =>
      calculateCredits({ inputTokens: 1000, outputTokens: 0, startedAt }, { rate, marginPercent: '0' }).costUsd
    expect(at('2026-11-13T23:30:00Z')).toBe('0.0015')
    expect(at('2026-11-14T00:30:00Z')).toBe('0.0015')
    expect(at('2026-11-14T23:30:00Z')).toBe('0.001')
  })
})
