import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  advance,
  balanceOf,
  call,
  closeStack,
  invalidPaths,
  type Json,
  ledgerOf,
  openDatabase,
  refusal,
  reserve,
  signUp,
  spend,
  type TestDatabase,
  userWith,
} from './database.ts'
import { assertInvariants } from './invariants.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await openDatabase()
})
afterEach(() => assertInvariants(database.admin))
afterAll(async () => {
  await database.close()
  await closeStack()
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

describe('a freeze', () => {
  it('of an account refuses new reservations and extensions; captures and settles go on', async () => {
    const userId = await userWith(database, 50)
    const id = await reserve(database, userId, 10)
    await run('freeze_account', { p_account_id: userId, p_frozen: true, p_reason: 'fraud' })
    await refusal(reserve(database, userId, 1), 'ACCOUNT_FROZEN')
    const extension = { p_account_id: userId, p_reservation_id: id, p_extension_id: uuid(), p_amount: 1 }
    await refusal(run('extend', extension), 'ACCOUNT_FROZEN')
    const capture = {
      p_account_id: userId,
      p_reservation_id: id,
      p_capture_id: uuid(),
      p_charge: { amount: '2' },
      p_extend_amount: 1,
    }
    expect(await run('capture', capture)).toMatchObject({ captured: '2', extension: { granted: false } })
    await run('freeze_account', { p_account_id: userId, p_frozen: false })
    await reserve(database, userId, 1)
  })

  it('of all spending refuses new reservations; what is reserved still settles', async () => {
    const userId = await userWith(database, 50)
    const id = await reserve(database, userId, 10)
    await run('freeze_spending', { p_frozen: true, p_reason: 'incident' })
    await refusal(reserve(database, userId, 1), 'SPENDING_FROZEN')
    const settle = { p_account_id: userId, p_reservation_id: id, p_charge: { amount: '3' } }
    expect(await run('settle', settle)).toMatchObject({ state: 'settled', captured: '3' })
    await run('freeze_spending', { p_frozen: false })
    await reserve(database, userId, 1)
  })

  it('is in the audit with its reason and only the columns that changed', async () => {
    const { rows } = await database.admin.query(
      'select action, old, new, reason from public.credit_audit_log where reason is not null order by id',
    )
    expect(rows).toEqual([
      { action: 'account_status', old: { status: 'active' }, new: { status: 'frozen' }, reason: 'fraud' },
      { action: 'settings', old: { spending_frozen: false }, new: { spending_frozen: true }, reason: 'incident' },
    ])
  })
})

describe('limits', () => {
  it('bound the open reservations and the reserved credits of an account; time frees them', async () => {
    await database.admin.query('update public.credit_settings set max_open_reservations = 3, max_reserved_credits = 20')
    const userId = await userWith(database, 50)
    for (let count = 0; count < 3; count += 1) await reserve(database, userId, 1)
    expect(await refusal(reserve(database, userId, 1), 'LIMIT_EXCEEDED')).toMatchObject({ limit: 'open_reservations' })
    await advance(database, userId, '6 minutes')
    await reserve(database, userId, 15)
    expect(await refusal(reserve(database, userId, 6), 'LIMIT_EXCEEDED')).toMatchObject({ limit: 'reserved_credits' })
    await database.admin.query(
      'update public.credit_settings set max_open_reservations = 100, max_reserved_credits = 1000000',
    )
  })
})

describe('a margin', () => {
  it('is audited with actor and reason, also when it is changed in the SQL editor', async () => {
    const actor = uuid()
    const set = (rest: Json) => run<{ version: number }>('set_margin', { p_scope: 'model', p_target: 'a/b', ...rest })
    await set({ p_margin_percent: 20, p_expected_version: 0, p_actor_id: actor, p_reason: 'launch' })
    expect(await refusal(set({ p_margin_percent: 25, p_expected_version: 0 }), 'VERSION_CONFLICT')).toEqual({
      expected: 0,
      actual: 1,
    })
    await set({ p_margin_percent: null })
    await database.admin.query(
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

  it('has two versions when two admins set it at once, one of them refused', async () => {
    const set = () =>
      run('set_margin', { p_scope: 'model', p_target: 'race/b', p_margin_percent: 20, p_expected_version: 0 })
    const results = await Promise.allSettled(Array.from({ length: 8 }, set))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  it('out of bounds is refused by the function and by the table', async () => {
    for (const percent of ['-100', '-101', '10000.0001', '1000000000', 'NaN', 'Infinity', '60.00001']) {
      const set = run('set_margin', { p_scope: 'model', p_target: 'x/y', p_margin_percent: percent })
      expect(await invalidPaths(set), percent).toEqual(['marginPercent'])
    }
    await refusal(run('set_margin', { p_scope: 'default', p_target: '', p_margin_percent: null }), 'INVALID_INPUT')
    for (const percent of ['-100', '10001', 'NaN']) {
      await expect(
        database.admin.query(
          `insert into public.margin_config (scope, target, margin_percent, version) values ('model', 'x/y', $1, 1)`,
          [percent],
        ),
      ).rejects.toThrow(/check constraint/)
    }
  })
})

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
    await advance(database, userId, '1 hour')
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
    const other = await signUp(database)
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

describe('reservations that expired without a settle', () => {
  const expired = async (args: Json = {}) =>
    (await run<{ data: Json[] }>('get_expired_reservations', { p_limit: 5000, ...args })).data

  it('are listed with what they kept back, until they are settled late', async () => {
    const userId = await userWith(database, 50)
    const id = await reserve(database, userId, 12.5)
    expect(await expired()).not.toContainEqual(expect.objectContaining({ reservationId: id }))
    await advance(database, userId, '6 minutes')
    const row = { reservationId: id, accountId: userId, state: 'expired', amount: '0', reserved: '12.5' }
    expect(await expired()).toContainEqual(expect.objectContaining(row))
    // The same before and after due work has marked it.
    await balanceOf(database, userId)
    expect(await expired()).toContainEqual(expect.objectContaining(row))
    await run('settle', { p_account_id: userId, p_reservation_id: id, p_charge: { amount: '1' } })
    expect(await expired()).not.toContainEqual(expect.objectContaining({ reservationId: id }))
  })

  it('are paged in the order in which they were made, within a period', async () => {
    const userId = await userWith(database, 50)
    const ids = [await reserve(database, userId, 1), await reserve(database, userId, 2)]
    await advance(database, userId, '1 hour')
    const seen: unknown[] = []
    let after: unknown = null
    do {
      const args: Json = { p_limit: 1, p_after: after }
      const page = await run<{ data: Json[]; next: unknown }>('get_expired_reservations', args)
      seen.push(...page.data.filter((row) => row.userId === userId).map((row) => row.reservationId))
      after = page.next
    } while (after !== null)
    expect(seen).toEqual(ids)
    const hourAgo = new Date(Date.now() - 30 * 60_000).toISOString()
    expect((await expired({ p_to: hourAgo })).map((row) => row.reservationId)).toEqual(ids)
    expect((await expired({ p_from: hourAgo })).map((row) => row.reservationId)).not.toContain(ids[0])
    expect(await invalidPaths(expired({ p_after: { createdAt: 'yesterday' } }))).toEqual(['after'])
  })
})

describe('due work', () => {
  it('of one account that always fails does not stop that of the others', async () => {
    const poisoned = await userWith(database, 50)
    const healthy = await userWith(database, 50)
    for (const userId of [poisoned, healthy]) {
      await reserve(database, userId, 10)
      await advance(database, userId, '1 hour')
    }
    await database.admin.query(
      `create function public.refuse_poisoned() returns trigger language plpgsql as $$
       begin if new.account_id = '${poisoned}' then raise exception 'poisoned'; end if; return new; end $$;
       create trigger refuse_poisoned before update on public.credit_balances
       for each row execute function public.refuse_poisoned()`,
    )
    const result = await run<{ accountsFailed: number; accountsTouched: number }>('expire_due')
    expect(result.accountsFailed).toBe(1)
    expect(result.accountsTouched).toBeGreaterThanOrEqual(1)
    const { rows } = await database.admin.query(
      'select reserved::int as reserved from public.credit_balances where account_id = $1',
      [healthy],
    )
    expect(rows).toEqual([{ reserved: 0 }])
    await database.admin.query(
      'drop trigger refuse_poisoned on public.credit_balances; drop function public.refuse_poisoned',
    )
    expect(await run('expire_due')).toMatchObject({ accountsFailed: 0 })
  })

  it('is found by an index, not by reading all accounts', async () => {
    const client = await database.admin.connect()
    await client.query('set enable_seqscan = off')
    const { rows } = await client.query(
      `explain select account_id from public.credit_balances where next_due_at <= now() order by next_due_at limit 500`,
    )
    await client.query('reset enable_seqscan')
    client.release()
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
    expect(plan).toContain('credit_balances_next_due_at_idx')
  })

  it('of an account whose opening fails does not stop a reconcile', async () => {
    await database.admin.query('alter table public.credit_balances rename to elsewhere')
    const [broken, missed] = [await signUp(database), await signUp(database)]
    await database.admin.query('alter table public.elsewhere rename to credit_balances')
    await database.admin.query(
      `create function public.refuse_broken() returns trigger language plpgsql as $$
       begin if new.account_id = '${broken}' then raise exception 'broken'; end if; return new; end $$;
       create trigger refuse_broken before insert on public.credit_balances
       for each row execute function public.refuse_broken()`,
    )
    expect(await run('reconcile', { p_apply: true })).toMatchObject({ accountsFailed: 1, signupGrants: 1 })
    await database.admin.query(
      'drop trigger refuse_broken on public.credit_balances; drop function public.refuse_broken',
    )
    expect(await run('reconcile')).toMatchObject({ accountsToOpen: [broken] })
    expect((await balanceOf(database, missed)).available).toBe('50')
    await run('reconcile', { p_apply: true })
  })
})

describe('the history', () => {
  it('of a type or a period is the same as the whole history, filtered', async () => {
    const userId = await userWith(database, 40)
    for (let count = 0; count < 10; count += 1) {
      await spend(database, userId, 1)
      if (count % 3 === 0) await purchase(userId, 2)
    }
    const all = await ledgerOf(database, userId)
    const page = async (args: Json) =>
      (await run<{ data: Json[] }>('get_history', { p_account_id: userId, p_limit: 200, ...args })).data
    for (const type of ['grant', 'usage', 'adjustment', 'refund', 'reversal', 'expiry']) {
      expect(await page({ p_type: type }), type).toEqual(all.filter((row) => row.type === type))
    }
    const times = all.map((row) => String(row.createdAt))
    for (const from of [0, 3, 9]) {
      for (const to of [0, 2, 8]) {
        const [p_from, p_to] = [times[from] as string, times[to] as string]
        expect(await page({ p_from, p_to })).toEqual(
          all.filter((row) => String(row.createdAt) >= p_from && String(row.createdAt) < p_to),
        )
      }
    }
    expect(await page({ p_to: '2000-01-01T00:00:00Z' })).toEqual([])
    expect(await page({ p_from: '2100-01-01T00:00:00Z' })).toEqual([])
    expect(await invalidPaths(page({ p_type: 'gift' }))).toEqual(['type'])
    expect(await invalidPaths(page({ p_limit: 201 }))).toEqual(['limit'])
  })

  it('of a rare type or an old period reads a few pages, however many calls lie in between', async () => {
    const userId = await userWith(database, 50)
    const old = new Date().toISOString()
    await database.admin.query(
      `set session_replication_role = replica;
       insert into public.credit_transactions
         (account_id, version, id, user_id, type, amount, balance_after, text_hash, created_at, hash)
       select '${userId}', n, gen_random_uuid(), '${userId}', 'usage', 0, 50, '', clock_timestamp(), ''
       from generate_series(2, 20001) n;
       set session_replication_role = origin;
       analyze public.credit_transactions`,
    )
    const buffers = async (args: string) => {
      const client = await database.admin.connect()
      const text = `select public.credits_get_history('${userId}', 20, ${args})`
      for (let count = 0; count < 2; count += 1) await client.query(text)
      const { rows } = await client.query(`explain (analyze, buffers, format json) ${text}`)
      client.release()
      const plan = rows[0]['QUERY PLAN'][0].Plan
      return plan['Shared Hit Blocks'] + plan['Shared Read Blocks']
    }
    expect(await buffers(`null, 'grant'`)).toBeLessThan(60)
    expect(await buffers(`null, null, null, '${old}'`)).toBeLessThan(150)
    await database.admin.query(
      `set session_replication_role = replica;
       delete from public.credit_transactions where account_id = '${userId}' and version > 1;
       set session_replication_role = origin`,
    )
  })
})

describe('erasing', () => {
  it('removes metadata and reasons, leaves the chain valid, and names what stays', async () => {
    const userId = await userWith(database, 40)
    const grantId = await purchase(userId, 10, { p_reason: 'for Ann Berger', p_metadata: { name: 'Ann Berger' } })
    await reserve(database, userId, 5, { p_metadata: { prompt: 'Ann Berger' } })
    const result = await run<{ erased: Json; stays: string[] }>('erase', { p_account_id: userId, p_actor_id: uuid() })
    expect(result.erased).toMatchObject({ transactions: 2 })
    expect(result.stays.join('\n')).toMatch(/amounts/)
    const { rows } = await database.admin.query(
      `select count(*)::int as found from (
         select to_jsonb(t)::text as text from public.credit_transactions t
         union all select to_jsonb(c)::text from public.credit_transaction_costs c
         union all select to_jsonb(r)::text from public.credit_reservations r
         union all select to_jsonb(a)::text from public.credit_audit_log a) x where text like '%Berger%'`,
    )
    expect(rows).toEqual([{ found: 0 }])
    // The id still tells a repeat from another grant.
    const repeat = {
      p_account_id: userId,
      p_transaction_id: grantId,
      p_amount: 10,
      p_source: 'purchase',
      p_bucket: 'add-on',
      p_reason: 'for Ann Berger',
      p_metadata: { name: 'Ann Berger' },
    }
    expect(await run('grant', repeat)).toMatchObject({ replayed: true, transaction: { metadata: {} } })
    await refusal(run('grant', { ...repeat, p_reason: 'for Bob' }), 'IDEMPOTENCY_MISMATCH')
  })

  it('works for an account whose user is deleted, and refuses an unknown one', async () => {
    const userId = await userWith(database, 40)
    await database.admin.query('delete from auth.users where id = $1', [userId])
    expect(await run('erase', { p_account_id: userId })).toMatchObject({ erased: { transactions: 1 } })
    await refusal(run('erase', { p_account_id: uuid() }), 'ACCOUNT_NOT_FOUND')
  })
})

describe('proofs', () => {
  const faultsOf = async () => {
    const rows = await run<{ faults: Json[] }>('verify_transactions', { p_limit: 100000 })
    const accounts = await run<{ faults: Json[] }>('verify_accounts', { p_limit: 100000 })
    return [...rows.faults, ...accounts.faults].map(({ fault }) => fault)
  }
  /** Changes rows as an owner who has switched the triggers off. */
  const tamper = (sql: string) =>
    database.admin.query(`set session_replication_role = replica; ${sql}; set session_replication_role = origin`)

  it('find text that was changed or removed without being erased', async () => {
    const userId = await userWith(database, 40)
    const id = await purchase(userId, 10, { p_reason: 'because', p_metadata: { order: 7 } })
    await tamper(`update public.credit_transactions set metadata = '{"order": 8}' where id = '${id}'`)
    expect(await faultsOf()).toEqual(['text'])
    await tamper(`update public.credit_transactions set metadata = '{}' where id = '${id}'`)
    expect(await faultsOf()).toEqual(['text'])
    await tamper(`update public.credit_transactions set metadata = '{"order": 7}' where id = '${id}'`)
    await tamper(`update public.credit_transaction_costs set reason = 'another' where account_id = '${userId}'
      and version = 3`)
    expect(await faultsOf()).toEqual(['text'])
    await tamper(`update public.credit_transaction_costs set reason = 'because' where account_id = '${userId}'
      and version = 3`)
    expect(await faultsOf()).toEqual([])
  })

  it('compare the ledger with heads that were kept elsewhere', async () => {
    const [grown, rewritten, gone] = [
      await userWith(database, 40),
      await userWith(database, 40),
      await userWith(database, 40),
    ]
    const heads: Json[] = []
    let after: unknown = null
    do {
      const page = await run<{ data: Json[]; next: unknown }>('get_heads', { p_limit: 2, p_after: after })
      heads.push(...page.data)
      after = page.next
    } while (after !== null)
    const { rows } = await database.admin.query('select count(*)::int as accounts from public.credit_balances')
    expect(heads).toHaveLength(rows[0].accounts)
    expect(heads).toContainEqual({ accountId: grown, version: 2, hash: expect.stringMatching(/^[0-9a-f]{64}$/) })

    await spend(database, grown, 1)
    const compare = () =>
      call<{ heads: number; faults: Json[] }>(database.service, 'credits_verify_heads', {
        p_heads: heads,
      })
    expect(await compare()).toEqual({ heads: heads.length, faults: [] })
    await tamper(`update public.credit_transactions set hash = sha256('x') where account_id = '${rewritten}' and version = 2;
      create table public.kept as select * from public.credit_balances where account_id = '${gone}';
      delete from public.credit_balances where account_id = '${gone}'`)
    expect((await compare()).faults.map(({ accountId, fault }) => [accountId, fault]).sort()).toEqual(
      [
        [rewritten, 'hash'],
        [gone, 'missing_account'],
      ].sort(),
    )
    const head = heads.find(({ accountId }) => accountId === rewritten) as Json
    await tamper(`insert into public.credit_balances select * from public.kept; drop table public.kept;
      update public.credit_transactions set hash = decode('${head.hash}', 'hex') where account_id = '${rewritten}' and version = 2`)
    await tamper(`update public.credit_balances set version = 1 where account_id = '${rewritten}'`)
    expect((await compare()).faults).toMatchObject([{ accountId: rewritten, fault: 'lower_version' }])
    await tamper(`update public.credit_balances set version = 2 where account_id = '${rewritten}'`)
  })
})

describe('numbers that are no amounts', () => {
  const BAD = ['NaN', 'Infinity', '-Infinity', '-1', '0', '-0', '0.0000001', '1e13', '1e309', '99999999999999999999']

  it('are refused by every operation and change nothing', async () => {
    const userId = await userWith(database, 50)
    const id = await reserve(database, userId, 10)
    const before = await balanceOf(database, userId)
    const account = { p_account_id: userId }
    const open = { ...account, p_reservation_id: id }
    for (const bad of BAD) {
      // A reservation of nothing is one that costs nothing.
      if (Number(bad) !== 0) {
        await refusal(run('reserve', { ...account, p_reservation_id: uuid(), p_amount: bad }), 'INVALID_INPUT')
      }
      await refusal(run('extend', { ...open, p_extension_id: uuid(), p_amount: bad }), 'INVALID_INPUT')
      const capture = { ...open, p_capture_id: uuid(), p_charge: { amount: '1' }, p_extend_amount: bad }
      await refusal(run('capture', capture), 'INVALID_INPUT')
      const grant = { ...account, p_transaction_id: uuid(), p_amount: bad, p_source: 'promo', p_bucket: 'add-on' }
      expect(await invalidPaths(run('grant', grant)), bad).toEqual(['amount'])
      const correction = { ...account, p_transaction_id: uuid(), p_original_id: uuid(), p_reason: 'x', p_amount: bad }
      for (const name of ['refund', 'reverse']) expect(await invalidPaths(run(name, correction))).toEqual(['amount'])
      if (bad !== '-1') {
        const adjust = { ...account, p_transaction_id: uuid(), p_amount: bad, p_reason: 'x' }
        expect(await invalidPaths(run('adjust', adjust))).toEqual(['amount'])
      }
      if (bad !== '0') {
        expect(await invalidPaths(run('settle', { ...open, p_charge: { amount: bad } }))).toEqual(['charge.amount'])
      }
    }
    expect(await balanceOf(database, userId)).toEqual(before)
  })

  it('and other malformed fields of a charge are named', async () => {
    const userId = await userWith(database, 50)
    const id = await reserve(database, userId, 10)
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
    for (const [p_charge, path] of bad) {
      const settle = run('settle', { p_account_id: userId, p_reservation_id: id, p_charge })
      expect(await invalidPaths(settle)).toEqual([path])
    }
    expect(await run('get_reservation', { p_account_id: userId, p_reservation_id: id })).toMatchObject({
      state: 'active',
      amount: '10',
    })
  })
})
