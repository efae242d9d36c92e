import { generateText, isLoopFinished, type ModelMessage, streamObject, streamText, tool } from 'ai'
import { MockLanguageModelV4 } from 'ai/test'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { type CreditsContext, withCredits } from '../../src/ai/index.ts'
import { finish, provider, retryable, type StreamPart, sleep, textParts, toolCall, usageOf } from './scripted-model.ts'
import { settledReceipt, testAccount } from './test-account.ts'

const answer = { parts: [...textParts(500), finish('stop' as const, 100, 500)] }
const looking = { parts: [...textParts(500), toolCall('a', 'look'), finish('tool-calls' as const, 100, 500)] }
const look = tool({ inputSchema: z.object({}), execute: async () => 'seen' })
const quiet = { onError: () => undefined }
// Longer than a test may take: nothing here is noticed by waiting.
const patient: Partial<CreditsContext> = { abandoned: { policy: 'auto', idleSeconds: 600 } }

describe('a stream that fails before its provider call releases its reservation at once', () => {
  const invalid = [{ role: 'nobody', content: 'x' }] as unknown as ModelMessage[]
  const throws = () => {
    throw new Error('in prepareStep')
  }
  const image = {
    role: 'user' as const,
    content: [{ type: 'image' as const, image: new URL('http://127.0.0.1:9/x.png') }],
  }

  it.each([
    ['invalid messages', { messages: invalid }],
    ['a prepareStep that throws', { prompt: 'Hello', prepareStep: throws }],
    [
      'a prepareStep that throws, in a loop',
      { prompt: 'x', prepareStep: throws, tools: { look }, stopWhen: isLoopFinished() },
    ],
    ['a download that fails', { messages: [image] }],
    ['a system message in the messages', { messages: [{ role: 'system' as const, content: 'x' }] }],
  ])('%s', async (_, options) => {
    const { context, trips, balance } = testAccount({ context: patient })
    const { model, journal } = provider([answer])
    const result = await withCredits(streamText, context)({ model, maxRetries: 0, ...quiet, ...options } as never)
    await result.consumeStream(quiet)
    expect(await settledReceipt(result)).toMatchObject({ closed: true, charged: '0' })
    expect(journal).toEqual([])
    expect(trips).toEqual(['reserve', 'release'])
    expect((await balance()).reserved).toBe('0')
  })

  it('streamObject with invalid messages', async () => {
    const { context, trips } = testAccount({ context: patient })
    const schema = z.object({ name: z.string() })
    const options = { model: provider([answer]).model, schema, messages: invalid, ...quiet }
    const result = await withCredits(streamObject, context)(options)
    for await (const _ of result.fullStream);
    await settledReceipt(result)
    expect(trips).toEqual(['reserve', 'release'])
  })

  it('streamObject that is aborted while it waits for a retry', async () => {
    const { context, trips } = testAccount({ context: patient })
    const refusal = Object.assign(retryable(), { responseHeaders: { 'retry-after-ms': '5000' } })
    const controller = new AbortController()
    const result = await withCredits(
      streamObject,
      context,
    )({
      model: provider([{ rejects: refusal }]).model,
      schema: z.object({ name: z.string() }),
      prompt: 'x',
      abortSignal: controller.signal,
      ...quiet,
    })
    setTimeout(() => controller.abort(), 20)
    const read = (async () => {
      for await (const _ of result.fullStream);
    })().catch(() => undefined)
    await settledReceipt(result)
    await read
    expect(trips).toEqual(['reserve', 'release'])
  })

  it('settings that the SDK refuses', async () => {
    const { context, trips } = testAccount({ context: patient })
    const call = withCredits(streamText, context)
    await expect(call({ model: provider([answer]).model, prompt: 'x', maxRetries: -1 })).rejects.toThrow()
    await expect.poll(() => trips).toEqual(['reserve', 'release'])
  })
})

