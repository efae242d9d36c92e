import {
  createProviderRegistry,
  customProvider,
  generateText,
  isLoopFinished,
  type LanguageModel,
  streamText,
  ToolLoopAgent,
  tool,
  wrapLanguageModel,
} from 'ai'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { withCredits } from '../../src/ai/index.ts'
import { finish, provider, textParts, toolCall } from './scripted-model.ts'
import { settledReceipt, testAccount } from './test-account.ts'

const answer = { parts: [...textParts(500), finish('stop' as const, 100, 500)] }
const looking = { parts: [...textParts(500), toolCall('a', 'look'), finish('tool-calls' as const, 100, 500)] }
const look = tool({ inputSchema: z.object({}), execute: async () => 'seen' })
const middleware = { specificationVersion: 'v4' as const }

type Model = Exclude<LanguageModel, string>
const behind: [string, (metered: Model) => Model][] = [
  ['wrapLanguageModel', (metered) => wrapLanguageModel({ model: metered as never, middleware })],
  [
    'two layers of middleware',
    (metered) =>
      wrapLanguageModel({
        model: wrapLanguageModel({ model: metered as never, middleware }),
        middleware: [middleware],
      }),
  ],
  [
    'a middleware that calls the model itself',
    (metered) =>
      wrapLanguageModel({
        model: metered as never,
        middleware: {
          ...middleware,
          wrapGenerate: ({ params, model }) => model.doGenerate(params),
          wrapStream: ({ params, model }) => model.doStream(params),
        },
      }),
  ],
  [
    'a registry with middleware',
    (metered) =>
      createProviderRegistry(
        { test: customProvider({ languageModels: { model: metered as never } }) },
        { languageModelMiddleware: middleware },
      ).languageModel('test:model'),
  ],
  [
    'a custom provider',
    (metered) => customProvider({ languageModels: { model: metered as never } }).languageModel('model'),
  ],
]

describe.each(behind)('a metered model behind %s', (_, hide) => {
  it('is charged once inside a wrapped function, whole or streamed', async () => {
    const { context, charges, trips } = testAccount()
    const { model, journal } = provider([answer])
    const hidden = hide(withCredits(model, context))
    await withCredits(generateText, context)({ model: hidden, prompt: 'Hello' })
    const streamed = await withCredits(streamText, context)({ model: hidden, prompt: 'Hello' })
    await streamed.consumeStream()
    await settledReceipt(streamed)
    expect(journal).toHaveLength(2)
    expect((await charges()).map(({ amount }) => amount)).toEqual(['-0.176', '-0.176'])
    expect(trips).toEqual(['reserve', 'settle', 'reserve', 'settle'])
  })

  it('is charged once inside a wrapped agent', async () => {
    const { context, charges } = testAccount()
    const { model, journal } = provider([looking, answer])
    const agent = new ToolLoopAgent({ model: hide(withCredits(model, context)), tools: { look } })
    await withCredits(agent, context).generate({ prompt: 'Hello' })
    expect(journal).toHaveLength(2)
    expect(await charges()).toHaveLength(2)
  })

  it('is charged once inside another metered model', async () => {
    const { context, charges } = testAccount()
    const { model, journal } = provider([answer])
    const outer = withCredits(hide(withCredits(model, context)) as never, context) as unknown as Model
    await generateText({ model: outer, prompt: 'Hello' })
    await streamText({ model: outer, prompt: 'Hello' }).consumeStream()
    expect(journal).toHaveLength(2)
    await expect.poll(async () => (await charges()).length).toBe(2)
  })

  it('is charged once when prepareStep swaps it in', async () => {
    const { context, charges } = testAccount()
    const first = provider([looking])
    const second = provider([answer])
    const swapped = hide(withCredits(second.model, context))
    await withCredits(
      generateText,
      context,
    )({
      model: first.model,
      tools: { look },
      stopWhen: isLoopFinished(),
      prompt: 'Hello',
      prepareStep: ({ stepNumber }) => (stepNumber === 1 ? { model: swapped } : {}),
    })
    expect(await charges()).toHaveLength(2)
  })

  it('of another user is paid by that user alone', async () => {
    const inner = testAccount()
    const outer = testAccount()
    const { model } = provider([answer])
    const hidden = hide(withCredits(model, inner.context))
    const whole = await withCredits(generateText, outer.context)({ model: hidden, prompt: 'Hello' })
    expect(whole.text).toHaveLength(1500)
    const streamed = await withCredits(streamText, outer.context)({ model: hidden, prompt: 'Hello' })
    await streamed.consumeStream()
    await expect.poll(async () => (await inner.charges()).length).toBe(2)
    expect(await outer.charges()).toEqual([])
    await expect.poll(() => outer.balance()).toEqual({ available: '1000', reserved: '0' })
    await expect.poll(() => inner.balance()).toEqual({ available: '999.648', reserved: '0' })
  })
})

it('a metered model that is metered again for another user is paid by the first', async () => {
  const first = testAccount()
  const second = testAccount()
  const model = withCredits(withCredits(provider([answer]).model, first.context), second.context)
  await generateText({ model, prompt: 'Hello' })
  await expect.poll(async () => (await first.charges()).length).toBe(1)
  expect(await second.charges()).toEqual([])
  await expect.poll(() => second.balance()).toEqual({ available: '1000', reserved: '0' })
})

it('a function for another user leaves a metered model to its own user without a reservation', async () => {
  const first = testAccount()
  const second = testAccount()
  const model = withCredits(provider([answer]).model, first.context)
  await withCredits(generateText, second.context)({ model, prompt: 'Hello' })
  expect(second.trips).toEqual([])
  await expect.poll(async () => (await first.charges()).length).toBe(1)
})
