import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { advance, createTestDatabase, stopDatabases, type TestDatabase } from '../kit/database.ts'
import { balanceOf, call, type Json, ledgerOf, operations, refusal, reserve, userWith } from '../kit/functions.ts'
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
const { capture, extend, grant, release, reservation, run, settle } = operations(() => database)

describe('reserve', () => {
  it('reserve reserves 10 of 50 and writes no transaction', async () => {
    const userId = await userWith(database, 50)
    const result = await run('reserve', { p_reservation_id: uuid(), p_account_id: userId, p_amount: 10 })
    expect(result).toMatchObject({
      state: 'active',
      amount: '10',
      replayed: false,
      balance: { planCredits: '50', reserved: '10', available: '40' },
    })
    expect(await ledgerOf(database, userId)).toHaveLength(1)
  })

  it('reserve refuses 10 of 4.5, says what is available and leaves nothing behind', async () => {
    const userId = await userWith(database, 4.5)
    const args = { p_reservation_id: uuid(), p_account_id: userId, p_amount: 10 }
    expect(await refusal(run('reserve', args), 'INSUFFICIENT_CREDITS')).toEqual({
      available: '4.5',
      required: '10',
      balance: '4.5',
    })
    await refusal(reservation(userId, args.p_reservation_id), 'RESERVATION_NOT_FOUND')
    // The same key succeeds after a top-up.
    await grant(userId, 10)
    expect(await run('reserve', args)).toMatchObject({ state: 'active', replayed: false })
  })

  it('a refused reserve writes no row, not even a dead one', async () => {
    const userId = await userWith(database, 1)
    const inserted = async () => {
      const { rows } = await database.admin.query(
        `select n_tup_ins::int as n from pg_stat_user_tables where relname = 'credit_reservations'`,
      )
      return rows[0].n as number
    }
    // One connection, so that its figures can be flushed.
    const client = await database.service.connect()
    try {
      const flush = () => client.query('select pg_stat_force_next_flush()')
      const ask = (amount: number) =>
        client.query('select public.credits_reserve($1, $2, $3)', [userId, uuid(), amount])
      await flush()
      const before = await inserted()
      for (let count = 0; count < 5; count += 1) await refusal(ask(2), 'INSUFFICIENT_CREDITS')
      await flush()
      expect(await inserted()).toBe(before)
      await ask(1)
      await flush()
      expect(await inserted()).toBe(before + 1)
    } finally {
      client.release()
    }
  })

  it('reserve takes what is available when it may take less, down to the minimum', async () => {
    const userId = await userWith(database, 7)
    const args = { p_reservation_id: uuid(), p_account_id: userId, p_amount: 10, p_minimum_amount: 5 }
    expect(await run('reserve', args)).toMatchObject({ amount: '7', balance: { available: '0' } })
    expect(await run('reserve', args)).toMatchObject({ amount: '7', replayed: true })
    await refusal(reserve(database, userId, 10, { p_minimum_amount: 1 }), 'INSUFFICIENT_CREDITS')
  })

  it('reserve accepts an amount of 0 without credits, but not past a freeze or a limit', async () => {
    const userId = await userWith(database, 0.5)
    await settle(userId, await reserve(database, userId, 0.5), '0.5')
    const id = await reserve(database, userId, 0)
    expect(await reservation(userId, id)).toMatchObject({ state: 'active', amount: '0' })
    expect(await settle(userId, id, '0')).toMatchObject({ state: 'settled', transaction: { amount: '0' } })
    await run('freeze_account', { p_account_id: userId, p_frozen: true })
    await refusal(reserve(database, userId, 0), 'ACCOUNT_FROZEN')
    await run('freeze_account', { p_account_id: userId, p_frozen: false })
    for (let count = 0; count < 100; count += 1) await reserve(database, userId, 0)
    await refusal(reserve(database, userId, 0), 'LIMIT_EXCEEDED')
  })

  it('gives the first result to a repeat, and refuses one with any other parameter', async () => {
    const userId = await userWith(database, 50)
    const args = {
      p_account_id: userId,
      p_reservation_id: uuid(),
      p_amount: '10.50',
      p_minimum_amount: 5,
      p_ttl_seconds: 60,
      p_feature: 'chat',
      p_model: 'openai/gpt',
      p_rate_id: uuid(),
      p_margin_id: uuid(),
      p_metadata: { page: 1 },
    }
    const first = await run('reserve', args)
    expect(await run('reserve', args)).toEqual({ ...first, replayed: true })
    const others: Json[] = [
      { p_amount: 11 },
      { p_minimum_amount: 6 },
      { p_ttl_seconds: 61 },
      { p_ttl_seconds: null },
      { p_feature: 'search' },
      { p_model: null },
      { p_rate_id: uuid() },
      { p_margin_id: uuid() },
      { p_metadata: { page: 2 } },
    ]
    for (const other of others) {
      const refused = await refusal(run('reserve', { ...args, ...other }), 'IDEMPOTENCY_MISMATCH')
      expect(refused, JSON.stringify(other)).toEqual({ id: args.p_reservation_id })
    }
  })

  it('reserve refuses the key of a closed reservation with its state', async () => {
    const userId = await userWith(database, 50)
    const closings: [string, (id: string) => Promise<unknown>][] = [
      ['settled', (id) => settle(userId, id, '1')],
      ['released', (id) => release(userId, id)],
      ['expired', () => advance(database.admin, userId, '10 minutes')],
    ]
    for (const [state, close] of closings) {
      const args = { p_account_id: userId, p_reservation_id: uuid(), p_amount: 10 }
      await run('reserve', args)
      await close(args.p_reservation_id)
      expect(await refusal(run('reserve', args), 'RESERVATION_CLOSED')).toEqual({
        reservationId: args.p_reservation_id,
        state,
      })
    }
  })
})

