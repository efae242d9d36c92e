import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  balanceOf,
  closeStack,
  type Ground,
  type Json,
  letTimePass,
  openGround,
  refusal,
  reserve,
  userWith,
} from './ground.ts'
import { assertInvariants } from './invariants.ts'
import { operations } from './operations.ts'

let ground: Ground

beforeAll(async () => {
  ground = await openGround()
})
afterEach(() => assertInvariants(ground.admin))
afterAll(async () => {
  await ground.close()
  await closeStack()
})

const uuid = () => crypto.randomUUID()
const { grant, ledger, run, settle } = operations(() => ground)

describe('lots', () => {
  const lotsOf = async (userId: string) =>
    (
      await ground.admin.query<Json>(
        'select source, remaining from public.credit_lots_text where account_id = $1 order by created_at',
        [userId],
      )
    ).rows

  it('burn down plan first, then priority, soonest expiry, oldest; the row says which', async () => {
    const userId = await userWith(ground, 50)
    await grant(userId, 10)
    await grant(userId, 10, { p_source: 'promo', p_expires_in_seconds: 864000 })
    await grant(userId, 10, { p_source: 'promo', p_expires_in_seconds: 86400 })
    await grant(userId, 10, { p_source: 'adjustment', p_priority: 1 })
    expect(await settle(await reserve(ground, userId, 75), '75')).toMatchObject({
      balance: { planCredits: '0', addOnCredits: '15' },
    })
    expect(await lotsOf(userId)).toEqual([
      { source: 'signup', remaining: '0' },
      { source: 'purchase', remaining: '10' },
      { source: 'promo', remaining: '5' },
      { source: 'promo', remaining: '0' },
      { source: 'adjustment', remaining: '0' },
    ])
    const { rows } = await ground.admin.query(
      'select jsonb_array_length(lots) as n from public.credit_transactions where account_id = $1 and type = $2',
      [userId, 'usage'],
    )
    expect(rows).toEqual([{ n: 4 }])
  })

  it('expire with a transaction, but not under a reservation', async () => {
    const userId = await userWith(ground, 0.5)
    await grant(userId, 100, { p_source: 'promo', p_expires_in_seconds: 60 })
    const id = await reserve(ground, userId, 30.5, { p_ttl_seconds: 3600 })
    await letTimePass(ground, userId, '2 minutes')
    const seen = await ground.admin.query('select available from public.credit_balances_text where account_id = $1', [
      userId,
    ])
    expect(seen.rows).toEqual([{ available: '0' }])
    expect(await balanceOf(ground, userId)).toMatchObject({ addOnCredits: '30', available: '0' })
    await refusal(reserve(ground, userId, 1), 'INSUFFICIENT_CREDITS')
    await settle(id, '10.5')
    expect(await balanceOf(ground, userId)).toMatchObject({ addOnCredits: '0', available: '0' })
    expect((await ledger(userId)).map((row) => [row.type, row.amount])).toEqual([
      ['expiry', '-20'],
      ['usage', '-10.5'],
      ['expiry', '-70'],
      ['grant', '100'],
      ['adjustment', '-49.5'],
      ['grant', '50'],
    ])
  })
})

describe('plans', () => {
  it('set the plan credits anew when the period is over, whether or not anything ran meanwhile', async () => {
    const userId = await userWith(ground, 50)
    await settle(await reserve(ground, userId, 20), '20')
    await grant(userId, 7)
    await letTimePass(ground, userId, '32 days')
    expect(await balanceOf(ground, userId)).toMatchObject({ planCredits: '50', addOnCredits: '7', version: 5 })
    await letTimePass(ground, userId, '100 days')
    expect(await balanceOf(ground, userId)).toMatchObject({ planCredits: '50', addOnCredits: '7' })
  })

  it('roll unused credits over up to the cap of the plan, as one transaction of 0', async () => {
    await ground.admin.query(
      `insert into public.credit_plans (id, name, price_usd, monthly_credits, rollover_limit) values ('rolling', 'Rolling', 5, 100, 30)`,
    )
    const userId = await userWith(ground, 50)
    await run('set_plan', { p_user_id: userId, p_plan_id: 'rolling' })
    await settle(await reserve(ground, userId, 60), '60')
    await letTimePass(ground, userId, '32 days')
    expect(await balanceOf(ground, userId)).toMatchObject({ planCredits: '130' })
    expect((await ledger(userId)).slice(0, 4).map((row) => [row.type, row.source, row.amount])).toEqual([
      ['grant', 'plan', '100'],
      ['expiry', 'plan', '-60'],
      ['adjustment', 'rollover', '0'],
      ['usage', null, '-60'],
    ])
    await settle(await reserve(ground, userId, 110), '110')
    await letTimePass(ground, userId, '32 days')
    expect(await balanceOf(ground, userId)).toMatchObject({ planCredits: '120' })
  })

  it('begin whole when a free account pays, are prorated within a paid period, and shrink at its end', async () => {
    const userId = await userWith(ground, 50)
    const set = (p_plan_id: string) =>
      run<{ planId: string; nextPlanId: string | null; balance: { planCredits: string } }>('set_plan', {
        p_user_id: userId,
        p_plan_id,
      })
    expect(await set('starter')).toMatchObject({ planId: 'starter', balance: { planCredits: '550' } })
    await letTimePass(ground, userId, '15 days')
    const upgraded = await set('pro')
    // 2,500 more a month for the half of the month that is left.
    expect(Number(upgraded.balance.planCredits)).toBeGreaterThan(550 + 2500 * 0.45)
    expect(Number(upgraded.balance.planCredits)).toBeLessThan(550 + 2500 * 0.55)
    expect(await set('free')).toMatchObject({ planId: 'pro', nextPlanId: 'free' })
    expect(await set('pro')).toMatchObject({ planId: 'pro', nextPlanId: null })
    await set('free')
    await letTimePass(ground, userId, '20 days')
    expect(await balanceOf(ground, userId)).toMatchObject({ planId: 'free', planCredits: '50' })
    await refusal(set('none'), 'INVALID_INPUT')
  })
})

