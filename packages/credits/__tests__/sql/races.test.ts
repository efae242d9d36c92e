import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, stopDatabases, type TestDatabase } from '../kit/database.ts'
import { balanceOf, call, operations, refusal, reserve, spend, userWith } from '../kit/functions.ts'
import { withoutGuard } from '../kit/guards.ts'
import { assertInvariants } from '../kit/invariants.ts'

let database: TestDatabase
let tables: string[]

beforeAll(async () => {
  database = await createTestDatabase()
  const { rows } = await database.admin.query<{ name: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname in ('public', 'credits_private') and c.relkind = 'r' order by 1`,
  )
  tables = rows.map((row) => row.name)
})
afterAll(async () => {
  await database.close()
  await stopDatabases()
})

const uuid = () => crypto.randomUUID()
const { grant, refund, release, run, settle } = operations(() => database)

/**
 * Repeats a call that timed out on a lock: nothing has happened then. Fifty fresh connections that prepare their
 * statements one after the other, under the lock of the account, may need that long.
 */
async function unlessBusy<Result>(attempt: () => Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if ((error as pg.DatabaseError).code !== '55P03') throw error
    }
  }
}

/** Makes every writer of a table wait. Reads and row locks pass, so a caller that checks first and writes later is caught. */
const writersOf = (table: string) => `lock table ${table} in share mode`

/** Makes every caller wait that locks or writes the row of this account. */
const writersOfAccount = (userId: string) =>
  `select from public.credit_balances where account_id = '${userId}' for update`

/** Runs the calls against a lock until all have come as far as they can, then lets them go at once. */
async function behindBarrier<Result>(on: TestDatabase, lock: string, calls: (() => Promise<Result>)[]) {
  const barrier = await on.admin.connect()
  try {
    await barrier.query(`begin; ${lock}`)
    const running = Promise.allSettled(calls.map((each) => unlessBusy(each)))
    await untilWaiting(on, calls.length)
    await barrier.query('commit')
    return await running
  } finally {
    barrier.release()
  }
}

/** Waits until every caller waits for a lock, but below half of the lock_timeout of the functions, which would hide a fault. */
async function untilWaiting(on: TestDatabase, callers: number) {
  const end = Date.now() + 200
  while (Date.now() < end) {
    const { rows } = await on.admin.query(
      `select count(*)::int as waiting from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    )
    if (rows[0].waiting >= callers) return
    await sleep(10)
  }
}

const reserveOne = (on: TestDatabase, userId: string) => () =>
  call(on.service, 'credits_reserve', { p_account_id: userId, p_reservation_id: uuid(), p_amount: 1 })

const settleOn = (on: TestDatabase, userId: string, id: string, charge: object) => () =>
  call(on.service, 'credits_settle', { p_account_id: userId, p_reservation_id: id, p_charge: charge })

const granted = (results: PromiseSettledResult<unknown>[]) => results.filter((one) => one.status === 'fulfilled').length

const reasons = (results: PromiseSettledResult<unknown>[]) => [
  ...new Set(results.flatMap((one) => (one.status === 'rejected' ? [(one.reason as pg.DatabaseError).message] : []))),
]

async function manyOf(on: TestDatabase, userId: string, count: number): Promise<string[]> {
  const ids: string[] = []
  while (ids.length < count) ids.push(await reserve(on, userId, 1))
  return ids
}

describe('fifty reserves of 1 on a balance of 5', () => {
  afterEach(() => assertInvariants(database.admin))

  it('grant exactly five, wherever the writers are made to wait', async () => {
    const locks = [...tables.map((table) => () => writersOf(table)), writersOfAccount]
    for (const lockFor of locks) {
      const userId = await userWith(database, 5)
      const lock = lockFor(userId)
      const calls = Array.from({ length: 50 }, () => reserveOne(database, userId))
      const results = await behindBarrier(database, lock, calls)
      expect(granted(results), lock).toBe(5)
      expect(reasons(results), lock).toEqual(['INSUFFICIENT_CREDITS'])
      expect((await balanceOf(database, userId)).reserved).toBe('5')
    }
  })

  it('grant more than five on a copy that does not lock the account', async () => {
    const copy = await withoutGuard('lock-account')
    try {
      const userId = await userWith(copy, 5)
      const calls = Array.from({ length: 50 }, () => reserveOne(copy, userId))
      expect(granted(await behindBarrier(copy, writersOf('public.credit_balances'), calls))).toBeGreaterThan(5)
      await expect(assertInvariants(copy.admin)).rejects.toThrow()
    } finally {
      await copy.close()
    }
  })
})

