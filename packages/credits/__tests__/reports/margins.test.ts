import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { CreditError } from '../../src/core/errors.ts'
import { callModel, createTestCredits, SONNET, type TestCredits } from '../kit/credits.ts'
import { stopDatabases } from '../kit/database.ts'

// 2,000 input and 1,000 output tokens of this model cost USD 0.021: 2.1 credits at cost, 3.36 with 60 %.
const AT_COST = 2.1

let database: TestCredits
let userId: string

beforeEach(async () => {
  database = await createTestCredits()
  userId = await database.signUp('1000')
  return () => database.close()
}, 120_000)
afterAll(stopDatabases)

const set = (scope: 'default' | 'provider' | 'model' | 'feature' | 'plan', target: string, marginPercent: string) =>
  database.credits.setMargin({ scope, marginPercent, ...(scope !== 'default' && { target }) })
const charged = async (feature?: string) =>
  Number((await callModel(database.make(), { userId, model: SONNET, ...(feature && { feature }) })).amount)
const near = (percent: number) => -Number((AT_COST * (1 + percent / 100)).toFixed(6))

describe('the margin of a call', () => {
  it('is the default, unless the plan, the feature, the provider or the model has one, the last of these first', async () => {
    expect(await charged('chat')).toBe(near(60))
    await set('plan', 'free', '50')
    expect(await charged('chat')).toBe(near(50))
    await set('feature', 'chat', '40')
    expect(await charged('chat')).toBe(near(40))
    expect(await charged('search')).toBe(near(50))
    await set('provider', 'anthropic', '30')
    expect(await charged('chat')).toBe(near(30))
    await set('model', SONNET, '20')
    expect(await charged('chat')).toBe(near(20))
    await database.credits.removeMargin({ scope: 'model', target: SONNET })
    expect(await charged('chat')).toBe(near(30))
  })

  it('follows the user to another plan, and is written into the row with the id of the margin', async () => {
    const pro = await set('plan', 'pro', '10')
    expect(await charged()).toBe(near(60))
    await database.admin.query('select public.credits_set_plan($1, $2)', [userId, 'pro'])
    expect(await charged()).toBe(near(10))
    const { rows } = await database.admin.query(
      'select margin_id, trim_scale(margin_percent)::text as percent from public.credit_charges where account_id = $1 and margin_id is not null order by version desc limit 1',
      [userId],
    )
    expect(rows).toEqual([{ margin_id: pro.id, percent: '10' }])
  })

  it('is the one that was in force when the credits were reserved', async () => {
    const credits = database.make({ pricingTtlSeconds: 0 })
    const { reservationId } = await credits.reserve({ userId, model: SONNET, amount: '10' })
    await credits.setMargin({ scope: 'default', marginPercent: '100' })
    // Another process settles: it knows only what the reservation says.
    const usage = { inputTokens: 2000, outputTokens: 1000 }
    const { transaction } = await database.make().settle({ userId, reservationId, usage })
    expect(Number(transaction?.amount)).toBe(near(60))
    expect(await charged()).toBe(near(100))
  })

  it('can be scheduled: the change comes into force by itself, without a restart or another read', async () => {
    const credits = database.make({ pricingTtlSeconds: 3600 })
    await credits.pricing()
    const effectiveFrom = new Date(Date.now() + 1_500).toISOString()
    await database.credits.setMargin({ scope: 'model', target: SONNET, marginPercent: '5', effectiveFrom })
    const scheduled = database.make({ pricingTtlSeconds: 3600 })
    const usage = { inputTokens: 2000, outputTokens: 1000 }
    expect(Number((await scheduled.price({ model: SONNET, usage })).amount)).toBe(-near(60))
    expect((await database.credits.getMargins()).scheduled).toMatchObject([{ target: SONNET, marginPercent: '5' }])
    await new Promise((resolve) => setTimeout(resolve, 1_800))
    database.queries.length = 0
    expect(Number((await scheduled.price({ model: SONNET, usage })).amount)).toBe(-near(5))
    expect(database.queries).toEqual([])
  })
})

describe('a margin costs a call no round trip', () => {
  const call = { model: SONNET, feature: 'chat' }

  it('two queries a call with margins by model, provider and feature: reserve and settle', async () => {
    await set('feature', 'chat', '40')
    const credits = database.make()
    await credits.pricing()
    database.queries.length = 0
    await callModel(credits, { ...call, userId })
    await callModel(credits, { ...call, userId })
    expect(database.queries).toEqual(['credits_reserve', 'credits_settle', 'credits_reserve', 'credits_settle'])
  })

  it('with margins by plan, one read for the first call of a user; after that every answer brings the plan along', async () => {
    await set('plan', 'free', '50')
    const credits = database.make()
    await credits.pricing()
    database.queries.length = 0
    expect(Number((await callModel(credits, { ...call, userId })).amount)).toBe(near(50))
    expect(database.queries).toEqual(['credits_get_balance', 'credits_reserve', 'credits_settle'])
    database.queries.length = 0
    for (let count = 0; count < 3; count++) await callModel(credits, { ...call, userId })
    expect(new Set(database.queries)).toEqual(new Set(['credits_reserve', 'credits_settle']))
    expect(database.queries).toHaveLength(6)
  })

  it('the plan is not asked for where a narrower margin decides anyway', async () => {
    await set('plan', 'free', '50')
    await set('feature', 'chat', '40')
    const credits = database.make()
    await credits.pricing()
    database.queries.length = 0
    expect(Number((await callModel(credits, { ...call, userId })).amount)).toBe(near(40))
    expect(database.queries).toEqual(['credits_reserve', 'credits_settle'])
  })
})

describe('two admins', () => {
  it('cannot overwrite each other: of ten changes decided on the same version one wins', async () => {
    const { version } = await set('feature', 'chat', '40')
    const attempts = Array.from({ length: 10 }, (_, index) =>
      database.credits
        .setMargin({ scope: 'feature', target: 'chat', marginPercent: String(index), expectedVersion: version })
        .then(
          () => 'won',
          (error: unknown) => (CreditError.isInstance(error) ? error.code : String(error)),
        ),
    )
    const results = await Promise.all(attempts)
    expect(results.filter((result) => result === 'won')).toHaveLength(1)
    expect(results.filter((result) => result === 'VERSION_CONFLICT')).toHaveLength(9)
  })

  it('are both in the audit log, as is the one who changes a margin in SQL, with who, when, old, new and why', async () => {
    const actorId = crypto.randomUUID()
    await database.credits.setMargin({ scope: 'plan', target: 'pro', marginPercent: '30', actorId, reason: 'launch' })
    await database.admin.query(
      `insert into public.margin_config (scope, target, margin_percent, version) values ('plan', 'pro', 25, 2)`,
    )
    const { data } = await database.credits.getMarginAudit({ limit: 2 })
    expect(data).toMatchObject([
      { oldMarginPercent: '30', newMarginPercent: '25', actorId: null, actorRole: expect.stringMatching(/\w/) },
      { oldMarginPercent: null, newMarginPercent: '30', actorId, reason: 'launch' },
    ])
    expect(data.every((entry) => Date.parse(entry.createdAt) > Date.now() - 60_000)).toBe(true)
  })

  it('cannot leave the bounds, not even in SQL', async () => {
    for (const percent of ["'NaN'", '-100', '10000.0001', '1e6']) {
      const insert = `insert into public.margin_config (scope, target, margin_percent, version) values ('plan', 'x', ${percent}, 1)`
      await expect(database.admin.query(insert), percent).rejects.toMatchObject({
        code: expect.stringMatching(/^(23514|22003)$/),
      })
    }
  })
})