describe('extend', () => {
  it('extend adds 5 and prolongs the reservation, and too few credits are an answer and not an error', async () => {
    const userId = await userWith(database, 20)
    const id = await reserve(database, userId, 10, { p_ttl_seconds: 60 })
    const before = await reservation(userId, id)
    const args = {
      p_account_id: userId,
      p_reservation_id: id,
      p_extension_id: uuid(),
      p_amount: 5,
      p_ttl_seconds: 600,
    }
    const after = await run('extend', args)
    expect(after).toMatchObject({
      amount: '15',
      extension: { granted: true, amount: '5' },
      balance: { reserved: '15' },
    })
    expect(String(after.expiresAt) > String(before.expiresAt)).toBe(true)
    expect(await run('extend', args)).toEqual({ ...after, replayed: true })
    for (const other of [{ p_amount: 6 }, { p_minimum_amount: 1 }, { p_ttl_seconds: 601 }]) {
      await refusal(run('extend', { ...args, ...other }), 'IDEMPOTENCY_MISMATCH')
    }
    expect(await extend(userId, id, 50)).toMatchObject({ amount: '15', extension: { granted: false, amount: '0' } })
    expect(await extend(userId, id, 50, { p_minimum_amount: 1, p_ttl_seconds: 1 })).toMatchObject({
      amount: '20',
      expiresAt: after.expiresAt,
    })
  })
})

describe('capture', () => {
  it('capture takes 4 of 10, leaves 6 reserved and can reserve more in the same call', async () => {
    const userId = await userWith(database, 50)
    const id = await reserve(database, userId, 10)
    expect(await capture(userId, id, '4')).toMatchObject({
      state: 'active',
      amount: '6',
      captured: '4',
      extension: null,
      transaction: { type: 'usage', amount: '-4' },
      balance: { planCredits: '46', reserved: '6' },
    })
    expect(await capture(userId, id, '6', { p_extend_amount: 8 })).toMatchObject({
      amount: '8',
      captured: '10',
      extension: { granted: true, amount: '8' },
    })
    expect(await capture(userId, id, '1', { p_extend_amount: 500 })).toMatchObject({
      captured: '11',
      extension: { granted: false },
    })
  })

  it('gives the first result to a repeat, and refuses one with any other parameter', async () => {
    const userId = await userWith(database, 50)
    const id = await reserve(database, userId, 10)
    const charge = { amount: '6', model: 'openai/gpt', costUsd: '0.01', flags: ['estimated'], metadata: { step: 1 } }
    for (const p_extend_amount of [8, 500]) {
      const args = {
        p_account_id: userId,
        p_reservation_id: id,
        p_capture_id: uuid(),
        p_charge: charge,
        p_extend_amount,
      }
      const first = await run('capture', args)
      expect(await run('capture', args)).toEqual({ ...first, replayed: true })
      const others: Json[] = [
        { p_charge: { ...charge, amount: '7' } },
        { p_charge: { ...charge, model: 'openai/other' } },
        { p_charge: { ...charge, flags: [] } },
        { p_charge: { ...charge, metadata: { step: 2 } } },
        { p_extend_amount: null },
        { p_extend_amount: 9 },
        { p_extend_minimum: 1 },
        { p_ttl_seconds: 60 },
      ]
      for (const other of others) await refusal(run('capture', { ...args, ...other }), 'IDEMPOTENCY_MISMATCH')
    }
  })
})