describe('releasing twenty reservations of one account at once', () => {
  const releases = async (on: TestDatabase, userId: string) =>
    (await manyOf(on, userId, 20)).map(
      (id) => () => call(on.service, 'credits_release', { p_account_id: userId, p_reservation_id: id }),
    )

  it('frees every one of them', async () => {
    for (const table of ['public.credit_balances', 'public.credit_reservations']) {
      const userId = await userWith(database, 50)
      expect(granted(await behindBarrier(database, writersOf(table), await releases(database, userId)))).toBe(20)
      expect((await balanceOf(database, userId)).reserved).toBe('0')
    }
    await assertInvariants(database.admin)
  })

  it('loses some on a copy that does not lock the account', async () => {
    const copy = await withoutGuard('lock-account-of-reservation')
    try {
      const userId = await userWith(copy, 50)
      await behindBarrier(copy, writersOf('public.credit_balances'), await releases(copy, userId))
      await expect(assertInvariants(copy.admin)).rejects.toThrow()
    } finally {
      await copy.close()
    }
  })
})

describe('settling twenty reservations of one account at once', () => {
  const CHARGE = { amount: '0.5', costUsd: '0.001' }
  const settles = async (on: TestDatabase, userId: string) =>
    (await manyOf(on, userId, 20)).map((id) => settleOn(on, userId, id, CHARGE))

  it('charges every one of them once, also when each is settled twice', async () => {
    for (const table of ['credit_balances', 'credit_lots', 'credit_reservations', 'credit_transactions']) {
      const userId = await userWith(database, 50)
      const once = await settles(database, userId)
      const results = await behindBarrier(database, writersOf(`public.${table}`), [...once, ...once])
      expect(reasons(results), table).toEqual([])
      expect(await balanceOf(database, userId), table).toMatchObject({ available: '40', reserved: '0' })
    }
    await assertInvariants(database.admin)
  })

  it('fails on a copy that does not lock the account', async () => {
    const copy = await withoutGuard('lock-account-of-reservation')
    try {
      const userId = await userWith(copy, 50)
      const calls = await settles(copy, userId)
      expect(granted(await behindBarrier(copy, writersOf('public.credit_balances'), calls))).toBeLessThan(20)
    } finally {
      await copy.close()
    }
  })

  it('writes a second transaction on a copy that does not ask whether a reservation is settled', async () => {
    const copy = await withoutGuard('settle-once')
    try {
      const once = await settles(copy, await userWith(copy, 50))
      const results = await behindBarrier(copy, writersOf('public.credit_reservations'), [...once, ...once])
      expect(reasons(results)).toContain('IDEMPOTENCY_MISMATCH')
    } finally {
      await copy.close()
    }
  })

  it('frees the credits of one reservation twice on a copy that does not lock the reservation', async () => {
    const copy = await withoutGuard('lock-reservation')
    try {
      const userId = await userWith(copy, 50)
      // The second reservation keeps the sum above 0, which the table would not let pass.
      const [id] = [await reserve(copy, userId, 10), await reserve(copy, userId, 10)]
      const both = [
        settleOn(copy, userId, id, CHARGE),
        () => call(copy.service, 'credits_release', { p_account_id: userId, p_reservation_id: id }),
      ]
      const results = await behindBarrier(copy, writersOfAccount(userId), both)
      // Both read the reservation as active. With the lock, one of them is refused or is a replay.
      expect(granted(results)).toBe(2)
      await expect(assertInvariants(copy.admin)).rejects.toThrow()
    } finally {
      await copy.close()
    }
  })
})

