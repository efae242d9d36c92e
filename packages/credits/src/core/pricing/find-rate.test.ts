import { describe, expect, it } from 'vitest'
import { calculateCredits } from './calculate.ts'
import { findRate, type RateQuery } from './find-rate.ts'
import { modelKey, parseModelKey, providerName } from './model-ids.ts'
import { frozenRate, requireRate, selectRate } from './rates.ts'

const asOf = '2026-11-13T10:00:00Z'
const row = (modelId: string, source = 'AI Gateway /v1/models', known = true) => ({
  modelId,
  known,
  source,
  effectiveFrom: '2026-01-01T00:00:00Z',
  type: 'language',
  pricing: { input: '0.000001', output: '0.000002' },
})

const gateway = [
  'alibaba/qwen-3-32b',
  'anthropic/claude-3.5-haiku',
  'anthropic/claude-opus-4.1',
  'anthropic/claude-sonnet-4.5',
  'anthropic/claude-sonnet-5',
  'cohere/command-a',
  'deepseek/deepseek-r1',
  'google/gemini-2.5-flash',
  'meta/llama-3.3-70b',
  'mistral/mistral-large',
  'openai/gpt-4o',
  'openai/gpt-5',
  'openai/gpt-oss-120b',
  'perplexity/sonar',
  'spacexai/grok-4.5',
].map((id) => row(id))
const own = [
  'openai:gpt-4o-2024-05-13',
  'groq:openai/gpt-oss-20b',
  'perplexity:sonar',
  'ollama/llama3.2',
  'amazon-bedrock:amazon.nova-pro-v1:0',
  'openrouter:deepseek/deepseek-r1:free',
].map((id) => row(id, 'manual'))
const snapshot = { rates: [...gateway, ...own], aliases: { 'xai/grok-4.5': 'spacexai/grok-4.5' }, asOf }

const found = (query: RateQuery) => {
  const result = findRate(snapshot, query)
  return result === null ? null : [result.rate.modelId, ...result.flags]
}
const at = (provider: string, modelId: string, deployments?: Record<string, string>) =>
  found({ modelId: modelKey({ provider, modelId }, deployments) })

describe('the key of a model', () => {
  it.each([
    ['gateway', 'openai/gpt-5', 'openai/gpt-5'],
    ['anthropic.messages', 'claude-sonnet-5', 'anthropic:claude-sonnet-5'],
    ['google.generative-ai', 'gemini-2.5-flash', 'google:gemini-2.5-flash'],
    ['google.vertex.chat', 'gemini-2.5-flash', 'google-vertex:gemini-2.5-flash'],
    ['vertex.anthropic.messages', 'claude-sonnet-5', 'google-vertex:claude-sonnet-5'],
    ['groq.chat', 'openai/gpt-oss-120b', 'groq:openai/gpt-oss-120b'],
    ['azure.responses', 'gpt-5', 'azure:gpt-5'],
  ])('of %s %s is %s', (provider, modelId, key) => {
    expect(modelKey({ provider, modelId })).toBe(key)
  })

  it('is read back, and colons after a slash belong to the id', () => {
    expect(parseModelKey('groq:openai/gpt-oss-120b')).toEqual({ provider: 'groq', modelId: 'openai/gpt-oss-120b' })
    expect(parseModelKey('deepseek/deepseek-r1:free')).toEqual({
      provider: null,
      modelId: 'deepseek/deepseek-r1:free',
    })
    expect(providerName('gateway.language')).toBeNull()
  })
})

