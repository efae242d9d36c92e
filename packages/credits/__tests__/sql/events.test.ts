import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  balanceOf,
  call,
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
const run = <Result = Json>(name: string, args: Json) => call<Result>(ground.service, `credits_${name}`, args)
const settle = (id: string, amount?: string) =>
  run('settle', { p_reservation_id: id, ...(amount === undefined ? {} : { p_charge: { amount } }) })
const capture = (id: string, amount: string, rest: Json = {}) =>
  run('capture', { p_reservation_id: id, p_capture_id: uuid(), p_charge: { amount }, ...rest })
const extend = (id: string, amount: number, rest: Json = {}) =>
  run('extend', { p_reservation_id: id, p_extension_id: uuid(), p_amount: amount, ...rest })
const grant = (userId: string, amount: number, rest: Json = {}) =>
  run('grant', {
    p_transaction_id: uuid(),
    p_user_id: userId,
    p_amount: amount,
    p_source: 'purchase',
    p_bucket: 'add-on',
    ...rest,
  })

const ledger = async (userId: string) =>
  (await run<{ data: Json[] }>('get_history', { p_user_id: userId, p_limit: 200 })).data

describe('the table of events', () => {
  it('reserve 10 of enough: reserved +10, active, no transaction', async () => {
    const userId = await userWith(ground, 50)
    const result = await run('reserve', { p_reservation_id: uuid(), p_user_id: userId, p_amount: 10 })
    expect(result).toMatchObject({
      state: 'active',
      amount: '10',
      replayed: false,
      balance: { planCredits: '50', reserved: '10', available: '40' },
    })
    expect(await ledger(userId)).toHaveLength(1)
  })

  it('reserve 10 of too little: nothing, and the refusal says what there is', async () => {
    const userId = await userWith(ground, 4.5)
    const p_reservation_id = uuid()
    const args = { p_reservation_id, p_user_id: userId, p_amount: 10 }
    expect(await refusal(run('reserve', args), 'INSUFFICIENT_CREDITS')).toEqual({
      available: '4.5',
      required: '10',
      balance: '4.5',
    })
    await refusal(run('get_reservation', { p_reservation_id }), 'RESERVATION_NOT_FOUND')
    // Nothing was left behind, so the same key succeeds after a top-up.
    await grant(userId, 10)
    expect(await run('reserve', args)).toMatchObject({ state: 'active', replayed: false })
  })

  it('reserve with a minimum: takes what is available down to it', async () => {
    const userId = await userWith(ground, 7)
    const args = { p_reservation_id: uuid(), p_user_id: userId, p_amount: 10, p_minimum_amount: 5 }
    expect(await run('reserve', args)).toMatchObject({ amount: '7', balance: { available: '0' } })
    expect(await run('reserve', args)).toMatchObject({ amount: '7', replayed: true })
    await refusal(reserve(ground, userId, 10, { p_minimum_amount: 1 }), 'INSUFFICIENT_CREDITS')
  })

  it('extend by 5: reserved +5 and a later expiry; too little is an answer, not an error', async () => {
    const userId = await userWith(ground, 20)
    const id = await reserve(ground, userId, 10, { p_ttl_seconds: 60 })
    const before = await run('get_reservation', { p_reservation_id: id })
    const args = { p_reservation_id: id, p_extension_id: uuid(), p_amount: 5, p_ttl_seconds: 600 }
    const after = await run('extend', args)
    expect(after).toMatchObject({
      amount: '15',
      extension: { granted: true, amount: '5' },
      balance: { reserved: '15' },
    })
    expect(String(after.expiresAt) > String(before.expiresAt)).toBe(true)
    expect(await run('extend', args)).toMatchObject({ amount: '15', replayed: true, extension: { granted: true } })
    await refusal(run('extend', { ...args, p_amount: 6 }), 'IDEMPOTENCY_MISMATCH')
    expect(await extend(id, 50)).toMatchObject({ amount: '15', extension: { granted: false, amount: '0' } })
    expect(await extend(id, 50, { p_minimum_amount: 1, p_ttl_seconds: 1 })).toMatchObject({
      amount: '20',
      expiresAt: after.expiresAt,
    })
  })

  it('capture 4 of 10: takes 4, holds 6, stays active; and can hold more in the same call', async () => {
    const userId = await userWith(ground, 50)
    const id = await reserve(ground, userId, 10)
    expect(await capture(id, '4')).toMatchObject({
      state: 'active',
      amount: '6',
      captured: '4',
      extension: null,
      transaction: { type: 'usage', amount: '-4' },
      balance: { planCredits: '46', reserved: '6' },
    })
    const args = { p_reservation_id: id, p_capture_id: uuid(), p_charge: { amount: '6' }, p_extend_amount: 8 }
    const first = await run('capture', args)
    expect(first).toMatchObject({ amount: '8', captured: '10', extension: { granted: true, amount: '8' } })
    expect(await run('capture', args)).toMatchObject({
      amount: '8',
      captured: '10',
      replayed: true,
      transaction: first.transaction as Json,
    })
    await refusal(run('capture', { ...args, p_charge: { amount: '7' } }), 'IDEMPOTENCY_MISMATCH')
    expect(await capture(id, '1', { p_extend_amount: 500 })).toMatchObject({
      captured: '11',
      extension: { granted: false },
    })
  })

  it('settle 7 of 10: takes 7, frees 10; again, whatever the amount: the first result', async () => {
    const userId = await userWith(ground, 50)
    const id = await reserve(ground, userId, 10)
    const first = await settle(id, '7')
    expect(first).toMatchObject({
      state: 'settled',
      amount: '0',
      captured: '7',
      transaction: { id, amount: '-7' },
      balance: { available: '43', reserved: '0' },
    })
    for (const again of ['7', '9']) {
      expect(await settle(id, again)).toMatchObject({ ...first, replayed: true, balance: { version: 2 } })
    }
    expect(await run('release', { p_reservation_id: id })).toMatchObject({ state: 'settled', replayed: true })
    expect(await refusal(capture(id, '1'), 'RESERVATION_CLOSED')).toEqual({ state: 'settled' })
    expect(await refusal(extend(id, 1), 'RESERVATION_CLOSED')).toEqual({ state: 'settled' })
  })

  it('settle 12 of 10: takes 12 as far as there are credits; the rest is on the row as uncollected', async () => {
    const userId = await userWith(ground, 50)
    expect(await settle(await reserve(ground, userId, 10), '12')).toMatchObject({ captured: '12', uncollected: '0' })
    const held = await reserve(ground, userId, 30)
    expect(await settle(await reserve(ground, userId, 5), '20.5')).toMatchObject({
      captured: '8',
      uncollected: '12.5',
      transaction: { amount: '-8', uncollected: '12.5' },
      balance: { reserved: '30', available: '0' },
    })
    expect(await settle(held, '30')).toMatchObject({ captured: '30', uncollected: '0' })
  })

  it('settle nothing: closes without a transaction; settle 0: leaves a row', async () => {
    const userId = await userWith(ground, 50)
    expect(await settle(await reserve(ground, userId, 10))).toMatchObject({ state: 'settled', transaction: null })
    expect(await settle(await reserve(ground, userId, 10), '0')).toMatchObject({
      transaction: { amount: '0', version: 2 },
    })
  })

  it('release: frees 10 without a transaction; settle after it is refused', async () => {
    const userId = await userWith(ground, 50)
    const id = await reserve(ground, userId, 10)
    expect(await run('release', { p_reservation_id: id })).toMatchObject({
      state: 'released',
      replayed: false,
      balance: { available: '50' },
    })
    expect(await run('release', { p_reservation_id: id })).toMatchObject({ state: 'released', replayed: true })
    expect(await refusal(settle(id, '3'), 'RESERVATION_CLOSED')).toEqual({ state: 'released' })
  })

  it('time passes: whoever looks sees the credits free, without cron; a late settle takes what is available', async () => {
    const userId = await userWith(ground, 50)
    const id = await reserve(ground, userId, 50)
    await refusal(reserve(ground, userId, 1), 'INSUFFICIENT_CREDITS')
    await letTimePass(ground, userId, '6 minutes')
    const seen = await ground.admin.query(
      'select reserved, available from public.credit_balances_text where account_id = $1',
      [userId],
    )
    expect(seen.rows).toEqual([{ reserved: '0', available: '50' }])
    expect(await run('get_reservation', { p_reservation_id: id })).toMatchObject({ state: 'expired', amount: '0' })
    await settle(await reserve(ground, userId, 45), '45')
    await refusal(extend(id, 1), 'RESERVATION_CLOSED')
    expect(await capture(id, '2')).toMatchObject({
      state: 'expired',
      late: true,
      captured: '2',
      transaction: { late: true },
    })
    expect(await settle(id, '10')).toMatchObject({
      state: 'settled',
      late: true,
      captured: '5',
      uncollected: '7',
      transaction: { amount: '-3', late: true },
    })
    expect(await run('release', { p_reservation_id: id })).toMatchObject({ state: 'settled', replayed: true })
  })
})

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

