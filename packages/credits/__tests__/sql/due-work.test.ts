import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { advance, createTestDatabase, stopDatabases, type TestDatabase } from '../kit/database.ts'
import { balanceOf, call, type Json, operations, reserve, userWith } from '../kit/functions.ts'
import { assertInvariants } from '../kit/invariants.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(async () => {
  await database.close()
  await stopDatabases()
})

const { release, reservation } = operations(() => database)

describe('due work without a scheduler', () => {
  it('reads only the reservations that expired since the last time, however many were closed before', async () => {
    const userId = await userWith(database, 50)
    for (let count = 0; count < 300; count += 1) {
      await release(userId, await reserve(database, userId, 1))
    }
    await advance(database.admin, userId, '10 minutes')
    const id = await reserve(database, userId, 50)
    await advance(database.admin, userId, '10 minutes')
    expect(await balanceOf(database, userId)).toMatchObject({ reserved: '0', available: '50' })
    expect(await reservation(userId, id)).toMatchObject({
      state: 'expired',
    })
    // Three hundred closed ones still to come: the next look is set no later than the two-hundredth of them.
    for (let count = 0; count < 300; count += 1) {
      await release(userId, await reserve(database, userId, 1))
    }
    await reserve(database, userId, 1, { p_ttl_seconds: 2 })
    await advance(database.admin, userId, '1 minute')
    expect(await balanceOf(database, userId)).toMatchObject({ reserved: '0', available: '50' })
    await assertInvariants(database.admin)
  })

  it('is applied to accounts without traffic by a function that skips what is locked', async () => {
    const [one, two] = [await userWith(database, 50), await userWith(database, 50)]
    for (const userId of [one, two]) {
      await reserve(database, userId, 10)
      await advance(database.admin, userId, '10 minutes')
    }
    const blocker = await database.admin.connect()
    await blocker.query('begin')
    await blocker.query('select from public.credit_balances where account_id = $1 for update', [one])
    const started = performance.now()
    expect(await call(database.service, 'credits_expire_due')).toMatchObject({
      reservationsExpired: 1,
      accountsTouched: 1,
    })
    expect(performance.now() - started).toBeLessThan(1000)
    await blocker.query('rollback')
    blocker.release()
    expect(await call<Json>(database.service, 'credits_reconcile', { p_apply: true })).toMatchObject({
      accountsDue: 1,
      expired: { reservationsExpired: 1 },
    })
    expect(await call<Json>(database.service, 'credits_reconcile')).toMatchObject({ accountsDue: 0 })
    await assertInvariants(database.admin)
  })

  it('leaves a locked reservation to the caller that closes it, and frees it afterwards if that caller gives up', async () => {
    const userId = await userWith(database, 50)
    const [locked, free] = [await reserve(database, userId, 20), await reserve(database, userId, 5)]
    await advance(database.admin, userId, '10 minutes')
    const closing = await database.admin.connect()
    await closing.query('begin')
    await closing.query('select from public.credit_reservations where id = $1 for update', [locked])
    const started = performance.now()
    expect(await balanceOf(database, userId)).toMatchObject({ reserved: '20', available: '30' })
    expect(performance.now() - started).toBeLessThan(500)
    expect(await reservation(userId, free)).toMatchObject({
      state: 'expired',
    })
    await closing.query('rollback')
    closing.release()
    expect(await balanceOf(database, userId)).toMatchObject({ reserved: '0', available: '50' })
    await assertInvariants(database.admin)
  })

  it('finds a reservation that was made after the clock was set back', async () => {
    const userId = await userWith(database, 50)
    await balanceOf(database, userId)
    // The clock was days ahead when the account was last looked at.
    await database.admin.query(
      `update public.credit_balances set expired_until = now() + interval '3 days' where account_id = $1`,
      [userId],
    )
    await reserve(database, userId, 10)
    await advance(database.admin, userId, '10 minutes')
    expect(await balanceOf(database, userId)).toMatchObject({ reserved: '0', available: '50' })
  })
})