describe('findRate', () => {
  it.each([
    ['openai/gpt-5', 'openai/gpt-5'],
    ['openai/gpt-5-2025-08-07', 'openai/gpt-5'],
    ['anthropic/claude-sonnet-4-5', 'anthropic/claude-sonnet-4.5'],
    ['anthropic/claude-sonnet-4-5-20250929', 'anthropic/claude-sonnet-4.5'],
    ['anthropic/claude-3-5-haiku-latest', 'anthropic/claude-3.5-haiku'],
    ['xai/grok-4.5', 'spacexai/grok-4.5'],
  ])('finds the gateway model %s as %s, without an assumption', (modelId, expected) => {
    expect(found({ modelId })).toEqual([expected])
  })

  it.each([
    ['anthropic.messages', 'claude-opus-4-1-20250805', 'anthropic/claude-opus-4.1'],
    ['google.generative-ai', 'gemini-2.5-flash-preview-09-2025', 'google/gemini-2.5-flash'],
    ['cohere.chat', 'command-a-03-2025', 'cohere/command-a'],
    ['mistral.chat', 'mistral-large-latest', 'mistral/mistral-large'],
    ['google.vertex.chat', 'gemini-2.5-flash@default', 'google/gemini-2.5-flash'],
    ['vertex.anthropic.messages', 'claude-sonnet-4-5@20250929', 'anthropic/claude-sonnet-4.5'],
    ['google-vertex', 'publishers/anthropic/models/claude-sonnet-5', 'anthropic/claude-sonnet-5'],
    ['google-vertex', 'openai/gpt-oss-120b-maas', 'openai/gpt-oss-120b'],
    ['amazon-bedrock', 'us.anthropic.claude-sonnet-4-5-20250929-v1:0', 'anthropic/claude-sonnet-4.5'],
    ['amazon-bedrock', 'global.anthropic.claude-sonnet-5', 'anthropic/claude-sonnet-5'],
    ['amazon-bedrock', 'openai.gpt-oss-120b-1:0', 'openai/gpt-oss-120b'],
    [
      'bedrock',
      'arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-5',
      'anthropic/claude-sonnet-5',
    ],
    ['azure.responses', 'gpt-5', 'openai/gpt-5'],
    ['xai.chat', 'grok-4-5', 'spacexai/grok-4.5'],
    ['groq.chat', 'openai/gpt-oss-120b', 'openai/gpt-oss-120b'],
    ['togetherai.chat', 'openai/gpt-oss-120b', 'openai/gpt-oss-120b'],
    ['openrouter', 'deepseek/deepseek-r1', 'deepseek/deepseek-r1'],
  ])("takes the gateway's price for %s %s as a flagged fallback", (provider, modelId, expected) => {
    expect(at(provider, modelId)).toEqual([expected, 'gateway_price'])
  })

  it('takes no price of the gateway for a provider where that is turned off', () => {
    const modelId = modelKey({ provider: 'groq.chat', modelId: 'openai/gpt-oss-120b' })
    expect(found({ modelId, gatewayPrices: false })).toBeNull()
    expect(found({ modelId: 'perplexity:sonar', gatewayPrices: false })).toEqual(['perplexity:sonar'])
  })

  it("prefers a provider's own price, under a key or an id with a slash", () => {
    expect(at('perplexity', 'sonar')).toEqual(['perplexity:sonar'])
    expect(at('gateway', 'perplexity/sonar')).toEqual(['perplexity/sonar'])
    expect(at('groq.chat', 'openai/gpt-oss-20b')).toEqual(['groq:openai/gpt-oss-20b'])
    expect(at('ollama.chat', 'llama3.2')).toEqual(['ollama/llama3.2'])
    expect(found({ modelId: 'groq/openai/gpt-oss-20b' })).toEqual(['groq:openai/gpt-oss-20b'])
  })

  it("never takes one provider's price for another", () => {
    expect(at('togetherai.chat', 'openai/gpt-oss-20b')).toBeNull()
    expect(at('fireworks.chat', 'sonar')).toEqual(['perplexity/sonar', 'gateway_price'])
    expect(at('lmstudio', 'llama3.2')).toBeNull()
    expect(found({ modelId: 'mistral/gpt-5' })).toBeNull()
  })

  it('prefers the price of a dated id over that of the model, which may have changed since', () => {
    expect(at('openai.responses', 'gpt-4o-2024-05-13')).toEqual(['openai:gpt-4o-2024-05-13'])
    expect(at('openai.responses', 'gpt-4o-2024-11-20')).toEqual(['openai/gpt-4o', 'gateway_price'])
  })

  it('finds the own price of a Bedrock model in another region', () => {
    expect(at('amazon-bedrock', 'eu.amazon.nova-pro-v1:0')).toEqual(['amazon-bedrock:amazon.nova-pro-v1:0'])
  })

  it('takes a free variant for free only where a row says so, and flags other variants', () => {
    expect(at('openrouter', 'deepseek/deepseek-r1:free')).toEqual(['openrouter:deepseek/deepseek-r1:free'])
    for (const modelId of ['openai/gpt-5:free', 'openai/gpt-5:online', 'openai/gpt-5:nitro']) {
      expect(at('openrouter', modelId)).toEqual(['openai/gpt-5', 'gateway_price', 'variant_price_missing'])
    }
    expect(found({ modelId: 'openai/gpt-5:free' })).toBeNull()
  })

  it('knows the deployments that an app names', () => {
    expect(at('azure.responses', 'my-chat', { 'my-chat': 'gpt-5' })).toEqual(['openai/gpt-5', 'gateway_price'])
    expect(at('azure.responses', 'my-chat')).toBeNull()
  })

  it('says that a model has a row but no price, and prefers any row with a price', () => {
    const rates = [row('a/b', 'AI Gateway', false), row('openai/gpt-5'), row('openai:gpt-5', 'manual', false)]
    expect(findRate({ rates, aliases: {}, asOf }, { modelId: 'a/b' })?.rate.known).toBe(false)
    expect(findRate({ rates, aliases: {}, asOf }, { modelId: 'openai:gpt-5' })?.rate.modelId).toBe('openai/gpt-5')
  })
})

describe('selectRate', () => {
  it('gives the fallback flag to every charge at the rate', () => {
    const rate = requireRate(snapshot, { modelId: 'anthropic:claude-sonnet-4-5' })
    const usage = { inputTokens: 1, outputTokens: 1 }
    expect(calculateCredits(usage, { rate, marginPercent: '0' }).flags).toEqual(['gateway_price'])
    expect(selectRate(snapshot, { modelId: 'anthropic:claude-sonnet-4-5' })).toBe(rate)
    const direct = requireRate(snapshot, { modelId: 'anthropic/claude-sonnet-4.5' })
    expect(calculateCredits(usage, { rate: direct, marginPercent: '0' }).flags).toEqual([])
  })

  it('a frozen row has the flags that it had when it was found, and none under a name that was renamed', () => {
    const { aliases } = snapshot
    const frozen = (rowId: string, modelId: string) => {
      const rate = snapshot.rates.find((one) => one.modelId === rowId)
      if (rate === undefined) throw new Error(`no row ${rowId}`)
      return frozenRate<typeof rate & { flags?: string[] }>(rate, { modelId, aliases }).flags ?? []
    }
    expect(frozen('openai/gpt-5', 'openai:gpt-5')).toEqual(['gateway_price'])
    expect(frozen('openai/gpt-5', 'openrouter:openai/gpt-5:online')).toEqual(['gateway_price', 'variant_price_missing'])
    expect(frozen('openai/gpt-5', 'openai/gpt-5')).toEqual([])
    expect(frozen('spacexai/grok-4.5', 'xai/grok-4.5')).toEqual([])
    expect(frozen('perplexity:sonar', 'perplexity:sonar')).toEqual([])
    // An id that cannot be matched has the frozen price all the same.
    expect(frozen('openai/gpt-5', 'elsewhere/other')).toEqual([])
  })
})
