import type pg from 'pg'
import { expect } from 'vitest'

/** Each query lists what breaks an invariant; names as in the reliability catalogue. */
const INVARIANTS: Record<string, string> = {
  'I1 the balance is the sum of the ledger': `
    select b.account_id from public.credit_balances b
    left join public.credit_transactions t on t.account_id = b.account_id
    group by b.account_id having b.plan_credits + b.add_on_credits - b.debt <> coalesce(sum(t.amount), 0)`,
  'I1 each bucket is the sum of its lots': `
    select b.account_id from public.credit_balances b
    left join public.credit_lots l on l.account_id = b.account_id
    group by b.account_id
    having b.plan_credits <> coalesce(sum(l.remaining) filter (where l.bucket = 'plan'), 0)
      or b.add_on_credits <> coalesce(sum(l.remaining) filter (where l.bucket = 'add-on'), 0)`,
  'I1 each lot is the sum of what transactions gave and took, and never more than it was': `
    select l.id from public.credit_lots l
    left join (
      select t.account_id, (p.piece ->> 'lotId')::uuid as id, sum((p.piece ->> 'amount')::numeric) as amount
      from public.credit_transactions t cross join lateral jsonb_array_elements(t.lots) p (piece) group by 1, 2
    ) moved on moved.account_id = l.account_id and moved.id = l.id
    where coalesce(moved.amount, 0) <> l.remaining or l.remaining > l.amount or l.used_up <> (l.remaining = 0)`,
  'I2 reserved is the sum of the active reservations': `
    select b.account_id from public.credit_balances b
    left join public.credit_reservations r on r.account_id = b.account_id and r.state = 'active'
    group by b.account_id having b.reserved <> coalesce(sum(r.reserved), 0) or b.open_reservations <> count(r.id)`,
  'I3 no account has reserved or spent more than it has and its overage limit allows': `
    select b.account_id from public.credit_balances b
    where b.plan_credits + b.add_on_credits - b.debt + b.overage_limit - b.reserved < 0
      -- A reversed payment and a debt taken over are debts that no limit bounds.
      and not exists (select from public.credit_transactions t
        where t.account_id = b.account_id and (t.type = 'reversal' or t.source = 'debt'))`,
  'I4 what a reservation says it charged is what the ledger says': `
    select r.id from public.credit_reservations r
    left join public.credit_transactions t
      on t.account_id = r.account_id and t.reservation_id = r.id and t.type = 'usage'
    group by r.account_id, r.id having r.captured <> coalesce(-sum(t.amount), 0) or r.uncollected <> coalesce(sum(t.uncollected), 0)
      or (r.state in ('settled', 'released', 'expired')) <> (r.closed_at is not null)`,
  'I7 versions have no gap and the running balance is right': `
    select account_id from (
      select t.*, row_number() over w as place, lag(balance_after, 1, 0::numeric) over w as before
      from public.credit_transactions t window w as (partition by account_id order by version)
    ) x where version <> place or balance_after <> before + amount`,
  'I12 no session sits in an open transaction': `
    select pid from pg_stat_activity
    where datname = current_database() and state like 'idle in transaction%' and pid <> pg_backend_pid()`,
}

/** Asserts the invariants in one snapshot, from a connection that the code under test does not know. */
export async function assertInvariants(admin: pg.Pool): Promise<void> {
  const client = await admin.connect()
  try {
    await client.query('begin isolation level repeatable read read only')
    for (const [name, sql] of Object.entries(INVARIANTS)) {
      const { rows } = await client.query(sql)
      expect(rows, name).toEqual([])
    }
    expect(await notNumbers(client), 'I11 no column holds NaN').toEqual([])
    const faults = await client.query(
      `select public.credits_verify_transactions(p_limit => 1000000) -> 'faults' as rows,
              public.credits_verify_accounts(p_limit => 1000000) -> 'faults' as accounts`,
    )
    expect(faults.rows[0], 'I6 the chain of hashes holds').toEqual({ rows: [], accounts: [] })
  } finally {
    await client.query('rollback')
    client.release()
  }
}

async function notNumbers(client: pg.PoolClient): Promise<string[]> {
  const { rows } = await client.query<{ name: string; sql: string }>(
    `select c.relname || '.' || a.attname as name,
            format('select 1 from public.%I where %I = ''NaN'' limit 1', c.relname, a.attname) as sql
     from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_type y on y.oid = a.atttypid
     where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and 'numeric'::regtype in (y.oid, y.typbasetype)`,
  )
  const bad: string[] = []
  for (const { name, sql } of rows) if ((await client.query(sql)).rowCount) bad.push(name)
  return bad
}
