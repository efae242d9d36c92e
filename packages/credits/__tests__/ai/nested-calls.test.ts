import { generateText, isLoopFinished, streamText, ToolLoopAgent, tool, wrapLanguageModel } from 'ai'
import { afterEach, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { creditsScope, withCredits } from '../../src/ai/index.ts'
import { finish, provider, textParts, toolCall } from './scripted-model.ts'
import { settledReceipt, testAccount } from './test-account.ts'

const answer = { parts: [...textParts(500), finish('stop' as const, 100, 500)] }
const looking = { parts: [...textParts(500), toolCall('a', 'look'), finish('tool-calls' as const, 100, 500)] }

afterEach(() => {
  globalThis.AI_SDK_DEFAULT_PROVIDER = undefined
})

describe('each provider call is metered exactly once', () => {
  it('a function wrapped twice charges once', async () => {
    const { context, charges, trips } = testAccount()
    const { model } = provider([answer])
    await withCredits(withCredits(generateText, context), context)({ model, prompt: 'Hello' })
    expect(await charges()).toHaveLength(1)
    expect(trips).toEqual(['reserve', 'settle'])
  })

  it('a wrapped model in a wrapped function charges once in the reservation of the function', async () => {
    const { context, charges, trips } = testAccount()
    const model = withCredits(provider([answer]).model, context)
    await withCredits(generateText, context)({ model: withCredits(model, context), prompt: 'Hello' })
    expect(await charges()).toHaveLength(1)
    expect(trips).toEqual(['reserve', 'settle'])
  })

  it('a wrapped model alone reserves and settles each of its calls', async () => {
    const { context, charges, trips } = testAccount()
    const model = withCredits(provider([answer]).model, context)
    await generateText({ model, prompt: 'Hello' })
    await streamText({ model, prompt: 'Hello' }).consumeStream()
    expect(await charges()).toHaveLength(2)
    expect(trips).toEqual(['reserve', 'settle', 'reserve', 'settle'])
  })

  it('a string id is resolved through the default provider', async () => {
    const { context, charges } = testAccount()
    const { model } = provider([answer])
    globalThis.AI_SDK_DEFAULT_PROVIDER = { languageModel: () => model } as never
    await withCredits(generateText, context)({ model: 'openai/gpt-test', prompt: 'Hello' })
    expect(await charges()).toHaveLength(1)
  })

  it('a model swapped in by prepareStep is metered and priced as itself', async () => {
    const dear = { modelId: 'openai/dear', pricing: { input: '0.00001', output: '0.00002' } }
    const { context, charges } = testAccount({ rates: [dear] })
    const first = provider([looking])
    const second = provider([answer], 'openai/dear')
    await withCredits(
      generateText,
      context,
    )({
      model: first.model,
      tools: { look: tool({ inputSchema: z.object({}), execute: async () => 'seen' }) },
      stopWhen: isLoopFinished(),
      prompt: 'Hello',
      prepareStep: ({ stepNumber }) => (stepNumber === 1 ? { model: second.model } : {}),
    })
    expect(await charges()).toMatchObject([
      { model: 'openai/gpt-test', amount: '-0.176' },
      { model: 'openai/dear', amount: '-1.76' },
    ])
  })

  it('a cache outside the meter is free, a cache inside it is charged', async () => {
    const { context, charges } = testAccount()
    const cached = await provider([answer]).model.doGenerate({ prompt: [] })
    const cache = { specificationVersion: 'v4' as const, wrapGenerate: async () => cached }
    const outside = wrapLanguageModel({ model: withCredits(provider([answer]).model, context), middleware: cache })
    await generateText({ model: outside, prompt: 'Hello' })
    expect(await charges()).toHaveLength(0)
    const within = withCredits(wrapLanguageModel({ model: provider([answer]).model, middleware: cache }), context)
    await generateText({ model: within, prompt: 'Hello' })
    expect(await charges()).toHaveLength(1)
  })

  it('a metered model keeps its class and its members', () => {
    const { context } = testAccount()
    const { model } = provider([answer])
    const metered = withCredits(model, context)
    expect(metered).toBeInstanceOf(model.constructor)
    expect(metered.provider).toBe('gateway')
    expect(metered.doStreamCalls).toBe(model.doStreamCalls)
  })
})

describe('calls nested in tools share the reservation', () => {
  it.each([
    ['AsyncLocalStorage', undefined],
    ['an explicit scope', creditsScope()],
  ])('by %s', async (_, scope) => {
    const { context, charges, trips, balance } = testAccount({ context: { scope } })
    const inner = provider([answer])
    const outer = provider([looking, answer])
    const look = tool({
      inputSchema: z.object({}),
      execute: async () => {
        const { text } = await withCredits(generateText, context)({ model: inner.model, prompt: 'Inside' })
        return text.slice(0, 10)
      },
    })
    const result = await withCredits(
      streamText,
      context,
    )({
      model: outer.model,
      tools: { look },
      stopWhen: isLoopFinished(),
      prompt: 'Hello',
    })
    await result.consumeStream()
    await settledReceipt(result)
    expect(await charges()).toHaveLength(3)
    expect(trips.filter((trip) => trip === 'reserve')).toHaveLength(1)
    expect(trips.at(-1)).toBe('settle')
    // Three provider calls: the reservation, the end, and at most one for each call after the first.
    expect(trips.length).toBeLessThanOrEqual(4)
    expect(await balance()).toMatchObject({ reserved: '0' })
    expect(await settledReceipt(result)).toMatchObject({ charged: '0.528', providerCalls: 3 })
  })

  it('a call of another user inside a tool is paid by that user', async () => {
    const mine = testAccount()
    const yours = testAccount()
    const look = tool({
      inputSchema: z.object({}),
      execute: async () =>
        (await withCredits(generateText, yours.context)({ model: provider([answer]).model, prompt: 'x' })).text,
    })
    await withCredits(
      generateText,
      mine.context,
    )({
      model: provider([looking, answer]).model,
      tools: { look },
      stopWhen: isLoopFinished(),
      prompt: 'Hello',
    })
    expect(await mine.charges()).toHaveLength(2)
    expect(await yours.charges()).toHaveLength(1)
  })

  it('two calls side by side have one reservation each', async () => {
    const { context, charges, trips } = testAccount()
    const call = () => withCredits(generateText, context)({ model: provider([answer]).model, prompt: 'Hello' })
    await Promise.all([call(), call()])
    expect(await charges()).toHaveLength(2)
    expect(trips.filter((trip) => trip === 'reserve')).toHaveLength(2)
  })
})

describe('agents', () => {
  const look = tool({ inputSchema: z.object({}), execute: async () => 'seen' })

  it('generate reserves before its first step and makes one transaction per step', async () => {
    const { context, charges, trips } = testAccount()
    const agent = new ToolLoopAgent({ model: provider([looking, answer]).model, tools: { look } })
    const result = await withCredits(agent, context).generate({ prompt: 'Hello' })
    expect(result.steps).toHaveLength(2)
    expect(await charges()).toHaveLength(2)
    expect(trips).toEqual(['reserve', 'capture', 'settle'])
  })

  it('stream is refused before any provider call, else settled with the stream', async () => {
    const ended: string[] = []
    const { model, journal } = provider([looking, answer])
    const agent = new ToolLoopAgent({ model, tools: { look }, onEnd: () => void ended.push('settings') })
    const poor = testAccount({ available: '0.0001' })
    await expect(withCredits(agent, poor.context).stream({ prompt: 'Hello' })).rejects.toMatchObject({ status: 402 })
    expect(journal).toHaveLength(0)
    const { context, charges, trips } = testAccount()
    const result = await withCredits(agent, context).stream({ prompt: 'Hello', onEnd: () => void ended.push('call') })
    await result.consumeStream()
    await settledReceipt(result)
    expect(ended.sort()).toEqual(['call', 'settings'])
    expect(await charges()).toHaveLength(2)
    expect(trips).toEqual(['reserve', 'capture', 'settle'])
  })

  it('a sub-agent in a tool shares the reservation', async () => {
    const { context, charges, trips } = testAccount()
    const sub = withCredits(new ToolLoopAgent({ model: provider([answer]).model }), context)
    const ask = tool({ inputSchema: z.object({}), execute: async () => (await sub.generate({ prompt: 'x' })).text })
    const agent = new ToolLoopAgent({ model: provider([looking, answer]).model, tools: { look: ask } })
    await withCredits(agent, context).generate({ prompt: 'Hello' })
    expect(await charges()).toHaveLength(3)
    expect(trips.filter((trip) => trip === 'reserve')).toHaveLength(1)
  })
})
