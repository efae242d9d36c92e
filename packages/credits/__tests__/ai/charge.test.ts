import { describe, expect, it } from 'vitest'
import type { ChargeRecord } from '../../src/index.ts'
import { chargeOf, listedRate, pricedContext, promptOf } from './calls.ts'

/** 1 USD per million tokens in, 2 out, at 60 percent margin. */
const model = 'openai/gpt-test'
const rates = [
  { modelId: model, pricing: { input: '0.000001', output: '0.000002', web_search: '10' }, maxOutputTokens: 4_096 },
  { modelId: 'openai/dear', pricing: { input: '0.00001', output: '0.00002' }, maxOutputTokens: 4_096 },
  { modelId: 'openai/long', pricing: { input: '0.000001', output: '0.000002' }, maxOutputTokens: 64_000 },
  { modelId: 'openai/embed', type: 'embedding', pricing: { input: '0.00000002' } },
  listedRate('openai/gpt-image-1'),
  listedRate('google/gemini-2.5-flash-image'),
]
const context = pricedContext(rates)
const params = { prompt: promptOf('a'.repeat(4_000)) }
const text = (length: number) => ({ type: 'text', text: 'b'.repeat(length) })
const usageOf = (input: number | undefined, output: number | undefined, more: object = {}) => ({
  inputTokens: { total: input },
  outputTokens: { total: output, ...more },
})
const charged = (outcome: Parameters<typeof chargeOf>[1], more: object = {}): Promise<ChargeRecord> =>
  chargeOf({ params, model, context, delivery: 'whole', ...more }, { result: {}, ...outcome })

describe('a whole answer without usage is charged for everything in its content', () => {
  it.each([
    ['text', [text(4_000)], 1_000],
    ['reasoning', [{ type: 'reasoning', text: 'c'.repeat(2_000) }], 500],
    ['tool calls', [{ type: 'tool-call', toolCallId: '1', toolName: 'look', input: 'd'.repeat(400) }], 101],
    ['pictures', [{ type: 'file', mediaType: 'image/png', data: 'AAAA' }], 1_290],
    ['text and reasoning', [text(4_000), { type: 'reasoning', text: 'c'.repeat(2_000) }], 1_500],
  ])('%s', async (_, parts, outputTokens) => {
    const charge = await charged({ parts })
    expect(charge).toMatchObject({ costSource: 'estimate', outputTokens })
    expect(charge.flags).toContain('usage_estimated')
  })
})

it('a tool call that was streamed and then repeated whole is counted once', async () => {
  const input = 'e'.repeat(4_000)
  const parts = [
    { type: 'tool-input-start', id: '1', toolName: 'look' },
    { type: 'tool-input-delta', id: '1', delta: input },
    { type: 'tool-call', toolCallId: '1', toolName: 'look', input },
  ]
  expect((await charged({ parts, result: undefined })).outputTokens).toBe(1_000)
})

describe('a usage that is not whole is completed from what was seen', () => {
  it.each([
    ['no input', usageOf(undefined, 500), 1_004, 500, 'usage_estimated'],
    ['no output', usageOf(900, undefined), 900, 1_000, 'usage_estimated'],
    ['zeros', usageOf(0, 0), 1_004, 1_000, 'usage_estimated'],
    ['an output far below what was seen', usageOf(900, 10), 900, 1_000, 'usage_estimated'],
  ])('%s', async (_, usage, inputTokens, outputTokens, flag) => {
    const charge = await charged({ usage, parts: [text(4_000)] })
    expect(charge).toMatchObject({ inputTokens, outputTokens, costSource: 'estimate' })
    expect(charge.flags).toContain(flag)
    expect(charge.rawUsage).not.toBeNull()
  })

  it.each([
    ['NaN', usageOf(Number.NaN, 5)],
    ['negative counts', usageOf(-1, 5)],
    ['fractions', usageOf(1.5, 5)],
    ['an empty object', {}],
  ])('%s counts as no usage', async (_, usage) => {
    expect(await charged({ usage, parts: [text(4_000)] })).toMatchObject({
      inputTokens: 1_004,
      outputTokens: 1_000,
      costSource: 'estimate',
    })
  })

  it('a whole usage that agrees with what was seen is left as it is', async () => {
    const charge = await charged({ usage: usageOf(900, 800), parts: [text(4_000)] })
    expect(charge).toMatchObject({ inputTokens: 900, outputTokens: 800, costSource: 'rate', flags: [], rawUsage: null })
  })

  it('reasoning above the output is added to it', async () => {
    const charge = await charged({ usage: usageOf(900, 10, { reasoning: 1_000 }), parts: [text(40)] })
    expect(charge.outputTokens).toBe(1_010)
    expect(charge.flags).toContain('usage_inconsistent')
  })
})