describe('settle', () => {
  it('settle takes 7 of 10 and frees the rest, and a repeat gets the first result', async () => {
    const userId = await userWith(database, 50)
    const id = await reserve(database, userId, 10)
    const first = await settle(userId, id, '7.50')
    expect(first).toMatchObject({
      state: 'settled',
      amount: '0',
      captured: '7.5',
      transaction: { id, amount: '-7.5' },
      balance: { available: '42.5', reserved: '0' },
    })
    for (const again of ['7.5', '7.500000', undefined]) {
      expect(await settle(userId, id, again)).toEqual({ ...first, replayed: true })
    }
    expect(await release(userId, id)).toMatchObject({ state: 'settled', replayed: true })
    const closed = { reservationId: id, state: 'settled' }
    expect(await refusal(capture(userId, id, '1'), 'RESERVATION_CLOSED')).toEqual({ ...closed, amount: '1' })
    expect(await refusal(extend(userId, id, 1), 'RESERVATION_CLOSED')).toEqual(closed)
  })

  it('settle gives the first result to a second charge of another amount and audits that charge', async () => {
    const other = { p_charge: { amount: '9', costUsd: '0.050000' } }
    const userId = await userWith(database, 50)
    const charged = await reserve(database, userId, 10)
    const first = await settle(userId, charged, '7')
    expect(await settle(userId, charged, '9', other)).toEqual({ ...first, replayed: true })
    expect(await settle(userId, charged, '7.000000')).toEqual({ ...first, replayed: true })
    const empty = await reserve(database, userId, 10)
    const nothing = await settle(userId, empty)
    expect(await settle(userId, empty, '9', other)).toEqual({ ...nothing, replayed: true })
    const { rows } = await database.admin.query(
      `select subject, old, new from public.credit_audit_log
       where action = 'charge_not_recorded' and subject in ($1, $2) order by id`,
      [charged, empty],
    )
    expect(rows).toEqual([
      { subject: charged, old: { amount: '7' }, new: { amount: '9', costUsd: '0.05' } },
      { subject: empty, old: { amount: '0' }, new: { amount: '9', costUsd: '0.05' } },
    ])
    expect(await balanceOf(database, userId)).toMatchObject({ available: '43', reserved: '0' })
  })

  it('settle takes 12 of 10 as far as there are credits and records the rest as uncollected', async () => {
    const userId = await userWith(database, 50)
    expect(await settle(userId, await reserve(database, userId, 10), '12')).toMatchObject({
      captured: '12',
      uncollected: '0',
    })
    const other = await reserve(database, userId, 30)
    expect(await settle(userId, await reserve(database, userId, 5), '20.5')).toMatchObject({
      captured: '8',
      uncollected: '12.5',
      transaction: { amount: '-8', uncollected: '12.5' },
      balance: { reserved: '30', available: '0' },
    })
    expect(await settle(userId, other, '30')).toMatchObject({ captured: '30', uncollected: '0' })
  })

  it('settle without a charge writes no transaction, and a charge of 0 writes one without lots', async () => {
    const userId = await userWith(database, 50)
    expect(await settle(userId, await reserve(database, userId, 10))).toMatchObject({
      state: 'settled',
      transaction: null,
    })
    const id = await reserve(database, userId, 10)
    expect(await settle(userId, id, '0')).toMatchObject({ transaction: { amount: '0', version: 2 } })
    const { rows } = await database.admin.query(
      'select lots from public.credit_transactions where account_id = $1 and id = $2',
      [userId, id],
    )
    expect(rows).toEqual([{ lots: [] }])
  })

  it('settle stores flags and raw usage of a charge for admins, and its metadata on the ledger row only', async () => {
    const userId = await userWith(database, 50)
    const id = await reserve(database, userId, 10)
    const charge = { amount: '1', flags: ['count_missing'], rawUsage: { total: 'n/a' } }
    await settle(userId, id, undefined, { p_charge: { ...charge, metadata: { page: 1 } } })
    const { rows } = await database.admin.query(
      `select entry.metadata, cost.charge from public.credit_transactions entry
       join public.credit_transaction_costs cost using (account_id, version) where entry.account_id = $1`,
      [userId],
    )
    expect(rows).toEqual([{ metadata: { page: 1 }, charge }])
  })

  it('settle after the expiry takes what is available and marks the charge as late', async () => {
    const userId = await userWith(database, 50)
    const id = await reserve(database, userId, 50)
    await refusal(reserve(database, userId, 1), 'INSUFFICIENT_CREDITS')
    await advance(database.admin, userId, '6 minutes')
    const seen = await database.admin.query(
      'select reserved, available from public.credit_balances_text where account_id = $1',
      [userId],
    )
    expect(seen.rows).toEqual([{ reserved: '0', available: '50' }])
    expect(await reservation(userId, id)).toMatchObject({ state: 'expired', amount: '0' })
    await settle(userId, await reserve(database, userId, 45), '45')
    await refusal(extend(userId, id, 1), 'RESERVATION_CLOSED')
    expect(await capture(userId, id, '2')).toMatchObject({
      state: 'expired',
      late: true,
      captured: '2',
      transaction: { late: true },
    })
    expect(await settle(userId, id, '10')).toMatchObject({
      state: 'settled',
      late: true,
      captured: '5',
      uncollected: '7',
      transaction: { amount: '-3', late: true },
    })
    expect(await release(userId, id)).toMatchObject({ state: 'settled', replayed: true })
  })

  it('settle with createMissing records and charges a reservation that never reached the database', async () => {
    const userId = await userWith(database, 5)
    const id = uuid()
    await refusal(settle(userId, id, '7'), 'RESERVATION_NOT_FOUND')
    const late = await settle(userId, id, '7', { p_create_missing: true })
    expect(late).toMatchObject({
      state: 'settled',
      late: true,
      captured: '5',
      uncollected: '2',
      transaction: { id, late: true },
    })
    expect(await settle(userId, id, '7', { p_create_missing: true })).toEqual({ ...late, replayed: true })
    await refusal(settle(uuid(), uuid(), '7', { p_create_missing: true }), 'ACCOUNT_NOT_FOUND')
  })
})

