import {
  embed,
  embedMany,
  experimental_decide,
  experimental_extract,
  experimental_generateVideo,
  experimental_getVideoStatus,
  experimental_startVideo,
  generateImage,
  generateObject,
  generateSpeech,
  generateText,
  type ImageModel,
  Output,
  rerank,
  streamObject,
  type TranscriptionModel,
  transcribe,
} from 'ai'
import {
  MockEmbeddingModelV4,
  MockImageModelV4,
  MockRerankingModelV4,
  MockSpeechModelV4,
  MockTranscriptionModelV4,
  MockVideoModelV4,
} from 'ai/test'
import { describe, expect, it, vi } from 'vitest'
import * as z from 'zod'
import { withCredits } from '../../src/ai/index.ts'
import { fatal, finish, provider, type StreamPart, sleep, textParts } from './scripted-model.ts'
import { settledReceipt, testAccount } from './test-account.ts'

const gateway = { provider: 'gateway' }
const rates = [
  { modelId: 'openai/embed', type: 'embedding', pricing: { input: '0.00000002' } },
  { modelId: 'openai/embed-dear', type: 'embedding', pricing: { input: '0.0001' } },
  { modelId: 'google/image', type: 'image', pricing: { image: '0.04' } },
  { modelId: 'openai/speech', type: 'speech', pricing: { speech_input_character_cost: '0.000015' } },
  { modelId: 'openai/whisper', type: 'transcription', pricing: { transcription_duration_cost_per_second: '0.0001' } },
  { modelId: 'cohere/rerank', type: 'reranking', pricing: { input: '0.000002' } },
  {
    modelId: 'google/video',
    type: 'video',
    pricing: { video_duration_pricing: [{ resolution: '1280x720', cost_per_second: '0.4' }] },
  },
]
type VideoModel = Parameters<typeof experimental_generateVideo>[0]['model']
const account = (available = '1000') => testAccount({ rates, available })
const response = { timestamp: new Date(0), modelId: 'served', headers: undefined }
// The mocks declare their optional members without `undefined`, which the SDK's own types require.
const asModel = <Model>(mock: object) => mock as Model
const PNG = 'iVBORw0KGgo='

describe('embeddings', () => {
  const model = (doEmbed: MockEmbeddingModelV4['doEmbed']) =>
    new MockEmbeddingModelV4({
      ...gateway,
      modelId: 'openai/embed',
      maxEmbeddingsPerCall: 2,
      supportsParallelCalls: true,
      doEmbed,
    })
  const embeddings = (count: number) => Array.from({ length: count }, () => [1, 0])

  it('embed is charged by tokens, in two round trips', async () => {
    const { context, charges, trips } = account()
    const call = model(async ({ values }) => ({
      embeddings: embeddings(values.length),
      usage: { tokens: 1000 },
      warnings: [],
    }))
    await withCredits(embed, context)({ model: call, value: 'hello' })
    expect(await charges()).toMatchObject([{ amount: '-0.0032', inputTokens: 1000 }])
    expect(trips).toEqual(['reserve', 'settle'])
  })

  it('a provider that counts nothing is charged by estimate', async () => {
    const { context, charges } = account()
    const call = model(async ({ values }) => ({ embeddings: embeddings(values.length), warnings: [] }))
    await withCredits(embed, context)({ model: call, value: 'hello world, how are you?' })
    expect(await charges()).toMatchObject([{ estimated: true, inputTokens: 7 }])
  })

  it('embedMany reserves for each chunk what the chunk needs', async () => {
    // Twice the list would need 7.4 credits.
    const { context, charges, balance } = account('4')
    const call = new MockEmbeddingModelV4({
      ...gateway,
      modelId: 'openai/embed-dear',
      maxEmbeddingsPerCall: 1,
      supportsParallelCalls: true,
      doEmbed: async () => ({ embeddings: embeddings(1), usage: { tokens: 2 }, warnings: [] }),
    })
    const values = Array.from({ length: 10 }, (_, index) => `value ${index}`)
    await withCredits(embedMany, context)({ model: call, values })
    expect((await charges()).map(({ amount }) => amount)).toEqual(values.map(() => '-0.032'))
    expect((await balance()).reserved).toBe('0')
  })

  it('embedMany with one failing chunk: the others are charged, also those that finish after the rejection', async () => {
    const { context, charges, balance } = account()
    let calls = 0
    const call = model(async ({ values }) => {
      const mine = ++calls
      if (mine === 2) throw fatal()
      await sleep(mine * 20)
      return { embeddings: embeddings(values.length), usage: { tokens: 100 * mine }, warnings: [] }
    })
    const values = ['a', 'b', 'c', 'd', 'e', 'f']
    const many = withCredits(embedMany, context)({ model: call, values, maxRetries: 0 })
    await expect(many).rejects.toMatchObject({ statusCode: 400 })
    await vi.waitFor(async () => expect((await balance()).reserved).toBe('0'), 5_000)
    expect((await charges()).map(({ inputTokens }) => inputTokens)).toEqual([100, 300])
  })
})