describe('an error of the provider', () => {
  it('that closes a stream with a finish before any output costs nothing', async () => {
    const { context, charges, balance } = testAccount()
    const failed: StreamPart[] = [
      { type: 'error', error: new Error('overloaded') },
      { ...finish('error', 0, 0), usage: usageOf(undefined as never, undefined as never) } as StreamPart,
    ]
    const { model } = provider([{ parts: failed }])
    const result = await withCredits(streamText, context)({ model, prompt: 'x'.repeat(4_000), ...quiet })
    await result.consumeStream(quiet)
    expect(await settledReceipt(result)).toMatchObject({ charged: '0', closed: true })
    expect(await charges()).toEqual([])
    expect((await balance()).reserved).toBe('0')
  })

  it('that comes with a usage costs what the usage counts', async () => {
    const { context, charges } = testAccount()
    const failed: StreamPart[] = [{ type: 'error', error: new Error('filtered') }, finish('error', 100, 20)]
    const result = await withCredits(
      streamText,
      context,
    )({ model: provider([{ parts: failed }]).model, prompt: 'x', ...quiet })
    await result.consumeStream(quiet)
    await settledReceipt(result)
    expect(await charges()).toMatchObject([{ inputTokens: 100, outputTokens: 20 }])
  })

  it.each([
    ['no stream', async () => ({})],
    ['nothing', async () => undefined],
    [
      'a stream that is being read already',
      async () => {
        const stream = new ReadableStream()
        stream.getReader()
        return { stream }
      },
    ],
  ])('whose answer has %s releases the reservation', async (_, doStream) => {
    const { context, charges, balance } = testAccount({ context: patient })
    const model = new MockLanguageModelV4({
      provider: 'gateway',
      modelId: 'openai/gpt-test',
      doStream: doStream as never,
    })
    const result = await withCredits(streamText, context)({ model, prompt: 'x', ...quiet })
    await result.consumeStream(quiet)
    expect(await settledReceipt(result)).toMatchObject({ closed: true })
    expect(await charges()).toEqual([])
    expect((await balance()).reserved).toBe('0')
  })
})

describe('a tokenizer that throws', () => {
  const countTokens = () => {
    throw new Error('disallowed special token')
  }

  it('does not fail the call: the provider’s count is charged', async () => {
    const { context, charges } = testAccount({ context: { countTokens } })
    await withCredits(generateText, context)({ model: provider([answer]).model, prompt: '<|endoftext|>' })
    const streamed = await withCredits(streamText, context)({ model: provider([answer]).model, prompt: 'x' })
    await streamed.consumeStream()
    await settledReceipt(streamed)
    expect(await charges()).toMatchObject([{ outputTokens: 500 }, { outputTokens: 500 }])
  })

  it('does not fail a stream that is broken off: it is charged by the default estimate', async () => {
    const { context, charges, balance } = testAccount({
      context: { countTokens, abandoned: { policy: 'cancel', idleSeconds: 0.2 } },
    })
    const { model, journal } = provider([answer])
    const result = await withCredits(streamText, context)({ model, prompt: 'x' })
    let parts = 0
    for await (const _ of result.stream) if (++parts === 100) break
    await settledReceipt(result)
    const [charge] = await charges()
    expect(charge).toMatchObject({ estimated: true })
    expect(charge?.outputTokens).toBeGreaterThan((journal[0]?.deltas ?? 0) / 2)
    expect((await balance()).reserved).toBe('0')
  })
})

describe('a tool that is slower than an idle stream is waited for', () => {
  it('keeps the receipt open until the step after it is charged', async () => {
    const receipts: { charged: string }[] = []
    const { context, charges, trips } = testAccount({
      context: { abandoned: { policy: 'auto', idleSeconds: 0.2 }, onSettled: (receipt) => receipts.push(receipt) },
    })
    const slow = tool({ inputSchema: z.object({}), execute: () => sleep(600).then(() => 'late') })
    const result = await withCredits(
      streamText,
      context,
    )({ model: provider([looking, answer]).model, tools: { look: slow }, stopWhen: isLoopFinished(), prompt: 'x' })
    await result.consumeStream()
    expect(await settledReceipt(result)).toMatchObject({ charged: '0.352', closed: true, booked: true })
    expect(receipts).toMatchObject([{ charged: '0.352' }])
    expect(await charges()).toHaveLength(2)
    expect(trips.filter((trip) => trip === 'reserve')).toHaveLength(1)
  })
})
