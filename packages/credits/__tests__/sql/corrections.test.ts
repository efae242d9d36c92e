import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { advance, createTestDatabase, signUp, stopDatabases, type TestDatabase } from '../kit/database.ts'
import { balanceOf, call, invalidPaths, type Json, refusal, reserve, spend, userWith } from '../kit/functions.ts'
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

const run = <Result = Json>(name: string, args: Json = {}) => call<Result>(database.service, `credits_${name}`, args)

/** A purchase of add-on credits; the id of its transaction. */
async function purchase(userId: string, amount: number, rest: Json = {}): Promise<string> {
  const id = uuid()
  await run('grant', {
    p_account_id: userId,
    p_transaction_id: id,
    p_amount: amount,
    p_source: 'purchase',
    p_bucket: 'add-on',
    ...rest,
  })
  return id
}

const reverse = (userId: string, originalId: string, rest: Json = {}) =>
  run('reverse', {
    p_account_id: userId,
    p_transaction_id: uuid(),
    p_original_id: originalId,
    p_reason: 'payment disputed',
    ...rest,
  })

/** An account whose only credits are 30 left of a purchase of 100. */
async function thirtyLeft(): Promise<{ userId: string; grantId: string }> {
  const userId = await userWith(database, 0.5)
  const grantId = await purchase(userId, 100)
  await spend(database, userId, 70.5)
  expect(await balanceOf(database, userId)).toMatchObject({ planCredits: '0', addOnCredits: '30' })
  return { userId, grantId }
}

describe('a grant', () => {
  it('is a replay only with the same amount, source, bucket, priority, expiry, reason, actor and metadata', async () => {
    const userId = await userWith(database, 50)
    const args = {
      p_account_id: userId,
      p_transaction_id: uuid(),
      p_amount: 10,
      p_source: 'promo',
      p_bucket: 'add-on',
      p_priority: 5,
      p_expires_in_seconds: 86400,
      p_reason: 'welcome',
      p_actor_id: uuid(),
      p_metadata: { campaign: 'spring' },
    }
    const first = await run('grant', args)
    expect(await run('grant', args)).toEqual({ ...first, replayed: true })
    const others: Json[] = [
      { p_amount: 11 },
      { p_source: 'purchase' },
      { p_bucket: 'plan' },
      { p_priority: 6 },
      { p_expires_in_seconds: 86401 },
      { p_expires_in_seconds: null },
      { p_reason: 'other' },
      { p_actor_id: uuid() },
      { p_metadata: { campaign: 'autumn' } },
    ]
    for (const other of others) {
      expect(await refusal(run('grant', { ...args, ...other }), 'IDEMPOTENCY_MISMATCH')).toEqual({
        id: args.p_transaction_id,
      })
    }
  })

  it('that a debt used up wholly is compared as well', async () => {
    const { userId, grantId } = await thirtyLeft()
    await reverse(userId, grantId)
    const args = {
      p_account_id: userId,
      p_transaction_id: uuid(),
      p_amount: 70,
      p_source: 'purchase',
      p_bucket: 'add-on',
    }
    expect(await run('grant', args)).toMatchObject({ balance: { debt: '0', available: '0' } })
    expect(await run('grant', args)).toMatchObject({ replayed: true })
    await refusal(run('grant', { ...args, p_bucket: 'plan' }), 'IDEMPOTENCY_MISMATCH')
  })
})

