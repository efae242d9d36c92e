import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CreditError } from '../../src/core/errors.ts'
import { calculateCredits } from '../../src/core/pricing/calculate.ts'
import type { ProfitReport } from '../../src/core/reports/profit.ts'
import { callModel, createTestCredits, SONNET, type TestCredits } from '../kit/credits.ts'
import { stopDatabases } from '../kit/database.ts'

const HAIKU = 'anthropic/claude-haiku-4.5'

let database: TestCredits
let free: string
let pro: string

beforeAll(async () => {
  database = await createTestCredits()
  free = await database.signUp()
  pro = await database.signUp()
  await database.admin.query('select public.credits_set_plan($1, $2)', [pro, 'pro'])
  const { credits } = database
  await callModel(credits, { userId: free, model: SONNET, feature: 'chat' })
  await callModel(credits, { userId: pro, model: SONNET, feature: 'search' })
  const refunded = await callModel(credits, { userId: pro, model: HAIKU, feature: 'chat' })
  await credits.refund({ userId: pro, transactionId: refunded.id, reason: 'wrong answer' })
  // The plan is the one of the day of the call, any came later.
  await database.admin.query('select public.credits_set_plan($1, $2)', [pro, 'team'])
  await callModel(credits, { userId: pro, model: HAIKU })
}, 120_000)
afterAll(async () => {
  await database?.close()
  await stopDatabases()
})

const usage = { inputTokens: 2000, outputTokens: 1000 }
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'succeeded',
    (error: unknown) => (CreditError.isInstance(error) ? error.code : String(error)),
  )

async function haikuCredits(marginPercent: string): Promise<string> {
  const [rate] = await database.store.getRateHistory({ modelId: HAIKU })
  if (rate === undefined) throw new Error(`${HAIKU} is not seeded`)
  return calculateCredits(usage, { rate, marginPercent }).credits
}

describe('the profit report', () => {
  it('adds up what was charged, less what was given back, against what it cost', async () => {
    const { total, by } = await database.credits.report()
    const haiku = await haikuCredits('60')
    expect(by.model[SONNET]).toMatchObject({
      calls: 2,
      credits: '6.72',
      revenueUsd: '0.0672',
      costUsd: '0.042',
      profitUsd: '0.0252',
    })
    expect(by.model[HAIKU]).toMatchObject({ calls: 2, credits: haiku, refunded: haiku })
    expect(total.calls).toBe(4)
  })

  it('equals what SQL adds up over the ledger', async () => {
    const { total } = await database.credits.report()
    const { rows } = await database.admin.query(
      `select (select trim_scale(-sum(amount))::text from public.credit_transactions where type in ('usage', 'refund')) as credits,
              (select trim_scale(sum(cost_usd))::text from public.credit_charges) as cost`,
    )
    expect({ credits: total.credits, cost: total.costUsd }).toEqual(rows[0])
  })

  it('breaks down by feature, by day and by the plan the user was on at the time', async () => {
    const { by } = await database.credits.report()
    const calls = (groups: ProfitReport['by'][keyof ProfitReport['by']]) =>
      Object.fromEntries(Object.entries(groups).map(([key, totals]) => [key, totals.calls]))
    expect(calls(by.feature)).toEqual({ chat: 2, search: 1, '(none)': 1 })
    expect(calls(by.plan)).toEqual({ free: 1, pro: 2, team: 1 })
    expect(Object.values(calls(by.day)).reduce((sum, count) => sum + count)).toBe(4)
  })

  it('keeps to its period, and refuses one that is too long or makes no sense', async () => {
    const { credits } = database
    expect((await credits.report({ to: '2020-01-01T00:00:00Z' })).total.calls).toBe(0)
    expect((await credits.report({ from: '2020-01-01T00:00:00Z', maxCharges: 4 })).total.calls).toBe(4)
    expect(await codeOf(credits.report({ maxCharges: 3 }))).toBe('INVALID_INPUT')
    expect(await codeOf(credits.report({ from: 'last week' }))).toBe('INVALID_INPUT')
  })

  it('reads the ledger in pages of a thousand, a query each', async () => {
    database.queries.length = 0
    await database.credits.report()
    expect(database.queries).toEqual(['credits_get_charges'])
  })
})