describe('overage', () => {
  it('lets a charge go past the credits up to the limit, as a debt that the next grant pays first', async () => {
    await ground.admin.query(
      `insert into public.credit_plans (id, name, price_usd, monthly_credits, overage_limit) values ('over', 'Over', 5, 50, 20)`,
    )
    const userId = await userWith(ground, 0.5)
    await run('set_plan', { p_user_id: userId, p_plan_id: 'over' })
    expect(await balanceOf(ground, userId)).toMatchObject({ available: '70.5', debt: '0' })
    expect(await settle(await reserve(ground, userId, 60.5), '80')).toMatchObject({
      captured: '70.5',
      uncollected: '9.5',
      transaction: { balanceAfter: '-20' },
      balance: { debt: '20', available: '0' },
    })
    await refusal(reserve(ground, userId, 0.000001), 'INSUFFICIENT_CREDITS')
    await grant(userId, 15)
    expect(await balanceOf(ground, userId)).toMatchObject({ debt: '5', addOnCredits: '0', available: '15' })
    await grant(userId, 15)
    expect(await balanceOf(ground, userId)).toMatchObject({ debt: '0', addOnCredits: '10', available: '30' })
  })
})

describe('refunds and adjustments', () => {
  it('return credits to the lots they came from, never more than was taken', async () => {
    const userId = await userWith(ground, 50)
    await grant(userId, 10)
    const id = await reserve(ground, userId, 55)
    await settle(id, '55')
    const refund = (p_amount?: number) =>
      run('refund', {
        p_transaction_id: uuid(),
        p_original_id: id,
        p_reason: 'late',
        ...(p_amount ? { p_amount } : {}),
      })
    expect(await refund(7)).toMatchObject({
      transaction: { type: 'refund', amount: '7', reversesId: id },
      balance: { planCredits: '2', addOnCredits: '10' },
    })
    expect(await refusal(refund(49), 'REFUND_EXCEEDS_ORIGINAL')).toEqual({ refundable: '48', requested: '49' })
    expect(await refund()).toMatchObject({
      transaction: { amount: '48' },
      balance: { planCredits: '50', addOnCredits: '10' },
    })
    await refusal(refund(), 'REFUND_EXCEEDS_ORIGINAL')
    await refusal(
      run('refund', { p_transaction_id: uuid(), p_original_id: uuid(), p_reason: 'x' }),
      'TRANSACTION_NOT_FOUND',
    )
  })

  it('of credits whose lot has expired become add-on credits', async () => {
    const userId = await userWith(ground, 50)
    const id = await reserve(ground, userId, 20)
    await settle(id, '20')
    await letTimePass(ground, userId, '40 days')
    expect(await run('refund', { p_transaction_id: uuid(), p_original_id: id, p_reason: 'late' })).toMatchObject({
      balance: { planCredits: '50', addOnCredits: '20' },
    })
  })

  it('are each done once per id, and taking never reaches under a reservation', async () => {
    const userId = await userWith(ground, 50)
    await reserve(ground, userId, 30)
    const args = { p_transaction_id: uuid(), p_user_id: userId, p_amount: -20, p_reason: 'mistake' }
    expect(await run('adjust', args)).toMatchObject({
      replayed: false,
      transaction: { type: 'adjustment', amount: '-20' },
    })
    expect(await run('adjust', args)).toMatchObject({ replayed: true, balance: { planCredits: '30' } })
    await refusal(run('adjust', { ...args, p_amount: -19 }), 'IDEMPOTENCY_MISMATCH')
    await refusal(run('adjust', { ...args, p_transaction_id: uuid(), p_amount: -1 }), 'INSUFFICIENT_CREDITS')
  })
})
