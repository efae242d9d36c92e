import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  balanceOf,
  call,
  closeStack,
  type Ground,
  type Json,
  letTimePass,
  openGround,
  reserve,
  userWith,
} from './ground.ts'
import { assertInvariants } from './invariants.ts'

let ground: Ground

beforeAll(async () => {
  ground = await openGround()
})
afterAll(async () => {
  await ground.close()
  await closeStack()
})

interface Fault {
  accountId: string
  fault: string
  version?: number
}

interface TransactionPage {
  transactions: number
  faults: Fault[]
  next: { accountId: string; version: number } | null
}

/** What `credits verify` sees. */
async function faults(): Promise<Fault[]> {
  const { rows } = await ground.admin.query<{ faults: Fault[] }>(
    `select (public.credits_verify_transactions() -> 'faults') || (public.credits_verify_accounts() -> 'faults') as faults`,
  )
  return (rows[0] as { faults: Fault[] }).faults
}

/** Runs a statement as only a superuser can: past the triggers that keep the ledger append-only. */
async function withoutTriggers(sql: string, values: unknown[]): Promise<void> {
  const client = await ground.admin.connect()
  try {
    await client.query('begin; set local session_replication_role = replica')
    await client.query(sql, values)
    await client.query('commit')
  } finally {
    client.release()
  }
}

describe('tampering by somebody who owns the database', () => {
  let userId: string

  beforeEach(async () => {
    userId = await userWith(ground, 50)
    for (const amount of ['3', '4.5', '2', '1']) {
      const p_charge = {
        amount,
        costUsd: '0.01',
        marginPercent: '60',
        usage: { inputTokens: 7 },
        generationId: 'gen_1',
      }
      await call(ground.service, 'credits_settle', { p_reservation_id: await reserve(ground, userId, 5), p_charge })
    }
    expect(await faults()).toEqual([])
  })

  // Triggers are off, as only the owner of the tables can have it; `row` is the third of five transactions.
  const row = 'where account_id = $1 and version = 3'
  const TAMPERING: [what: string, sql: string, fault: string][] = [
    ['an amount', `update public.credit_transactions set amount = amount + 1 ${row}`, 'balance'],
    [
      'an amount and all balances after it',
      `update public.credit_transactions set amount = amount + (version = 3)::int, balance_after = balance_after + 1 where account_id = $1 and version >= 3`,
      'hash',
    ],
    ['a model', `update public.credit_transactions set model = 'x' ${row}`, 'hash'],
    [
      'a time',
      `update public.credit_transactions set created_at = created_at - interval '1 microsecond' ${row}`,
      'hash',
    ],
    ['a sign', `update public.credit_transactions set type = 'grant' ${row}`, 'sign'],
    ['metadata', `update public.credit_transactions set metadata = '{"x": 1}' ${row}`, 'hash'],
    ['which lots', `update public.credit_transactions set lots = '[]' ${row}`, 'hash'],
    ['an id', `update public.credit_transactions set id = gen_random_uuid() ${row}`, 'hash'],
    ['a cost', `update public.credit_transaction_costs set charge = charge || '{"costUsd": "0"}' ${row}`, 'hash'],
    [
      'a margin',
      `update public.credit_transaction_costs set charge = charge || '{"marginPercent": null}' ${row}`,
      'hash',
    ],
    ['usage', `update public.credit_transaction_costs set charge = charge || '{"usage": {}}' ${row}`, 'hash'],
    ['who acted', `update public.credit_transaction_costs set actor_id = gen_random_uuid() ${row}`, 'hash'],
    ['a cost row that goes', `delete from public.credit_transaction_costs ${row}`, 'hash'],
    [
      'a cost row that comes',
      `insert into public.credit_transaction_costs (account_id, version) values ($1, 9)`,
      'stray_cost',
    ],
    ['a row that goes', `delete from public.credit_transactions ${row}`, 'version_gap'],
    [
      'the last row that goes',
      `delete from public.credit_transactions where account_id = $1 and version = 5`,
      'version',
    ],
    [
      'two rows swapped',
      `update public.credit_transactions set version = case version when 3 then -4 else -3 end where account_id = $1 and version in (3, 4); update public.credit_transactions set version = -version where account_id = $1 and version < 0`,
      'hash',
    ],
    ['a balance', `update public.credit_balances set plan_credits = plan_credits + 1 where account_id = $1`, 'sum'],
    ['a reservation', `update public.credit_balances set reserved = reserved + 1 where account_id = $1`, 'reserved'],
    [
      'the current lot',
      `update public.credit_balances set current_lot_remaining = current_lot_remaining + 1 where account_id = $1`,
      'plan_lots',
    ],
    ['the head of the chain', `update public.credit_balances set chain_hash = '\\x00' where account_id = $1`, 'chain'],
    [
      'an account that goes',
      `alter table public.credit_lots drop constraint if exists credit_lots_account_id_fkey; delete from public.credit_balances where account_id = $1`,
      'no_account',
    ],
    [
      'a number',
      `alter domain credits_private.amount drop constraint amount_check; update public.credit_transactions set uncollected = 'NaN' ${row}`,
      'not_a_number',
    ],
  ]

  it.each(TAMPERING)('with %s is found, with the account and the fault by name', async (_what, sql, fault) => {
    const client = await ground.admin.connect()
    try {
      await client.query('begin')
      await client.query('set local session_replication_role = replica')
      for (const statement of sql.replaceAll('$1', `'${userId}'`).split(';')) await client.query(statement)
      const { rows } = await client.query<{ faults: Fault[] }>(
        `select (public.credits_verify_transactions() -> 'faults') || (public.credits_verify_accounts() -> 'faults') as faults`,
      )
      const found = (rows[0] as { faults: Fault[] }).faults
      expect(new Set(found.map((one) => one.accountId))).toEqual(new Set([userId]))
      expect(found.map((one) => one.fault)).toContain(fault)
    } finally {
      await client.query('rollback')
      client.release()
    }
  })
})

