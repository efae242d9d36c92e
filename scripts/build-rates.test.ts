import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { calculateCredits } from '../packages/credits/src/core/pricing/calculate.ts'
import { layOver, seedRates, seedSql } from './build-rates.ts'
import { root } from './lib/paths.ts'

const { rates, aliases } = seedRates()
const byId = new Map(rates.map((rate) => [rate.modelId, rate]))
const cost = { input: 3, output: 15, cacheRead: 0, cacheWrite: 0 }

describe('the seed of rates', () => {
  it('is up to date with the price lists', () => {
    expect(readFileSync(join(root, 'supabase', 'seed.sql'), 'utf8')).toBe(seedSql())
  })

  it('has a row for each of the 511 models, with its current type', () => {
    expect(rates).toHaveLength(511)
    expect(byId.size).toBe(511)
    expect(new Set(rates.map((rate) => rate.type))).not.toContain('evaluation')
    expect(byId.get('typesafe-ai/jev')?.type).toBe('decision')
  })

  it('knows a price for 450 of them and never takes a doubtful 0 for a price', () => {
    expect(rates.filter((rate) => rate.known)).toHaveLength(450)
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
