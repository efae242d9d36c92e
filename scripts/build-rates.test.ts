import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { candidate } from '../packages/credits/src/core/price-list/parse.ts'
import { calculateCredits } from '../packages/credits/src/core/pricing/calculate.ts'
import { parseModelKey } from '../packages/credits/src/core/pricing/model-ids.ts'
import { layOver, priceList, seedRates, seedSql, undecided } from './build-rates.ts'
import { root } from './lib/paths.ts'

const { rates, aliases } = seedRates()
const byId = new Map(rates.map((rate) => [rate.modelId, rate]))
const gateways = rates.filter(({ modelId }) => parseModelKey(modelId).provider === null)
const cost = { input: 3, output: 15, cacheRead: 0, cacheWrite: 0 }

describe('the seed of rates', () => {
  it('is up to date with the price lists', () => {
    expect(readFileSync(join(root, 'supabase', 'seed.sql'), 'utf8')).toBe(seedSql())
    expect(readFileSync(join(root, 'packages', 'credits', 'rates', 'models.json'), 'utf8')).toBe(priceList())
  })

  it('has a row for each of the 511 models of the gateway, with its current type', () => {
    expect(gateways).toHaveLength(511)
    expect(byId.size).toBe(rates.length)
    expect(new Set(rates.map((rate) => rate.type))).not.toContain('evaluation')
    expect(byId.get('typesafe-ai/jev')?.type).toBe('decision')
  })

  it('knows a price for 450 of them and never takes a doubtful 0 for a price', () => {
    expect(gateways.filter((rate) => rate.known)).toHaveLength(450)
    for (const id of [
      'reflection/beam',
      'stealth/glyph-cluster',
      'spacexai/grok-voice-3.0',
      'parallel/parallel-decisions-fast',
    ]) {
      expect(byId.get(id)).toMatchObject({ known: false, pricing: null })
    }
    expect(byId.get('reflection/beam-free')).toMatchObject({ known: true, pricing: { input: '0', output: '0' } })
  })

  it('lays the newer price over the older list, and leaves out variants of the old price', () => {
    expect(byId.get('mistral/mistral-large-4')?.pricing).toMatchObject({ input: '0.0000007', output: '0.0000021' })
    expect(byId.get('deepseek/deepseek-v4-pro')?.pricing).not.toHaveProperty('peak_pricing')
    expect(byId.get('google/gemini-2.5-flash')?.pricing).toHaveProperty('service_tiers')
  })

  it('keeps the older row untouched where the newer one agrees', () => {
    const older = { input: '0.000003', output: '0.000015', web_search: '10' }
    expect(layOver(older, { id: 'x/y', cost })).toBeNull()
    expect(layOver(older, { id: 'x/y', cost: { ...cost, input: 4 } })).toEqual({ ...older, input: '0.000004' })
  })

  it('turns "above N tokens" into whole-request tiers that start at N + 1', () => {
    const tiers = [{ ...cost, input: 6, output: 22.5, inputTokensAbove: 200_000 }]
    const pricing = layOver({}, { id: 'x/y', cost: { ...cost, tiers } })
    expect(pricing?.input_tiers).toEqual([
      { cost: '0.000003', min: 0, max: 200_001 },
      { cost: '0.000006', min: 200_001 },
    ])
    expect(pricing).not.toHaveProperty('input_cache_read_tiers')
  })

  it('does not take a rounded figure for another price', () => {
    const older = { input: '0.0000001', output: '0.0000004', input_cache_read: '0.000000025' }
    const rounded = { id: 'x/y', cost: { input: 0.1, output: 0.4, cacheRead: 0.03, cacheWrite: 0 } }
    expect(layOver(older, rounded)).toBeNull()
    expect(layOver(older, { id: 'x/y', cost: { ...rounded.cost, cacheRead: 0.04 } })).not.toBeNull()
    expect(byId.get('openai/gpt-4.1-nano')?.pricing?.input_cache_read).toBe('0.000000025')
  })

  it('is not built while a price has moved more than 3x, or to or from 0, and nothing is decided', () => {
    const price = (pricing: object) => candidate({ modelId: 'x/y', type: 'language', pricing, path: 'x/y' })
    const older = price({ input: '0.000001', output: '0.000002' })
    const cheap = price({ input: '0.0000003', output: '0.000002' })
    expect(undecided([older], [cheap], new Set())).toHaveLength(1)
    expect(undecided([older], [cheap], new Set(['x/y']))).toEqual([])
    expect(undecided([older], [price({ input: '0.0000005', output: '0.000002' })], new Set())).toEqual([])
    expect(undecided([older], [price({ input: '0', output: '0.000002' })], new Set())).toHaveLength(1)
  })

  it('follows the decisions about prices that moved too far', () => {
    expect(byId.get('alibaba/qwen3.8-27b')?.pricing).toMatchObject({ input: '0.0000005', output: '0.000003' })
    expect(byId.get('mistral/mistral-nemo')?.pricing).toMatchObject({ output: '0.00000017' })
    expect(byId.get('xiaomi/mimo-v2.6-flash')?.pricing).toMatchObject({ input: '0.00000014', output: '0.00000028' })
  })

  it('knows context window and output limit of 9 in 10 language models, batches included', () => {
    const language = gateways.filter((rate) => rate.type === 'language' && rate.known)
    const limited = language.filter((rate) => rate.contextWindow !== null && rate.maxOutputTokens !== null)
    expect(limited.length / language.length).toBeGreaterThan(0.9)
    expect(byId.get('anthropic/claude-opus-5')).toMatchObject({ maxOutputTokens: 128_000 })
    expect(byId.get('openai/gpt-5-batch')?.maxOutputTokens).toBe(byId.get('openai/gpt-5')?.maxOutputTokens)
  })

  it('has the batch prices of the 48 batch rows in the rows of their models', () => {
    const batches = gateways.filter(({ modelId, known }) => known && modelId.endsWith('-batch'))
    expect(batches.length).toBeGreaterThanOrEqual(40)
    for (const { modelId, pricing } of batches) {
      const base = byId.get(modelId.slice(0, -6))
      if (base?.known) expect(base.pricing?.batch).toMatchObject({ input: pricing?.input, output: pricing?.output })
    }
  })

  it('has prices of providers under keys of their own', () => {
    expect(byId.get('perplexity:sonar')?.pricing).toMatchObject({ input: '0.000001', output: '0.000001' })
    expect(byId.get('perplexity/sonar')?.pricing).toMatchObject({ input: '0.00000025', output: '0.0000025' })
    expect(byId.get('google-vertex:text-embedding-005')?.pricing).toEqual({ input: '0.0000001' })
  })

  it('renames xai to spacexai only where the new id exists', () => {
    expect(aliases['xai/grok-4.7']).toBe('spacexai/grok-4.7')
    for (const target of Object.values(aliases)) expect(byId.has(target)).toBe(true)
  })

  it('prices Claude Sonnet 4.5 at 3.36 credits for 2,000 in and 1,000 out', () => {
    const rate = byId.get('anthropic/claude-sonnet-4.5')
    if (rate === undefined) throw new Error('no such rate')
    const usage = { inputTokens: 2000, outputTokens: 1000 }
    expect(calculateCredits(usage, { rate, marginPercent: '60' }).credits).toBe('3.36')
  })

  it('consists of rates that calculateCredits accepts', () => {
    // One of everything that a model may be billed by.
    const usage = { inputTokens: 1, outputTokens: 1, images: 1, seconds: 1, characters: 1, videoTokens: 1 }
    for (const rate of rates.filter((row) => row.known)) {
      const counted = rate.pricing?.output === undefined ? { ...usage, outputTokens: 0 } : usage
      expect(() => calculateCredits(counted, { rate, marginPercent: '60' })).not.toThrow()
    }
  })
})
