import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { balanceOf, call, closeStack, type Ground, openGround, refusal, reserve, userWith } from './ground.ts'
import { assertInvariants } from './invariants.ts'

let ground: Ground
let tables: string[]

beforeAll(async () => {
  ground = await openGround()
  const { rows } = await ground.admin.query<{ name: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname in ('public', 'credits_private') and c.relkind = 'r' order by 1`,
  )
  tables = rows.map((row) => row.name)
})
afterAll(async () => {
  await ground.close()
  await closeStack()
})

/**
 * Again when a lock was not to be had in time: nothing has happened then, and every caller is told so. Fifty fresh
 * connections that prepare their statements one after the other, under the account's lock, may need that long.
 */
async function unlessBusy<Result>(run: () => Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      return await run()
    } catch (error) {
      if ((error as pg.DatabaseError).code !== '55P03') throw error
    }
  }
}

/** Holds every writer of a table back. Reads and row locks pass, so whoever checks first and writes later is caught. */
const writersOf = (table: string) => `lock table ${table} in share mode`

/** Holds everybody back who writes this account's row, with what they have read before. */
const writersOfAccount = (userId: string) =>
  `select from public.credit_balances where account_id = '${userId}' for update`

/** Runs the calls against a lock until all have come as far as they can, then lets them go at once. */
async function behindBarrier<Result>(on: Ground, lock: string, calls: (() => Promise<Result>)[]) {
  const barrier = await on.admin.connect()
  try {
    await barrier.query(`begin; ${lock}`)
    const running = Promise.allSettled(calls.map((run) => unlessBusy(run)))
    await untilWaiting(on, calls.length)
    await barrier.query('commit')
    return await running
  } finally {
    barrier.release()
  }
}

/** Until every caller waits for a lock, but below half of the functions' lock_timeout, which would hide the fault. */
async function untilWaiting(on: Ground, callers: number) {
  const end = Date.now() + 200
  while (Date.now() < end) {
    const { rows } = await on.admin.query(
      `select count(*)::int as waiting from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    )
    if (rows[0].waiting >= callers) return
    await sleep(10)
  }
}

const reserveOne = (on: Ground, userId: string) => () =>
  call(on.service, 'credits_reserve', { p_reservation_id: crypto.randomUUID(), p_user_id: userId, p_amount: 1 })

const granted = (results: PromiseSettledResult<unknown>[]) => results.filter((one) => one.status === 'fulfilled').length

const reasons = (results: PromiseSettledResult<unknown>[]) => [
  ...new Set(results.flatMap((one) => (one.status === 'rejected' ? [(one.reason as pg.DatabaseError).message] : []))),
]

/** A copy of the schema in which one function has a fault. */
async function withFault(signature: string, from: string | RegExp, to: string): Promise<Ground> {
  const copy = await openGround()
  const { rows } = await copy.admin.query<{ text: string }>('select pg_get_functiondef($1::regprocedure) as text', [
    signature,
  ])
  const text = (rows[0] as { text: string }).text
  const faulty = text.replace(from, to)
  expect(faulty, 'the fault was built in').not.toBe(text)
  await copy.admin.query(faulty)
  return copy
}

const SETTLE = 'public.credits_settle(uuid,jsonb,uuid)'
const RESERVE = 'public.credits_reserve(uuid,uuid,numeric,numeric,integer,text,text,uuid,uuid,jsonb)'

describe('fifty reserves of 1 on a balance of 5', () => {
  afterEach(() => assertInvariants(ground.admin))

  it('grant exactly five, wherever the writers are held back', async () => {
    const locks = [...tables.map((table) => () => writersOf(table)), writersOfAccount]
    for (const lockFor of locks) {
      const userId = await userWith(ground, 5)
      const lock = lockFor(userId)
      const results = await behindBarrier(
        ground,
        lock,
        Array.from({ length: 50 }, () => reserveOne(ground, userId)),
      )
      expect(granted(results), lock).toBe(5)
      expect(reasons(results), lock).toEqual(['INSUFFICIENT_CREDITS'])
      expect((await balanceOf(ground, userId)).reserved).toBe('5')
    }
  })

  it('grant more than five on a copy that checks before it writes: the barrier sees the fault', async () => {
    const copy = await withFault(
      RESERVE,
      /a\.plan_credits \+ a\.add_on_credits - a\.debt \+ a\.overage_limit - a\.reserved >= p_amount/,
      `(select x.plan_credits + x.add_on_credits - x.debt + x.overage_limit - x.reserved
        from public.credit_balances x where x.account_id = p_user_id) >= p_amount`,
    )
    try {
      const userId = await userWith(copy, 5)
      const calls = Array.from({ length: 50 }, () => reserveOne(copy, userId))
      expect(granted(await behindBarrier(copy, writersOfAccount(userId), calls))).toBeGreaterThan(5)
      await expect(assertInvariants(copy.admin)).rejects.toThrow()
    } finally {
      await copy.close()
    }
  })
})