describe('images', () => {
  const model = (images: (call: number) => string[]) => {
    let calls = 0
    return asModel<ImageModel>(
      new MockImageModelV4({
        ...gateway,
        modelId: 'google/image',
        maxImagesPerCall: 2,
        doGenerate: async () => ({ images: images(++calls), warnings: [], response }),
      }),
    )
  }

  it('three images in two parallel calls are two transactions', async () => {
    const { context, charges } = account()
    await withCredits(
      generateImage,
      context,
    )({ model: model((call) => (call === 1 ? [PNG, PNG] : [PNG])), prompt: 'x', n: 3 })
    expect((await charges()).map(({ amount }) => amount).sort()).toEqual(['-12.8', '-6.4'])
  })

  it('are refused as a whole when not all can be paid', async () => {
    const { context } = account('10')
    const call = withCredits(generateImage, context)({ model: model(() => [PNG, PNG]), prompt: 'x', n: 2 })
    await expect(call).rejects.toMatchObject({ code: 'INSUFFICIENT_CREDITS', details: { required: '12.8' } })
  })

  it('an empty answer that the SDK tries again costs what it delivered', async () => {
    const { context, charges, balance } = account()
    const call = model((number) => (number === 1 ? [] : [PNG]))
    await withCredits(generateImage, context)({ model: call, prompt: 'x' })
    expect((await charges()).map(({ amount }) => amount)).toEqual(['0', '-6.4'])
    expect((await balance()).reserved).toBe('0')
  }, 20_000)
})

describe('speech, transcription, reranking', () => {
  it('speech is charged by characters', async () => {
    const { context, charges } = account()
    const model = new MockSpeechModelV4({
      ...gateway,
      modelId: 'openai/speech',
      doGenerate: async () => ({
        audio: new Uint8Array([73, 68, 51]),
        warnings: [],
        response: { timestamp: new Date(0), modelId: 'speech' },
      }),
    })
    await withCredits(generateSpeech, context)({ model, text: 'x'.repeat(100) })
    expect(await charges()).toMatchObject([{ amount: '-0.24' }])
  })

  it('transcription is charged by seconds', async () => {
    const { context, charges } = account()
    const model = new MockTranscriptionModelV4({
      ...gateway,
      modelId: 'openai/whisper',
      doGenerate: async () => ({
        text: 'hello',
        segments: [],
        language: 'en',
        durationInSeconds: 30,
        warnings: [],
        response: { timestamp: new Date(0), modelId: 'whisper' },
      }),
    })
    await withCredits(
      transcribe,
      context,
    )({ model: asModel<TranscriptionModel>(model), audio: new Uint8Array(200_000) })
    expect(await charges()).toMatchObject([{ amount: '-0.48', estimated: false }])
  })

  it('reranking is charged by estimate, because no provider counts it', async () => {
    const { context, charges } = account()
    const model = new MockRerankingModelV4({
      ...gateway,
      modelId: 'cohere/rerank',
      doRerank: async () => ({ ranking: [{ index: 0, relevanceScore: 1 }] }),
    })
    await withCredits(rerank, context)({ model, query: 'what', documents: ['this', 'that'] })
    expect(await charges()).toMatchObject([{ estimated: true }])
  })
})

