import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { closeStack, type Ground, type Json, letTimePass, openGround, refusal, reserve, userWith } from './ground.ts'
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
const { capture, extend, grant, ledger, run, settle } = operations(() => ground)

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
