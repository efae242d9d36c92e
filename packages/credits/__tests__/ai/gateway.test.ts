import { createGateway, type GatewayProvider } from '@ai-sdk/gateway'
import { type Stack, startStack } from '@layers/local-stack'
import { createClient } from '@supabase/supabase-js'
import { embed, generateImage, generateText, isLoopFinished, streamText, tool } from 'ai'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { type CreditsContext, reconcileEstimates, withCredits } from '../../src/ai/index.ts'
import { creditsOfUsd } from '../../src/core/money.ts'
import { type Credits, createCredits } from '../../src/index.ts'
import { supabaseStore } from '../../src/store/supabase.ts'
import { settledReceipt } from './test-account.ts'

/** The real gateway client against the development gateway, the real database behind PostgREST. */
const MODEL = 'openai/gpt-5'

const withoutLimit = <Options extends { maxOutputTokens?: number }>({ maxOutputTokens: _, ...rest }: Options) => rest

interface JournalEntry {
  id: string
  model: string
  served: string
  cost: string | null
  outcome: string
}
interface LedgerRow {
  generation_id: string | null
  cost_source: string
  amount: string
  uncollected: string
  served_model: string | null
}

describe('the journal of the gateway and the ledger tell the same story', () => {
  let stack: Stack
  let sql: pg.Pool
  let credits: Credits
  let gateway: GatewayProvider
  const trips: string[] = []
  beforeAll(async () => {
    stack = await startStack({ ephemeral: true })
    sql = new pg.Pool({ connectionString: stack.dbUrl, max: 2 })
    // Ending the stack also ends idle connections.
    sql.on('error', () => undefined)
    const counted: typeof fetch = (input, init) => {
      trips.push(new URL(String(input instanceof Request ? input.url : input)).pathname.split('/').at(-1) ?? '')
      return fetch(input, init)
    }
    const client = createClient(stack.url, stack.secretKey, {
      auth: { persistSession: false, autoRefreshToken: false },
      global: { fetch: counted },
    })
    credits = createCredits({ store: supabaseStore(client) })
    gateway = createGateway({ baseURL: stack.gatewayUrl, apiKey: stack.gatewayApiKey })
    // Prices are read once per process; the first call would count that read as its own.
    await credits.pricing()
  })
  afterAll(async () => {
    await sql?.end()
    await stack?.stop()
  })

  /** A new user with 50 credits, and a journal without entries. */
  async function begin(extra: Partial<CreditsContext> = {}) {
    const admin = createClient(stack.url, stack.secretKey, { auth: { persistSession: false, autoRefreshToken: false } })
    const email = `${crypto.randomUUID()}@example.test`
    const { data, error } = await admin.auth.admin.createUser({
      email,
      password: 'a-long-password',
      email_confirm: true,
    })
    if (error) throw error
    const userId = data.user.id
    await fetch(`${stack.gatewayUrl}/_dev/journal`, { method: 'DELETE' })
    trips.length = 0
    const context: CreditsContext = {
      credits,
      userId,
      feature: 'test',
      ...extra,
    }
    return { userId, context }
  }

  const journal = async () => {
    const response = await fetch(`${stack.gatewayUrl}/_dev/journal`)
    return ((await response.json()) as { entries: JournalEntry[] }).entries
  }
  const ledger = async (userId: string) => {
    const { rows } = await sql.query<LedgerRow>(
      `select generation_id, cost_source, served_model, (-amount)::text as amount, uncollected::text
         from public.credit_charges where account_id = $1 order by version`,
      [userId],
    )
    return rows
  }
  const worth = (costUsd: string | null) => creditsOfUsd({ costUsd: costUsd ?? '0', marginPercent: '60' }).credits

  /** Each provider call is one transaction, at exactly what the gateway says it cost. */
  async function expectSame(userId: string) {
    const calls = await journal()
    const rows = await ledger(userId)
    expect(rows.map((row) => row.generation_id)).toEqual(calls.map((call) => call.id))
    for (const [index, call] of calls.entries()) {
      expect(Number(rows[index]?.amount)).toBe(-Number(worth(call.cost)))
    }
    expect((await credits.getBalance({ userId })).reserved).toBe('0')
    return { calls, rows }
  }
  const readAll = async (result: { consumeStream(options?: object): PromiseLike<void> }) => {
    await result.consumeStream({ onError: () => undefined })
    await settledReceipt(result)
  }
  const look = tool({ inputSchema: z.object({}), execute: async () => 'seen' })

  it('a call without tools makes exactly two round trips, whole or streamed', async () => {
    const { context, userId } = await begin()
    await withCredits(generateText, context)({ model: gateway(MODEL), prompt: 'Hi [dev: tokens=700]' })
    expect(trips).toEqual(['credits_reserve', 'credits_settle'])
    trips.length = 0
    await readAll(
      await withCredits(streamText, context)({ model: gateway(MODEL), prompt: 'Hi [dev: tokens=700 delay=0]' }),
    )
    expect(trips).toEqual(['credits_reserve', 'credits_settle'])
    const { rows } = await expectSame(userId)
    expect(rows.map((row) => row.cost_source)).toEqual(['market-cost', 'market-cost'])
  })

  it('each further step adds one round trip: charge and extension ride together', async () => {
    const { context, userId } = await begin()
    const result = await withCredits(
      streamText,
      context,
    )({
      model: gateway(MODEL),
      prompt: 'Hi [dev: tool=look({}) toolSteps=3 tokens=600 delay=0]',
      tools: { look },
      stopWhen: isLoopFinished(),
    })
    await readAll(result)
    expect(trips).toEqual([
      'credits_reserve',
      'credits_capture',
      'credits_capture',
      'credits_capture',
      'credits_settle',
    ])
    const { calls } = await expectSame(userId)
    expect(calls).toHaveLength(4)
  })

  it.each([
    ['free credits', 'freecost', 'market-cost'],
    ['no cost in the metadata', 'nocost', 'rate'],
    ['an own provider key', 'byok', 'market-cost'],
  ])('%s: the user pays the price of the list', async (_, scenario, source) => {
    const { context, userId } = await begin()
    await withCredits(generateText, context)({ model: gateway(MODEL), prompt: `Hi [dev: tokens=600 ${scenario}]` })
    const { rows } = await expectSame(userId)
    expect(rows[0]?.cost_source).toBe(source)
  })

  it('an own provider key is free when the app says so', async () => {
    const { context, userId } = await begin({ byok: 'free' })
    await withCredits(generateText, context)({ model: gateway(MODEL), prompt: 'Hi [dev: tokens=600 byok]' })
    expect(await ledger(userId)).toMatchObject([{ amount: expect.stringMatching(/^-?0(\.0+)?$/) }])
  })

  it('a fallback model that served is the one that is priced', async () => {
    const { context, userId } = await begin()
    const served = 'anthropic/claude-sonnet-4.5'
    await withCredits(
      generateText,
      context,
    )({ model: gateway(MODEL), prompt: `Hi [dev: tokens=600 nocost served=${served}]` })
    const { rows } = await expectSame(userId)
    expect(rows).toMatchObject([{ served_model: served, cost_source: 'rate' }])
  })

  it('an aborted stream is charged by estimate and corrected from the gateway’s record, once', async () => {
    const { context, userId } = await begin({ abandoned: { policy: 'cancel' } })
    const controller = new AbortController()
    const result = await withCredits(
      streamText,
      context,
    )({
      model: gateway(MODEL),
      prompt: 'Hi [dev: tokens=3000 delay=0]',
      abortSignal: controller.signal,
    })
    let count = 0
    for await (const part of result.stream) if (part.type === 'text-delta' && ++count === 500) controller.abort()
    await settledReceipt(result)
    const [call] = await journal()
    expect(call?.outcome).toBe('aborted')
    const getGenerationInfo = (input: { id: string }) => gateway.getGenerationInfo(input)
    const [estimate] = (await credits.getEstimates()).data.filter((row) => row.userId === userId)
    const first = await reconcileEstimates({ credits, getGenerationInfo })
    expect(first).toContainEqual(
      expect.objectContaining({ transactionId: estimate?.transactionId, outcome: 'corrected' }),
    )
    await reconcileEstimates({ credits, getGenerationInfo })
    const { data } = await credits.getHistory({ userId })
    const total = data.filter(({ type }) => type !== 'grant').reduce((sum, { amount }) => sum + Number(amount), 0)
    expect(total).toBeCloseTo(-Number(worth(call?.cost ?? null)), 6)
    expect(data).toHaveLength(3)
  })

  it('a record that arrives late leaves the estimate as it is', async () => {
    const { context, userId } = await begin()
    const result = await withCredits(
      streamText,
      context,
    )({
      model: gateway(MODEL),
      prompt: 'Hi [dev: tokens=600 delay=0 nofinish late=60000]',
    })
    await readAll(result)
    const getGenerationInfo = (input: { id: string }) => gateway.getGenerationInfo(input)
    const [estimate] = (await credits.getEstimates()).data.filter((row) => row.userId === userId)
    expect(await reconcileEstimates({ credits, getGenerationInfo })).toContainEqual({
      transactionId: estimate?.transactionId,
      outcome: 'pending',
    })
  })

  it.each([
    ['a connection that drops', 'at=550 drop'],
    ['an error in the middle', 'at=550 error=503'],
    ['an answer without a finish', 'nofinish'],
    ['an answer without usage', 'nousage nocost'],
  ])('%s: one transaction, estimated', async (_, scenario) => {
    const { context, userId } = await begin()
    const result = await withCredits(
      streamText,
      context,
    )({
      model: gateway(MODEL),
      prompt: `Hi [dev: tokens=600 delay=0 ${scenario}]`,
      onError: () => undefined,
    })
    await readAll(result)
    const calls = await journal()
    expect(await ledger(userId)).toMatchObject(calls.map(({ id }) => ({ generation_id: id, cost_source: 'estimate' })))
    expect((await credits.getBalance({ userId })).reserved).toBe('0')
  })

  it('a stream is cut off when the credits run out, and the gateway stops generating', async () => {
    const { context, userId } = await begin()
    await credits.adjust({ userId, amount: '-49', reason: 'test', idempotencyKey: 'poor' })
    const words = Array.from({ length: 3000 }, (_, index) => `word${index % 10}`).join(' ')
    // No limit is sent on, as by a provider that ignores it.
    const bare = gateway(MODEL)
    const doStream = bare.doStream.bind(bare)
    const model = Object.assign(Object.create(bare), {
      doStream: (options: Parameters<typeof doStream>[0]) => doStream(withoutLimit(options)),
    }) as typeof bare
    const result = await withCredits(
      streamText,
      context,
    )({ model, prompt: 'Hi', providerOptions: { dev: { text: words, delay: 0 } } })
    await readAll(result)
    expect(await settledReceipt(result)).toMatchObject({ stopped: { reason: 'cut-off' } })
    expect(await result.finishReason).toBe('length')
    const [call] = await journal()
    expect(call?.outcome).toBe('aborted')
    expect(await credits.getBalance({ userId })).toMatchObject({ reserved: '0' })
  })

  it('embeddings and images', async () => {
    const { context, userId } = await begin()
    await withCredits(
      embed,
      context,
    )({ model: gateway.embeddingModel('openai/text-embedding-3-small'), value: 'hello' })
    await withCredits(
      generateImage,
      context,
    )({ model: gateway.imageModel('bfl/flux-3-image'), prompt: 'x', size: '1024x1024' })
    const { calls } = await expectSame(userId)
    expect(calls).toHaveLength(2)
  })

  it('a gateway that asks the operator for payment is not the user’s 402', async () => {
    const { context, userId } = await begin()
    const call = withCredits(generateText, context)({ model: gateway(MODEL), prompt: 'Hi [dev: error=402]' })
    await expect(call).rejects.toMatchObject({ code: 'PROVIDER_UNAVAILABLE', status: 503 })
    expect(await credits.getBalance({ userId })).toMatchObject({ available: '50', reserved: '0' })
  })
})
