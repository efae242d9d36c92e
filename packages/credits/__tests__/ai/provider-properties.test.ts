import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { countedUsage } from '../../src/ai/charge/counted-usage.ts'
import { fieldsOf, type ProviderAnswer, readProvider } from '../../src/ai/charge/providers/index.ts'
import type { PricedCall } from '../../src/ai/types.ts'
import { add, compare, mul } from '../../src/core/money.ts'
import { calculateCredits } from '../../src/core/pricing/calculate.ts'
import { estimateOf, pricedContext, promptOf, seenParts } from './calls.ts'

/** Usages tried with each reader. `PROVIDER_USAGES=100000` is the run whose result is kept in the docs. */
const RUNS = Number(process.env.PROVIDER_USAGES ?? 500)

const rate = {
  modelId: 'test/model',
  type: 'language',
  pricing: {
    input: '0.000002',
    output: '0.00001',
    input_cache_read: '0.0000002',
    input_cache_write: '0.0000025',
    web_search: '10',
    maps_search: '14',
    audio_input_token_cost: '0.00001',
    audio_output_token_cost: '0.00002',
    fast: { input: '0.000004', output: '0.00002' },
    regional: { us: { input: '0.0000022', output: '0.000011' } },
    service_tiers: { priority: { input: '0.000004', output: '0.00002' } },
  },
  maxOutputTokens: 100_000,
  contextWindow: 1_000_000,
}
const context = pricedContext([rate])
const params = { prompt: promptOf('Hello, how are you?') }
const estimate = await estimateOf(params, { model: rate.modelId, context, delivery: 'whole' })

/** What a provider counted, in numbers that every provider has. */
interface Counts {
  input: number
  cached: number
  written: number
  output: number
  reasoning: number
  searches: number
}

interface Answer {
  usage: { inputTokens: object; outputTokens: object; raw: Record<string, unknown> }
  metadata?: Record<string, unknown>
}

const sdk = ({ input, cached, written, output, reasoning }: Counts, raw: Record<string, unknown>): Answer => ({
  usage: {
    inputTokens: { total: input + cached + written, noCache: input, cacheRead: cached, cacheWrite: written },
    outputTokens: { total: output + reasoning, text: output, reasoning },
    raw,
  },
})

/** Usage objects in the shape of each provider. */
const SHAPES: Readonly<Record<string, (counts: Counts) => Answer>> = {
  openai: (counts) =>
    sdk(counts, {
      input_tokens: counts.input + counts.cached + counts.written,
      output_tokens: counts.output + counts.reasoning,
      input_tokens_details: { cached_tokens: counts.cached, cache_write_tokens: counts.written },
      output_tokens_details: { reasoning_tokens: counts.reasoning },
    }),
  anthropic: (counts) =>
    sdk(counts, {
      input_tokens: counts.input,
      output_tokens: counts.output + counts.reasoning,
      cache_read_input_tokens: counts.cached,
      cache_creation_input_tokens: counts.written,
      cache_creation: { ephemeral_1h_input_tokens: Math.floor(counts.written / 2) },
      server_tool_use: { web_search_requests: counts.searches },
      speed: 'fast',
    }),
  google: (counts) => ({
    ...sdk(
      { ...counts, written: 0 },
      {
        promptTokenCount: counts.input + counts.cached,
        candidatesTokenCount: counts.output,
        thoughtsTokenCount: counts.reasoning,
        cachedContentTokenCount: counts.cached,
        promptTokensDetails: [{ modality: 'AUDIO', tokenCount: Math.floor(counts.input / 2) }],
      },
    ),
    metadata: {
      google: { groundingMetadata: { webSearchQueries: Array.from({ length: counts.searches }, () => 'query') } },
    },
  }),
  bedrock: (counts) =>
    sdk(counts, {
      inputTokens: counts.input,
      outputTokens: counts.output + counts.reasoning,
      cacheReadInputTokens: counts.cached,
      cacheWriteInputTokens: counts.written,
      cacheDetails: [
        { ttl: '5m', inputTokens: counts.written - Math.floor(counts.written / 3) },
        { ttl: '1h', inputTokens: Math.floor(counts.written / 3) },
      ],
    }),
  xai: (counts) =>
    sdk(
      { ...counts, written: 0 },
      {
        input_tokens: counts.input + counts.cached,
        output_tokens: counts.output + counts.reasoning,
        num_server_side_tools_used: counts.searches,
      },
    ),
  mistral: (counts) =>
    sdk(
      { ...counts, written: 0 },
      {
        prompt_tokens: counts.input + counts.cached,
        completion_tokens: counts.output + counts.reasoning,
        prompt_audio_seconds: 1,
        prompt_token_details: { audio_tokens: Math.floor(counts.input / 2) },
      },
    ),
  cohere: (counts) =>
    sdk(
      { ...counts, cached: 0, written: 0, reasoning: 0 },
      { billed_units: { input_tokens: counts.input, output_tokens: counts.output }, tokens: {} },
    ),
  deepseek: (counts) =>
    sdk(
      { ...counts, written: 0 },
      {
        prompt_tokens: counts.input + counts.cached,
        completion_tokens: counts.output + counts.reasoning,
        prompt_cache_hit_tokens: counts.cached,
      },
    ),
  perplexity: (counts) =>
    sdk(
      { ...counts, cached: 0, written: 0 },
      { prompt_tokens: counts.input, completion_tokens: counts.output, num_search_queries: counts.searches },
    ),
  openrouter: (counts) => ({
    ...sdk({ ...counts, written: 0 }, { prompt_tokens: counts.input, completion_tokens: counts.output }),
    metadata: { openrouter: { usage: { promptTokens: counts.input } } },
  }),
}

