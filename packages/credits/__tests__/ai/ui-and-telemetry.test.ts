import { context as otelContext, trace } from '@opentelemetry/api'
import {
  createUIMessageStream,
  generateText,
  isLoopFinished,
  registerTelemetry,
  streamText,
  type Telemetry,
  tool,
  toUIMessageStream,
} from 'ai'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { problemOf, problemResponse, watchUnmeteredCalls, withCredits, withCreditsPart } from '../../src/ai/index.ts'
import { type CreditStore, createCredits } from '../../src/index.ts'
import { fatal, finish, provider, textParts, toolCall } from './scripted-model.ts'
import { settledReceipt, testAccount } from './test-account.ts'

const answer = { parts: [...textParts(500), finish('stop' as const, 100, 500)] }
const looking = { parts: [...textParts(500), toolCall('a', 'look'), finish('tool-calls' as const, 100, 500)] }

const refusal = async () => {
  const { store, userId } = testAccount({ available: '0.001' })
  const context = { credits: createCredits({ store, upgradeUrl: '/upgrade' }), userId }
  return withCredits(
    streamText,
    context,
  )({ model: provider([answer]).model, prompt: 'Hello' }).then(
    () => undefined,
    (error: unknown) => error,
  )
}

describe('the client of a chat', () => {
  it('gets a 402 with a machine-readable body before anything is streamed', async () => {
    const response = problemResponse(await refusal())
    expect(response.status).toBe(402)
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect(await response.json()).toMatchObject({
      type: expect.stringMatching(/insufficient_credits$/),
      status: 402,
      code: 'INSUFFICIENT_CREDITS',
      available: '0.001',
      balance: '0.001',
      required: expect.stringMatching(/^0\.\d+$/),
      upgradeUrl: '/upgrade',
    })
  })

  it('learns nothing of an error that has nothing to do with credits', () => {
    const problem = problemOf(new Error('secret'))
    expect(problem).toMatchObject({ code: 'INTERNAL', status: 500 })
    expect(JSON.stringify(problem)).not.toContain('secret')
  })

  it('gets the cost of the answer and what is left as a data part before the end', async () => {
    const { context } = testAccount()
    const result = await withCredits(streamText, context)({ model: provider([answer]).model, prompt: 'Hello' })
    const chunks: { type: string; data?: unknown }[] = []
    for await (const chunk of withCreditsPart(toUIMessageStream({ stream: result.stream }), result)) chunks.push(chunk)
    const credits = { charged: '0.176', available: '999.824', booked: true, estimated: false, failed: false }
    expect(chunks.filter(({ type }) => type === 'data-credits')).toMatchObject([{ data: credits }])
    expect(chunks.at(-2)?.type).toBe('data-credits')
    expect(chunks.at(-1)?.type).toBe('finish')
  })

  it('reads in the data part that a charge is not in the ledger yet, when the ledger does not answer in time', async () => {
    const { store, userId } = testAccount()
    const ledger = Promise.withResolvers<void>()
    const settle: CreditStore['settle'] = async (input) => {
      await ledger.promise
      return store.settle(input)
    }
    const context = { credits: createCredits({ store: { ...store, settle } }), userId }
    const result = await withCredits(streamText, context)({ model: provider([answer]).model, prompt: 'Hello' })
    const chunks: { type: string; data?: unknown }[] = []
    const stream = toUIMessageStream({ stream: result.stream })
    for await (const chunk of withCreditsPart(stream, result, { waitMs: 20 })) chunks.push(chunk)
    expect(chunks.map(({ type }) => type).slice(-2)).toEqual(['data-credits', 'finish'])
    expect(chunks.at(-2)?.data).toMatchObject({ charged: '0.176', booked: false })
    ledger.resolve()
    expect(await settledReceipt(result)).toMatchObject({ booked: true })
  })

  it('reads in the data part that the call failed, and what was written until then cost', async () => {
    const { context } = testAccount()
    const model = provider([{ parts: [...textParts(500), { type: 'error', error: fatal() }] }]).model
    const result = await withCredits(
      streamText,
      context,
    )({ model, prompt: 'Hello', maxRetries: 0, onError: () => undefined })
    const chunks: { type: string; data?: unknown }[] = []
    for await (const chunk of withCreditsPart(toUIMessageStream({ stream: result.stream }), result)) chunks.push(chunk)
    expect(chunks.findIndex(({ type }) => type === 'data-credits')).toBeLessThan(
      chunks.findIndex(({ type }) => type === 'error'),
    )
    expect(chunks.find(({ type }) => type === 'data-credits')?.data).toMatchObject({
      charged: expect.stringMatching(/^0\.\d+$/),
      failed: true,
      booked: true,
    })
  })

  it('gets the reason why a loop ended early, with the numbers', async () => {
    const { context } = testAccount({ available: '0.6' })
    const look = tool({ inputSchema: z.object({}), execute: async () => 'seen' })
    const result = await withCredits(
      streamText,
      context,
    )({
      model: provider([looking]).model,
      tools: { look },
      stopWhen: isLoopFinished(),
      prompt: 'Hello',
    })
    const chunks: { type: string; data?: unknown }[] = []
    for await (const chunk of withCreditsPart(toUIMessageStream({ stream: result.stream }), result)) chunks.push(chunk)
    expect(chunks.find(({ type }) => type === 'data-credits')?.data).toMatchObject({
      stopped: { reason: expect.any(String), required: expect.any(String), available: expect.any(String) },
    })
  })

  it('gets the code and the numbers of a refusal inside a stream', async () => {
    const error = await refusal()
    const stream = createUIMessageStream({
      execute: () => Promise.reject(error),
      onError: (thrown) => JSON.stringify(problemOf(thrown)),
    })
    const chunks: { type: string; errorText?: string }[] = []
    for await (const chunk of stream) chunks.push(chunk)
    const text = chunks.find(({ type }) => type === 'error')?.errorText
    expect(JSON.parse(text ?? '')).toMatchObject({ code: 'INSUFFICIENT_CREDITS', available: '0.001' })
  })
})