describe('video', () => {
  const model = () =>
    asModel<VideoModel>(
      new MockVideoModelV4({
        ...gateway,
        modelId: 'google/video',
        doGenerate: async () => ({
          videos: [{ type: 'base64', data: 'AAAA', mediaType: 'video/mp4' }],
          warnings: [],
          response,
        }),
        doStart: async () => ({ operation: { id: 'op' }, warnings: [], response }),
        doStatus: async () => ({ status: 'pending', response }),
      }),
    )
  const options = { prompt: 'x', duration: 5, resolution: '1280x720' } as const

  it('generate is charged by seconds', async () => {
    const { context, charges } = account()
    await withCredits(experimental_generateVideo, context)({ model: model(), ...options })
    expect(await charges()).toMatchObject([{ amount: '-320' }])
  })

  it('start is charged, asking for the status is not', async () => {
    const { context, charges, balance } = account()
    const started = await withCredits(experimental_startVideo, context)({ model: model(), ...options })
    expect(await charges()).toMatchObject([{ amount: '-320' }])
    await withCredits(experimental_getVideoStatus, context)(model(), { operation: started.operation })
    expect(await charges()).toHaveLength(1)
    expect((await balance()).reserved).toBe('0')
  })
})

describe('decisions and extractions', () => {
  const usage = { inputTokens: 100, outputTokens: 10 }
  const base = { ...gateway, specificationVersion: 'v4', modelId: 'openai/gpt-test' } as const

  it('decide', async () => {
    const { context, charges } = account()
    const model = {
      ...base,
      supportedQuestionTypes: ['boolean'] as const,
      doDecide: async () => ({ answers: { ok: { type: 'boolean' as const, probability: 1 } }, usage, warnings: [] }),
    }
    await withCredits(
      experimental_decide,
      context,
    )({
      model,
      state: 'The sky is blue.',
      questions: { ok: { type: 'boolean', instructions: 'Is it?' } },
    } as unknown as Parameters<typeof experimental_decide>[0])
    expect(await charges()).toMatchObject([{ amount: '-0.0192' }])
  })

  it('extract', async () => {
    const { context, charges } = account()
    const model = {
      ...base,
      supportedFieldTypes: ['text'] as const,
      doExtract: async () => ({ answers: { name: { type: 'text' as const, value: 'Ada' } }, usage, warnings: [] }),
    }
    await withCredits(
      experimental_extract,
      context,
    )({
      model,
      state: 'Ada wrote it.',
      fields: { name: { type: 'text', description: 'Who?' } },
    } as unknown as Parameters<typeof experimental_extract>[0])
    expect(await charges()).toMatchObject([{ amount: '-0.0192' }])
  })
})

describe('structured output', () => {
  const schema = z.object({ name: z.string() })
  const json = '{"name":"Ada"}'
  const parts: StreamPart[] = [
    { type: 'text-start', id: 't' },
    { type: 'text-delta', id: 't', delta: json },
    { type: 'text-end', id: 't' },
    finish('stop', 100, 500),
  ]

  it('generateObject and Output.object', async () => {
    const { context, charges } = account()
    const { model } = provider([{ parts }])
    expect((await withCredits(generateObject, context)({ model, schema, prompt: 'x' })).object).toEqual({ name: 'Ada' })
    const output = Output.object({ schema })
    expect((await withCredits(generateText, context)({ model, output, prompt: 'x' })).output).toEqual({ name: 'Ada' })
    expect(await charges()).toHaveLength(2)
  })

  it('streamObject, read and broken off', async () => {
    const { context, charges, balance } = account()
    const whole = await withCredits(streamObject, context)({ model: provider([{ parts }]).model, schema, prompt: 'x' })
    for await (const _ of whole.partialObjectStream);
    const [start, ...rest] = textParts(500)
    const opening: StreamPart = { type: 'text-delta', id: 'text', delta: '{"name":"' }
    const long = provider([{ parts: [start as StreamPart, opening, ...rest, finish('stop', 100, 500)] }])
    const broken = await withCredits(streamObject, context)({ model: long.model, schema, prompt: 'x' })
    for await (const part of broken.fullStream)
      if (part.type === 'object' && String(part.object.name).length > 90) break
    expect(await settledReceipt(broken)).toMatchObject({ closed: true, estimated: true })
    expect(await charges()).toMatchObject([
      { outputTokens: 500 },
      { outputTokens: long.journal[0]?.deltas, estimated: true },
    ])
    expect((await balance()).reserved).toBe('0')
  })

  it('an answer that cannot be parsed is paid all the same', async () => {
    const { context, charges } = account()
    const { model } = provider([{ parts: [...textParts(5), finish('stop', 100, 500)] }])
    const call = withCredits(generateText, context)({ model, output: Output.object({ schema }), prompt: 'x' })
    await expect(call.then((result) => result.output)).rejects.toMatchObject({ name: 'AI_NoObjectGeneratedError' })
    expect(await charges()).toHaveLength(1)
  })
})