describe('closing reservations of one account at once', () => {
  const releases = async (on: Ground, userId: string) => {
    const ids: string[] = []
    for (let count = 0; count < 20; count += 1) ids.push(await reserve(on, userId, 1))
    return ids.map((id) => () => call(on.service, 'credits_release', { p_reservation_id: id }))
  }

  it('frees every one of them', async () => {
    for (const table of ['public.credit_balances', 'public.credit_reservations']) {
      const userId = await userWith(ground, 50)
      expect(granted(await behindBarrier(ground, writersOf(table), await releases(ground, userId)))).toBe(20)
      expect((await balanceOf(ground, userId)).reserved).toBe('0')
    }
    await assertInvariants(ground.admin)
  })

  it('loses some on a copy that does not lock the account: the barrier sees the fault', async () => {
    const copy = await withFault('credits_private.lock_account(uuid)', /for update/, '')
    try {
      const userId = await userWith(copy, 50)
      await behindBarrier(copy, writersOf('public.credit_balances'), await releases(copy, userId))
      await expect(assertInvariants(copy.admin)).rejects.toThrow()
    } finally {
      await copy.close()
    }
  })
})

describe('settling reservations of one account at once', () => {
  // With a cost the charge takes the fast path of settle, without one the general path.
  const settles = async (on: Ground, userId: string) => {
    const ids: string[] = []
    for (let count = 0; count < 20; count += 1) ids.push(await reserve(on, userId, 1))
    return ids.map((id) => () => settle(on, id, { amount: '0.5', costUsd: '0.001' }))
  }
  const settle = (on: Ground, id: string, charge: object) =>
    call(on.service, 'credits_settle', { p_reservation_id: id, p_charge: charge })

  it('charges every one of them once, by both paths', async () => {
    for (const table of ['credit_balances', 'credit_reservations', 'credit_transactions'].map(
      (name) => `public.${name}`,
    )) {
      const userId = await userWith(ground, 50)
      const once = await settles(ground, userId)
      const ids = [await reserve(ground, userId, 1), await reserve(ground, userId, 1)]
      const general = ids.map((id) => () => settle(ground, id, { amount: '0.5' }))
      const results = await behindBarrier(ground, writersOf(table), [...once, ...once, ...general, ...general])
      expect(reasons(results), table).toEqual([])
      expect(await balanceOf(ground, userId), table).toMatchObject({ available: '39', reserved: '0' })
    }
    await assertInvariants(ground.admin)
  })

  it('fails on a copy whose settle reads the account before it writes it: the barrier sees the fault', async () => {
    const copy = await withFault(
      SETTLE,
      /version = a\.version \+ 1/,
      'version = (select x.version from public.credit_balances x where x.account_id = v_account_id) + 1',
    )
    try {
      const userId = await userWith(copy, 50)
      const calls = await settles(copy, userId)
      const results = await behindBarrier(copy, writersOfAccount(userId), calls)
      expect(granted(results)).toBeLessThan(20)
    } finally {
      await copy.close()
    }
  })

  it('settles twice on a copy that does not ask whether a reservation is open: the barrier sees the fault', async () => {
    const copy = await withFault(SETTLE, /and r\.state = 'active'/, '')
    try {
      const once = await settles(copy, await userWith(copy, 50))
      const results = await behindBarrier(copy, writersOf('public.credit_reservations'), [...once, ...once])
      expect(reasons(results)).toContain('IDEMPOTENCY_MISMATCH')
    } finally {
      await copy.close()
    }
  })
})

