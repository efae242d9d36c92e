import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { codeOf } from '../../../__tests__/kit/models.ts'
import { CreditError } from '../errors.ts'
import { calculateCredits } from './calculate.ts'
import { normalizeUsage } from './normalize-usage.ts'
import type { Usage } from './usage.ts'

const whole = { inputTokens: 100, outputTokens: 50 }
const cached = { ...whole, cacheReadTokens: 60 }
const reasoned = { ...cached, reasoningTokens: 40 }

/** One call in the documented shape of each SDK and provider. */
const SPELLINGS: readonly [string, object, Usage][] = [
  ['our own names', reasoned, reasoned],
  ['AI SDK 4', { promptTokens: 100, completionTokens: 50, totalTokens: 150 }, whole],
  ['AI SDK 5', { inputTokens: 100, outputTokens: 50, totalTokens: 150, cachedInputTokens: 60 }, cached],
  [
    'OpenAI chat completions',
    {
      prompt_tokens: 100,
      completion_tokens: 50,
      total_tokens: 150,
      prompt_tokens_details: { cached_tokens: 60, audio_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 40, audio_tokens: 0 },
    },
    { ...reasoned, audioInputTokens: 0, audioOutputTokens: 0 },
  ],
  [
    'OpenAI responses',
    {
      input_tokens: 100,
      input_tokens_details: { cached_tokens: 60 },
      output_tokens: 50,
      output_tokens_details: { reasoning_tokens: 40 },
      total_tokens: 150,
    },
    reasoned,
  ],
  [
    'OpenAI realtime',
    {
      input_tokens: 100,
      output_tokens: 50,
      input_token_details: {
        text_tokens: 20,
        audio_tokens: 80,
        cached_tokens: 60,
        cached_tokens_details: { text_tokens: 10, audio_tokens: 50 },
      },
      output_token_details: { text_tokens: 10, audio_tokens: 40 },
    },
    { ...cached, cacheReadAudioTokens: 50, audioInputTokens: 80, audioOutputTokens: 40 },
  ],
  [
    'Anthropic, whose input leaves out the cache',
    {
      input_tokens: 10,
      cache_read_input_tokens: 60,
      cache_creation_input_tokens: 30,
      cache_creation: { ephemeral_5m_input_tokens: 10, ephemeral_1h_input_tokens: 20 },
      output_tokens: 50,
      server_tool_use: { web_search_requests: 2 },
    },
    { ...cached, cacheWriteTokens: 30, cacheWrite1hTokens: 20, webSearches: 2 },
  ],
  ['Anthropic without a cache', { input_tokens: 100, output_tokens: 50 }, whole],
  [
    'Google, whose output leaves out the thoughts',
    {
      promptTokenCount: 90,
      toolUsePromptTokenCount: 10,
      cachedContentTokenCount: 60,
      candidatesTokenCount: 10,
      thoughtsTokenCount: 40,
      totalTokenCount: 150,
      promptTokensDetails: [
        { modality: 'TEXT', tokenCount: 60 },
        { modality: 'AUDIO', tokenCount: 30 },
      ],
    },
    { ...reasoned, audioInputTokens: 30 },
  ],
  [
    'Amazon Bedrock, whose input leaves out the cache',
    {
      inputTokens: 10,
      outputTokens: 50,
      totalTokens: 150,
      cacheReadInputTokens: 60,
      cacheWriteInputTokens: 30,
      cacheDetails: [
        { ttl: '5m', inputTokens: 10 },
        { ttl: '1h', inputTokens: 20 },
      ],
    },
    { ...cached, cacheWriteTokens: 30, cacheWrite1hTokens: 20 },
  ],
  [
    'xAI, whose output leaves out the reasoning',
    {
      prompt_tokens: 100,
      completion_tokens: 10,
      total_tokens: 150,
      prompt_tokens_details: { cached_tokens: 60 },
      completion_tokens_details: { reasoning_tokens: 40 },
    },
    { ...reasoned },
  ],
  [
    'Cohere, which bills less than it counts',
    { billed_units: { input_tokens: 100, output_tokens: 50 }, tokens: { input_tokens: 512, output_tokens: 82 } },
    whole,
  ],
  ['DeepSeek', { prompt_tokens: 100, completion_tokens: 50, prompt_cache_hit_tokens: 60 }, cached],
  ['Moonshot', { prompt_tokens: 100, completion_tokens: 50, cached_tokens: 60 }, cached],
  ['Ollama', { prompt_eval_count: 100, eval_count: 50 }, whole],
  ['an embedding of OpenAI', { prompt_tokens: 100, total_tokens: 100 }, { inputTokens: 100, outputTokens: 0 }],
  ['a total alone', { total_tokens: 150 }, { tokens: 150 }],
]

