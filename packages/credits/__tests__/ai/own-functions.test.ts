import { generateText, isLoopFinished, type LanguageModel, streamText, tool } from 'ai'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { creditsReceipt, withCredits } from '../../src/ai/index.ts'
import { finish, provider, textParts, toolCall } from './scripted-model.ts'
import { settledReceipt, testAccount } from './test-account.ts'

const answer = { parts: [...textParts(500), finish('stop' as const, 100, 500)] }
const looking = { parts: [...textParts(500), toolCall('a', 'look'), finish('tool-calls' as const, 100, 500)] }
const look = tool({ inputSchema: z.object({}), execute: async () => 'seen' })

describe('a function of the app around a model', () => {
  it('that returns a promise is settled with it', async () => {
    const { context, trips } = testAccount()
    const summarise = async ({ model, text }: { model: LanguageModel; text: string }) =>
      (await generateText({ model, prompt: text })).text
    const { model } = provider([answer])
    expect(await withCredits(summarise, context)({ model, text: 'x' })).toHaveLength(1500)
    // What the function makes of its options is not known before: the provider call may need more.
    expect(trips).toEqual(['reserve', 'extend', 'settle'])
  })

  it('that returns a stream is settled when the stream has ended', async () => {
    const { context, charges, trips } = testAccount()
    const chat = ({ model, text }: { model: LanguageModel; text: string }) => streamText({ model, prompt: text })
    const { model } = provider([answer])
    const result = await withCredits(chat, context)({ model, text: 'x' })
    expect(creditsReceipt(result)).toMatchObject({ closed: false })
    await result.consumeStream()
    expect(await settledReceipt(result)).toMatchObject({ charged: '0.176', closed: true, booked: true })
    expect(await charges()).toHaveLength(1)
    expect(trips).toEqual(['reserve', 'settle'])
  })

  it('that returns the stream of a loop is settled with its last step', async () => {
    const { context, charges, trips } = testAccount()
    const chat = ({ model }: { model: LanguageModel }) =>
      streamText({ model, prompt: 'x', tools: { look }, stopWhen: isLoopFinished() })
    const result = await withCredits(chat, context)({ model: provider([looking, answer]).model })
    await result.consumeStream()
    expect(await settledReceipt(result)).toMatchObject({ charged: '0.352' })
    expect(await charges()).toHaveLength(2)
    expect(trips.filter((trip) => trip === 'reserve')).toHaveLength(1)
  })

  it('that returns a response is settled when its body has ended', async () => {
    const { context } = testAccount()
    const receipts: unknown[] = []
    const chat = ({ model }: { model: LanguageModel }) => streamText({ model, prompt: 'x' }).toTextStreamResponse()
    const wrapped = withCredits(chat, { ...context, onSettled: (receipt) => receipts.push(receipt) })
    const response = await wrapped({ model: provider([answer]).model })
    expect(await response.text()).toHaveLength(1500)
    await expect.poll(() => receipts).toMatchObject([{ charged: '0.176', booked: true }])
  })

  it('that is streamText of another copy of the SDK counts as streamText', async () => {
    const { context, trips } = testAccount()
    const copy = { streamText: (options: Parameters<typeof streamText>[0]) => streamText(options) }
    const result = await withCredits(copy.streamText, context)({ model: provider([answer]).model, prompt: 'x' })
    await result.consumeStream()
    expect(await settledReceipt(result)).toMatchObject({ charged: '0.176', closed: true })
    expect(trips).toEqual(['reserve', 'settle'])
  })
})