describe('controls', () => {
  it('freeze an account, or all spending, for new holds only', async () => {
    const userId = await userWith(ground, 50)
    const id = await reserve(ground, userId, 10)
    await run('freeze_account', { p_user_id: userId, p_frozen: true, p_reason: 'fraud' })
    await refusal(reserve(ground, userId, 1), 'ACCOUNT_FROZEN')
    await refusal(extend(id, 1), 'ACCOUNT_FROZEN')
    expect(await capture(id, '2', { p_extend_amount: 1 })).toMatchObject({
      captured: '2',
      extension: { granted: false },
    })
    await run('freeze_account', { p_user_id: userId, p_frozen: false })
    await run('freeze_spending', { p_frozen: true, p_reason: 'incident' })
    await refusal(reserve(ground, userId, 1), 'SPENDING_FROZEN')
    expect(await settle(id, '3')).toMatchObject({ state: 'settled', captured: '5' })
    await run('freeze_spending', { p_frozen: false })
    await reserve(ground, userId, 1)
    const { rows } = await ground.admin.query(
      'select action, reason from public.credit_audit_log where reason is not null order by id',
    )
    expect(rows).toEqual([
      { action: 'account_status', reason: 'fraud' },
      { action: 'settings', reason: 'incident' },
    ])
  })

  it('limit the open reservations and the reserved credits of an account; time frees them', async () => {
    await ground.admin.query('update public.credit_settings set max_open_reservations = 3, max_reserved_credits = 20')
    const userId = await userWith(ground, 50)
    for (let count = 0; count < 3; count += 1) await reserve(ground, userId, 1)
    expect(await refusal(reserve(ground, userId, 1), 'LIMIT_EXCEEDED')).toMatchObject({ limit: 'open_reservations' })
    await letTimePass(ground, userId, '6 minutes')
    await reserve(ground, userId, 15)
    expect(await refusal(reserve(ground, userId, 6), 'LIMIT_EXCEEDED')).toMatchObject({ limit: 'reserved_credits' })
    await ground.admin.query(
      'update public.credit_settings set max_open_reservations = 100, max_reserved_credits = 1000000',
    )
  })

  it('write down every change of a margin, whichever way it was made, with who and why', async () => {
    const actor = uuid()
    const set = (rest: Json) => run<{ version: number }>('set_margin', { p_scope: 'model', p_target: 'a/b', ...rest })
    await set({ p_margin_percent: 20, p_expected_version: 0, p_actor_id: actor, p_reason: 'launch' })
    expect(await refusal(set({ p_margin_percent: 25, p_expected_version: 0 }), 'VERSION_CONFLICT')).toEqual({
      expected: 0,
      actual: 1,
    })
    await set({ p_margin_percent: null })
    await ground.admin.query(
      `set role postgres; update public.margin_config set margin_percent = 30 where target = 'a/b' and version = 1; delete from public.margin_config where target = 'a/b' and version = 1; reset role`,
    )
    const { data } = await run<{ data: Json[] }>('get_margin_audit', { p_limit: 4 })
    expect(
      data.map((row) => [
        row.operation,
        row.oldMarginPercent,
        row.newMarginPercent,
        row.actorId,
        row.actorRole,
        row.reason,
      ]),
    ).toEqual([
      ['delete', '30', null, null, 'postgres', null],
      ['update', '20', '30', null, 'postgres', null],
      ['delete', '20', null, null, 'service_role', null],
      ['insert', null, '20', actor, 'service_role', 'launch'],
    ])
  })

  it('refuse nonsense as a margin, in the function and in the table', async () => {
    for (const percent of ['-100', '-101', '10000.0001', '1000000000', 'NaN', 'Infinity', '60.00001']) {
      await refusal(
        run('set_margin', { p_scope: 'model', p_target: 'x/y', p_margin_percent: percent }),
        'INVALID_INPUT',
      )
    }
    await refusal(run('set_margin', { p_scope: 'default', p_target: '', p_margin_percent: null }), 'INVALID_INPUT')
    for (const percent of ['-100', '10001', 'NaN']) {
      await expect(
        ground.admin.query(
          `insert into public.margin_config (scope, target, margin_percent, version) values ('model', 'x/y', $1, 1)`,
          [percent],
        ),
      ).rejects.toThrow(/check constraint/)
    }
  })
})