describe('two ways of closing one reservation at once', () => {
  afterEach(() => assertInvariants(database.admin))

  const closings = {
    settle: (userId: string, id: string) => settleOn(database, userId, id, { amount: '3', costUsd: '1' }),
    'settle another amount': (userId: string, id: string) => settleOn(database, userId, id, { amount: '4' }),
    'settle nothing': (userId: string, id: string) => () => settle(userId, id),
    release: (userId: string, id: string) => () => release(userId, id),
  }

  it('have one winner; the others get its result, or are refused where it was a release', async () => {
    for (const [first, one] of Object.entries(closings)) {
      for (const [second, two] of Object.entries(closings)) {
        const userId = await userWith(database, 50)
        const id = await reserve(database, userId, 10)
        const calls = Array.from({ length: 10 }, (_, index) => (index % 2 ? one(userId, id) : two(userId, id)))
        const results = await Promise.allSettled(calls.map((each) => each()))
        const pair = `${first}, ${second}`
        const done = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
        expect(done.filter((result) => result.replayed === false).length, pair).toBe(1)
        expect(new Set(done.map((result) => `${result.state} ${result.captured}`)).size, pair).toBe(1)
        // A settle after a release.
        expect(['', 'RESERVATION_CLOSED'], pair).toContain(reasons(results).join())
      }
    }
  })
})

describe('one key from two hundred callers', () => {
  afterEach(() => assertInvariants(database.admin))

  it('reserves once and gives all of them the same answer; another amount under it is refused', async () => {
    const userId = await userWith(database, 10)
    const p_reservation_id = uuid()
    const ask = (p_amount: number) => () => run('reserve', { p_reservation_id, p_account_id: userId, p_amount })
    const same = await Promise.all(Array.from({ length: 200 }, () => unlessBusy(ask(10))))
    expect(same.filter((result) => result.replayed === false)).toHaveLength(1)
    // All credits are reserved by the first: a repeat is answered before funds are looked at.
    expect(new Set(same.map((result) => JSON.stringify({ ...result, replayed: null }))).size).toBe(1)
    const other = await Promise.allSettled(Array.from({ length: 200 }, () => unlessBusy(ask(11))))
    expect(granted(other)).toBe(0)
    expect(reasons(other)).toEqual(['IDEMPOTENCY_MISMATCH'])
    expect(await balanceOf(database, userId)).toMatchObject({ reserved: '10', available: '0' })
  })

  it('belongs to its account: it grants to each of two accounts, once', async () => {
    const [one, two] = [await userWith(database, 50), await userWith(database, 50)]
    const p_transaction_id = uuid()
    const give = (userId: string) => () => grant(userId, 5, { p_transaction_id, p_source: 'promo' })
    const calls = Array.from({ length: 20 }, (_, index) => give(index % 2 ? one : two))
    const results = await behindBarrier(database, writersOf('public.credit_transactions'), calls)
    expect(granted(results)).toBe(20)
    for (const userId of [one, two]) expect(await balanceOf(database, userId)).toMatchObject({ available: '55' })
  })

  it('settles once a reservation that never reached the database', async () => {
    const userId = await userWith(database, 50)
    const id = uuid()
    const calls = Array.from({ length: 30 }, () => () => settle(userId, id, '3', { p_create_missing: true }))
    const results = await Promise.all(calls.map((each) => unlessBusy(each)))
    expect(results.filter((result) => result.replayed === false)).toHaveLength(1)
    expect(await balanceOf(database, userId)).toMatchObject({ available: '47', version: 2 })
  })

  it('never settles under an id that another transaction of the account has', async () => {
    const userId = await userWith(database, 50)
    const id = uuid()
    await run('adjust', { p_account_id: userId, p_transaction_id: id, p_amount: 1, p_reason: 'first' })
    await run('reserve', { p_account_id: userId, p_reservation_id: id, p_amount: 5 })
    // Its own charge differs from the one that the id has, so it is refused and not answered.
    expect(await refusal(settle(userId, id, '3'), 'IDEMPOTENCY_MISMATCH')).toEqual({ id })
    await release(userId, id)
    expect(await balanceOf(database, userId)).toMatchObject({ available: '51', reserved: '0' })
  })

  it('refunds once; twenty full refunds under twenty keys return the charge once', async () => {
    const userId = await userWith(database, 50)
    const id = await spend(database, userId, 8)
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => refund(userId, id)))
    expect(granted(results)).toBe(1)
    expect(reasons(results)).toEqual(['REFUND_EXCEEDS_ORIGINAL'])
    expect((await balanceOf(database, userId)).available).toBe('50')
  })
})