describe('the usage objects of SDKs and providers', () => {
  it.each(SPELLINGS)('of %s come to the same counts', (_, reported, expected) => {
    const { usage, flags } = normalizeUsage(reported)
    expect(usage).toEqual(expected)
    expect(flags).toEqual([])
  })

  it('are read from `raw` where the SDK has left something out', () => {
    const raw = { promptTokensDetails: [{ modality: 'AUDIO', tokenCount: 30 }], promptTokenCount: 999 }
    expect(normalizeUsage({ ...whole, raw }).usage).toEqual({ ...whole, audioInputTokens: 30 })
  })

  it('give a side that is missing from the total, flagged', () => {
    expect(normalizeUsage({ prompt_tokens: 100, total_tokens: 150 })).toEqual({
      usage: whole,
      flags: ['usage_estimated'],
    })
    expect(normalizeUsage({ completionTokens: 50, totalTokens: 150 } as object)).toMatchObject({ usage: whole })
  })

  it('count reasoning above its total on top of it', () => {
    expect(normalizeUsage({ outputTokens: 10, reasoningTokens: 40 })).toEqual({
      usage: { outputTokens: 50, reasoningTokens: 40 },
      flags: ['usage_inconsistent'],
    })
  })
})

describe('a usage without one known count', () => {
  const rate = { input: '0.000001', output: '0.000002' }
  const nothing = [
    {},
    { tokens: Number.NaN },
    { smiles: 5 },
    { inputTokens: null, outputTokens: undefined },
    { inputTokens: {}, outputTokens: {} },
    { serviceTier: 'flex', startedAt: '2026-11-13T00:00:00Z' },
    { totalTokens: 0 },
  ]

  it.each(nothing)('is refused with USAGE_MISSING, never free: %j', (usage) => {
    expect(codeOf(() => normalizeUsage(usage as object))).toBe('USAGE_MISSING')
    expect(codeOf(() => calculateCredits(usage as object, { rate, marginPercent: '60' }))).toBe('USAGE_MISSING')
  })

  it('is named in the error, bounded', () => {
    try {
      normalizeUsage({ smiles: Number.NaN, text: 'x'.repeat(10_000) } as object)
      expect.fail('not refused')
    } catch (error) {
      if (!CreditError.isInstance(error)) throw error
      expect(error.details.usage).toEqual({ smiles: 'NaN', text: 'x'.repeat(200) })
    }
  })

  it('is one that counts nothing a model is billed by', () => {
    const whisper = { transcription_duration_cost_per_second: '0.0001' }
    expect(codeOf(() => calculateCredits({ inputTokens: 0 }, { rate: whisper, marginPercent: '0' }))).toBe(
      'USAGE_MISSING',
    )
  })
})

describe('a side that was not reported', () => {
  const rate = { input: '0.000001', output: '0.000002' }
  const charge = (usage: object) => calculateCredits(usage, { rate, marginPercent: '0' })

  it.each<[object, Usage]>([
    [{ outputTokens: 5000 }, { inputTokens: 5000, outputTokens: 5000 }],
    [{ inputTokens: 300 }, { inputTokens: 300, outputTokens: 300 }],
    [{ inputTokens: 100_000 }, { inputTokens: 100_000, outputTokens: 4096 }],
    [{ totalTokens: 100 }, { inputTokens: 50, outputTokens: 50 }],
    [{ totalTokens: 105_000 }, { inputTokens: 100_904, outputTokens: 4096 }],
    [{ cacheReadTokens: 70 }, { inputTokens: 70, cacheReadTokens: 70, outputTokens: 70 }],
  ])('of %j is estimated and marked, and the charge recomputes from its own usage', (usage, expected) => {
    const { usage: billed, estimated, flags } = charge(usage)
    expect(billed).toEqual(expected)
    expect({ estimated, flagged: flags.includes('usage_estimated') }).toEqual({ estimated: true, flagged: true })
  })

  it('is nothing where the model has no price for it, and where it is zero', () => {
    const embedding = { modelId: 'a/b', type: 'embedding', pricing: { input: '0.000001' } }
    expect(calculateCredits({ prompt_tokens: 7 }, { rate: embedding, marginPercent: '0' })).toMatchObject({
      costUsd: '0.000007',
      estimated: false,
    })
    expect(charge({ inputTokens: 7, outputTokens: 0 })).toMatchObject({ costUsd: '0.000007', estimated: false })
  })

  it('makes no usage of a text model free', () => {
    const count = fc.integer({ min: 1, max: 1_000_000 })
    const keys = ['prompt_tokens', 'completion_tokens', 'input_tokens', 'outputTokens', 'totalTokens', 'promptTokens']
    fc.assert(
      fc.property(fc.constantFrom(...keys), count, (key, value) => {
        expect(Number(charge({ [key]: value }).credits)).toBeGreaterThan(0)
      }),
    )
  })
})