describe('verify', () => {
  it('gives the same answer page by page, whatever the size of a page', async () => {
    const whole = await call<{ transactions: number }>(ground.admin, 'credits_verify_transactions', { p_limit: 100000 })
    for (const p_limit of [1, 2, 7]) {
      let seen = 0
      let from: TransactionPage['next'] = null
      do {
        const at: TransactionPage['next'] = from
        const page: TransactionPage = await call(ground.admin, 'credits_verify_transactions', {
          p_after_account: at?.accountId ?? null,
          p_after_version: at?.version ?? null,
          p_limit,
        })
        expect(page.faults).toEqual([])
        seen += page.transactions
        from = page.next
      } while (from !== null)
      expect(seen, `pages of ${p_limit}`).toBe(whole.transactions)
    }
  })
})

describe('history', () => {
  it('is paged by version: every row once, in order, while others write', async () => {
    const userId = await userWith(ground, 50)
    for (let count = 0; count < 25; count += 1) {
      await call(ground.service, 'credits_settle', {
        p_reservation_id: await reserve(ground, userId, 1),
        p_charge: { amount: '0.5' },
      })
    }
    const seen: number[] = []
    let before: number | null = null
    do {
      const page: { data: { version: number }[]; nextBefore: number | null } = await call(
        ground.service,
        'credits_get_history',
        { p_user_id: userId, p_limit: 4, p_before: before },
      )
      seen.push(...page.data.map((row) => row.version))
      before = page.nextBefore
      await call(ground.service, 'credits_settle', {
        p_reservation_id: await reserve(ground, userId, 0.1),
        p_charge: { amount: '0.1' },
      })
    } while (before !== null)
    expect(seen).toEqual(Array.from({ length: 26 }, (_, index) => 26 - index))
  })

  it('reads one page, not all of a user: the primary key backwards, without a sort', async () => {
    const userId = await userWith(ground, 50)
    await withoutTriggers(
      `insert into public.credit_transactions (account_id, version, id, user_id, type, amount, balance_after, created_at, hash)
       select $1, n, gen_random_uuid(), $1, 'usage', 0, 50, now(), '' from generate_series(100, 20000) n`,
      [userId],
    )
    const client = await ground.admin.connect()
    try {
      // The function's own planner settings and query text, so that the test fails when either is changed.
      const { rows } = await client.query<{ src: string; config: string[] }>(
        `select prosrc as src, proconfig as config from pg_proc where proname = 'credits_get_history'`,
      )
      const { src, config } = rows[0] as { src: string; config: string[] }
      await client.query('begin')
      for (const setting of config) if (!setting.startsWith('search_path')) await client.query(`set local ${setting}`)
      const query = /from \(\s*(select x\.\*, row_number[\s\S]*?limit p_limit \+ 1)\s*\) t\)/.exec(src)?.[1] as string
      const sql = query
        .replaceAll('p_user_id', `'${userId}'::uuid`)
        .replaceAll('p_limit', '20')
        .replaceAll('p_before', 'null::bigint')
        .replaceAll('p_type', 'null::text')
        .replaceAll('p_from', 'null::timestamptz')
        .replaceAll('p_to', 'null::timestamptz')
      for (const analyze of ['', 'analyze public.credit_transactions']) {
        if (analyze) await client.query(analyze)
        const plan = await client.query<{ 'QUERY PLAN': string }>(
          `explain (analyze, buffers, costs off, timing off) ${sql}`,
        )
        const text = plan.rows.map((line) => line['QUERY PLAN']).join('\n')
        expect(text).toMatch(/Index Scan Backward using credit_transactions_pkey/)
        expect(text).not.toMatch(/Bitmap|Sort/)
        expect(Number(/shared hit=(\d+)/.exec(text)?.[1])).toBeLessThan(60)
      }
    } finally {
      await client.query('rollback')
      client.release()
    }
    await withoutTriggers('delete from public.credit_transactions where account_id = $1 and version >= 100', [userId])
  })
})

