import { generateText, streamText } from 'ai'
import { describe, expect, it } from 'vitest'
import { withCredits } from '../../src/ai/index.ts'
import { finish, provider, textParts } from './scripted-model.ts'
import { settledReceipt, testAccount } from './test-account.ts'

const FREE = 'nvidia/free'
const rates = [{ modelId: FREE, pricing: { input: '0', output: '0' } }]
const answer = { parts: [...textParts(500), finish('stop' as const, 100, 500)] }

describe('a model that costs nothing', () => {
  it('makes a reservation of nothing and leaves a row, whole or streamed', async () => {
    const { context, charges, trips } = testAccount({ rates, available: '0' })
    await withCredits(generateText, context)({ model: provider([answer], FREE).model, prompt: 'x' })
    const result = await withCredits(streamText, context)({ model: provider([answer], FREE).model, prompt: 'x' })
    await result.consumeStream()
    expect(await settledReceipt(result)).toMatchObject({
      charged: '0',
      booked: true,
      reservationId: expect.any(String),
    })
    expect(trips).toEqual(['reserve', 'settle', 'reserve', 'settle'])
    expect(await charges()).toMatchObject([
      { amount: '0', outputTokens: 500 },
      { amount: '0', outputTokens: 500 },
    ])
  })

  it('is refused to a frozen account', async () => {
    const { context, store, userId } = testAccount({ rates })
    await store.freezeAccount({ userId, frozen: true, reason: 'test' } as never)
    const { model, journal } = provider([answer], FREE)
    const call = withCredits(generateText, context)({ model, prompt: 'x' })
    await expect(call).rejects.toMatchObject({ code: 'ACCOUNT_FROZEN' })
    expect(journal).toEqual([])
  })
})
