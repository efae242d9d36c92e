import { createAmazonBedrock } from '@ai-sdk/amazon-bedrock'
import { createAnthropic } from '@ai-sdk/anthropic'
import { createAzure } from '@ai-sdk/azure'
import { createCohere } from '@ai-sdk/cohere'
import { createDeepSeek } from '@ai-sdk/deepseek'
import { createFireworks } from '@ai-sdk/fireworks'
import { createGoogle } from '@ai-sdk/google'
import { createGoogleVertex } from '@ai-sdk/google-vertex'
import { createGroq } from '@ai-sdk/groq'
import { createMistral } from '@ai-sdk/mistral'
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { createPerplexity } from '@ai-sdk/perplexity'
import { createTogetherAI } from '@ai-sdk/togetherai'
import { createXai } from '@ai-sdk/xai'
import { createOpenRouter } from '@openrouter/ai-sdk-provider'
import { describe, expect, it } from 'vitest'
import type { Usage } from '../../src/core/pricing/usage.ts'
import { answering, chargeOfModel, listedRate, pricedContext, streaming } from './calls.ts'

/** Answers in the documented shape of each provider, parsed by its own package. Costs are sums done by hand. */
const apiKey = 'key'
const listed = [
  'openai/gpt-5',
  'openai/gpt-image-1',
  'google/gemini-2.5-flash',
  'google/gemini-3-flash',
  'google/gemini-2.5-flash-image',
  'spacexai/grok-4.3',
  'perplexity/sonar',
  'anthropic/claude-opus-5',
  'anthropic/claude-sonnet-5',
  'anthropic/claude-haiku-4.5',
  'cohere/command-a',
  'deepseek/deepseek-v3.2',
  'mistral/mistral-large-3',
  'openai/gpt-oss-120b',
  'openai/tts-1',
]
const own = [
  {
    modelId: 'google/gemini-audio',
    type: 'language',
    pricing: {
      input: '0.0000003',
      output: '0.0000025',
      input_cache_read: '0.00000003',
      audio_input_token_cost: '0.000001',
    },
  },
  {
    modelId: 'openai/gpt-audio',
    type: 'language',
    pricing: {
      input: '0.0000025',
      output: '0.00001',
      input_cache_read: '0.0000004',
      audio_input_token_cost: '0.00004',
      audio_output_token_cost: '0.00008',
    },
  },
]
const context = pricedContext([...listed.map(listedRate), ...own])

async function costOf(model: Parameters<typeof chargeOfModel>[0], rate: string, input: object = {}) {
  const charge = await chargeOfModel(model, { model: rate, context, ...input })
  return charge
}

const webSearch = (id: string, type: string) => ({
  type: 'web_search_call',
  id,
  status: 'completed',
  action: type === 'search' ? { type, query: 'q' } : { type, url: 'https://example.com' },
})

const responses = (output: object[], usage: object, rest: object = {}) => ({
  id: 'resp_1',
  created_at: 1,
  model: 'gpt-5',
  output: [
    ...output,
    {
      type: 'message',
      id: 'msg_1',
      role: 'assistant',
      status: 'completed',
      content: [{ type: 'output_text', text: 'ok', annotations: [], logprobs: [] }],
    },
  ],
  status: 'completed',
  usage,
  ...rest,
})

