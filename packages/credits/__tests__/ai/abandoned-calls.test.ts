import { generateText, streamObject, streamText } from 'ai'
import { MockLanguageModelV4 } from 'ai/test'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { type CreditsContext, withCredits } from '../../src/ai/index.ts'
import { finish, provider, type StreamPart, sleep, textParts, usageOf } from './scripted-model.ts'
import { settledReceipt, testAccount } from './test-account.ts'

const PNG = { mediaType: 'image/png', data: { type: 'data' as const, data: 'iVBORw0KGgo=' } }
const answer = { parts: [...textParts(500), finish('stop' as const, 100, 500)] }
const errorOf = (promise: PromiseLike<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  )

describe('generateText that is aborted', () => {
  /** Aborts 20 ms after the provider is called, which answers after 400 ms. */
  async function aborted(context: Partial<CreditsContext> = {}, delayMs = 400) {
    const work: Promise<unknown>[] = []
    const receipts: unknown[] = []
    const account = testAccount({
      context: {
        waitUntil: (promise) => work.push(promise),
        onSettled: (receipt) => receipts.push(receipt),
        ...context,
      },
    })
    const controller = new AbortController()
    const begins = () => void setTimeout(() => controller.abort(), 20)
    const { model, journal } = provider([{ ...answer, delayMs, begins }])
    const call = withCredits(generateText, account.context)
    const error = await errorOf(call({ model, prompt: 'Hello', abortSignal: controller.signal }))
    return { ...account, journal, error, work, receipts }
  }

  it('rejects its caller at once, and charges what the provider really used', async () => {
    const { error, work, charges, journal, balance } = await aborted()
    expect(error).toMatchObject({ name: 'AbortError' })
    expect(journal).toMatchObject([{ outcome: 'running' }])
    await Promise.all(work)
    expect(journal).toMatchObject([{ outcome: 'finished' }])
    expect(await charges()).toMatchObject([{ amount: '-0.176', outputTokens: 500, estimated: false }])
    expect((await balance()).reserved).toBe('0')
  })

  it('has its final receipt when the provider has finished', async () => {
    const { receipts, work } = await aborted()
    expect(receipts).toEqual([])
    await Promise.all(work)
    expect(receipts).toMatchObject([{ charged: '0.176', booked: true, closed: true }])
  })

  it('is cancelled and charged by estimate when the app asks for that', async () => {
    const { journal, charges, work } = await aborted({ abandoned: { policy: 'cancel' } })
    await Promise.all(work)
    await sleep(450)
    expect(journal).toMatchObject([{ outcome: 'aborted' }])
    const [charge] = await charges()
    expect(charge).toMatchObject({ estimated: true })
    expect(charge?.outputTokens).toBeGreaterThan(0)
  })

  it('is cancelled and charged by estimate when the provider does not finish in time', async () => {
    const startedAt = Date.now()
    const { charges, work, balance } = await aborted({ abandoned: { policy: 'auto', drainSeconds: 0.1 } }, 3_000)
    await Promise.all(work)
    expect(Date.now() - startedAt).toBeLessThan(2_000)
    expect(await charges()).toMatchObject([{ estimated: true }])
    expect((await balance()).reserved).toBe('0')
  })

  it('costs nothing when the provider refuses the call after all', async () => {
    const { context, charges, balance } = testAccount()
    const model = new MockLanguageModelV4({
      provider: 'gateway',
      modelId: 'openai/gpt-test',
      doGenerate: () => sleep(60).then(() => Promise.reject(new Error('overloaded'))),
    })
    const call = withCredits(generateText, context)
    await errorOf(call({ model, prompt: 'Hello', abortSignal: AbortSignal.timeout(20) }))
    await expect.poll(async () => (await balance()).reserved).toBe('0')
    expect(await charges()).toEqual([])
  })
})

