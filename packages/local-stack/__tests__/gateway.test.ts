import { createGateway } from '@ai-sdk/gateway'
import {
  embed,
  embedMany,
  generateImage,
  generateSpeech,
  generateText,
  experimental_generateVideo as generateVideo,
  isStepCount,
  Output,
  rerank,
  streamText,
  tool,
  transcribe,
} from 'ai'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Stack } from '../src/index.ts'
import type { JournalEntry } from '../src/models/journal.ts'
import { testStack } from './support/stack.ts'

const MODEL = 'anthropic/claude-sonnet-4.5'

let stack: Stack
let gateway: ReturnType<typeof createGateway>
beforeAll(async () => {
  stack = await testStack({ migrationsDir: null, seedFile: null })
  gateway = createGateway({ baseURL: stack.gatewayUrl, apiKey: stack.gatewayApiKey })
})
afterAll(() => stack?.stop())

const journalUrl = () => `${stack.gatewayUrl}/_dev/journal`
const journal = async () => ((await (await fetch(journalUrl())).json()) as { entries: JournalEntry[] }).entries
beforeEach(async () => {
  await fetch(journalUrl(), { method: 'DELETE' })
})

const say = (prompt: string, more: Partial<Parameters<typeof generateText>[0]> = {}) =>
  generateText({ model: gateway(MODEL), prompt, maxRetries: 0, ...more } as Parameters<typeof generateText>[0])
const metadata = (result: { providerMetadata?: unknown }) =>
  (result.providerMetadata as { gateway: Record<string, string> } | undefined)?.gateway ?? {}

async function until<T>(read: () => Promise<T | undefined | false>): Promise<T> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const value = await read()
    if (value) return value
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('it did not happen')
}

describe('a text', () => {
  it('refers to the question, counts real tokens and costs what the price list says', async () => {
    const result = await say('How do I plan a trip to Rome?')
    expect(result.text).toContain('trip to Rome')
    const { inputTokens = 0, outputTokens = 0 } = result.usage
    expect(Number(metadata(result).cost)).toBeCloseTo(inputTokens * 3e-6 + outputTokens * 15e-6, 12)
    expect((await say('How do I plan a trip to Rome?')).text).toBe(result.text)
  })

  it('of scripted length has exactly the scripted usage and cost', async () => {
    const result = await say('[dev: input=12000 cached=9000 cacheWrite=2000 tokens=400 reasoning=100]')
    expect(result.usage).toMatchObject({
      inputTokens: 12_000,
      inputTokenDetails: { noCacheTokens: 1000, cacheReadTokens: 9000, cacheWriteTokens: 2000 },
      outputTokens: 500,
      outputTokenDetails: { textTokens: 400, reasoningTokens: 100 },
    })
    expect(metadata(result)).toMatchObject({ cost: '0.0207', marketCost: '0.0207' })
  })

  it('ends where maxOutputTokens says, with the reason', async () => {
    const result = await say('[dev: tokens=50]', { maxOutputTokens: 10 })
    expect(result.usage.outputTokens).toBe(10)
    expect(result.finishReason).toBe('length')
  })

  it('streams token by token what it says as a whole', async () => {
    const whole = await say('Explain double-entry bookkeeping')
    const stream = streamText({ model: gateway(MODEL), prompt: 'Explain double-entry bookkeeping' })
    const chunks: string[] = []
    for await (const chunk of stream.textStream) chunks.push(chunk)
    expect(chunks.join('')).toBe(whole.text)
    expect(chunks).toHaveLength((await stream.usage).outputTokens ?? 0)
  })

  it('names its generation with the first part of a stream', async () => {
    const stream = streamText({ model: gateway(MODEL), prompt: '[dev: tokens=3 reasoning=2]' })
    const parts = []
    for await (const part of stream.stream) parts.push(part)
    const first = parts.find((part) => part.type === 'reasoning-start')
    const last = parts.find((part) => part.type === 'finish-step')
    expect(metadata(first ?? {}).generationId).toMatch(/^gen_/)
    expect(metadata(first ?? {}).generationId).toBe(metadata(last ?? {}).generationId)
  })

  it('calls tools for as many steps as scripted, then answers with their results', async () => {
    const weather = tool({
      inputSchema: z.object({ city: z.string() }),
      execute: async ({ city }) => `20 degrees in ${city}`,
    })
    const result = await say('[dev: tool=weather({"city":"Rome"}) toolSteps=2] How is the weather?', {
      tools: { weather },
      stopWhen: isStepCount(5),
    })
    expect(result.steps).toHaveLength(3)
    expect(result.text).toContain('20 degrees in Rome')
    expect(await journal()).toHaveLength(3)
  })

  it('fits the schema of structured output', async () => {
    const schema = z.object({ title: z.string(), pages: z.int(), tags: z.array(z.string()) })
    const { output } = await say('Describe a book', { output: Output.object({ schema }) } as never)
    expect(schema.parse(output)).toEqual(output)
  })

  it('served by another model is billed at that one', async () => {
    const result = await say('[dev: served=openai/gpt-4o-mini input=1000 tokens=1000]')
    expect(metadata(result).cost).toBe('0.00075')
    expect((await journal())[0]).toMatchObject({ model: MODEL, served: 'openai/gpt-4o-mini' })
  })

  it('paid by free credits or with own keys costs nothing, while its market cost is real', async () => {
    for (const word of ['freecost', 'byok']) {
      const result = await say(`[dev: input=2000 tokens=1000 ${word}]`)
      expect(metadata(result)).toMatchObject({ cost: '0', marketCost: '0.021' })
    }
  })
})

