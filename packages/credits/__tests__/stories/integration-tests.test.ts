import { createGateway } from '@ai-sdk/gateway'
import { generateText } from 'ai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { withCredits } from '../../src/ai/index.ts'
import { type Credits, createCredits } from '../../src/index.ts'
import { supabaseStore } from '../../src/store/supabase.ts'
import { createTestApp, send, type TestApp } from '../kit/web.ts'

const MODEL = 'anthropic/claude-sonnet-4.5'

describe('integration-tests', () => {
  let test: TestApp
  let credits: Credits
  let model: ReturnType<ReturnType<typeof createGateway>>
  beforeAll(async () => {
    test = await createTestApp()
    credits = createCredits({ store: supabaseStore(test.service) })
    model = createGateway({ baseURL: test.stack.gatewayUrl, apiKey: test.stack.gatewayApiKey })(MODEL)
  })
  afterAll(() => test?.stop())

  it('signup grants, then reserve, model call and settle leave exactly the charge', async () => {
    const { id: userId } = await test.createUser()
    const { usage } = await withCredits(generateText, { credits, userId, feature: 'story' })({
      model,
      prompt: 'Hello [dev: input=2000 tokens=1000]',
      maxOutputTokens: 1000,
    })
    expect([usage.inputTokens, usage.outputTokens]).toEqual([2000, 1000])
    expect(await credits.getBalance({ userId })).toMatchObject({ available: '46.64', reserved: '0' })
    const { data } = await credits.getHistory({ userId })
    expect(data.map(({ type, source, amount }) => [type, source, amount])).toEqual([
      ['usage', null, '-3.36'],
      ['grant', 'signup', '50'],
    ])
  })

  it('too few credits answer 402 over HTTP', async () => {
    const person = await test.createUser()
    await credits.adjust({ userId: person.id, amount: '-50', reason: 'story' })
    const session = await test.signedIn(person)
    const response = await send(session, 'POST', '/api/chat', {
      id: 'c1',
      messages: [{ id: 'm1', role: 'user', parts: [{ type: 'text', text: 'Hi' }] }],
    })
    expect([response.status, (await response.json()).code]).toEqual([402, 'INSUFFICIENT_CREDITS'])
  })

  it('an error of the provider frees the reservation', async () => {
    const { id: userId } = await test.createUser()
    const call = withCredits(generateText, { credits, userId })({ model, prompt: 'Hi [dev: error=400]', maxRetries: 0 })
    await expect(call).rejects.toThrow()
    expect(await credits.getBalance({ userId })).toMatchObject({ available: '50', reserved: '0', version: 1 })
  })

  it('fifty concurrent reserves of 1 on a balance of 5 grant exactly 5', async () => {
    const { id: userId } = await test.createUser()
    await credits.adjust({ userId, amount: '-45', reason: 'story' })
    const calls = Array.from({ length: 50 }, () => credits.reserve({ userId, amount: '1' }))
    const results = await Promise.allSettled(calls)
    const codes = results.map((result) => (result.status === 'fulfilled' ? 'granted' : result.reason.code))
    expect(codes.filter((code) => code === 'granted')).toHaveLength(5)
    expect(codes.filter((code) => code === 'INSUFFICIENT_CREDITS')).toHaveLength(45)
    expect(await credits.getBalance({ userId })).toMatchObject({ available: '0', reserved: '5' })
  })

  it('concurrent settles of one reservation deduct once', async () => {
    const { id: userId } = await test.createUser()
    const { reservationId } = await credits.reserve({ userId, amount: '10' })
    const settles = Array.from({ length: 20 }, () => credits.settle({ userId, reservationId, amount: '4' }))
    const results = await Promise.all(settles)
    expect(new Set(results.map(({ captured }) => captured)).size).toBe(1)
    expect(results.filter(({ replayed }) => !replayed)).toHaveLength(1)
    const { available } = await credits.getBalance({ userId })
    expect(Number(available)).toBe(50 - Number(results[0]?.captured))
    expect((await credits.getHistory({ userId })).data).toHaveLength(2)
  })
})