describe('poisoned numbers', () => {
  const POISON = ['NaN', 'Infinity', '-Infinity', '-1', '0', '-0', '0.0000001', '1e13', '1e309', '99999999999999999999']

  it('are refused as INVALID_INPUT by every operation and change nothing', async () => {
    const userId = await userWith(ground, 50)
    const id = await reserve(ground, userId, 10)
    const before = await balanceOf(ground, userId)
    for (const bad of POISON) {
      await refusal(run('reserve', { p_reservation_id: uuid(), p_user_id: userId, p_amount: bad }), 'INVALID_INPUT')
      await refusal(run('extend', { p_reservation_id: id, p_extension_id: uuid(), p_amount: bad }), 'INVALID_INPUT')
      await refusal(
        run('capture', { p_reservation_id: id, p_capture_id: uuid(), p_charge: { amount: '1' }, p_extend_amount: bad }),
        'INVALID_INPUT',
      )
      await refusal(
        run('grant', {
          p_transaction_id: uuid(),
          p_user_id: userId,
          p_amount: bad,
          p_source: 'promo',
          p_bucket: 'add-on',
        }),
        'INVALID_INPUT',
      )
      if (bad !== '-1')
        await refusal(
          run('adjust', { p_transaction_id: uuid(), p_user_id: userId, p_amount: bad, p_reason: 'x' }),
          'INVALID_INPUT',
        )
      if (!['0'].includes(bad)) {
        const field = await refusal(settle(id, bad), 'INVALID_INPUT')
        expect(field).toEqual({ field: 'charge.amount' })
      }
    }
    expect(await balanceOf(ground, userId)).toEqual(before)
  })

  it('and malformed charges name the field', async () => {
    const id = await reserve(ground, await userWith(ground, 50), 10)
    const bad: [Json | string, string][] = [
      [{}, 'charge.amount'],
      ['"text"', 'charge'],
      ['[1]', 'charge'],
      [{ amount: '1', costUsd: '-1' }, 'charge.costUsd'],
      [{ amount: '1', costUsd: 'NaN' }, 'charge.costUsd'],
      [{ amount: '1', marginPercent: '60 ' }, 'charge.marginPercent'],
      [{ amount: '1', marginPercent: '-100' }, 'charge.marginPercent'],
      [{ amount: '1', inputTokens: 1.5 }, 'charge.inputTokens'],
      [{ amount: '1', rateId: 'x' }, 'charge.rateId'],
      [{ amount: '1', usage: [] }, 'charge.usage'],
      [{ amount: '1', costSource: 'guess' }, 'charge.costSource'],
      [{ amount: '1', metadata: { x: 'y'.repeat(5000) } }, 'charge.metadata'],
    ]
    for (const [p_charge, field] of bad) {
      expect(await refusal(run('settle', { p_reservation_id: id, p_charge }), 'INVALID_INPUT')).toEqual({ field })
    }
    expect(await run('get_reservation', { p_reservation_id: id })).toMatchObject({ state: 'active', amount: '10' })
  })
})
