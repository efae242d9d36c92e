import { createGateway, type GatewayProvider } from '@ai-sdk/gateway'
import { generateText, registerTelemetry, streamText, type Telemetry } from 'ai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { withCredits } from '../../src/ai/index.ts'
import { type Credits, createCredits } from '../../src/index.ts'
import { supabaseStore } from '../../src/store/supabase.ts'
import { createTestStack, type TestStack } from '../kit/stack.ts'

const MODEL = 'openai/gpt-5'

describe('gateway-integration', () => {
  let test: TestStack
  let credits: Credits
  let gateway: GatewayProvider
  beforeAll(async () => {
    test = await createTestStack()
    credits = createCredits({ store: supabaseStore(test.service) })
    gateway = createGateway({ baseURL: test.stack.gatewayUrl, apiKey: test.stack.gatewayApiKey })
  })
  afterAll(() => test?.stop())

  const providerCalls = async () => {
    const response = await fetch(`${test.stack.gatewayUrl}/_dev/journal`)
    const body = (await response.json()) as { entries: unknown[] }
    return body.entries.length
  }
  const lastTransaction = async (userId: string) => (await credits.getHistory({ userId, limit: 1 })).data[0]

  it('generateText reserves before and settles after the call: a transaction of model, feature, tokens', async () => {
    const { id: userId } = await test.createUser()
    const before = await providerCalls()
    await withCredits(generateText, { credits, userId, feature: 'summary' })({
      model: gateway(MODEL),
      prompt: 'Hello [dev: input=10000 tokens=2000 cached=6000]',
      maxOutputTokens: 2000,
    })
    expect((await providerCalls()) - before).toBe(1)
    expect(await lastTransaction(userId)).toMatchObject({
      type: 'usage',
      version: 2,
      amount: '-4.12',
      model: MODEL,
      feature: 'summary',
      inputTokens: 10000,
      outputTokens: 2000,
      estimated: false,
    })
    const reservations = await test.sql('select state from public.credit_reservations where account_id = $1', [userId])
    expect(reservations).toEqual([{ state: 'settled' }])
  })

  it('streamText reserves before and settles after the call: a transaction of model, feature, tokens', async () => {
    const { id: userId } = await test.createUser()
    const result = await withCredits(streamText, { credits, userId, feature: 'chat' })({
      model: gateway(MODEL),
      prompt: 'Hello [dev: input=10000 tokens=600 cached=6000 delay=0]',
      maxOutputTokens: 2000,
    })
    const reserved = await credits.getBalance({ userId })
    expect(Number(reserved.reserved)).toBeGreaterThan(0)
    await result.consumeStream()
    // 4,000 fresh at 1.25 + 6,000 cached at 0.125 + 600 output at 10 USD a million, times 160.
    // The end of a stream does not wait for the ledger.
    await expect
      .poll(() => lastTransaction(userId))
      .toMatchObject({
        type: 'usage',
        version: 2,
        amount: '-1.88',
        model: MODEL,
        feature: 'chat',
        inputTokens: 10000,
        outputTokens: 600,
      })
    expect(await credits.getBalance({ userId })).toMatchObject({ available: '48.12', reserved: '0' })
  })

  it('with too few credits the provider is never called', async () => {
    const { id: userId } = await test.createUser()
    await credits.adjust({ userId, amount: '-50', reason: 'story' })
    const before = await providerCalls()
    for (const fn of [generateText, streamText]) {
      const call = withCredits(fn as typeof generateText, { credits, userId })({
        model: gateway(MODEL),
        prompt: 'Hello',
      })
      await expect(call).rejects.toMatchObject({ code: 'INSUFFICIENT_CREDITS', status: 402 })
    }
    expect(await providerCalls()).toBe(before)
  })

  it('telemetry metadata carries userId and reservationId', async () => {
    const seen: unknown[] = []
    const integration: Telemetry = { onStart: (event) => void seen.push(event) }
    registerTelemetry(integration)
    const { id: userId } = await test.createUser()
    await withCredits(generateText, { credits, userId })({ model: gateway(MODEL), prompt: 'Hello' })
    const [reservation] = await test.sql<{ id: string }>(
      'select id from public.credit_reservations where account_id = $1',
      [userId],
    )
    const reported = JSON.stringify(seen)
    expect(reported).toContain(userId)
    expect(reported).toContain(reservation?.id)
  })
})