describe('a reversal of a grant', () => {
  it('takes what is left of the lot; what was spent becomes debt', async () => {
    const { userId, grantId } = await thirtyLeft()
    expect(await reverse(userId, grantId)).toMatchObject({
      transaction: { type: 'reversal', source: 'purchase', amount: '-100', uncollected: '0', reversesId: grantId },
      balance: { addOnCredits: '0', debt: '70', available: '-70' },
      replayed: false,
    })
    await refusal(reserve(database, userId, 1), 'INSUFFICIENT_CREDITS')
    await purchase(userId, 80)
    expect(await balanceOf(database, userId)).toMatchObject({ debt: '0', addOnCredits: '10' })
  })

  it('records what was spent as uncollected where the plan allows no debt', async () => {
    await database.admin.query(
      `insert into public.credit_plans (id, name, price_usd, monthly_credits, reversal_debt)
       values ('no-debt', 'No debt', 0, 50, false)`,
    )
    const { userId, grantId } = await thirtyLeft()
    await database.admin.query(`update public.credit_balances set plan_id = 'no-debt' where account_id = $1`, [userId])
    expect(await reverse(userId, grantId)).toMatchObject({
      transaction: { amount: '-30', uncollected: '70' },
      balance: { addOnCredits: '0', debt: '0', available: '0' },
    })
    expect(await refusal(reverse(userId, grantId), 'REFUND_EXCEEDS_ORIGINAL')).toMatchObject({ refundable: '0' })
  })

  it('takes from other lots before there is a debt', async () => {
    const { userId, grantId } = await thirtyLeft()
    await purchase(userId, 25)
    expect(await reverse(userId, grantId)).toMatchObject({ balance: { addOnCredits: '0', debt: '45' } })
  })

  it('takes what is reserved too; the open call is then charged as uncollected', async () => {
    const { userId, grantId } = await thirtyLeft()
    const id = await reserve(database, userId, 20)
    expect(await reverse(userId, grantId)).toMatchObject({ balance: { reserved: '20', available: '-90' } })
    const settle = { p_account_id: userId, p_reservation_id: id, p_charge: { amount: '5' } }
    expect(await run('settle', settle)).toMatchObject({ uncollected: '5', balance: { debt: '70' } })
  })

  it('can be partial; all reversals together never exceed the grant', async () => {
    const { userId, grantId } = await thirtyLeft()
    expect(await reverse(userId, grantId, { p_amount: 40 })).toMatchObject({
      transaction: { amount: '-40' },
      balance: { addOnCredits: '0', debt: '10' },
    })
    expect(await refusal(reverse(userId, grantId, { p_amount: 61 }), 'REFUND_EXCEEDS_ORIGINAL')).toEqual({
      refundable: '60',
      requested: '61',
    })
    expect(await reverse(userId, grantId)).toMatchObject({ transaction: { amount: '-60' }, balance: { debt: '70' } })
    await refusal(reverse(userId, grantId), 'REFUND_EXCEEDS_ORIGINAL')
  })

  it('makes no debt of what had expired', async () => {
    const userId = await userWith(database, 0.5)
    const grantId = await purchase(userId, 100, { p_expires_in_seconds: 600 })
    await spend(database, userId, 70.5)
    await advance(database.admin, userId, '1 hour')
    expect(await balanceOf(database, userId)).toMatchObject({ addOnCredits: '0' })
    expect(await reverse(userId, grantId)).toMatchObject({
      transaction: { amount: '-70', uncollected: '30' },
      balance: { debt: '70' },
    })
  })

  it('is done once per id, and compares every parameter', async () => {
    const { userId, grantId } = await thirtyLeft()
    const id = { p_transaction_id: uuid() }
    const first = await reverse(userId, grantId, id)
    expect(await reverse(userId, grantId, id)).toEqual({ ...first, replayed: true })
    expect(await reverse(userId, grantId, { ...id, p_amount: 100 })).toMatchObject({ replayed: true })
    for (const other of [{ p_amount: 50 }, { p_reason: 'other' }, { p_actor_id: uuid() }]) {
      await refusal(reverse(userId, grantId, { ...id, ...other }), 'IDEMPOTENCY_MISMATCH')
    }
  })

  it('is for grants alone, and for those of the account', async () => {
    const userId = await userWith(database, 50)
    const usage = await spend(database, userId, 1)
    expect(await invalidPaths(reverse(userId, usage))).toEqual(['transactionId'])
    const other = await signUp(database.admin)
    await refusal(reverse(other, await purchase(userId, 1)), 'TRANSACTION_NOT_FOUND')
    expect(await invalidPaths(reverse(userId, usage, { p_reason: null }))).toEqual(['reason'])
  })

  it('is done once by racing callers with ids of their own', async () => {
    const { userId, grantId } = await thirtyLeft()
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => reverse(userId, grantId)))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(await balanceOf(database, userId)).toMatchObject({ debt: '70' })
  })
})