describe('OpenAI and Azure', () => {
  const usage = { input_tokens: 1_000, output_tokens: 500, output_tokens_details: { reasoning_tokens: 300 } }
  const searching = [webSearch('a', 'search'), webSearch('b', 'search'), webSearch('c', 'search')]
  const params = { tools: [{ type: 'provider', id: 'openai.web_search', name: 'web_search', args: {} }] }
  // 1,000 x 1.25 + 500 x 10 millionths, and three searches at a cent.
  const cost = '0.03625'

  it('web searches of the Responses API are counted by their items', async () => {
    const model = createOpenAI({ apiKey, fetch: answering(responses(searching, usage)) }).responses('gpt-5')
    expect(await costOf(model, 'openai/gpt-5', { params })).toMatchObject({ costUsd: cost, usage: { webSearches: 3 } })
  })

  it('a page that the search tool opens is not a search', async () => {
    const opened = [...searching, webSearch('d', 'open_page')]
    const model = createOpenAI({ apiKey, fetch: answering(responses(opened, usage)) }).responses('gpt-5')
    expect(await costOf(model, 'openai/gpt-5', { params })).toMatchObject({ costUsd: cost })
  })

  it('web searches of a stream are counted by its tool calls', async () => {
    const item = (id: string) => webSearch(id, 'search')
    const events = [
      { type: 'response.created', response: { id: 'r', created_at: 1, model: 'gpt-5' } },
      ...['a', 'b', 'c'].flatMap((id, output_index) => [
        { type: 'response.output_item.added', output_index, item: { ...item(id), status: 'in_progress' } },
        { type: 'response.output_item.done', output_index, item: item(id) },
      ]),
      { type: 'response.completed', response: { incomplete_details: null, usage } },
    ]
    const model = createOpenAI({ apiKey, fetch: streaming(events) }).responses('gpt-5')
    const streamed = { params, delivery: 'stream' }
    expect(await costOf(model, 'openai/gpt-5', streamed)).toMatchObject({ costUsd: cost, usage: { webSearches: 3 } })
  })

  it('Azure counts the same searches', async () => {
    const azure = createAzure({ apiKey, resourceName: 'test', fetch: answering(responses(searching, usage)) })
    expect(await costOf(azure.responses('deployment'), 'openai/gpt-5', { params })).toMatchObject({ costUsd: cost })
  })

  it('the tier that served is charged, not the tier that was asked for', async () => {
    const answer = responses([], usage, { service_tier: 'flex' })
    const model = createOpenAI({ apiKey, fetch: answering(answer) }).responses('gpt-5')
    const options = { params: { providerOptions: { openai: { serviceTier: 'priority' } } } }
    // Flex is half the price.
    expect(await costOf(model, 'openai/gpt-5', options)).toMatchObject({ costUsd: '0.003125' })
  })

  it('audio tokens of a chat have their own price, and cached audio is charged once', async () => {
    const audio = {
      id: 'c',
      model: 'gpt-audio',
      choices: [{ index: 0, message: { role: 'assistant', content: 'ok' }, finish_reason: 'stop' }],
      usage: {
        prompt_tokens: 1_000,
        completion_tokens: 300,
        prompt_tokens_details: { cached_tokens: 200, audio_tokens: 700, cached_tokens_details: { audio_tokens: 200 } },
        completion_tokens_details: { audio_tokens: 250 },
      },
    }
    const compatible = createOpenAICompatible({ name: 'own', baseURL: 'https://x.test', fetch: answering(audio) })
    // 300 text x 2.5, 200 cached x 0.4, 500 audio x 40, 50 text out x 10, 250 audio out x 80.
    expect(await costOf(compatible('gpt-audio'), 'openai/gpt-audio')).toMatchObject({ costUsd: '0.04133' })
  })

  it('pictures that are billed by tokens cost their tokens, counted or not', async () => {
    const image = (usage?: object) => ({ created: 1, data: [{ b64_json: 'AAAA' }], ...(usage && { usage }) })
    const params = { prompt: 'a fox', n: 1, size: '1024x1024', providerOptions: { openai: { quality: 'high' } } }
    const counted = createOpenAI({ apiKey, fetch: answering(image({ input_tokens: 10, output_tokens: 4_160 })) })
    const input = { modality: 'image', params }
    expect(await costOf(counted.image('gpt-image-1'), 'openai/gpt-image-1', input)).toMatchObject({
      costUsd: '0.16645',
      costSource: 'rate',
    })
    const uncounted = createOpenAI({ apiKey, fetch: answering(image()) })
    const charge = await costOf(uncounted.image('gpt-image-1'), 'openai/gpt-image-1', input)
    expect(charge).toMatchObject({ costSource: 'estimate', usage: { outputTokens: 4_160 } })
    expect(charge.flags).toContain('usage_estimated')
  })

  it('spoken characters are counted as readers count them', async () => {
    const fetch = async () => new Response(new Uint8Array(8), { headers: { 'content-type': 'audio/mpeg' } })
    const model = createOpenAI({ apiKey, fetch }).speech('tts-1')
    const text = '😀'.repeat(100)
    expect(await costOf(model, 'openai/tts-1', { modality: 'speech', params: { text } })).toMatchObject({
      costUsd: '0.0015',
      usage: { characters: 100 },
    })
  })
})