describe('release', () => {
  it('release frees 10 without a transaction, and a later settle is refused with its amount', async () => {
    const userId = await userWith(database, 50)
    const id = await reserve(database, userId, 10)
    expect(await release(userId, id)).toMatchObject({
      state: 'released',
      replayed: false,
      balance: { available: '50' },
    })
    expect(await release(userId, id)).toMatchObject({ state: 'released', replayed: true })
    expect(await refusal(settle(userId, id, '3'), 'RESERVATION_CLOSED')).toEqual({
      reservationId: id,
      state: 'released',
      amount: '3',
    })
    expect(await settle(userId, id, '3', { p_create_missing: true })).toMatchObject({
      state: 'settled',
      late: true,
      captured: '3',
    })
  })
})

describe('a reservation of another account', () => {
  it('no operation finds a reservation of another account', async () => {
    const [owner, other] = [await userWith(database, 50), await userWith(database, 50)]
    const id = await reserve(database, owner, 10)
    const attempts = [
      () => extend(other, id, 1),
      () => capture(other, id, '1'),
      () => settle(other, id, '1'),
      () => release(other, id),
      () => reservation(other, id),
    ]
    for (const attempt of attempts) await refusal(attempt(), 'RESERVATION_NOT_FOUND')
    expect(await reservation(owner, id)).toMatchObject({ state: 'active', amount: '10', captured: '0' })
  })

  it('two accounts may have a reservation with the same id, because a key belongs to its account', async () => {
    const [one, two] = [await userWith(database, 50), await userWith(database, 50)]
    const p_reservation_id = uuid()
    for (const p_account_id of [one, two]) {
      await call(database.service, 'credits_reserve', { p_account_id, p_reservation_id, p_amount: 10 })
      expect(await settle(p_account_id, p_reservation_id, '4')).toMatchObject({ replayed: false, captured: '4' })
    }
  })
})

describe('the id of a reservation', () => {
  it('is refused to every other operation of its account: a settle writes its transaction under it', async () => {
    const userId = await userWith(database, 50)
    const [id, other] = [await reserve(database, userId, 10), await reserve(database, userId, 10)]
    const named = { p_account_id: userId, p_transaction_id: id }
    for (const attempt of [
      () => grant(userId, 5, named),
      () => run('adjust', { ...named, p_amount: 5, p_reason: 'test' }),
      () => capture(userId, other, '1', { p_capture_id: id }),
    ]) {
      expect(await refusal(attempt(), 'IDEMPOTENCY_MISMATCH')).toEqual({ id })
    }
    expect(await settle(userId, id, '3')).toMatchObject({ transaction: { id, amount: '-3' } })
  })
})