function costOf({ usage, metadata = {} }: Answer): { costUsd: string; billed: number } {
  const seen = seenParts([])
  const answer = {
    model: rate.modelId,
    providerOptions: undefined,
    raw: fieldsOf(usage.raw),
    metadata,
    inputTokens: (usage.inputTokens as { total: number }).total,
    outputTokens: (usage.outputTokens as { total: number }).total,
    pricedPerPicture: false,
    seen,
  } satisfies ProviderAnswer
  const call = { modality: 'language', context, model: rate.modelId, params, estimate } as unknown as PricedCall
  const outcome = { result: {}, usage, seen, providerMetadata: metadata, response: {}, aborted: false }
  const reading = readProvider(answer, 'charge')
  const counted = countedUsage(call, { ...outcome, generationId: undefined }, reading)
  const { costUsd } = calculateCredits(counted.usage, { rate, marginPercent: '0' })
  return { costUsd, billed: (counted.usage.inputTokens ?? 0) + (counted.usage.outputTokens ?? 0) }
}

const count = (max: number) => fc.nat({ max })
const counts = fc.record({
  input: fc.integer({ min: 1, max: 200_000 }),
  cached: count(200_000),
  written: count(100_000),
  output: count(40_000),
  reasoning: count(40_000),
  searches: count(20),
})

describe.each(Object.keys(SHAPES))('any usage that %s counts', (name) => {
  const shape = SHAPES[name] as (counts: Counts) => Answer

  it('is charged, and never less for more', () => {
    fc.assert(
      fc.property(
        counts,
        count(10_000),
        fc.constantFrom('input', 'output', 'reasoning', 'searches'),
        (some, more, key) => {
          const { costUsd, billed } = costOf(shape(some))
          expect(compare(costUsd, '0')).toBe(1)
          // No token is cheaper than one that is read from a cache.
          expect(compare(costUsd, mul(String(billed), '0.0000002'))).toBeGreaterThanOrEqual(0)
          const grown = costOf(shape({ ...some, [key]: some[key] + more }))
          expect(compare(add(grown.costUsd, '0'), costUsd)).toBeGreaterThanOrEqual(0)
        },
      ),
      { numRuns: RUNS },
    )
  })
})

it('an answer of any JSON never makes a reader throw or a charge negative', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), (raw, metadata, tokens) => {
      const usage = { inputTokens: tokens, outputTokens: tokens, raw } as unknown as Answer['usage']
      const { costUsd } = costOf({
        usage: { ...usage, inputTokens: { total: tokens } as never, outputTokens: { total: tokens } as never },
        metadata: { openai: metadata, google: metadata, xai: metadata, perplexity: metadata } as never,
      })
      expect(compare(costUsd, '0')).toBeGreaterThanOrEqual(0)
    }),
    { numRuns: 2_000 },
  )
})
