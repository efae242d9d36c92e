import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { advance, createTestDatabase, stopDatabases, type TestDatabase } from '../kit/database.ts'
import { balanceOf, type Json, ledgerOf, operations, refusal, reserve, spend, userWith } from '../kit/functions.ts'
import { assertInvariants } from '../kit/invariants.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase()
})
afterEach(() => assertInvariants(database.admin))
afterAll(async () => {
  await database.close()
  await stopDatabases()
})

const uuid = () => crypto.randomUUID()
const { grant, refund, release, run, settle } = operations(() => database)

const lotsOf = async (userId: string) =>
  (
    await database.admin.query<Json>(
      'select source, remaining from public.credit_lots_text where account_id = $1 order by created_at',
      [userId],
    )
  ).rows

const availableInView = async (userId: string) =>
  (
    await database.admin.query<{ available: string }>(
      'select available from public.credit_balances_text where account_id = $1',
      [userId],
    )
  ).rows[0]?.available

describe('a charge', () => {
  it('a charge takes lots by bucket, priority, expiry and age, and its row names them', async () => {
    const userId = await userWith(database, 50)
    await grant(userId, 10)
    await grant(userId, 10, { p_source: 'promo', p_expires_in_seconds: 864000 })
    await grant(userId, 10, { p_source: 'promo', p_expires_in_seconds: 86400 })
    await grant(userId, 10, { p_source: 'adjustment', p_priority: 1 })
    expect(await settle(userId, await reserve(database, userId, 75), '75')).toMatchObject({
      balance: { planCredits: '0', addOnCredits: '15' },
    })
    expect(await lotsOf(userId)).toEqual([
      { source: 'signup', remaining: '0' },
      { source: 'purchase', remaining: '10' },
      { source: 'promo', remaining: '5' },
      { source: 'promo', remaining: '0' },
      { source: 'adjustment', remaining: '0' },
    ])
    const { rows } = await database.admin.query(
      'select jsonb_array_length(lots) as n from public.credit_transactions where account_id = $1 and type = $2',
      [userId, 'usage'],
    )
    expect(rows).toEqual([{ n: 4 }])
  })

  it('a charge beyond the credits makes a debt up to the overage limit, which the next grant pays first', async () => {
    await database.admin.query(
      `insert into public.credit_plans (id, name, price_usd, monthly_credits, overage_limit)
       values ('over', 'Over', 5, 50, 20)`,
    )
    const userId = await userWith(database, 0.5)
    await run('set_plan', { p_account_id: userId, p_plan_id: 'over' })
    expect(await balanceOf(database, userId)).toMatchObject({ available: '70.5', debt: '0' })
    expect(await settle(userId, await reserve(database, userId, 60.5), '80')).toMatchObject({
      captured: '70.5',
      uncollected: '9.5',
      transaction: { balanceAfter: '-20' },
      balance: { debt: '20', available: '0' },
    })
    await refusal(reserve(database, userId, 0.000001), 'INSUFFICIENT_CREDITS')
    await grant(userId, 15)
    expect(await balanceOf(database, userId)).toMatchObject({ debt: '5', addOnCredits: '0', available: '15' })
    await grant(userId, 15)
    expect(await balanceOf(database, userId)).toMatchObject({ debt: '0', addOnCredits: '10', available: '30' })
  })
})