describe('Anthropic', () => {
  const answer = (usage: object) => ({
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'claude-opus-5',
    content: [{ type: 'text', text: 'ok' }],
    stop_reason: 'end_turn',
    stop_sequence: null,
    usage: { input_tokens: 1_000, output_tokens: 500, ...usage },
  })
  const opus = (usage: object, options?: object) =>
    costOf(createAnthropic({ apiKey, fetch: answering(answer(usage)) })('claude-opus-5'), 'anthropic/claude-opus-5', {
      params: options === undefined ? {} : { providerOptions: { anthropic: options } },
    })

  it('fast mode is twice the price, as served', async () => {
    expect(await opus({ speed: 'fast' }, { speed: 'fast' })).toMatchObject({ costUsd: '0.035' })
    expect(await opus({ speed: 'standard' }, { speed: 'fast' })).toMatchObject({ costUsd: '0.0175' })
  })

  it('fast mode that the answer does not mention is charged as asked for', async () => {
    expect(await opus({}, { speed: 'fast' })).toMatchObject({ costUsd: '0.035' })
  })

  it('a pinned region has its own price', async () => {
    expect(await opus({ inference_geo: 'us' }, { inferenceGeo: 'us' })).toMatchObject({ costUsd: '0.01925' })
  })

  it('cache writes for an hour, reads and web searches are counted', async () => {
    const usage = {
      cache_read_input_tokens: 2_000,
      cache_creation_input_tokens: 3_000,
      cache_creation: { ephemeral_5m_input_tokens: 1_000, ephemeral_1h_input_tokens: 2_000 },
      server_tool_use: { web_search_requests: 2 },
    }
    // 1,000 x 5, 2,000 x 0.5, 1,000 x 6.25, 2,000 x 10, 500 x 25 millionths, two searches.
    expect(await opus(usage)).toMatchObject({ costUsd: '0.06475' })
  })

  it('a stream is charged by its last counts', async () => {
    const usage = {
      input_tokens: 1_000,
      output_tokens: 500,
      cache_creation_input_tokens: 3_000,
      cache_creation: { ephemeral_5m_input_tokens: 1_000, ephemeral_1h_input_tokens: 2_000 },
      server_tool_use: { web_search_requests: 2 },
      speed: 'fast',
    }
    const message = { ...answer({}), content: [], usage: { ...usage, output_tokens: 1 } }
    const events = [
      { type: 'message_start', message },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'ok' } },
      { type: 'content_block_stop', index: 0 },
      { type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage },
      { type: 'message_stop' },
    ]
    const model = createAnthropic({ apiKey, fetch: streaming(events) })('claude-opus-5')
    const streamed = { delivery: 'stream', params: { providerOptions: { anthropic: { speed: 'fast' } } } }
    // 1,000 x 10, 1,000 x 12.5, 2,000 x 20, 500 x 50 millionths, two searches.
    expect(await costOf(model, 'anthropic/claude-opus-5', streamed)).toMatchObject({ costUsd: '0.1075' })
  })

  it('an advisor is charged at its own price', async () => {
    const usage = {
      iterations: [
        { type: 'message', input_tokens: 1_000, output_tokens: 500 },
        { type: 'advisor_message', model: 'claude-opus-5', input_tokens: 4_000, output_tokens: 1_000 },
      ],
    }
    const fetch = answering({ ...answer(usage), model: 'claude-haiku-4-5' })
    const charge = await costOf(createAnthropic({ apiKey, fetch })('claude-haiku-4-5'), 'anthropic/claude-haiku-4.5')
    // Haiku 1,000 x 1 + 500 x 5, opus 4,000 x 5 + 1,000 x 25.
    expect(charge).toMatchObject({ costUsd: '0.0485', model: 'anthropic/claude-haiku-4.5' })
    expect(charge.flags).toContain('other_models_included')
  })
})