describe('what if', () => {
  it('changes nothing when the margins are those that were charged', async () => {
    const { actual, hypothetical } = await database.credits.whatIf({
      margins: [{ scope: 'default', marginPercent: '60' }],
    })
    expect(hypothetical).toEqual(actual)
  })

  it('replays every call under another default and overrides, by the same precedence as live calls', async () => {
    const margins = [
      { scope: 'default', marginPercent: '0' },
      { scope: 'model', target: SONNET, marginPercent: '100' },
      { scope: 'plan', target: 'team', marginPercent: '10' },
    ] as const
    const { hypothetical } = await database.credits.whatIf({ margins })
    expect(hypothetical.by.model[SONNET]).toMatchObject({ credits: '8.4', costUsd: '0.042', profitUsd: '0.042' })
    expect(hypothetical.by.plan.team?.credits).toBe(await haikuCredits('10'))
  })

  it('lets an override that is in force keep its calls as they were, unless it is removed in the replay', async () => {
    await database.credits.setMargin({ scope: 'model', target: SONNET, marginPercent: '60' })
    const margins = [{ scope: 'default', marginPercent: '0' }] as const
    const kept = await database.credits.whatIf({ margins })
    expect(kept.hypothetical.by.model[SONNET]?.credits).toBe('6.72')
    const removed = { scope: 'model', target: SONNET, marginPercent: null } as const
    const without = await database.credits.whatIf({ margins: [...margins, removed] })
    expect(without.hypothetical.by.model[SONNET]?.credits).toBe('4.2')
  })

  it('replays under other prices: given ones, or those of today', async () => {
    const twice = { modelId: SONNET, pricing: { input: '0.000006', output: '0.00003' } }
    const { hypothetical, unchanged } = await database.credits.whatIf({ rates: [twice] })
    expect(hypothetical.by.model[SONNET]).toMatchObject({ credits: '13.44', costUsd: '0.084' })
    expect(unchanged).toBe(2)
    const today = await database.credits.whatIf({ rates: 'current' })
    expect(today.hypothetical).toEqual(today.actual)
  })

  it('refuses margins and prices that a live call would refuse', async () => {
    const { credits } = database
    const margin = (marginPercent: string) => credits.whatIf({ margins: [{ scope: 'default', marginPercent }] })
    for (const percent of ['-100', 'NaN', '1e309', '10000.1'])
      expect(await codeOf(margin(percent)), percent).toBe('INVALID_INPUT')
    const price = credits.whatIf({ rates: [{ modelId: SONNET, pricing: { input: '-1' } }] })
    expect(await codeOf(price)).toBe('INVALID_INPUT')
  })
})

describe('what the provider says', () => {
  let from: string
  const reported = async (userId: string, costUsd: string, generationId?: string) => {
    const { credits } = database
    const { reservationId } = await credits.reserve({ userId, model: HAIKU, amount: '1' })
    const more = { reported: { costUsd, source: 'market-cost' } as const, ...(generationId && { generationId }) }
    await credits.settle({
      userId,
      reservationId,
      charge: await credits.price({ model: HAIKU, usage, userId, ...more }),
    })
  }

  beforeAll(async () => {
    from = (await database.store.getPricing()).asOf
    await reported(free, '0.007', 'gen-1')
    await reported(free, '0.0077', 'gen-2')
    await reported(free, '0.0066')
  })

  it('drifts from our rates by this much, by model and day; beyond the threshold it is an alert', async () => {
    const { rows, alerts, notCompared } = await database.credits.drift({ from })
    // 2,000 x 0.000001 + 1,000 x 0.000005 = 0.007 a call.
    expect(rows).toMatchObject([
      { model: HAIKU, calls: 3, computedUsd: '0.021', reportedUsd: '0.0213', driftPercent: '1.4286', alert: false },
    ])
    expect({ alerts, notCompared }).toEqual({ alerts: 0, notCompared: 0 })
    expect(await database.credits.drift({ from, thresholdPercent: '1' })).toMatchObject({ alerts: 1 })
    expect((await database.credits.drift({ to: from })).notCompared).toBe(4)
  })

  it('is set against the ledger call by call, naming what only one side knows', async () => {
    const lines = [
      { generationId: 'gen-1', costUsd: '7e-3' },
      { generationId: 'gen-2', costUsd: '0.0078' },
      { generationId: 'gen-3', costUsd: '0.1' },
    ]
    const result = await database.credits.reconcileCosts({ from, reported: lines })
    expect(result).toMatchObject({
      matched: 1,
      differing: [{ generationId: 'gen-2', ledgerUsd: '0.0077', reportedUsd: '0.0078' }],
      missingInLedger: [{ generationId: 'gen-3', costUsd: '0.1' }],
      missingInReport: [{ generationId: null, costUsd: '0.0066' }],
    })
    const bad = database.credits.reconcileCosts({ from, reported: [{ generationId: 'gen-1', costUsd: '-1' }] })
    expect(await codeOf(bad)).toBe('INVALID_INPUT')
  })

  it('is set against the ledger model by model, as the spend report of the gateway has it', async () => {
    const agrees = { model: HAIKU, totalCost: 0, marketCost: 0.0213, requestCount: 3 }
    const spend = { results: [agrees, { model: 'acme/other', totalCost: 0.5 }] }
    expect(await database.credits.reconcileSpend({ from, spend })).toMatchObject({
      matched: 1,
      differing: [],
      missingInLedger: [{ model: 'acme/other', reportedUsd: '0.5', ledgerCalls: 0 }],
    })
    const fewer = { results: [{ ...agrees, requestCount: 2 }] }
    expect((await database.credits.reconcileSpend({ from, spend: fewer })).differing).toMatchObject([
      { ledgerCalls: 3, reportedCalls: 2 },
    ])
    expect((await database.credits.reconcileSpend({ from, spend: { results: [] } })).missingInReport).toMatchObject([
      { model: HAIKU },
    ])
  })
})
