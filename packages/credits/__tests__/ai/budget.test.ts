import { generateText, isLoopFinished, streamText, tool } from 'ai'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { creditsReceipt, settledCredits, withCredits } from '../../src/ai/index.ts'
import { books } from './books.ts'
import { finish, provider, textParts, toolCall } from './provider.ts'

const tools = { look: tool({ inputSchema: z.object({}), execute: async () => 'seen' }) }
const looking = (id: string, tokens: number) => ({
  parts: [...textParts(tokens, id), toolCall(id, 'look'), finish('tool-calls' as const, 100, tokens)],
})
const endless = [looking('a', 500), looking('b', 500), looking('c', 500), looking('d', 500)]

describe('the output is clamped to what the user can pay', () => {
  it('a call without a limit is sent with one, and never costs more than there was', async () => {
    const { context, balance } = books({ available: '0.2' })
    const { model, journal } = provider([{ parts: [...textParts(400), finish('length', 100, 400)] }])
    const result = await withCredits(streamText, context)({ model, prompt: 'Hello' })
    await result.consumeStream()
    const [entry] = journal
    expect(entry?.maxOutputTokens).toBeGreaterThan(400)
    expect(entry?.maxOutputTokens).toBeLessThan(625)
    expect(await settledCredits(result)).toMatchObject({ stopped: { reason: 'clamped' } })
    expect(Number((await balance()).available)).toBeGreaterThanOrEqual(0)
  })

  it('a user with enough is not clamped at all', async () => {
    const { context } = books()
    const { model, journal } = provider([{ parts: [...textParts(5), finish('stop', 100, 5)] }])
    await withCredits(generateText, context)({ model, prompt: 'Hello' })
    expect(journal[0]?.maxOutputTokens).toBeUndefined()
  })
})

describe('a loop ends gracefully when the next step cannot be paid', () => {
  it('generateText: the answer so far, the reason and the numbers', async () => {
    const { context, charges, balance, trips } = books({ available: '0.6' })
    const { model, journal } = provider(endless)
    const result = await withCredits(
      generateText,
      context,
    )({ model, tools, prompt: 'Hello', stopWhen: isLoopFinished() })
    expect(result.finishReason).toBe('tool-calls')
    expect(result.steps.length).toBe(journal.length)
    expect(result.steps.length).toBeLessThan(4)
    expect(creditsReceipt(result)?.stopped).toMatchObject({ reason: 'budget' })
    const charged = await charges()
    expect(charged).toHaveLength(journal.length)
    expect(charged.every(({ uncollected }) => uncollected === '0')).toBe(true)
    expect((await balance()).reserved).toBe('0')
    expect(trips.filter((trip) => trip === 'extend')).toEqual([])
  })

  it('streamText: no error reaches the reader', async () => {
    const { context, charges } = books({ available: '0.5' })
    const { model, journal } = provider(endless)
    const errors: unknown[] = []
    const result = await withCredits(
      streamText,
      context,
    )({
      model,
      tools,
      prompt: 'Hello',
      stopWhen: isLoopFinished(),
      onError: ({ error }) => void errors.push(error),
    })
    const types: string[] = []
    for await (const part of result.stream) types.push(part.type)
    expect(types.at(-1)).toBe('finish')
    expect(types).not.toContain('error')
    expect(errors).toEqual([])
    expect(await settledCredits(result)).toMatchObject({ stopped: { reason: 'budget' } })
    expect(await charges()).toHaveLength(journal.length)
  })

  it('a step that turns out dearer than foreseen ends the loop, not the answer', async () => {
    const { context } = books({ available: '1.2' })
    const { model, journal } = provider(endless)
    const result = await withCredits(
      streamText,
      context,
    )({
      model,
      tools,
      prompt: 'Hello',
      stopWhen: isLoopFinished(),
      prepareStep: ({ stepNumber, messages }) =>
        stepNumber === 0 ? {} : { messages: [...messages, { role: 'user', content: 'x'.repeat(50_000) }] },
    })
    const types: string[] = []
    for await (const part of result.stream) types.push(part.type)
    expect(journal).toHaveLength(1)
    expect(types).not.toContain('error')
    expect((await result.steps).at(-1)?.providerMetadata?.credits).toMatchObject({ cutOff: true })
    expect(await settledCredits(result)).toMatchObject({ stopped: { reason: 'budget' } })
  })
})

describe('a stream is cut off when the credits run out', () => {
  const overflowing = { parts: [...textParts(4000), finish('stop' as const, 100, 4000)] }

  it('the provider is stopped, the reader sees a clean end with the reason', async () => {
    const { context, charges, balance } = books({ available: '0.2' })
    const { model, journal } = provider([overflowing])
    const result = await withCredits(streamText, context)({ model, prompt: 'Hello' })
    const types: string[] = []
    for await (const part of result.stream) types.push(part.type)
    expect(types.slice(-4)).toEqual(['text-delta', 'text-end', 'finish-step', 'finish'])
    const [entry] = journal
    expect(entry?.outcome).toBe('cancelled')
    // One part beyond what the hold pays for is what shows that it is used up.
    expect(entry?.deltas).toBe((entry?.maxOutputTokens ?? 0) + 1)
    expect(await result.finishReason).toBe('length')
    const step = await result.finalStep
    expect(step.providerMetadata?.credits).toMatchObject({ cutOff: true, stopped: { reason: 'cut-off' } })
    expect(step.text).toContain('w0 w1 w2')
    expect(await settledCredits(result)).toMatchObject({ stopped: { reason: 'cut-off' }, estimated: true })
    expect(await charges()).toMatchObject([{ outputTokens: entry?.deltas, estimated: true }])
    const { available, reserved } = await balance()
    expect(reserved).toBe('0')
    expect(Number(available)).toBeGreaterThanOrEqual(0)
  })

  it('is extended instead, when there are credits to extend with', async () => {
    const { context, charges, trips } = books({ available: '100' })
    const { model, journal } = provider([overflowing])
    const result = await withCredits(streamText, context)({ model, prompt: 'Hello', maxOutputTokens: 1000 })
    await result.consumeStream()
    expect(journal[0]?.outcome).toBe('finished')
    expect(trips.filter((trip) => trip === 'extend').length).toBeLessThanOrEqual(2)
    expect(await charges()).toMatchObject([{ outputTokens: 4000, estimated: false, uncollected: '0' }])
  })

  it('a top-up while the stream goes on lets it go on', async () => {
    const { context, credits, userId } = books({ available: '0.2' })
    const { model, journal } = provider([overflowing])
    const result = await withCredits(streamText, context)({ model, prompt: 'Hello' })
    let count = 0
    for await (const part of result.stream) {
      if (part.type === 'text-delta' && ++count === 50) {
        await credits.grant({ userId, amount: '50', source: 'purchase', idempotencyKey: 'top-up' })
      }
    }
    expect(journal[0]).toMatchObject({ outcome: 'finished', deltas: 4000 })
    expect(await settledCredits(result)).toMatchObject({ stopped: undefined })
  })
})
