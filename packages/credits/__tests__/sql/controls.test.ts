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
const { capture, extend, run, settle } = operations(() => ground)

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