describe('telemetry', () => {
  beforeEach(() => {
    globalThis.AI_SDK_TELEMETRY_INTEGRATIONS = []
  })
  afterEach(() => {
    globalThis.AI_SDK_TELEMETRY_INTEGRATIONS = undefined
    otelContext.disable()
  })

  it('every event names who pays, the reservation and the charge; the app’s own callbacks see nothing of it', async () => {
    const seen: { name: string; metadata: unknown }[] = []
    const own: unknown[] = []
    const integration = {
      onStart: (event: { metadata?: unknown }) => void seen.push({ name: 'start', metadata: event.metadata }),
      onEnd: (event: { metadata?: unknown }) => void seen.push({ name: 'end', metadata: event.metadata }),
    } as Telemetry
    registerTelemetry(integration)
    const { context, userId } = testAccount()
    const result = await withCredits(
      generateText,
      context,
    )({
      model: provider([answer]).model,
      prompt: 'Hello',
      onEnd: (event) => void own.push(event),
    })
    expect(seen).toMatchObject([
      { name: 'start', metadata: { userId, reservationId: expect.any(String), charged: '0' } },
      { name: 'end', metadata: { userId, charged: '0.176' } },
    ])
    expect(JSON.stringify(own)).not.toContain(userId)
    expect(result.text).toHaveLength(1500)
  })

  it('the active OpenTelemetry span gets the same as attributes', async () => {
    const attributes: Record<string, unknown> = {}
    const span = trace.wrapSpanContext({ traceId: '1'.repeat(32), spanId: '1'.repeat(16), traceFlags: 1 })
    span.setAttribute = (name, value) => {
      attributes[name] = value
      return span
    }
    const active = trace.setSpan(otelContext.active(), span)
    otelContext.setGlobalContextManager({
      active: () => active,
      with: (_, fn, thisArg, ...args) => fn.apply(thisArg as never, args),
      bind: (_, target) => target,
      enable: () => otelContext as never,
      disable: () => otelContext as never,
    })
    const { context, userId } = testAccount()
    await withCredits(generateText, context)({ model: provider([answer]).model, prompt: 'Hello' })
    expect(attributes).toEqual({
      'credits.user_id': userId,
      'credits.reservation_id': expect.any(String),
      'credits.charged': '0.176',
      'credits.estimated': false,
    })
  })
})

describe('watchUnmeteredCalls', () => {
  const leaks: unknown[] = []
  let stop = () => {}
  const watch = (block: boolean) => {
    leaks.length = 0
    stop = watchUnmeteredCalls({ onUnmetered: (call) => leaks.push(call), block })
  }
  afterEach(() => stop())

  it('reports a call that was made past the meter, and no other', async () => {
    watch(false)
    const { context } = testAccount()
    const { model } = provider([answer])
    await withCredits(generateText, context)({ model, prompt: 'Hello' })
    await (await withCredits(streamText, context)({ model, prompt: 'Hello' })).consumeStream()
    expect(leaks).toEqual([])
    await generateText({ model, prompt: 'Hello' })
    expect(leaks).toMatchObject([{ provider: 'gateway', modelId: 'openai/gpt-test' }])
  })

  it('finds a bare model inside a tool of a wrapped call', async () => {
    watch(false)
    const { context } = testAccount()
    const inner = provider([answer])
    const look = tool({
      inputSchema: z.object({}),
      execute: async () => (await generateText({ model: inner.model, prompt: 'x' })).text,
    })
    await withCredits(
      generateText,
      context,
    )({
      model: provider([looking, answer]).model,
      tools: { look },
      stopWhen: isLoopFinished(),
      prompt: 'Hello',
    })
    expect(leaks).toHaveLength(1)
  })

  it('refuses an unmetered call with the option block', async () => {
    watch(true)
    const { model } = provider([answer])
    await expect(generateText({ model, prompt: 'Hello' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    stop()
    expect((await generateText({ model, prompt: 'Hello' })).text).toHaveLength(1500)
  })
})
