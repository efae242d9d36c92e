import { generateText, isLoopFinished, streamText, tool } from 'ai'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { creditsReceipt, withCredits } from '../../src/ai/index.ts'
import { finish, provider, textParts, toolCall } from './scripted-model.ts'
import { settledReceipt, testAccount } from './test-account.ts'

const tools = { look: tool({ inputSchema: z.object({}), execute: async () => 'seen' }) }
const looking = (id: string, tokens: number) => ({
  parts: [...textParts(tokens, id), toolCall(id, 'look'), finish('tool-calls' as const, 100, tokens)],
})
const endless = [looking('a', 500), looking('b', 500), looking('c', 500), looking('d', 500)]

describe('the output is limited to what the user can pay', () => {
  it('a stream without a limit is sent with the limit that all credits pay for', async () => {
    const { context, balance } = testAccount({ available: '0.2' })
    const { model, journal } = provider([{ parts: [...textParts(400), finish('length', 100, 400)] }])
    const result = await withCredits(streamText, context)({ model, prompt: 'Hello' })
    await result.consumeStream()
    const [entry] = journal
    expect(entry?.maxOutputTokens).toBeGreaterThan(400)
    expect(entry?.maxOutputTokens).toBeLessThan(625)
    expect(await settledReceipt(result)).toMatchObject({ stopped: { reason: 'clamped' } })
    expect(Number((await balance()).available)).toBeGreaterThanOrEqual(0)
  })

  it('a call of a user with enough credits is sent without a limit', async () => {
    const { context } = testAccount()
    const { model, journal } = provider([{ parts: [...textParts(5), finish('stop', 100, 5)] }])
    await withCredits(generateText, context)({ model, prompt: 'Hello' })
    expect(journal[0]?.maxOutputTokens).toBeUndefined()
  })
})

describe('what is reserved and what is sent are two things', () => {
  const limited = {
    modelId: 'test/limited',
    maxOutputTokens: 64_000,
    pricing: { input: '0.000003', output: '0.000015' },
  }
  const unlimited = { modelId: 'test/unlimited', pricing: { input: '0.000003', output: '0.000015' } }
  const short = { parts: [...textParts(50), finish('stop' as const, 100, 50)] }

  it.each([
    ['with a known limit', limited],
    ['without a known limit', unlimited],
  ])('a stream of a model %s is sent without a limit while the credits pay for all of it', async (_, rate) => {
    const { context, trips, balance } = testAccount({ rates: [rate], available: '5000' })
    const { model, journal } = provider([short], rate.modelId)
    const result = await withCredits(streamText, context)({ model, prompt: 'Hello' })
    // 4,096 output tokens cost 9.83 credits.
    expect(Number((await balance()).reserved)).toBeLessThan(12)
    await result.consumeStream()
    await settledReceipt(result)
    expect(journal[0]?.maxOutputTokens).toBeUndefined()
    expect(trips).toEqual(['reserve', 'settle'])
  })

  it('the limit of the app is sent as it is', async () => {
    const { context } = testAccount({ rates: [limited], available: '5000' })
    const { model, journal } = provider([short], limited.modelId)
    await withCredits(generateText, context)({ model, prompt: 'Hello', maxOutputTokens: 700 })
    const result = await withCredits(streamText, context)({ model, prompt: 'Hello', maxOutputTokens: 700 })
    await result.consumeStream()
    expect(journal.map(({ maxOutputTokens }) => maxOutputTokens)).toEqual([700, 700])
  })

  it('a whole answer is limited to what is reserved for it, and a shortened one says so', async () => {
    const { context, balance } = testAccount({ rates: [limited], available: '20' })
    const { model, journal } = provider([{ parts: [...textParts(50), finish('length', 100, 8_000)] }], limited.modelId)
    const result = await withCredits(generateText, context)({ model, prompt: 'Hello' })
    expect(journal[0]?.maxOutputTokens).toBeLessThan(8_400)
    expect(creditsReceipt(result)).toMatchObject({ stopped: { reason: 'clamped' } })
    expect(Number((await balance()).available)).toBeGreaterThanOrEqual(0)
  })

  it('an answer that ends at the limit of the app is not reported as shortened', async () => {
    const { context } = testAccount({ rates: [limited], available: '5000' })
    const { model } = provider([{ parts: [...textParts(50), finish('length', 100, 700)] }], limited.modelId)
    const result = await withCredits(generateText, context)({ model, prompt: 'Hello', maxOutputTokens: 700 })
    expect(creditsReceipt(result)?.stopped).toBeUndefined()
  })

  it.each([
    ['streamed', streamText as unknown as typeof generateText],
    ['whole', generateText],
  ])('a user with 50 credits runs four calls of a flagship model side by side, %s', async (_, fn) => {
    const { context, charges } = testAccount({ rates: [limited], available: '50' })
    const begun: Promise<{ consumeStream?: () => PromiseLike<void> }>[] = []
    for (let call = 0; call < 4; call++) {
      let reached = () => {}
      const begins = new Promise<void>((resolve) => {
        reached = resolve
      })
      const { model } = provider([{ ...short, delayMs: 5, begins: () => reached() }], limited.modelId)
      begun.push(withCredits(fn, context)({ model, prompt: 'Hello' }) as never)
      await begins
    }
    const results = await Promise.all(begun)
    for (const result of results) await result.consumeStream?.()
    await expect.poll(async () => (await charges()).length).toBe(4)
  })
})