describe('Google', () => {
  const answer = (usageMetadata: object, candidate: object = {}) => ({
    candidates: [{ content: { role: 'model', parts: [{ text: 'ok' }] }, finishReason: 'STOP', index: 0, ...candidate }],
    usageMetadata: { promptTokenCount: 1_000, candidatesTokenCount: 400, totalTokenCount: 1_400, ...usageMetadata },
  })
  const gemini = (id: string, body: object, params: object = {}, rate = `google/${id}`) =>
    costOf(createGoogle({ apiKey, fetch: answering(body) })(id), rate, { params })
  const grounding = { groundingMetadata: { webSearchQueries: ['a', 'b', 'c'], groundingChunks: [] } }

  it('search grounding of Gemini 2.5 is charged per request', async () => {
    // 1,000 x 0.3 + 400 x 2.5 millionths; the price list of the seed has no searches for this model.
    const rates = [
      { modelId: 'google/gemini-2.5-pro', pricing: { input: '0.0000003', output: '0.0000025', web_search: '35' } },
    ]
    const grounded = pricedContext(rates)
    const model = createGoogle({ apiKey, fetch: answering(answer({}, grounding)) })('gemini-2.5-pro')
    const charge = await chargeOfModel(model, { model: 'google/gemini-2.5-pro', context: grounded })
    expect(charge).toMatchObject({ costUsd: '0.0363', usage: { webSearches: 1 } })
  })

  it('search grounding of Gemini 3 is charged per search', async () => {
    // 1,000 x 0.5 + 400 x 3 millionths, three searches at 1.4 cents.
    expect(await gemini('gemini-3-flash', answer({}, grounding))).toMatchObject({ costUsd: '0.0437' })
  })

  it('Vertex counts the same searches', async () => {
    const fetch = answering(answer({}, grounding))
    const model = createGoogleVertex({ apiKey, fetch })('gemini-3-flash')
    expect(await costOf(model, 'google/gemini-3-flash')).toMatchObject({ costUsd: '0.0437' })
  })

  it('grounding with maps is charged by its own price', async () => {
    const maps = {
      groundingMetadata: { groundingChunks: [{ maps: { uri: 'https://maps.google.com/1', title: 'x' } }] },
    }
    expect(await gemini('gemini-3-flash', answer({}, maps))).toMatchObject({
      costUsd: '0.0157',
      usage: { mapsSearches: 1 },
    })
  })

  it('audio input has its own price, and cached audio is charged once', async () => {
    const details = {
      cachedContentTokenCount: 200,
      promptTokensDetails: [
        { modality: 'TEXT', tokenCount: 300 },
        { modality: 'AUDIO', tokenCount: 700 },
      ],
      cacheTokensDetails: [{ modality: 'AUDIO', tokenCount: 200 }],
    }
    // 300 x 0.3, 200 x 0.03, 500 x 1, 400 x 2.5 millionths.
    expect(await gemini('gemini-audio', answer(details))).toMatchObject({ costUsd: '0.001596' })
  })

  it('a picture is charged by the piece and its tokens are not charged as text', async () => {
    const parts = [{ text: 'here' }, { inlineData: { mimeType: 'image/png', data: 'AAAA' } }]
    const details = {
      candidatesTokenCount: 1_300,
      candidatesTokensDetails: [{ modality: 'IMAGE', tokenCount: 1_290 }],
    }
    const body = answer(details, { content: { role: 'model', parts } })
    // 1,000 x 0.3 + 10 x 2.5 millionths and one picture.
    expect(await gemini('gemini-2.5-flash-image', body)).toMatchObject({
      costUsd: '0.039325',
      usage: { images: 1, outputTokens: 10 },
    })
  })

  it('an output of zero that contradicts the answer is replaced', async () => {
    const text = 'word '.repeat(2_000)
    const body = answer({ candidatesTokenCount: 0 }, { content: { role: 'model', parts: [{ text }] } })
    const charge = await gemini('gemini-3-flash', body)
    expect(charge.outputTokens).toBe(2_500)
    expect(charge).toMatchObject({ costSource: 'estimate' })
    expect(charge.flags).toContain('usage_estimated')
    expect(charge.rawUsage).toMatchObject({ candidatesTokenCount: 0 })
  })

  it('a stream that ends after the first count is charged for what was seen', async () => {
    const chunk = (text: string, usageMetadata?: object) => ({
      candidates: [{ content: { role: 'model', parts: [{ text }] }, index: 0 }],
      ...(usageMetadata && { usageMetadata }),
    })
    const words = Array.from({ length: 1_000 }, () => chunk('seven words of an answer or so '))
    const events = [chunk('first ', { promptTokenCount: 1_000, candidatesTokenCount: 0 }), ...words]
    const model = createGoogle({ apiKey, fetch: streaming(events) })('gemini-3-flash')
    const charge = await costOf(model, 'google/gemini-3-flash', { delivery: 'stream' })
    expect(charge.outputTokens).toBeGreaterThan(5_000)
    expect(charge.costSource).toBe('estimate')
  })
})

