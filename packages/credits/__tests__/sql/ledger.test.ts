import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createTestDatabase, stopDatabases, type TestDatabase } from '../kit/database.ts'
import { call, reserve, spend, userWith } from '../kit/functions.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(async () => {
  await database.close()
  await stopDatabases()
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
  const { rows } = await database.admin.query<{ faults: Fault[] }>(
    `select (public.credits_verify_transactions() -> 'faults') ||
         (public.credits_verify_accounts() -> 'faults') as faults`,
  )
  return (rows[0] as { faults: Fault[] }).faults
}

/** Runs a statement without the triggers that keep the ledger append-only, as only a superuser can. */
async function withoutTriggers(sql: string, values: unknown[]): Promise<void> {
  const client = await database.admin.connect()
  try {
    await client.query('begin; set local session_replication_role = replica')
    await client.query(sql, values)
    await client.query('commit')
  } finally {
    client.release()
  }
}

describe('tampering by the owner of the database', () => {
  let userId: string

  beforeEach(async () => {
    userId = await userWith(database, 50)
    for (const amount of ['3', '4.5', '2', '1']) {
      const p_charge = {
        amount,
        costUsd: '0.01',
        marginPercent: '60',
        usage: { inputTokens: 7 },
        generationId: 'gen_1',
      }
      const p_reservation_id = await reserve(database, userId, 5)
      await call(database.service, 'credits_settle', { p_account_id: userId, p_reservation_id, p_charge })
    }
    expect(await faults()).toEqual([])
  })

  // Triggers are off, which only the owner of the tables can do. `row` is the third of five transactions.
  const row = 'where account_id = $1 and version = 3'
  const TAMPERING: [what: string, sql: string, fault: string][] = [
    ['an amount', `update public.credit_transactions set amount = amount + 1 ${row}`, 'balance'],
    [
      'an amount and all balances after it',
      `update public.credit_transactions
       set amount = amount + (version = 3)::int, balance_after = balance_after + 1
       where account_id = $1 and version >= 3`,
      'hash',
    ],
    ['a model', `update public.credit_transactions set model = 'x' ${row}`, 'hash'],
    [
      'a time',
      `update public.credit_transactions set created_at = created_at - interval '1 microsecond' ${row}`,
      'hash',
    ],
    ['a sign', `update public.credit_transactions set type = 'grant' ${row}`, 'sign'],
    ['metadata', `update public.credit_transactions set metadata = '{"x": 1}' ${row}`, 'text'],
    ['the hash of the text', `update public.credit_transactions set text_hash = '\\x00' ${row}`, 'hash'],
    ['a reason', `update public.credit_transaction_costs set reason = 'x' ${row}`, 'text'],
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
      `update public.credit_transactions set version = case version when 3 then -4 else -3 end
       where account_id = $1 and version in (3, 4);
       update public.credit_transactions set version = -version where account_id = $1 and version < 0`,
      'hash',
    ],
    ['a balance', `update public.credit_balances set plan_credits = plan_credits + 1 where account_id = $1`, 'sum'],
    ['a reservation', `update public.credit_balances set reserved = reserved + 1 where account_id = $1`, 'reserved'],
    ['a lot', `update public.credit_lots set remaining = remaining - 1 where account_id = $1`, 'plan_lots'],
    ['the head of the chain', `update public.credit_balances set chain_hash = '\\x00' where account_id = $1`, 'chain'],
    [
      'an account that goes',
      `alter table public.credit_lots drop constraint if exists credit_lots_account_id_fkey;
       delete from public.credit_balances where account_id = $1`,
      'no_account',
    ],
    [
      'a number',
      `alter domain credits_private.amount drop constraint amount_check;
       update public.credit_transactions set uncollected = 'NaN' ${row}`,
      'not_a_number',
    ],
  ]

  it.each(TAMPERING)(
    'verify finds tampering with %s and names the account and the fault',
    async (_what, sql, fault) => {
      const client = await database.admin.connect()
      try {
        await client.query('begin')
        await client.query('set local session_replication_role = replica')
        for (const statement of sql.replaceAll('$1', `'${userId}'`).split(';')) await client.query(statement)
        const { rows } = await client.query<{ faults: Fault[] }>(
          `select (public.credits_verify_transactions() -> 'faults') ||
         (public.credits_verify_accounts() -> 'faults') as faults`,
        )
        const found = (rows[0] as { faults: Fault[] }).faults
        expect(new Set(found.map((one) => one.accountId))).toEqual(new Set([userId]))
        expect(found.map((one) => one.fault)).toContain(fault)
      } finally {
        await client.query('rollback')
        client.release()
      }
    },
  )
})