describe('a lot past its expiry', () => {
  it('a transaction takes an expired lot, except what a reservation covers', async () => {
    const userId = await userWith(database, 0.5)
    await grant(userId, 100, { p_source: 'promo', p_expires_in_seconds: 60 })
    const id = await reserve(database, userId, 30.5, { p_ttl_seconds: 3600 })
    await advance(database.admin, userId, '2 minutes')
    expect(await availableInView(userId)).toBe('0')
    expect(await balanceOf(database, userId)).toMatchObject({ addOnCredits: '30', available: '0' })
    await refusal(reserve(database, userId, 1), 'INSUFFICIENT_CREDITS')
    await settle(userId, id, '10.5')
    expect(await balanceOf(database, userId)).toMatchObject({ addOnCredits: '0', available: '0' })
    expect((await ledgerOf(database, userId)).map((row) => [row.type, row.amount])).toEqual([
      ['expiry', '-20'],
      ['usage', '-10.5'],
      ['expiry', '-70'],
      ['grant', '100'],
      ['adjustment', '-49.5'],
      ['grant', '50'],
    ])
  })

  it('a reservation made after the expiry of a lot neither covers it nor takes from it', async () => {
    const userId = await userWith(database, 0.5)
    await grant(userId, 100)
    await grant(userId, 100, { p_source: 'promo', p_expires_in_seconds: 60 })
    const before = await reserve(database, userId, 100.5, { p_ttl_seconds: 3600 })
    await advance(database.admin, userId, '2 minutes')
    const after = await reserve(database, userId, 100, { p_ttl_seconds: 3600 })
    expect(await balanceOf(database, userId)).toMatchObject({ addOnCredits: '200', available: '0' })
    await release(userId, before)
    // The view computes what the next call will write.
    expect(await availableInView(userId)).toBe('0.5')
    expect(await balanceOf(database, userId)).toMatchObject({ addOnCredits: '100', available: '0.5' })
    expect(await settle(userId, after, '60')).toMatchObject({ captured: '60', balance: { addOnCredits: '40.5' } })
  })

  it('an expired lot serves the reservation that covers it, and later ones take from valid lots', async () => {
    const userId = await userWith(database, 0.5)
    await grant(userId, 100, { p_source: 'promo', p_expires_in_seconds: 60 })
    const before = await reserve(database, userId, 100.5, { p_ttl_seconds: 3600 })
    await advance(database.admin, userId, '2 minutes')
    await grant(userId, 100)
    await spend(database, userId, 60)
    expect((await lotsOf(userId)).slice(1)).toEqual([
      { source: 'promo', remaining: '100' },
      { source: 'purchase', remaining: '40.5' },
    ])
    await settle(userId, before, '100.5')
    expect((await lotsOf(userId)).slice(1)).toEqual([
      { source: 'promo', remaining: '0' },
      { source: 'purchase', remaining: '40' },
    ])
  })
})

describe('a plan', () => {
  it('a plan grants its credits again when the period is over, although no call was made in between', async () => {
    const userId = await userWith(database, 50)
    await spend(database, userId, 20)
    await grant(userId, 7)
    await advance(database.admin, userId, '32 days')
    expect(await balanceOf(database, userId)).toMatchObject({ planCredits: '50', addOnCredits: '7', version: 5 })
    await advance(database.admin, userId, '100 days')
    expect(await balanceOf(database, userId)).toMatchObject({ planCredits: '50', addOnCredits: '7' })
  })

  it('a plan rolls unused credits over up to its limit, as one transaction of 0', async () => {
    await database.admin.query(
      `insert into public.credit_plans (id, name, price_usd, monthly_credits, rollover_limit)
       values ('rolling', 'Rolling', 5, 100, 30)`,
    )
    const userId = await userWith(database, 50)
    await run('set_plan', { p_account_id: userId, p_plan_id: 'rolling' })
    await spend(database, userId, 60)
    await advance(database.admin, userId, '32 days')
    expect(await balanceOf(database, userId)).toMatchObject({ planCredits: '130' })
    expect((await ledgerOf(database, userId)).slice(0, 4).map((row) => [row.type, row.source, row.amount])).toEqual([
      ['grant', 'plan', '100'],
      ['expiry', 'plan', '-60'],
      ['adjustment', 'rollover', '0'],
      ['usage', null, '-60'],
    ])
    await spend(database, userId, 110)
    await advance(database.admin, userId, '32 days')
    expect(await balanceOf(database, userId)).toMatchObject({ planCredits: '120' })
  })

  it('a plan does not exceed its rollover limit while one reservation stays open over several periods', async () => {
    const userId = await userWith(database, 50)
    const id = await reserve(database, userId, 50)
    for (let month = 0; month < 4; month += 1) {
      // The reservation is extended for as long as a slow reader likes.
      await database.admin.query(
        `update public.credit_reservations set expires_at = expires_at + interval '32 days' where id = $1`,
        [id],
      )
      await advance(database.admin, userId, '32 days')
      expect(await balanceOf(database, userId)).toMatchObject({ planCredits: '100', reserved: '50' })
    }
  })

  it('a plan starts in full from free, is prorated within a paid period, and shrinks at its end', async () => {
    const userId = await userWith(database, 50)
    const set = (p_plan_id: string) =>
      run<{ planId: string; nextPlanId: string | null; balance: { planCredits: string } }>('set_plan', {
        p_account_id: userId,
        p_plan_id,
      })
    expect(await set('starter')).toMatchObject({ planId: 'starter', balance: { planCredits: '550' } })
    await advance(database.admin, userId, '15 days')
    const upgraded = await set('pro')
    // 2,500 more a month for the half of the month that is left.
    expect(Number(upgraded.balance.planCredits)).toBeGreaterThan(550 + 2500 * 0.45)
    expect(Number(upgraded.balance.planCredits)).toBeLessThan(550 + 2500 * 0.55)
    expect(await set('free')).toMatchObject({ planId: 'pro', nextPlanId: 'free' })
    expect(await set('pro')).toMatchObject({ planId: 'pro', nextPlanId: null })
    await set('free')
    await advance(database.admin, userId, '20 days')
    expect(await balanceOf(database, userId)).toMatchObject({ planId: 'free', planCredits: '50' })
    await refusal(set('none'), 'INVALID_INPUT')
  })
})