describe('what goes wrong', () => {
  it.each([
    [400, 'GatewayInvalidRequestError'],
    [402, 'GatewayInternalServerError'],
    [403, 'GatewayForbiddenError'],
    [424, 'GatewayFailedDependencyError'],
    [429, 'GatewayRateLimitError'],
    [500, 'GatewayInternalServerError'],
  ])('with status %i reaches the client as %s, with the generation', async (status, name) => {
    const error = await say(`[dev: error=${status}]`).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ name, statusCode: status, generationId: expect.stringMatching(/^gen_/) })
    expect((await journal())[0]).toMatchObject({ outcome: 'error', status, cost: null })
  })

  it('for a while is retried, each attempt being a call of its own', async () => {
    const result = await say('[dev: error=503 times=2 tokens=1]', { maxRetries: 2 })
    expect(result.text).not.toBe('')
    expect((await journal()).map((entry) => entry.outcome)).toEqual(['error', 'error', 'finished'])
  })

  it('is an unknown model, a model of another kind, a scenario that cannot be read', async () => {
    await expect(say('x', { model: gateway('no/such') })).rejects.toMatchObject({
      name: 'GatewayModelNotFoundError',
      modelId: 'no/such',
    })
    await expect(say('x', { model: gateway('openai/text-embedding-3-small') })).rejects.toMatchObject({
      statusCode: 400,
    })
    await expect(say('[dev: tokns=5]')).rejects.toThrow(/tokns/)
  })

  it('is a missing or foreign key', async () => {
    for (const authorization of ['', 'Bearer vck_foreign']) {
      const response = await fetch(`${stack.gatewayUrl}/config`, { headers: { authorization } })
      expect(response.status).toBe(401)
      expect(await response.json()).toMatchObject({ error: { type: 'authentication_error' } })
    }
  })

  it.each([
    ['an error part', 'error=500 at=5', 'error', 5],
    ['a cut connection', 'drop at=5', 'dropped', 5],
  ])('in the middle of a stream is %s, and what was sent is billed', async (_what, script, outcome, tokens) => {
    const stream = streamText({
      model: gateway(MODEL),
      prompt: `[dev: input=10 tokens=20 ${script}]`,
      onError: () => {},
    })
    await (async () => {
      for await (const _part of stream.stream);
    })().catch(() => undefined)
    expect((await journal())[0]).toMatchObject({ outcome, units: { inputTokens: 10, outputTokens: tokens } })
  })

  it('is a stream without its end, or without usage', async () => {
    const types = async (script: string) => {
      const found: string[] = []
      const response = await fetch(`${stack.gatewayUrl}/language-model`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${stack.gatewayApiKey}`,
          'ai-language-model-id': MODEL,
          'ai-language-model-streaming': 'true',
        },
        body: JSON.stringify({ prompt: [{ role: 'user', content: [{ type: 'text', text: script }] }] }),
      })
      for (const line of (await response.text()).split('\n\n')) {
        if (line.startsWith('data: {')) found.push(line.slice(6))
      }
      return found.map((line) => JSON.parse(line))
    }
    expect((await types('[dev: tokens=2 nofinish]')).at(-1).type).toBe('text-end')
    const last = (await types('[dev: tokens=2 nousage]')).at(-1)
    expect(last.type).toBe('finish')
    expect(last).not.toHaveProperty('usage')
  })
})

describe('an aborted stream', () => {
  async function abortAfter(deltas: number, script: string) {
    const controller = new AbortController()
    const { stream } = streamText({
      model: gateway(MODEL),
      prompt: `[dev: input=10 ${script}]`,
      abortSignal: controller.signal,
    })
    let seen = 0
    for await (const part of stream) if (part.type === 'text-delta' && ++seen === deltas) controller.abort()
    return until(async () => (await journal()).find((entry) => entry.outcome === 'aborted'))
  }

  it('is billed for what was generated, and its record says so', async () => {
    const entry = await abortAfter(10, 'tokens=500 delay=5')
    expect(entry.units.outputTokens).toBeGreaterThanOrEqual(10)
    expect(entry.units.outputTokens).toBeLessThan(20)
    const record = await gateway.getGenerationInfo({ id: entry.id })
    expect(record).toMatchObject({ completionTokens: entry.units.outputTokens, promptTokens: 10, streamed: true })
    expect(record.totalCost).toBe(Number(entry.cost))
  })

  it('is billed in full when the provider goes on', async () => {
    const entry = await abortAfter(3, 'tokens=500 delay=5 billfull')
    expect(entry.units.outputTokens).toBe(500)
  })

  it('that stalls is let go', async () => {
    expect(await abortAfter(3, 'tokens=20 at=3 stall')).toMatchObject({ units: { outputTokens: 3 } })
  })
})

describe('the other kinds of models', () => {
  it('embed values in one call, the same text in the same place', async () => {
    const one = await embed({ model: gateway.embeddingModel('openai/text-embedding-3-small'), value: 'hello world' })
    expect(one.usage.tokens).toBe(2)
    expect(metadata(one).cost).toBe('0.00000004')
    const { embeddings } = await embedMany({
      model: gateway.embeddingModel('openai/text-embedding-3-small'),
      values: ['hello world', 'other'],
    })
    expect(embeddings[0]).toEqual(one.embedding)
    expect(embeddings[1]).not.toEqual(one.embedding)
  })

  it('paint pictures, priced by picture or by token', async () => {
    const flux = await generateImage({ model: gateway.imageModel('bfl/flux-kontext-pro'), prompt: 'a cat', n: 2 })
    expect(flux.images.map((image) => image.mediaType)).toEqual(['image/png', 'image/png'])
    expect(metadata(flux).cost).toBe('0.08')
    const gpt = await generateImage({ model: gateway.imageModel('openai/gpt-image-2'), prompt: 'a cat' })
    expect(gpt.usage).toMatchObject({ inputTokens: 2, outputTokens: 1056 })
    expect(metadata(gpt).cost).toBe('0.03169')
  })

  it('rank documents by the query', async () => {
    const { ranking } = await rerank({
      model: gateway.rerankingModel('voyage/rerank-2.5'),
      query: 'blue sky',
      documents: ['red earth', 'the sky is blue', 'sky'],
    })
    expect(ranking.map((entry) => entry.originalIndex)).toEqual([1, 2, 0])
  })

  it('speak, and write down what was spoken', async () => {
    const speech = await generateSpeech({ model: gateway.speechModel('openai/tts-1'), text: 'x'.repeat(150) })
    expect(metadata(speech).cost).toBe('0.00225')
    const { uint8Array } = speech.audio
    const text = await transcribe({ model: gateway.transcriptionModel('openai/whisper-1'), audio: uint8Array })
    expect(text.durationInSeconds).toBe(10)
    expect((await journal()).at(-1)).toMatchObject({ kind: 'transcription', cost: '0.001' })
  })

  it('film', async () => {
    const { video } = await generateVideo({
      model: gateway.videoModel('alibaba/wan-v2.5-t2v-preview'),
      prompt: 'waves',
      duration: 4,
      resolution: '1280x720',
    })
    expect(video.mediaType).toBe('video/mp4')
    expect((await journal())[0]).toMatchObject({ kind: 'video', cost: '0.4' })
  })

  it('decide', async () => {
    const model = gateway.decisionModel('liquid/d1')
    const questions = {
      colour: { type: 'choice', instructions: 'Which?', criteria: { red: null, blue: null } },
    } as const
    const { answers } = await model.doDecide({ state: [{ type: 'text', text: 'x' }], questions })
    expect(answers.colour).toEqual({ type: 'choice', choice: 'red' })
  })
})

describe('the account', () => {
  it('lists every model, with prices where there are any', async () => {
    const { models } = await gateway.getAvailableModels()
    const pricing = {
      input: '0.000003',
      output: '0.000015',
      cachedInputTokens: '0.0000003',
      cacheCreationInputTokens: '0.00000375',
    }
    expect(models.find((model) => model.id === MODEL)?.pricing).toEqual(pricing)
    expect(models.find((model) => model.id === 'cohere/rerank-v3.5')?.pricing).toBeNull()
    const full = (await (await fetch(`${stack.url}/v1/models`)).json()) as { data: { id: string; pricing: object }[] }
    expect(full.data.find((model) => model.id === MODEL)?.pricing).toHaveProperty('input_tiers')
  })

  it('has less credit after a call', async () => {
    await say('[dev: input=2000 tokens=1000]')
    expect(await gateway.getCredits()).toEqual({ balance: '99.979', totalUsed: '0.021' })
  })

  it('reports spending by user and tag', async () => {
    const providerOptions = { gateway: { user: 'ann', tags: ['chat', 'test'] } }
    await say('[dev: input=2000 tokens=1000]', { providerOptions })
    const range = { startDate: '2020-01-01', endDate: '2100-01-01' }
    const byUser = await gateway.getSpendReport({ ...range, groupBy: 'user' })
    expect(byUser.results).toEqual([expect.objectContaining({ user: 'ann', totalCost: 0.021, requestCount: 1 })])
    const byTag = await gateway.getSpendReport({ ...range, groupBy: 'tag', tags: ['chat'] })
    expect(byTag.results.map((row) => row.tag)).toEqual(['chat', 'test'])
  })

  it('a generation is found only when its record is there', async () => {
    const { generationId = '' } = metadata(await say('[dev: input=10 tokens=1 late=300 nocost]'))
    await expect(gateway.getGenerationInfo({ id: generationId })).rejects.toMatchObject({ statusCode: 404 })
    const record = await until(async () => gateway.getGenerationInfo({ id: generationId }).catch(() => false as const))
    expect(record).toMatchObject({ totalCost: 0.000045, isByok: false })
  })
})