describe('an estimate', () => {
  const GENERATION = 'gen_1'

  /** A settled call whose cost was estimated. */
  async function estimated(userId: string, amount: string): Promise<string> {
    const id = await reserve(database, userId, amount)
    await run('settle', {
      p_account_id: userId,
      p_reservation_id: id,
      p_charge: {
        amount,
        costUsd: '0.01',
        marginPercent: '60',
        costSource: 'estimate',
        generationId: GENERATION,
        model: 'a/b',
      },
    })
    return id
  }

  const correct = (userId: string, originalId: string, amount: string, rest: Json = {}) =>
    run('correct', {
      p_account_id: userId,
      p_transaction_id: uuid(),
      p_original_id: originalId,
      p_charge: { amount, costUsd: '0.05', costSource: 'gateway-cost', generationId: GENERATION },
      ...rest,
    })

  const listed = async () => (await run<{ data: Json[] }>('get_estimates')).data.map((row) => row.transactionId)

  const chargeOf = async (id: string) =>
    (await run<{ data: Json[] }>('get_charges')).data.find((row) => row.transactionId === id)

  it('is listed until it is corrected, whichever way', async () => {
    const userId = await userWith(database, 50)
    for (const actual of ['3', '2', '1']) {
      const id = await estimated(userId, '2')
      expect(await listed()).toContain(id)
      await correct(userId, id, actual)
      expect(await listed()).not.toContain(id)
    }
  })

  it('stays listed after a refund by hand', async () => {
    const userId = await userWith(database, 50)
    const id = await estimated(userId, '2')
    const refund = { p_account_id: userId, p_transaction_id: uuid(), p_original_id: id, p_amount: 1, p_reason: 'kind' }
    await run('refund', refund)
    expect(await listed()).toContain(id)
    expect(await correct(userId, id, '0.5')).toMatchObject({ transaction: { type: 'refund', amount: '0.5' } })
  })

  it('is paged by account and version, without rows of calls that the gateway does not know', async () => {
    const userId = await userWith(database, 50)
    const ids = [await estimated(userId, '1'), await estimated(userId, '1'), await estimated(userId, '1')]
    const seen: unknown[] = []
    let after: unknown = null
    do {
      const page = await run<{ data: Json[]; next: unknown }>('get_estimates', { p_limit: 1, p_after: after })
      seen.push(...page.data.filter((row) => row.userId === userId).map((row) => row.transactionId))
      after = page.next
    } while (after !== null)
    expect(seen).toEqual(ids)
    for (const id of ids) await correct(userId, id, '1')
  })

  it('that was too low is followed by a usage of the difference; what is missing is uncollected', async () => {
    const userId = await userWith(database, 10)
    const id = await estimated(userId, '4')
    expect(await correct(userId, id, '12.5')).toMatchObject({
      transaction: { type: 'usage', amount: '-6', uncollected: '2.5', reversesId: id, model: 'a/b', estimated: false },
      balance: { available: '0' },
    })
    expect(await chargeOf(id)).toMatchObject({
      amount: '10',
      uncollected: '2.5',
      refunded: '0',
      costUsd: '0.05',
      costSource: 'gateway-cost',
      estimated: false,
    })
  })

  it('that was too high is followed by a refund, and reports have the true cost once', async () => {
    const userId = await userWith(database, 10)
    const id = await estimated(userId, '4')
    expect(await correct(userId, id, '1.5')).toMatchObject({
      transaction: { type: 'refund', amount: '2.5', reversesId: id },
      balance: { available: '8.5' },
    })
    expect(await chargeOf(id)).toMatchObject({ amount: '1.5', refunded: '0', costUsd: '0.05' })
    const { rows } = await database.admin.query(
      `select sum(amount)::text as amount, sum(cost_usd)::text as cost, count(*)::int as rows
       from public.credit_charges where account_id = $1`,
      [userId],
    )
    expect(rows).toEqual([{ amount: '1.500000', cost: '0.050000000000', rows: 2 }])
  })

  it('is corrected once, also by racing callers, and a repeat gives the first result', async () => {
    const userId = await userWith(database, 50)
    const id = await estimated(userId, '2')
    const key = { p_transaction_id: uuid() }
    const first = await correct(userId, id, '3', key)
    expect(await correct(userId, id, '3', key)).toEqual({ ...first, replayed: true })
    await refusal(correct(userId, id, '4', key), 'IDEMPOTENCY_MISMATCH')
    expect(await invalidPaths(correct(userId, id, '3'))).toEqual(['transactionId'])
    const next = await estimated(userId, '2')
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => correct(userId, next, '3')))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  it('alone is corrected: an exact charge is refused', async () => {
    const userId = await userWith(database, 50)
    expect(await invalidPaths(correct(userId, await spend(database, userId, 1), '2'))).toEqual(['transactionId'])
  })
})