describe('verify', () => {
  it('verify gives the same answer page by page for every size of a page', async () => {
    const whole = await call<{ transactions: number }>(database.admin, 'credits_verify_transactions', {
      p_limit: 100000,
    })
    for (const p_limit of [1, 2, 7]) {
      let seen = 0
      let from: TransactionPage['next'] = null
      do {
        const at: TransactionPage['next'] = from
        const page: TransactionPage = await call(database.admin, 'credits_verify_transactions', {
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
  it('the history is paged by version, each row once and in order, during other writes', async () => {
    const userId = await userWith(database, 50)
    for (let count = 0; count < 25; count += 1) {
      await spend(database, userId, 0.5)
    }
    const seen: number[] = []
    let before: number | null = null
    do {
      const page: { data: { version: number }[]; nextBefore: number | null } = await call(
        database.service,
        'credits_get_history',
        { p_account_id: userId, p_limit: 4, p_before: before },
      )
      seen.push(...page.data.map((row) => row.version))
      before = page.nextBefore
      await spend(database, userId, 0.1)
    } while (before !== null)
    expect(seen).toEqual(Array.from({ length: 26 }, (_, index) => 26 - index))
  })

  it('a page of the history is read along the primary key without a sort, however long the history is', async () => {
    const userId = await userWith(database, 50)
    await withoutTriggers(
      `insert into public.credit_transactions
         (account_id, version, id, user_id, type, amount, balance_after, text_hash, created_at, hash)
       select $1, n, gen_random_uuid(), $1, 'usage', 0, 50, '', now(), '' from generate_series(100, 20000) n`,
      [userId],
    )
    const client = await database.admin.connect()
    try {
      // The function's own planner settings and query text, so that the test fails when either is changed.
      const { rows } = await client.query<{ src: string; config: string[] }>(
        `select prosrc as src, proconfig as config from pg_proc where proname = 'history_page'`,
      )
      const { src, config } = rows[0] as { src: string; config: string[] }
      await client.query('begin')
      for (const setting of config) if (!setting.startsWith('search_path')) await client.query(`set local ${setting}`)
      const query = /from \(\s*(select entry from[\s\S]*?limit p_limit \+ 1)\) page/.exec(src)?.[1] as string
      const sql = query
        .replaceAll('p_account_id', `'${userId}'::uuid`)
        .replaceAll('p_limit', '20')
        .replaceAll('p_first_version', '1::bigint')
        .replaceAll('p_end_version', '9223372036854775807')
        .replaceAll('p_type', 'null::text')
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
  it('a session that planned its statements on empty tables finds every row by its key in large ones', async () => {
    const copy = await createTestDatabase()
    const client = await copy.service.connect()
    const run = async (userId: string) => {
      const [id, other] = [crypto.randomUUID(), crypto.randomUUID()]
      const third = crypto.randomUUID()
      await client.query('select public.credits_reserve($1, $2, 1)', [userId, id])
      await client.query('select public.credits_extend($1, $2, $3, 1)', [userId, id, third])
      await client.query(`select public.credits_capture($1, $2, $3, '{"amount": "0.1"}')`, [userId, id, third])
      await client.query(`select public.credits_settle($1, $2, '{"amount": "0.1"}')`, [userId, id])
      await client.query('select public.credits_reserve($1, $2, 1)', [userId, other])
      await client.query('select public.credits_release($1, $2)', [userId, other])
    }
    const scans = async () => {
      await client.query('select pg_stat_force_next_flush()')
      const { rows } = await copy.admin.query<{ relname: string; n: number }>(
        `select relname, seq_scan::int as n from pg_stat_user_tables
         where relname in ('credit_balances', 'credit_reservations', 'credit_transactions',
                           'credit_transaction_costs', 'credit_lots')`,
      )
      return Object.fromEntries(rows.map(({ relname, n }) => [relname, n]))
    }
    try {
      const userId = await userWith(copy, 50)
      await copy.admin.query('vacuum analyze')
      for (let count = 0; count < 8; count += 1) await run(userId)
      // 3,000 accounts, each with a lot, a transaction and a closed reservation. The triggers would take half a minute.
      await copy.admin.query(
        `begin; set local session_replication_role = replica;
         insert into public.credit_balances (account_id, plan_id)
         select gen_random_uuid(), 'free' from generate_series(1, 3000);
         insert into public.credit_lots
           (account_id, id, bucket, source, priority, amount, remaining, transaction_id, version)
         select account_id, gen_random_uuid(), 'plan', 'plan', 100, 1, 1, account_id, 1 from public.credit_balances;
         insert into public.credit_transactions
           (account_id, version, id, user_id, type, amount, balance_after, text_hash, created_at, hash)
         select account_id, 1000, account_id, account_id, 'grant', 1, 1, '', now(), '' from public.credit_balances;
         insert into public.credit_transaction_costs (account_id, version)
         select account_id, 1000 from public.credit_balances;
         insert into public.credit_reservations
           (id, account_id, user_id, state, reserved, requested, minimum, expires_at)
         select gen_random_uuid(), account_id, account_id, 'released', 0, 1, 1, now() from public.credit_balances;
         commit`,
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