describe('a stream whose reader leaves', () => {
  interface Case {
    parts: StreamPart[]
    options?: object
    modelId?: string
    after: number
    abort?: boolean
    context?: Partial<CreditsContext>
  }

  /** Reads so many parts and leaves. */
  async function left({ parts, options, modelId, after, abort, context }: Case) {
    const rates = modelId === undefined ? [] : [{ modelId, pricing: { input: '0.000001', output: '0.000002' } }]
    const account = testAccount({ rates, context: { abandoned: { policy: 'auto', idleSeconds: 0.2 }, ...context } })
    const { model, journal } = provider([{ parts }], modelId)
    const controller = new AbortController()
    const result = await withCredits(
      streamText,
      account.context,
    )({ model, prompt: 'Hello', abortSignal: controller.signal, onError: () => undefined, ...options })
    let seen = 0
    for await (const _ of result.stream) {
      if (++seen < after) continue
      if (abort) controller.abort()
      break
    }
    const receipt = await settledReceipt(result)
    return { ...account, journal, receipt }
  }

  const reasoning: StreamPart[] = [
    { type: 'reasoning-start', id: 'r' },
    { type: 'reasoning-delta', id: 'r', delta: 'let me see ' },
    { type: 'reasoning-end', id: 'r' },
    ...textParts(100),
    finish('stop', 100, 4_000),
  ]
  const exactly = { outputTokens: 4_000, estimated: false }
  const long: StreamPart[] = [...textParts(100), finish('stop', 100, 4_000)]

  it.each([
    ['aborts', true],
    ['breaks off', false],
  ])('of a model that reasoned, when the reader %s: the provider finishes and is charged exactly', async (_, abort) => {
    const { charges, journal } = await left({ parts: reasoning, after: 20, abort })
    expect(journal).toMatchObject([{ outcome: 'finished' }])
    expect(await charges()).toMatchObject([exactly])
  })

  it('of a model asked to reason is charged exactly, though no reasoning was seen', async () => {
    const asked = await left({ parts: long, options: { reasoning: 'high' }, after: 20, abort: true })
    expect(await asked.charges()).toMatchObject([exactly])
    const providerOptions = { anthropic: { thinking: { type: 'enabled', budgetTokens: 10_000 } } }
    const thinking = await left({ parts: long, options: { providerOptions }, after: 20, abort: true })
    expect(await thinking.charges()).toMatchObject([exactly])
  })

  it('of a model known to reason is charged exactly, though no reasoning was seen', async () => {
    const { charges } = await left({ parts: long, modelId: 'openai/gpt-5', after: 20, abort: true })
    expect(await charges()).toMatchObject([exactly])
  })

  it('with a picture is charged exactly', async () => {
    const parts: StreamPart[] = [{ type: 'file', ...PNG } as StreamPart, ...textParts(100), finish('stop', 100, 1_290)]
    const { charges } = await left({ parts, after: 20, abort: true })
    expect(await charges()).toMatchObject([{ outputTokens: 1_290, estimated: false }])
  })

  it('after its last text part is charged exactly', async () => {
    const { charges } = await left({ parts: [...textParts(5), finish('stop', 100, 700)], after: 9, abort: true })
    expect(await charges()).toMatchObject([{ outputTokens: 700, estimated: false }])
  })

  it('in the middle of plain text is cancelled and charged for what was seen', async () => {
    const { charges, journal } = await left({
      parts: [...textParts(500), finish('stop', 100, 500)],
      after: 100,
      abort: true,
    })
    expect(journal[0]?.outcome).toBe('aborted')
    expect(await charges()).toMatchObject([{ outputTokens: journal[0]?.deltas, estimated: true }])
  })

  it('is cancelled when the app asks for that, even if the model reasoned', async () => {
    const { charges, journal } = await left({
      parts: reasoning,
      after: 20,
      abort: true,
      context: { abandoned: { policy: 'cancel' } },
    })
    expect(journal[0]?.outcome).toBe('aborted')
    expect(await charges()).toMatchObject([{ estimated: true }])
  })

  it('is not waited for without end when the provider hangs', async () => {
    const hanging = new ReadableStream<StreamPart>({
      start(controller) {
        for (const part of reasoning.slice(0, 30)) controller.enqueue(part)
      },
    })
    const { context, charges, balance } = testAccount({ context: { abandoned: { policy: 'auto', drainSeconds: 0.2 } } })
    const model = new MockLanguageModelV4({
      provider: 'gateway',
      modelId: 'openai/gpt-test',
      doStream: async () => ({ stream: hanging }),
    })
    const controller = new AbortController()
    const result = await withCredits(streamText, context)({ model, prompt: 'x', abortSignal: controller.signal })
    let seen = 0
    for await (const part of result.stream) if (part.type === 'text-delta' && ++seen === 10) controller.abort()
    await settledReceipt(result)
    expect(await charges()).toMatchObject([{ estimated: true }])
    expect((await balance()).reserved).toBe('0')
  })
})

it('streamObject that is aborted is settled at once though its provider hangs and ignores the abort', async () => {
  const { context, charges, balance } = testAccount({ context: { abandoned: { policy: 'auto', idleSeconds: 600 } } })
  const hanging = new ReadableStream<StreamPart>({
    start(controller) {
      for (const part of textParts(20).slice(0, 15)) controller.enqueue(part)
    },
    cancel: () => new Promise(() => undefined),
  })
  const model = new MockLanguageModelV4({
    provider: 'gateway',
    modelId: 'openai/gpt-test',
    doStream: async () => ({ stream: hanging }),
  })
  const controller = new AbortController()
  const schema = z.object({ name: z.string() })
  const options = { model, schema, prompt: 'x', abortSignal: controller.signal, onError: () => undefined }
  const result = await withCredits(streamObject, context)(options)
  const reading = (async () => {
    for await (const _ of result.fullStream);
  })().catch(() => undefined)
  setTimeout(() => controller.abort(), 50)
  await settledReceipt(result)
  await reading
  expect(await charges()).toMatchObject([{ estimated: true, outputTokens: 14 }])
  expect((await balance()).reserved).toBe('0')
})

it('a stream that is aborted before the provider has answered rejects its reader at once', async () => {
  const { context, charges, balance } = testAccount()
  let answered = false
  const model = new MockLanguageModelV4({
    provider: 'gateway',
    modelId: 'openai/gpt-test',
    doStream: async () => {
      await sleep(200)
      answered = true
      return { stream: new ReadableStream({ start: (controller) => controller.close() }) }
    },
    doGenerate: async () => ({
      content: [],
      finishReason: { unified: 'stop', raw: 'stop' },
      usage: usageOf(1, 1),
      warnings: [],
    }),
  })
  const result = await withCredits(
    streamText,
    context,
  )({ model, prompt: 'Hello', abortSignal: AbortSignal.timeout(20), onError: () => undefined })
  const startedAt = Date.now()
  await result.consumeStream({ onError: () => undefined })
  expect(Date.now() - startedAt).toBeLessThan(150)
  expect(answered).toBe(false)
  await settledReceipt(result)
  expect(await charges()).toMatchObject([{ estimated: true }])
  expect((await balance()).reserved).toBe('0')
})