describe('a refund', () => {
  it('a refund returns credits to the lots they came from, never more than was taken', async () => {
    const userId = await userWith(database, 50)
    await grant(userId, 10)
    const id = await spend(database, userId, 55)
    expect(await refund(userId, id, 7)).toMatchObject({
      transaction: { type: 'refund', amount: '7', reversesId: id },
      balance: { planCredits: '2', addOnCredits: '10' },
    })
    expect(await refusal(refund(userId, id, 49), 'REFUND_EXCEEDS_ORIGINAL')).toEqual({
      refundable: '48',
      requested: '49',
    })
    expect(await refund(userId, id)).toMatchObject({
      transaction: { amount: '48' },
      balance: { planCredits: '50', addOnCredits: '10' },
    })
    await refusal(refund(userId, id), 'REFUND_EXCEEDS_ORIGINAL')
    await refusal(refund(userId, uuid()), 'TRANSACTION_NOT_FOUND')
  })

  it('a partial refund returns to each lot only what earlier parts have not returned to it', async () => {
    const userId = await userWith(database, 50)
    await grant(userId, 100)
    const id = await spend(database, userId, 70)
    // Another charge leaves room in the add-on lot, which is not for refunds of the first one.
    await spend(database, userId, 30)
    expect(await refund(userId, id, 20)).toMatchObject({ balance: { planCredits: '0', addOnCredits: '70' } })
    expect(await refund(userId, id, 20)).toMatchObject({ balance: { planCredits: '20', addOnCredits: '70' } })
    expect(await refund(userId, id)).toMatchObject({ balance: { planCredits: '50', addOnCredits: '70' } })
  })

  it('a refund of credits whose lot has expired makes an add-on lot', async () => {
    const userId = await userWith(database, 50)
    const id = await spend(database, userId, 20)
    await advance(database.admin, userId, '40 days')
    expect(await refund(userId, id)).toMatchObject({ balance: { planCredits: '50', addOnCredits: '20' } })
  })
})

describe('an adjustment', () => {
  it('an adjustment is done once per id and never takes reserved credits', async () => {
    const userId = await userWith(database, 50)
    await reserve(database, userId, 30)
    const args = { p_transaction_id: uuid(), p_account_id: userId, p_amount: -20, p_reason: 'mistake' }
    expect(await run('adjust', args)).toMatchObject({
      replayed: false,
      transaction: { type: 'adjustment', amount: '-20' },
    })
    expect(await run('adjust', args)).toMatchObject({ replayed: true, balance: { planCredits: '30' } })
    await refusal(run('adjust', { ...args, p_amount: -19 }), 'IDEMPOTENCY_MISMATCH')
    await refusal(run('adjust', { ...args, p_transaction_id: uuid(), p_amount: -1 }), 'INSUFFICIENT_CREDITS')
  })
})
