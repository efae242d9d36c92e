import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { advance, createTestDatabase, signUp, stopDatabases, type TestDatabase, whileLocked } from '../kit/database.ts'
import {
  balanceOf,
  call,
  invalidPaths,
  type Json,
  ledgerOf,
  refusal,
  reserve,
  spend,
  userWith,
} from '../kit/functions.ts'
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

describe('reservations that expired without a settle', () => {
  const expired = async (args: Json = {}) =>
    (await run<{ data: Json[] }>('get_expired_reservations', { p_limit: 5000, ...args })).data

  it('are listed with what they kept back, until they are settled late', async () => {
    const userId = await userWith(database, 50)
    const id = await reserve(database, userId, 12.5)
    expect(await expired()).not.toContainEqual(expect.objectContaining({ reservationId: id }))
    await advance(database.admin, userId, '6 minutes')
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
    await advance(database.admin, userId, '1 hour')
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
      await advance(database.admin, userId, '1 hour')
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

  it('is left to the scheduler that runs already', async () => {
    const userId = await userWith(database, 50)
    await reserve(database, userId, 10)
    await advance(database.admin, userId, '1 hour')
    await whileLocked(database, `select pg_advisory_xact_lock(hashtextextended('credits.expire_due', 0))`, async () => {
      const nothing = { reservationsExpired: 0, accountsTouched: 0, accountsFailed: 0 }
      expect(await run('expire_due')).toEqual(nothing)
    })
    expect(await run('expire_due')).toMatchObject({ reservationsExpired: 1 })
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
    const [broken, missed] = [await signUp(database.admin), await signUp(database.admin)]
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
