import { describe, expect, it } from 'vitest'
import { price } from '../../../__tests__/kit/models.ts'
import { calculateCredits } from './calculate.ts'
import { recomputeCharge } from './charge.ts'
import type { Usage } from './usage.ts'

describe('units other than text tokens', () => {
  it('adds web and maps searches per thousand, and flags those without a price', () => {
    const usage = { inputTokens: 1000, outputTokens: 0, webSearches: 2, mapsSearches: 1 }
    expect(price('google/gemini-2.5-flash', usage).costUsd).toBe('0.0953')
    expect(price('alibaba/qwen-3-14b', usage).flags).toEqual(['web_search_price_missing', 'maps_search_price_missing'])
  })

  it('prices images by the most specific row: size, quality, style, operation', () => {
    const image = (id: string, usage: Usage) => price(id, { images: 2, ...usage }).costUsd
    const grok = 'spacexai/grok-imagine-image-2.0'
    expect(image(grok, {})).toBe('0.12')
    expect(image(grok, { quality: 'low' })).toBe('0.08')
    expect(image(grok, { size: '2048x2048' })).toBe('0.16')
    expect(image(grok, { size: '2048x2048', quality: 'low' })).toBe('0.12')
    expect(image('bfl/flux-3-image', { size: '999x999' })).toBe('0.048')
    expect(image('recraft/recraft-v4', { style: 'vector_illustration' })).toBe('0.16')
    expect(image('quiverai/arrow-1.1', { operation: 'vectorize' })).toBe('0.3')
  })

  it('assumes the dearest row, flagged, when the usage leaves the choice open', () => {
    expect(price('quiverai/arrow-1.1', { images: 1 })).toMatchObject({
      costUsd: '0.2',
      flags: ['highest_price_assumed'],
    })
    expect(price('google/veo-3.1-generate-001', { seconds: 1, resolution: '720p' })).toMatchObject({
      costUsd: '0.4',
      flags: ['highest_price_assumed'],
    })
  })

  it('prices images of a language model by the piece on top of its tokens, and says that this is undocumented', () => {
    const charge = price('google/gemini-3-pro-image', {
      inputTokens: 1000,
      outputTokens: 100,
      images: 1,
      size: '4096x4096',
    })
    expect(charge.costUsd).toBe('0.2432')
    expect(charge.flags).toEqual(['image_tokens_undocumented'])
  })

  it('prices image models that have token prices by their tokens', () => {
    expect(price('openai/gpt-image-2', { inputTokens: 100, outputTokens: 1000, images: 1 }).costUsd).toBe('0.0305')
  })

  it('estimates the tokens of drawn pictures whose usage was lost, by size and quality, and marks them', () => {
    const lost = (usage: Usage) => price('openai/gpt-image-2', { images: 1, ...usage })
    expect(lost({ size: '1024x1024', quality: 'medium' })).toMatchObject({
      usage: { inputTokens: 0, outputTokens: 1056, images: 1 },
      costUsd: '0.03168',
      estimated: true,
    })
    expect(lost({ size: '1024x1024', quality: 'high' }).costUsd).toBe('0.1248')
    expect(lost({}).usage.outputTokens).toBe(6240)
  })

  it('prices video by second, resolution, mode, sound and voice control', () => {
    const video = (id: string, usage: Usage) => price(id, { seconds: 5, ...usage }).costUsd
    expect(video('google/veo-3.1-generate-001', { resolution: '1920x1080', audio: false })).toBe('1')
    expect(video('google/veo-3.1-generate-001', { resolution: '3840x2160', audio: true })).toBe('3')
    expect(video('klingai/kling-v3.0-i2v', { mode: 'std', audio: true })).toBe('1.26')
    expect(video('klingai/kling-v3.0-i2v', { mode: 'std', audio: true, voiceControl: true })).toBe('1.54')
    expect(video('minimax/minimax-h3', { resolution: '4k' })).toBe('0.65')
  })

  it('prices video tokens with and without video input, in both shapes the feed has had', () => {
    const usage = { videoTokens: 1_000_000, resolution: '1080p' }
    expect(price('bytedance/seedance-2.0', { ...usage, videoInput: true }).costUsd).toBe('4.7')
    const flat = { video_token_pricing: { no_video_input: { cost_per_million_tokens: '5' } } }
    expect(calculateCredits({ ...usage, videoInput: false }, { rate: flat, marginPercent: '0' }).costUsd).toBe('5')
  })

  it('prices speech by character or by token, transcription by second or by token, ignoring placeholders', () => {
    expect(price('openai/tts-1', { characters: 1000, inputTokens: 250 }).costUsd).toBe('0.015')
    expect(price('google/gemini-3.8-flash-tts', { inputTokens: 100, audioOutputTokens: 1000 }).costUsd).toBe('0.00905')
    expect(price('openai/whisper-1', { seconds: 12.5, inputTokens: 999 }).costUsd).toBe('0.00125')
    expect(price('openai/gpt-4o-transcribe', { audioInputTokens: 1000, outputTokens: 100 }).costUsd).toBe('0.0035')
  })

  it('prices realtime by its four token prices, and by seconds and messages', () => {
    const tokens = { inputTokens: 1500, audioInputTokens: 1000, outputTokens: 700, audioOutputTokens: 500 }
    expect(price('openai/gpt-realtime-2', tokens).costUsd).toBe('0.0708')
    expect(price('spacexai/grok-voice-think-fast-2.0', { seconds: 60, messages: 3 }).costUsd).toBe('0.09204')
    expect(price('openai/gpt-realtime-2', { inputTokens: 10, outputTokens: 1 }).flags).toEqual(['audio_split_missing'])
  })

  it('prices a cached audio token once, as a cache read, and never more tokens than there are', () => {
    const tokens = { inputTokens: 1500, audioInputTokens: 1000, cacheReadTokens: 800, outputTokens: 0 }
    const counted = (usage: Usage) =>
      Object.fromEntries(price('openai/gpt-realtime-2', usage).items.map((item) => [item.unit, item.quantity]))
    const known = price('openai/gpt-realtime-2', { ...tokens, cacheReadAudioTokens: 700 })
    expect(counted({ ...tokens, cacheReadAudioTokens: 700 })).toEqual({
      text_input: '400',
      cache_read: '800',
      audio_input: '300',
    })
    expect(known.flags).not.toContain('cached_audio_split_missing')
    expect(counted(tokens)).toEqual({ cache_read: '800', audio_input: '700' })
    expect(price('openai/gpt-realtime-2', tokens).flags).toContain('cached_audio_split_missing')
  })

  it('counts seconds to the microsecond, and rounds only a cost of more than 12 places', () => {
    const charge = price('openai/gpt-live-1', { seconds: 1.234567 })
    expect(charge).toMatchObject({ costUsd: '0.001028888138', flags: ['cost_rounded'] })
    expect(charge.items[0]).toMatchObject({ quantity: '1.234567', costUsd: '0.0010288881378' })
    expect(recomputeCharge({ usage: { seconds: 1.234567 }, pricing: charge.pricing }).credits).toBe(charge.credits)
  })
})
