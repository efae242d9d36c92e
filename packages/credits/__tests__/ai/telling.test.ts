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
import {
  creditErrorPart,
  creditErrorResponse,
  creditErrorText,
  creditsMessageMetadata,
  watchUnmeteredCalls,
  withCredits,
  withCreditsPart,
} from '../../src/ai/index.ts'
import { createCredits } from '../../src/index.ts'
import { books } from './books.ts'
import { finish, provider, textParts, toolCall } from './provider.ts'

const answer = { parts: [...textParts(500), finish('stop' as const, 100, 500)] }
const looking = { parts: [...textParts(500), toolCall('a', 'look'), finish('tool-calls' as const, 100, 500)] }

const refusal = async () => {
  const { store, userId } = books({ available: '0.001' })
  const context = { credits: createCredits({ store, upgradeUrl: '/upgrade' }), userId }
  return withCredits(
    streamText,
    context,
  )({ model: provider([answer]).model, prompt: 'Hello' }).then(
    () => undefined,
    (error: unknown) => error,
  )
}

describe('what the client of a chat sees', () => {
  it('a 402 with a machine-readable body before anything is streamed', async () => {
    const response = creditErrorResponse(await refusal())
    expect(response.status).toBe(402)
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect(await response.json()).toMatchObject({
      type: expect.stringMatching(/#insufficient_credits$/),
      status: 402,
      code: 'INSUFFICIENT_CREDITS',
      available: '0.001',
      balance: '0.001',
      required: expect.stringMatching(/^0\.\d+$/),
      upgradeUrl: '/upgrade',
    })
  })

  it('an error that has nothing to do with credits is thrown on', () => {
    expect(() => creditErrorResponse(new Error('other'))).toThrow('other')
    expect(creditErrorText(new Error('secret'))).toBe('An error occurred.')
    expect(creditErrorPart(new Error('secret'))).toBeUndefined()
  })

  it('the cost of the answer and what is left, in its metadata and as a data part', async () => {
    const { context } = books()
    const result = await withCredits(streamText, context)({ model: provider([answer]).model, prompt: 'Hello' })
    const ui = toUIMessageStream({ stream: result.stream, messageMetadata: creditsMessageMetadata(result) })
    const chunks: { type: string; data?: unknown; messageMetadata?: unknown }[] = []
    for await (const chunk of withCreditsPart(ui, result)) chunks.push(chunk)
    const credits = { charged: '0.176', available: '999.824', estimated: false }
    expect(chunks.at(-1)).toMatchObject({ type: 'finish', messageMetadata: { credits } })
    expect(chunks.filter(({ type }) => type === 'data-credits')).toMatchObject([{ data: credits }])
    expect(chunks.at(-2)?.type).toBe('data-credits')
  })

  it('why a loop ended early, with the numbers', async () => {
    const { context } = books({ available: '0.5' })
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
      stopped: { reason: 'budget', required: expect.any(String), available: expect.any(String) },
    })
  })

  it('a refusal inside a stream is a typed part with the numbers', async () => {
    const error = await refusal()
    const stream = createUIMessageStream({
      execute: ({ writer }) => {
        const part = creditErrorPart(error)
        if (part !== undefined) writer.write(part)
      },
    })
    const chunks: { type: string }[] = []
    for await (const chunk of stream) chunks.push(chunk)
    expect(chunks).toMatchObject([
      { type: 'data-credits-error', data: { code: 'INSUFFICIENT_CREDITS', available: '0.001' } },
    ])
    expect(JSON.parse(creditErrorText(error))).toMatchObject({ code: 'INSUFFICIENT_CREDITS' })
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
    const { context, userId } = books()
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
    const { context, userId } = books()
    await withCredits(generateText, context)({ model: provider([answer]).model, prompt: 'Hello' })
    expect(attributes).toEqual({
      'credits.user_id': userId,
      'credits.reservation_id': expect.any(String),
      'credits.charged': '0.176',
      'credits.estimated': false,
    })
  })
})

describe('the leak alarm', () => {
  const leaks: unknown[] = []
  let stop = () => {}
  const watch = (block: boolean) => {
    leaks.length = 0
    stop = watchUnmeteredCalls({ onUnmetered: (call) => leaks.push(call), block })
  }
  afterEach(() => stop())

  it('reports a call that no meter saw, and no other', async () => {
    watch(false)
    const { context } = books()
    const { model } = provider([answer])
    await withCredits(generateText, context)({ model, prompt: 'Hello' })
    await (await withCredits(streamText, context)({ model, prompt: 'Hello' })).consumeStream()
    expect(leaks).toEqual([])
    await generateText({ model, prompt: 'Hello' })
    expect(leaks).toMatchObject([{ provider: 'gateway', modelId: 'openai/gpt-test' }])
  })

  it('finds a bare model inside a tool of a wrapped call', async () => {
    watch(false)
    const { context } = books()
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

  it('blocks it when asked to', async () => {
    watch(true)
    const { model } = provider([answer])
    await expect(generateText({ model, prompt: 'Hello' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    stop()
    expect((await generateText({ model, prompt: 'Hello' })).text).toHaveLength(1500)
  })
})