describe('a session that planned its statements while the tables were empty', () => {
  it('finds every row by its key once they have grown and been looked through', async () => {
    const copy = await openGround()
    const client = await copy.service.connect()
    const run = async (userId: string) => {
      const [id, other] = [crypto.randomUUID(), crypto.randomUUID()]
      await client.query('select public.credits_reserve($1, $2, 1)', [id, userId])
      await client.query('select public.credits_extend($1, $2, 1)', [id, crypto.randomUUID()])
      await client.query(`select public.credits_capture($1, $2, '{"amount": "0.1"}')`, [id, crypto.randomUUID()])
      await client.query(`select public.credits_settle($1, '{"amount": "0.1"}')`, [id])
      await client.query('select public.credits_reserve($1, $2, 1)', [other, userId])
      await client.query('select public.credits_release($1)', [other])
    }
    const scans = async () => {
      await client.query('select pg_stat_force_next_flush()')
      const { rows } = await copy.admin.query<{ relname: string; n: number }>(
        `select relname, seq_scan::int as n from pg_stat_user_tables
         where relname in ('credit_balances', 'credit_reservations', 'credit_transactions', 'credit_transaction_costs', 'credit_lots')`,
      )
      return Object.fromEntries(rows.map(({ relname, n }) => [relname, n]))
    }
    try {
      const userId = await userWith(copy, 50)
      await copy.admin.query('vacuum analyze')
      for (let count = 0; count < 8; count += 1) await run(userId)
      await copy.admin.query(
        `insert into auth.users (id, email) select gen_random_uuid(), n || '@example.test' from generate_series(1, 3000) n`,
      )
      await copy.admin.query(
        `insert into public.credit_reservations (id, account_id, user_id, state, held, requested, minimum, expires_at)
         select gen_random_uuid(), account_id, account_id, 'released', 0, 1, 1, now() from public.credit_balances`,
      )
      // As autovacuum does by itself.
      await copy.admin.query('analyze')
      await run(userId)
      const before = await scans()
      for (let count = 0; count < 8; count += 1) await run(userId)
      expect(await scans()).toEqual(before)
    } finally {
      client.release()
      await copy.close()
    }
  })
})