describe('two endings of one reservation', () => {
  afterEach(() => assertInvariants(ground.admin))

  const endings = {
    settle: (id: string) => () =>
      call(ground.service, 'credits_settle', { p_reservation_id: id, p_charge: { amount: '3', costUsd: '1' } }),
    'settle another amount': (id: string) => () =>
      call(ground.service, 'credits_settle', { p_reservation_id: id, p_charge: { amount: '4' } }),
    'settle nothing': (id: string) => () => call(ground.service, 'credits_settle', { p_reservation_id: id }),
    release: (id: string) => () => call(ground.service, 'credits_release', { p_reservation_id: id }),
  }

  it('have one winner, whose outcome all others get, for every pair of endings', async () => {
    for (const [first, one] of Object.entries(endings)) {
      for (const [second, two] of Object.entries(endings)) {
        const userId = await userWith(ground, 50)
        const id = await reserve(ground, userId, 10)
        const calls = Array.from({ length: 10 }, (_, index) => (index % 2 ? one(id) : two(id)))
        const results = await Promise.allSettled(calls.map((run) => run()))
        const pair = `${first}, ${second}`
        const done = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
        expect(done.filter((result) => result.replayed === false).length, pair).toBe(1)
        expect(new Set(done.map((result) => `${result.state} ${result.captured}`)).size, pair).toBe(1)
        // Only settle after release is refused instead of answered.
        expect(['', 'RESERVATION_CLOSED'], pair).toContain(reasons(results).join())
      }
    }
  })
})

describe('the same key from two hundred callers', () => {
  afterEach(() => assertInvariants(ground.admin))

  it('reserves once, and another amount under it is refused without an effect', async () => {
    const userId = await userWith(ground, 50)
    const p_reservation_id = crypto.randomUUID()
    const run = (p_amount: number) => () =>
      call(ground.service, 'credits_reserve', { p_reservation_id, p_user_id: userId, p_amount })
    const same = await Promise.all(Array.from({ length: 200 }, () => unlessBusy(run(10))))
    expect(same.filter((result) => result.replayed === false)).toHaveLength(1)
    const other = await Promise.allSettled(Array.from({ length: 200 }, () => unlessBusy(run(11))))
    expect(granted(other)).toBe(0)
    expect(reasons(other)).toEqual(['IDEMPOTENCY_MISMATCH'])
    expect(await balanceOf(ground, userId)).toMatchObject({ reserved: '10', available: '40' })
  })

  it('gives to one of two accounts, and the other is refused', async () => {
    const [one, two] = [await userWith(ground, 50), await userWith(ground, 50)]
    const p_transaction_id = crypto.randomUUID()
    const give = (userId: string) => () =>
      call(ground.service, 'credits_grant', {
        p_transaction_id,
        p_user_id: userId,
        p_amount: 5,
        p_source: 'promo',
        p_bucket: 'add-on',
      })
    const calls = Array.from({ length: 20 }, (_, index) => give(index % 2 ? one : two))
    const results = await behindBarrier(ground, writersOf('public.credit_transactions'), calls)
    expect(reasons(results)).toEqual(['IDEMPOTENCY_MISMATCH'])
    expect(granted(results)).toBe(10)
    const balances = [await balanceOf(ground, one), await balanceOf(ground, two)].map((each) => each.available)
    expect(balances.toSorted()).toEqual(['50', '55'])
  })

  it('never settles under an id that another transaction has, by either path', async () => {
    const userId = await userWith(ground, 50)
    for (const charge of [{ amount: '3' }, { amount: '3', costUsd: '1' }]) {
      const id = crypto.randomUUID()
      await call(ground.service, 'credits_adjust', {
        p_transaction_id: id,
        p_user_id: userId,
        p_amount: 1,
        p_reason: 'first',
      })
      await call(ground.service, 'credits_reserve', { p_reservation_id: id, p_user_id: userId, p_amount: 5 })
      const settling = call(ground.service, 'credits_settle', { p_reservation_id: id, p_charge: charge })
      expect(await refusal(settling, 'IDEMPOTENCY_MISMATCH')).toEqual({ id })
      await call(ground.service, 'credits_release', { p_reservation_id: id })
    }
    expect(await balanceOf(ground, userId)).toMatchObject({ available: '52', reserved: '0' })
  })

  it('refunds once, and twenty full refunds under twenty keys return the charge once', async () => {
    const userId = await userWith(ground, 50)
    const p_original_id = await reserve(ground, userId, 10)
    await call(ground.service, 'credits_settle', { p_reservation_id: p_original_id, p_charge: { amount: '8' } })
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, () =>
        call(ground.service, 'credits_refund', {
          p_transaction_id: crypto.randomUUID(),
          p_original_id,
          p_reason: 'late',
        }),
      ),
    )
    expect(granted(results)).toBe(1)
    expect(reasons(results)).toEqual(['REFUND_EXCEEDS_ORIGINAL'])
    expect((await balanceOf(ground, userId)).available).toBe('50')
  })
})