describe('figures that cannot be true do not empty an account', () => {
  it.each([
    ['input', usageOf(1_000_000_000, 500), { inputTokens: 1_004, outputTokens: 500 }],
    ['output', usageOf(900, 1_000_000_000), { inputTokens: 900, outputTokens: 1_000 }],
  ])('%s beyond what the model can process is replaced', async (_, usage, expected) => {
    const charge = await charged({ usage, parts: [text(4_000)] })
    expect(charge).toMatchObject({ ...expected, costSource: 'estimate' })
    expect(charge.flags).toContain('usage_invalid')
  })

  it('a reported cost far above the price is refused, and the rate counts', async () => {
    const providerMetadata = { gateway: { marketCost: '1000', generationId: 'gen_1' } }
    const charge = await charged({ usage: usageOf(900, 800), parts: [text(3_200)], providerMetadata })
    expect(charge).toMatchObject({ costUsd: '0.0025', costSource: 'rate', generationId: 'gen_1' })
    expect(charge.flags).toContain('reported_cost_refused')
    expect(charge.rawUsage).not.toBeNull()
  })

  it('a reported cost a few times the price is believed', async () => {
    const providerMetadata = { gateway: { marketCost: '0.01' } }
    expect(await charged({ usage: usageOf(900, 800), parts: [text(3_200)], providerMetadata })).toMatchObject({
      costUsd: '0.01',
      costSource: 'market-cost',
      computedCostUsd: '0.0025',
    })
  })

  it('the surcharge of the gateway is part of the cost, unless the app says otherwise', async () => {
    const providerMetadata = { gateway: { marketCost: '0.01', surchargeCost: '0.0001' } }
    const outcome = { usage: usageOf(900, 800), parts: [text(3_200)], providerMetadata }
    const charge = await charged(outcome)
    expect(charge).toMatchObject({ costUsd: '0.0101', costSource: 'market-cost' })
    expect(charge.flags).toContain('surcharge_included')
    expect(await charged(outcome, { context: { ...context, surcharges: 'free' } })).toMatchObject({ costUsd: '0.01' })
  })

  it('the app can report the cost itself, within the same bound', async () => {
    const reporting = (cost: string) =>
      charged({ usage: usageOf(900, 800), parts: [text(3_200)] }, { context: { ...context, reportedCost: () => cost } })
    expect(await reporting('0.003')).toMatchObject({ costUsd: '0.003', costSource: 'gateway-cost' })
    expect((await reporting('1000')).flags).toContain('reported_cost_refused')
  })

  it('a hook for the cost that throws leaves the price of the rate', async () => {
    const reportedCost = () => {
      throw new Error('no cost')
    }
    const outcome = { usage: usageOf(900, 800), parts: [text(3_200)] }
    expect(await charged(outcome, { context: { ...context, reportedCost } })).toMatchObject({ costUsd: '0.0025' })
  })
})