describe('xAI', () => {
  const answer = (usage: object) => ({
    id: 'r',
    object: 'response',
    created_at: 1,
    model: 'grok-4.3',
    status: 'completed',
    output: [
      {
        type: 'message',
        id: 'm',
        role: 'assistant',
        status: 'completed',
        content: [{ type: 'output_text', text: 'ok', annotations: [] }],
      },
    ],
    usage: { input_tokens: 1_000, output_tokens: 500, total_tokens: 1_500, ...usage },
  })
  const grok = (usage: object) =>
    costOf(createXai({ apiKey, fetch: answering(answer(usage)) }).responses('grok-4.3'), 'spacexai/grok-4.3')

  it('the cost in ticks is charged', async () => {
    expect(await grok({ num_server_side_tools_used: 4, cost_in_usd_ticks: 228_000_000 })).toMatchObject({
      costUsd: '0.0228',
      costSource: 'gateway-cost',
    })
  })

  it('searches are counted where there is no cost', async () => {
    // 1,000 x 1.25 + 500 x 2.5 millionths, four searches at half a cent.
    expect(await grok({ num_server_side_tools_used: 4 })).toMatchObject({ costUsd: '0.0225' })
  })
})

describe('Perplexity, Cohere, Mistral, DeepSeek', () => {
  const chat = (usage: object, rest: object = {}) => ({
    id: 'c',
    created: 1,
    model: 'm',
    object: 'chat.completion',
    choices: [{ index: 0, message: { role: 'assistant', content: 'ok' }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 1_000, completion_tokens: 500, total_tokens: 1_500, ...usage },
    ...rest,
  })

  it('the cost that Perplexity reports includes its fee per request', async () => {
    const usage = {
      cost: { input_tokens_cost: 0.001, output_tokens_cost: 0.0005, request_cost: 0.005, total_cost: 0.0065 },
    }
    const model = createPerplexity({ apiKey, fetch: answering(chat(usage)) })('sonar')
    expect(await costOf(model, 'perplexity/sonar')).toMatchObject({ costUsd: '0.0065', costSource: 'gateway-cost' })
  })

  it('Cohere is charged by its billed units', async () => {
    const body = {
      generation_id: 'g',
      message: { role: 'assistant', content: [{ type: 'text', text: 'ok' }] },
      finish_reason: 'COMPLETE',
      usage: { billed_units: { input_tokens: 8, output_tokens: 80 }, tokens: { input_tokens: 512, output_tokens: 82 } },
    }
    const model = createCohere({ apiKey, fetch: answering(body) })('command-a-03-2025')
    // 8 x 2.5 + 80 x 10 millionths.
    expect(await costOf(model, 'cohere/command-a')).toMatchObject({ costUsd: '0.00082' })
  })

  it.each([
    ['Mistral', createMistral, 'mistral-large-latest', 'mistral/mistral-large-3', {}, '0.00125'],
    [
      'DeepSeek',
      createDeepSeek,
      'deepseek-chat',
      'deepseek/deepseek-v3.2',
      { prompt_cache_hit_tokens: 400 },
      '0.001545',
    ],
    ['Groq', createGroq, 'openai/gpt-oss-120b', 'openai/gpt-oss-120b', {}, undefined],
    ['Together', createTogetherAI, 'openai/gpt-oss-120b', 'openai/gpt-oss-120b', {}, undefined],
    ['Fireworks', createFireworks, 'gpt-oss-120b', 'openai/gpt-oss-120b', {}, undefined],
  ] as const)('%s is charged by the tokens it counts', async (_, create, id, rate, usage, cost) => {
    const model = create({ apiKey, fetch: answering(chat(usage)) })(id)
    const charge = await costOf(model as never, rate)
    expect(charge).toMatchObject({ inputTokens: 1_000, outputTokens: 500, costSource: 'rate' })
    if (cost !== undefined) expect(charge.costUsd).toBe(cost)
  })

  it.each(['prompt_tokens_details', 'prompt_token_details'])('Mistral counts audio in its %s', async (details) => {
    const body = chat({ prompt_audio_seconds: 60, [details]: { audio_tokens: 700 } })
    const model = createMistral({ apiKey, fetch: answering(body) })('voxtral-small-latest')
    // 300 x 2.5, 700 x 40, 500 x 10 millionths.
    expect(await costOf(model, 'openai/gpt-audio')).toMatchObject({ costUsd: '0.03375' })
  })

  it('cached tokens under the names of DeepSeek and Moonshot are read in every compatible answer', async () => {
    const charged = async (usage: object) => {
      const compatible = createOpenAICompatible({
        name: 'own',
        baseURL: 'https://x.test',
        fetch: answering(chat(usage)),
      })
      return (await costOf(compatible('m'), 'openai/gpt-5')).usage as Usage
    }
    expect(await charged({ cached_tokens: 400 })).toMatchObject({ cacheReadTokens: 400 })
    expect(await charged({ prompt_cache_hit_tokens: 300 })).toMatchObject({ cacheReadTokens: 300 })
  })

  it('a compatible provider that counts only a total is charged for what was seen', async () => {
    const body = chat({ prompt_tokens: undefined, completion_tokens: undefined })
    body.choices[0] = { index: 0, message: { role: 'assistant', content: 'a'.repeat(4_000) }, finish_reason: 'stop' }
    const compatible = createOpenAICompatible({ name: 'own', baseURL: 'https://x.test', fetch: answering(body) })
    const charge = await costOf(compatible('m'), 'openai/gpt-5')
    expect(charge).toMatchObject({ outputTokens: 1_000, costSource: 'estimate' })
    expect(Number(charge.inputTokens)).toBeGreaterThan(0)
  })

  it('over the app’s own key OpenRouter’s fee and the cost of the provider are charged', async () => {
    const usage = { cost: 0.00002, is_byok: true, cost_details: { upstream_inference_cost: 0.0004 } }
    const body = { ...chat(usage), provider: 'DeepInfra' }
    const model = createOpenRouter({ apiKey, fetch: answering(body) }).chat('deepseek/deepseek-v3.2')
    const charged = (byok: 'charge' | 'free') =>
      chargeOfModel(model, { model: 'deepseek/deepseek-v3.2', context: { ...context, byok } })
    expect(await charged('charge')).toMatchObject({ costUsd: '0.00042' })
    expect(await charged('free')).toMatchObject({ costUsd: '0.00002' })
  })

  it('the cost that OpenRouter reports is charged', async () => {
    const body = { ...chat({ cost: 0.00042 }), provider: 'DeepInfra' }
    const model = createOpenRouter({ apiKey, fetch: answering(body) }).chat('deepseek/deepseek-v3.2')
    expect(await costOf(model, 'deepseek/deepseek-v3.2')).toMatchObject({
      costUsd: '0.00042',
      costSource: 'gateway-cost',
      computedCostUsd: '0.001545',
    })
  })
})

describe('Amazon Bedrock', () => {
  it('cache writes for an hour cost more than those for five minutes', async () => {
    const body = {
      output: { message: { role: 'assistant', content: [{ text: 'ok' }] } },
      stopReason: 'end_turn',
      usage: {
        inputTokens: 1_000,
        outputTokens: 500,
        totalTokens: 4_500,
        cacheReadInputTokens: 0,
        cacheWriteInputTokens: 3_000,
        cacheDetails: [
          { ttl: '5m', inputTokens: 1_000 },
          { ttl: '1h', inputTokens: 1_500 },
          { ttl: '1h', inputTokens: 500 },
        ],
      },
      serviceTier: { type: 'flex' },
    }
    const bedrock = createAmazonBedrock({ region: 'us-east-1', apiKey, fetch: answering(body) })
    const model = bedrock('anthropic.claude-opus-5')
    // 1,000 x 5, 1,000 x 6.25, 2,000 x 10, 500 x 25 millionths.
    expect(await costOf(model, 'anthropic/claude-opus-5')).toMatchObject({
      costUsd: '0.04375',
      usage: { cacheWrite1hTokens: 2_000, serviceTier: 'flex' },
    })
  })
})