describe('a loop ends with what it has when the next step cannot be paid', () => {
  it('generateText returns the steps so far with the reason and the numbers', async () => {
    const { context, charges, balance, trips } = testAccount({ available: '0.6' })
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

  it('streamText ends without an error part', async () => {
    const { context, charges } = testAccount({ available: '0.6' })
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
    // The scripted model ignores the limit it is sent, so its last step may be cut off before the next one is refused.
    expect((await settledReceipt(result))?.stopped?.reason).toMatch(/^(budget|cut-off)$/)
    expect(await charges()).toHaveLength(journal.length)
  })

  it('a step that is dearer than foreseen ends the loop without an error', async () => {
    const { context } = testAccount({ available: '1.2' })
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
    expect(await settledReceipt(result)).toMatchObject({ stopped: { reason: 'budget' } })
  })
})

describe('a stream is cut off when the credits run out', () => {
  const overflowing = { parts: [...textParts(4000), finish('stop' as const, 100, 4000)] }

  it('the provider is stopped and the reader gets a proper end with the reason', async () => {
    const { context, charges, balance } = testAccount({ available: '0.2' })
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
    expect(await settledReceipt(result)).toMatchObject({ stopped: { reason: 'cut-off' }, estimated: true })
    expect(await charges()).toMatchObject([{ outputTokens: entry?.deltas, estimated: true }])
    const { available, reserved } = await balance()
    expect(reserved).toBe('0')
    expect(Number(available)).toBeGreaterThanOrEqual(0)
  })

  it('the reservation is extended instead while there are credits', async () => {
    const { context, charges, trips } = testAccount({ available: '100' })
    const { model, journal } = provider([overflowing])
    const result = await withCredits(streamText, context)({ model, prompt: 'Hello', maxOutputTokens: 1000 })
    await result.consumeStream()
    expect(journal[0]?.outcome).toBe('finished')
    expect(trips.filter((trip) => trip === 'extend').length).toBeLessThanOrEqual(2)
    expect(await charges()).toMatchObject([{ outputTokens: 4000, estimated: false, uncollected: '0' }])
  })

  it('a purchase while the stream goes on lets it go on', async () => {
    const { context, credits, userId } = testAccount({ available: '0.2' })
    const { model, journal } = provider([overflowing])
    const result = await withCredits(streamText, context)({ model, prompt: 'Hello' })
    let count = 0
    for await (const part of result.stream) {
      if (part.type === 'text-delta' && ++count === 50) {
        await credits.grant({ userId, amount: '50', source: 'purchase', idempotencyKey: 'top-up' })
      }
    }
    expect(journal[0]).toMatchObject({ outcome: 'finished', deltas: 4000 })
    expect(await settledReceipt(result)).toMatchObject({ stopped: undefined })
  })
})
