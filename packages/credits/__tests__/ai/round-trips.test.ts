import { generateText, streamText } from 'ai'
import { describe, expect, it } from 'vitest'
import { creditsReceipt, withCredits } from '../../src/ai/index.ts'
import { finish, provider, textParts } from './scripted-model.ts'
import { settledReceipt, testAccount } from './test-account.ts'

const answer = (tokens: number) => ({ parts: [...textParts(tokens), finish('stop', 100, tokens)] })

describe('generateText', () => {
  it('is reserved before and settled after the call, in exactly two round trips', async () => {
    const { context, trips, charges, balance } = testAccount()
    const { model, journal } = provider([answer(500)])
    const result = await withCredits(generateText, context)({ model, prompt: 'Hello' })
    expect(result.usage.outputTokens).toBe(500)
    expect(trips).toEqual(['reserve', 'settle'])
    expect(journal).toHaveLength(1)
    // 100 in and 500 out at 0.00016 and 0.00032.
    expect(await charges()).toMatchObject([
      { amount: '-0.176', model: 'openai/gpt-test', inputTokens: 100, feature: 'test' },
    ])
    expect(await balance()).toEqual({ available: '999.824', reserved: '0' })
    expect(creditsReceipt(result)).toMatchObject({ charged: '0.176', available: '999.824', closed: true })
  })

  it('throws INSUFFICIENT_CREDITS before the provider is called', async () => {
    const { context, trips, charges } = testAccount({ available: '0.001' })
    const { model, journal } = provider([answer(500)])
    const call = withCredits(generateText, context)({ model, prompt: 'Hello' })
    await expect(call).rejects.toMatchObject({ code: 'INSUFFICIENT_CREDITS', status: 402 })
    expect(journal).toHaveLength(0)
    expect(trips).toEqual(['reserve'])
    expect(await charges()).toEqual([])
  })

  it('refuses a model without a price before it is called', async () => {
    const { context } = testAccount()
    const { model, journal } = provider([answer(5)], 'openai/unpriced')
    const call = withCredits(generateText, context)({ model, prompt: 'Hello' })
    await expect(call).rejects.toMatchObject({ code: 'UNKNOWN_MODEL' })
    expect(journal).toHaveLength(0)
  })
})

describe('streamText', () => {
  it('is reserved before and settled after the stream, in exactly two round trips', async () => {
    const { context, trips, charges, balance } = testAccount()
    const { model, journal } = provider([answer(600)])
    const result = await withCredits(streamText, context)({ model, prompt: 'Hello' })
    expect(trips).toEqual(['reserve'])
    let text = ''
    for await (const delta of result.textStream) text += delta
    expect(text).toHaveLength(1800)
    expect(trips).toEqual(['reserve', 'settle'])
    expect(journal).toMatchObject([{ outcome: 'finished', deltas: 600 }])
    expect(await charges()).toMatchObject([{ amount: '-0.208', outputTokens: 600, estimated: false }])
    expect(await balance()).toEqual({ available: '999.792', reserved: '0' })
    expect(await settledReceipt(result)).toMatchObject({ charged: '0.208', closed: true, stopped: undefined })
  })

  it('throws INSUFFICIENT_CREDITS before a stream exists', async () => {
    const { context } = testAccount({ available: '0.001' })
    const { model, journal } = provider([answer(500)])
    await expect(withCredits(streamText, context)({ model, prompt: 'Hello' })).rejects.toMatchObject({ status: 402 })
    expect(journal).toHaveLength(0)
  })
})