describe('expiry without anything scheduled', () => {
  it('reads only the reservations that expired since the last look, however many were closed before', async () => {
    const userId = await userWith(ground, 50)
    for (let count = 0; count < 300; count += 1) {
      await call(ground.service, 'credits_release', { p_reservation_id: await reserve(ground, userId, 1) })
    }
    await letTimePass(ground, userId, '10 minutes')
    const id = await reserve(ground, userId, 50)
    await letTimePass(ground, userId, '10 minutes')
    expect(await balanceOf(ground, userId)).toMatchObject({ reserved: '0', available: '50' })
    expect(await call(ground.service, 'credits_get_reservation', { p_reservation_id: id })).toMatchObject({
      state: 'expired',
    })
    // Three hundred closed ones still to come: the next look is set no later than the two-hundredth of them.
    for (let count = 0; count < 300; count += 1) {
      await call(ground.service, 'credits_release', { p_reservation_id: await reserve(ground, userId, 1) })
    }
    await reserve(ground, userId, 1, { p_ttl_seconds: 2 })
    await letTimePass(ground, userId, '1 minute')
    expect(await balanceOf(ground, userId)).toMatchObject({ reserved: '0', available: '50' })
    await assertInvariants(ground.admin)
  })

  it('is tidied up for accounts nobody touches, by a function that skips what is locked', async () => {
    const [one, two] = [await userWith(ground, 50), await userWith(ground, 50)]
    for (const userId of [one, two]) {
      await reserve(ground, userId, 10)
      await letTimePass(ground, userId, '10 minutes')
    }
    const blocker = await ground.admin.connect()
    await blocker.query('begin')
    await blocker.query('select from public.credit_balances where account_id = $1 for update', [one])
    const started = performance.now()
    expect(await call(ground.service, 'credits_expire_due')).toMatchObject({
      reservationsExpired: 1,
      accountsTouched: 1,
    })
    expect(performance.now() - started).toBeLessThan(1000)
    await blocker.query('rollback')
    blocker.release()
    expect(await call<Json>(ground.service, 'credits_reconcile', { p_apply: true })).toMatchObject({
      accountsDue: 1,
      swept: { reservationsExpired: 1 },
    })
    expect(await call<Json>(ground.service, 'credits_reconcile')).toMatchObject({ accountsDue: 0 })
    await assertInvariants(ground.admin)
  })

  it('leaves a reservation that somebody is closing to them, and frees it at the next look if they give up', async () => {
    const userId = await userWith(ground, 50)
    const [held, free] = [await reserve(ground, userId, 20), await reserve(ground, userId, 5)]
    await letTimePass(ground, userId, '10 minutes')
    const closer = await ground.admin.connect()
    await closer.query('begin')
    await closer.query('select from public.credit_reservations where id = $1 for update', [held])
    const started = performance.now()
    expect(await balanceOf(ground, userId)).toMatchObject({ reserved: '20', available: '30' })
    expect(performance.now() - started).toBeLessThan(500)
    expect(await call(ground.service, 'credits_get_reservation', { p_reservation_id: free })).toMatchObject({
      state: 'expired',
    })
    await closer.query('rollback')
    closer.release()
    expect(await balanceOf(ground, userId)).toMatchObject({ reserved: '0', available: '50' })
    await assertInvariants(ground.admin)
  })

  it('finds a reservation that was made while the clock stood wrong', async () => {
    const userId = await userWith(ground, 50)
    await balanceOf(ground, userId)
    // The clock was days ahead when the account was last looked at.
    await ground.admin.query(
      `update public.credit_balances set swept_until = now() + interval '3 days' where account_id = $1`,
      [userId],
    )
    await reserve(ground, userId, 10)
    await letTimePass(ground, userId, '10 minutes')
    expect(await balanceOf(ground, userId)).toMatchObject({ reserved: '0', available: '50' })
  })
})
