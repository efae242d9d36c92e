import { describe, expect, it } from 'vitest'
import { findModel, MODELS } from './catalogue.ts'
import { costOf, subtract, sum } from './pricing.ts'

const priceOf = (id: string) => findModel(id)?.pricing ?? {}

describe('the cost of a call', () => {
  const sonnet = priceOf('anthropic/claude-sonnet-4.5')

  it('is exact for plain tokens', () => {
    const cost = costOf(sonnet, { inputTokens: 2000, outputTokens: 1000 })
    expect(cost).toEqual({ total: '0.021', input: '0.006', output: '0.015' })
  })

  it('counts cached tokens as a part of the input, each at its own price', () => {
    const units = { inputTokens: 12_000, cacheReadTokens: 9000, cacheWriteTokens: 2000, outputTokens: 500 }
    expect(costOf(sonnet, units)?.total).toBe('0.0207')
  })

  it('prices the whole request by the tier that its input falls into', () => {
    expect(costOf(sonnet, { inputTokens: 200_000, outputTokens: 1000 })?.total).toBe('0.615')
    const above = costOf(sonnet, { inputTokens: 200_001, outputTokens: 1000 })
    expect(Number(above?.total)).toBeGreaterThan(1.2)
  })

  it('bills cached tokens in full where no cache price is known', () => {
    expect(costOf({ input: '0.001', output: '0.002' }, { inputTokens: 10, cacheReadTokens: 4 })?.total).toBe('0.01')
  })

  it('is unknown, not free, without a price', () => {
    expect(costOf({}, { inputTokens: 10, outputTokens: 5 })).toBeUndefined()
    expect(costOf({ input: '0.001' }, { inputTokens: 10, outputTokens: 5 })).toBeUndefined()
    expect(costOf({ input: '0.001' }, { inputTokens: 10, webSearches: 1 })).toBeUndefined()
  })

  it('follows the unit of each kind of model', () => {
    const image = { images: { count: 2, size: undefined, quality: undefined }, inputTokens: 5 }
    expect(costOf(priceOf('bfl/flux-kontext-pro'), image)?.total).toBe('0.08')
    expect(costOf(priceOf('openai/tts-1'), { characters: 20 })?.total).toBe('0.0003')
    expect(costOf(priceOf('openai/whisper-1'), { audioSeconds: 60 })?.total).toBe('0.006')
    const video = { video: { seconds: 4, resolution: '720p', audio: undefined } }
    expect(costOf(priceOf('alibaba/wan-v2.5-t2v-preview'), video)?.total).toBe('0.4')
  })

  it('chooses the size of a picture when the list distinguishes sizes', () => {
    const pricing = priceOf('bfl/flux-3-image')
    const of = (size: string | undefined) => costOf(pricing, { images: { count: 1, size, quality: undefined } })?.total
    expect(of('768x768')).toBe('0.0205')
    expect(of('2048x2048')).toBe('0.05')
    expect(of(undefined)).toBe('0.024')
  })

  it('takes the price of the service tier that was asked for', () => {
    const flash = priceOf('google/gemini-2.5-flash')
    const units = { inputTokens: 1000, outputTokens: 1000 }
    expect(costOf(flash, units, { serviceTier: 'flex' })?.total).toBe('0.0014')
    expect(costOf(flash, units, { serviceTier: 'priority' })?.total).toBe('0.00504')
  })

  it('adds up without rounding', () => {
    expect(sum(Array.from({ length: 10 }, () => '0.1'))).toBe('1')
    expect(subtract('1', '0.0000000001')).toBe('0.9999999999')
  })
})

describe('the price list', () => {
  it('holds every model once, and prices are decimal strings', () => {
    expect(new Set(MODELS.map((model) => model.id)).size).toBe(MODELS.length)
    for (const { id, pricing } of MODELS) {
      for (const name of ['input', 'output', 'input_cache_read', 'input_cache_write']) {
        expect(pricing[name] ?? '0', `${id} ${name}`).toMatch(/^\d+(\.\d+)?$/)
      }
    }
  })
})
