import { setTimeout } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { advance, createTestDatabase, stopDatabases, type TestDatabase, whileLocked } from '../kit/database.ts'
import { balanceOf, call, invalidPaths, type Json, refusal, reserve, userWith } from '../kit/functions.ts'
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
    await advance(database.admin, userId, '6 minutes')
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

  it('that several admins set at once is set by one; the others get VERSION_CONFLICT', async () => {
    const set = () =>
      run('set_margin', { p_scope: 'model', p_target: 'race/b', p_margin_percent: 20, p_expected_version: 0 })
    const results = await whileLocked(database, 'lock table public.margin_config in exclusive mode', () => {
      const calls = Promise.allSettled(Array.from({ length: 8 }, set))
      return setTimeout(200).then(() => ({ calls }))
    }).then(({ calls }) => calls)
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const result of results) {
      if (result.status === 'rejected') await refusal(Promise.reject(result.reason), 'VERSION_CONFLICT')
    }
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

describe('a rate', () => {
  it('that several callers add at once is added once', async () => {
    const rates = [{ modelId: 'race/rate', type: 'language', pricing: { input: '0.1' }, source: 'test' }]
    const add = () => run<{ inserted: number }>('set_rates', { p_rates: JSON.stringify(rates) })
    const results = await whileLocked(database, 'lock table public.credit_rates in exclusive mode', () => {
      const calls = Promise.all(Array.from({ length: 10 }, add))
      return setTimeout(200).then(() => ({ calls }))
    }).then(({ calls }) => calls)
    expect(results.reduce((sum, { inserted }) => sum + inserted, 0)).toBe(1)
  })

  it('of the past, or without its fields, is refused with the path of the field', async () => {
    const rate = { modelId: 'past/rate', type: 'language', pricing: { input: '0.1' }, source: 'test' }
    const bad: [Json, string][] = [
      [{ effectiveFrom: '2020-01-01T00:00:00Z' }, 'rates.effectiveFrom'],
      [{ effectiveFrom: 'no time' }, 'rates.effectiveFrom'],
      [{ modelId: '' }, 'rates.modelId'],
      [{ type: null }, 'rates.type'],
      [{ known: false }, 'rates.known'],
      [{ maxOutputTokens: -1 }, 'rates.maxOutputTokens'],
    ]
    for (const [field, path] of bad) {
      const add = run('set_rates', { p_rates: JSON.stringify([{ ...rate, ...field }]) })
      expect(await invalidPaths(add), path).toEqual([path])
    }
    expect(await run('set_rates', { p_rates: JSON.stringify([rate, { ...rate, source: 'other' }]) })).toEqual({
      inserted: 1,
      unchanged: 1,
    })
    const history = await run<Json[]>('get_rate_history', { p_model_id: 'past/rate' })
    expect(history).toMatchObject([{ modelId: 'past/rate', pricing: { input: '0.1' }, known: true }])
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