describe('first use by fifty callers', () => {
  afterEach(() => assertInvariants(ground.admin))

  it('opens one account with one signup grant when the trigger missed it', async () => {
    const userId = crypto.randomUUID()
    await ground.admin.query('alter table auth.users disable trigger credits_user_created')
    await ground.admin.query('insert into auth.users (id, email) values ($1, $2)', [userId, `${userId}@example.test`])
    await ground.admin.query('alter table auth.users enable trigger credits_user_created')
    const results = await Promise.allSettled(Array.from({ length: 50 }, () => reserveOne(ground, userId)()))
    expect(granted(results)).toBe(50)
    expect(await balanceOf(ground, userId)).toMatchObject({ planCredits: '50', reserved: '50', version: 1 })
  })
})

describe('a locked account', () => {
  it('refuses its own callers within a second and never delays another account', async () => {
    const [locked, other] = [await userWith(ground, 5), await userWith(ground, 5)]
    const blocker = await ground.admin.connect()
    try {
      await blocker.query('begin')
      await blocker.query('select from public.credit_balances where account_id = $1 for update', [locked])
      const started = performance.now()
      const waiting = Promise.allSettled(Array.from({ length: 20 }, () => reserveOne(ground, locked)()))
      await reserve(ground, other, 1)
      expect(performance.now() - started).toBeLessThan(1000)
      expect(granted(await waiting)).toBe(0)
      expect(performance.now() - started).toBeLessThan(4000)
    } finally {
      await blocker.query('rollback')
      blocker.release()
    }
    await reserve(ground, locked, 5)
    await assertInvariants(ground.admin)
  })
})

describe('eight workers mixing every operation over three accounts', () => {
  it('meet no deadlock and break no invariant', async () => {
    const users = await Promise.all([userWith(ground, 50), userWith(ground, 50), userWith(ground, 50)])
    const seen = new Set<string>()
    const worker = async (seed: number) => {
      let state = seed
      // A small generator, so that a failing run can be repeated.
      const random = (below: number) => {
        state = (state * 1103515245 + 12345) % 2147483648
        return Math.floor((state / 2147483648) * below)
      }
      const open: string[] = []
      for (let step = 0; step < 60; step += 1) {
        const userId = users[random(users.length)] as string
        const id = open.length ? (open[random(open.length)] as string) : crypto.randomUUID()
        const amount = 1 + random(5)
        const charge = { amount: `${amount}.25`, ...(step % 2 ? { costUsd: '0.01' } : {}) }
        const operations = [
          async () => open.push(await reserve(ground, userId, amount, { p_ttl_seconds: 1 })),
          () =>
            call(ground.service, 'credits_extend', {
              p_reservation_id: id,
              p_extension_id: crypto.randomUUID(),
              p_amount: 1,
            }),
          () =>
            call(ground.service, 'credits_capture', {
              p_reservation_id: id,
              p_capture_id: crypto.randomUUID(),
              p_charge: charge,
              p_extend_amount: 1,
            }),
          () => call(ground.service, 'credits_settle', { p_reservation_id: id, p_charge: charge }),
          () => call(ground.service, 'credits_release', { p_reservation_id: id }),
          () =>
            call(ground.service, 'credits_grant', {
              p_transaction_id: crypto.randomUUID(),
              p_user_id: userId,
              p_amount: 2,
              p_source: 'promo',
              p_bucket: 'add-on',
              p_expires_in_seconds: 1,
            }),
          () =>
            call(ground.service, 'credits_adjust', {
              p_transaction_id: crypto.randomUUID(),
              p_user_id: userId,
              p_amount: -1,
              p_reason: 'mix',
            }),
          () => call(ground.service, 'credits_get_balance', { p_user_id: userId }),
          () => call(ground.service, 'credits_expire_due'),
        ]
        await (operations[random(operations.length)] as () => Promise<unknown>)().catch((error: pg.DatabaseError) => {
          seen.add(error.code?.startsWith('PT') ? error.message : `${error.code} ${error.message}`)
        })
      }
    }
    await Promise.all(Array.from({ length: 8 }, (_, index) => worker(index + 1)))
    expect([...seen].filter((code) => !/^(INSUFFICIENT_CREDITS|RESERVATION_(CLOSED|NOT_FOUND))$/.test(code))).toEqual(
      [],
    )
    await assertInvariants(ground.admin)
  })
})
