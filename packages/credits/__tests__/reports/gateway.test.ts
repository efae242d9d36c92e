import { createGateway } from '@ai-sdk/gateway'
import { type Stack, startStack } from '@layers/local-stack'
import { generateText } from 'ai'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { withCredits } from '../../src/ai/index.ts'
import type { Credits } from '../../src/credits/types.ts'
import { createCredits } from '../../src/credits.ts'
import { syncRates } from '../../src/index.ts'
import { supabaseStore } from '../../src/store/supabase.ts'
import { openPool, signUp } from '../kit/database.ts'
import { serviceClient } from '../kit/stack.ts'

let stack: Stack
let admin: pg.Pool
let credits: Credits

beforeAll(async () => {
  stack = await startStack({ ephemeral: true })
  admin = openPool(stack.adminDbUrl)
  credits = createCredits({ store: supabaseStore(serviceClient(stack)) })
}, 120_000)
afterAll(async () => {
  await admin?.end()
  await stack?.stop()
})

const gateway = () => createGateway({ baseURL: stack.gatewayUrl, apiKey: stack.gatewayApiKey })
const store = () => supabaseStore(serviceClient(stack))

describe('through the gateway and its own client', () => {
  it('the list of /v1/models is read whole, over PostgREST too, and a second run finds nothing more to write', async () => {
    const source = { url: `${new URL(stack.gatewayUrl).origin}/v1/models` }
    const first = await syncRates({ store: store(), source, accept: 'all' })
    expect(first.listed).toBeGreaterThan(400)
    expect(await syncRates({ store: store(), source })).toMatchObject({
      inserted: [],
      changed: [],
      held: [],
      written: 0,
    })
  })

  it('getAvailableModels confirms those prices: nothing waits, nothing is written', async () => {
    const result = await syncRates({ store: store(), source: { gateway: gateway() } })
    expect(result.listed).toBeGreaterThan(300)
    expect(result).toMatchObject({ changed: [], held: [] })
  })

  it('every call is on the bill, and the spend report agrees with the ledger', async () => {
    const userId = await signUp(admin)
    const model = 'anthropic/claude-sonnet-4.5'
    const call = withCredits(generateText, { credits, userId })
    for (const tokens of [5, 7]) await call({ model: gateway()(model), prompt: `Say [dev: tokens=${tokens}]` })
    const today = new Date().toISOString().slice(0, 10)
    const spend = await gateway().getSpendReport({ startDate: today, endDate: today, groupBy: 'model' })
    expect(await credits.reconcileSpend({ spend })).toMatchObject({
      matched: 1,
      differing: [],
      missingInLedger: [],
      missingInReport: [],
    })
    const reported = []
    for await (const { generationId, costUsd } of credits.charges())
      if (generationId) reported.push({ generationId, costUsd })
    expect(reported).toHaveLength(2)
    expect(await credits.reconcileCosts({ reported })).toMatchObject({ matched: 2, missingInReport: [] })
    expect(await credits.drift()).toMatchObject({ alerts: 0, notCompared: 0, rows: [{ model, calls: 2 }] })
  })
})