describe('first use by fifty callers', () => {
  afterEach(() => assertInvariants(database.admin))

  it('opens one account with one signup grant when the trigger missed it', async () => {
    const userId = uuid()
    await database.admin.query('alter table auth.users disable trigger zz_credits_user_created')
    await database.admin.query('insert into auth.users (id, email, email_confirmed_at) values ($1, $2, now())', [
      userId,
      `${userId}@example.test`,
    ])
    await database.admin.query('alter table auth.users enable trigger zz_credits_user_created')
    const calls = Array.from({ length: 50 }, () => unlessBusy(reserveOne(database, userId)))
    expect(granted(await Promise.allSettled(calls))).toBe(50)
    expect(await balanceOf(database, userId)).toMatchObject({ planCredits: '50', reserved: '50', version: 1 })
  })
})

describe('a locked account', () => {
  it('refuses its own callers within a second and never delays another account', async () => {
    const [locked, other] = [await userWith(database, 5), await userWith(database, 5)]
    const blocker = await database.admin.connect()
    try {
      await blocker.query('begin')
      await blocker.query('select from public.credit_balances where account_id = $1 for update', [locked])
      const started = performance.now()
      const waiting = Promise.allSettled(Array.from({ length: 20 }, () => reserveOne(database, locked)()))
      await reserve(database, other, 1)
      expect(performance.now() - started).toBeLessThan(1000)
      expect(granted(await waiting)).toBe(0)
      expect(performance.now() - started).toBeLessThan(4000)
    } finally {
      await blocker.query('rollback')
      blocker.release()
    }
    await reserve(database, locked, 5)
    await assertInvariants(database.admin)
  })
})

describe('eight workers mixing every operation over three accounts', () => {
  it('meet no deadlock and break no invariant', async () => {
    const users = await Promise.all([userWith(database, 50), userWith(database, 50), userWith(database, 50)])
    const seen = new Set<string>()
    const worker = async (seed: number) => {
      let state = seed
      // A small generator, so that a failing run can be repeated.
      const random = (below: number) => {
        state = (state * 1103515245 + 12345) % 2147483648
        return Math.floor((state / 2147483648) * below)
      }
      const open: { userId: string; id: string }[] = []
      for (let step = 0; step < 60; step += 1) {
        const userId = users[random(users.length)] as string
        const chosen = open.length ? open[random(open.length)] : undefined
        const owner = chosen?.userId ?? userId
        const named = { p_account_id: owner, p_reservation_id: chosen?.id ?? uuid() }
        const amount = 1 + random(5)
        const charge = { amount: `${amount}.25`, ...(step % 2 ? { costUsd: '0.01' } : {}) }
        const steps = [
          async () => open.push({ userId, id: await reserve(database, userId, amount, { p_ttl_seconds: 1 }) }),
          () => run('extend', { ...named, p_extension_id: uuid(), p_amount: 1 }),
          () => run('capture', { ...named, p_capture_id: uuid(), p_charge: charge, p_extend_amount: 1 }),
          () => run('settle', { ...named, p_charge: charge }),
          () => run('settle', { ...named, p_charge: charge, p_create_missing: true }),
          () => run('release', named),
          () => grant(userId, 2, { p_source: 'promo', p_expires_in_seconds: 1 }),
          () => run('adjust', { p_account_id: userId, p_transaction_id: uuid(), p_amount: -1, p_reason: 'mix' }),
          () => balanceOf(database, userId),
          () => call(database.service, 'credits_expire_due'),
        ]
        await (steps[random(steps.length)] as () => Promise<unknown>)().catch((error: pg.DatabaseError) => {
          seen.add(error.code?.startsWith('PT') ? error.message : `${error.code} ${error.message}`)
        })
      }
    }
    await Promise.all(Array.from({ length: 8 }, (_, index) => worker(index + 1)))
    const expected = /^(INSUFFICIENT_CREDITS|IDEMPOTENCY_MISMATCH|RESERVATION_(CLOSED|NOT_FOUND))$/
    expect([...seen].filter((code) => !expected.test(code))).toEqual([])
    await assertInvariants(database.admin)
  })
})