describe('tools that the provider runs', () => {
  const tools = [{ type: 'provider', id: 'gateway.parallel_search', name: 'find', args: {} }]
  const call = (id: string, toolName = 'find') => ({
    type: 'tool-call',
    toolCallId: id,
    toolName,
    input: '{}',
    providerExecuted: true,
  })

  it('are charged as searches without a counter in the usage', async () => {
    const outcome = { usage: usageOf(900, 800), parts: [call('1'), call('2'), call('3'), text(3_200)] }
    // 900 x 1 + 800 x 2 millionths and three searches at a cent.
    expect(await charged(outcome, { params: { ...params, tools } })).toMatchObject({
      costUsd: '0.0325',
      usage: { webSearches: 3 },
    })
  })

  it('are charged as searches when the usage was lost', async () => {
    expect(await charged({ parts: [call('1'), text(400)] }, { params: { ...params, tools } })).toMatchObject({
      usage: { webSearches: 1 },
      costSource: 'estimate',
    })
  })

  it('are not charged as searches when they search the app’s own files or run code', async () => {
    const parts = [call('1', 'file_search'), call('2', 'code_execution'), text(3_200)]
    expect(await charged({ usage: usageOf(900, 800), parts })).toMatchObject({ costUsd: '0.0025' })
  })
})

it('an embedding that counts nothing is charged for its likely tokens', async () => {
  const values = ['hello world, how are you?']
  const charge = await charged(
    { usage: { tokens: Number.NaN } },
    { model: 'openai/embed', modality: 'embedding', params: { values } },
  )
  expect(charge).toMatchObject({ inputTokens: 7, costSource: 'estimate' })
})

it('a fallback that answered is priced as itself, and the charge names both models', async () => {
  const routing = { modelAttempts: [{ modelId: 'openai/dear', success: true }] }
  expect(
    await charged({ usage: usageOf(900, 800), parts: [text(3_200)], providerMetadata: { gateway: { routing } } }),
  ).toMatchObject({ costUsd: '0.025', model, servedModel: 'openai/dear' })
})

it('the output of a fallback is judged by its own limit', async () => {
  const routing = { modelAttempts: [{ modelId: 'openai/long', success: true }] }
  const outcome = { usage: usageOf(900, 30_000), parts: [text(3_200)], providerMetadata: { gateway: { routing } } }
  expect(await charged(outcome)).toMatchObject({ outputTokens: 30_000, costSource: 'rate' })
})

describe('a call that was lost is charged for the pictures it drew', () => {
  const lost = { result: undefined, usage: undefined, aborted: true }

  it('by their tokens', async () => {
    const image = { modality: 'image', model: 'openai/gpt-image-1', params: { prompt: 'a fox', n: 2 } }
    const charge = await charged(lost, image)
    // 2 pictures of 4,160 tokens at 40 millionths, and the prompt.
    expect(charge).toMatchObject({ costSource: 'estimate', outputTokens: 8_320 })
    expect(Number(charge.costUsd)).toBeGreaterThan(0.33)
  })

  it('by the piece, where a language model drew them', async () => {
    const parts = [{ type: 'file', mediaType: 'image/png', data: 'AAAA' }]
    const charge = await charged({ ...lost, parts }, { model: 'google/gemini-2.5-flash-image', delivery: 'stream' })
    expect(charge).toMatchObject({ costSource: 'estimate', usage: { images: 1 } })
    expect(Number(charge.costUsd)).toBeGreaterThan(0.039)
  })
})

it('a tokenizer that throws is replaced by the built-in count', async () => {
  const countTokens = (value: string) => {
    if (value.includes('<|endoftext|>')) throw new Error('special token')
    return value.length
  }
  const strict = { ...context, countTokens }
  const hostile = { params: { prompt: promptOf('<|endoftext|>') }, context: strict }
  const charge = await charged({ parts: [{ type: 'text', text: '<|endoftext|>'.repeat(100) }] }, hostile)
  expect(charge.outputTokens).toBe(325)
  expect(Number(charge.inputTokens)).toBeGreaterThan(0)
})
