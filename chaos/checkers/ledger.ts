/** A promise as a query: each row it returns is a violation. */
export interface BookCheck {
  what: string
  sql: string
}

/** I1 to I4 and I7: every account against its ledger, lots and reservations. */
export const ACCOUNT_CHECKS: readonly BookCheck[] = [
  {
    what: 'I1 the balance is not the sum of the transactions',
    sql: `select b.account_id, b.plan_credits + b.add_on_credits - b.debt as balance, coalesce(t.total, 0) as total
      from public.credit_balances b
      left join (select account_id, sum(amount) as total from public.credit_transactions group by 1) t using (account_id)
      where b.plan_credits + b.add_on_credits - b.debt <> coalesce(t.total, 0)`,
  },
  {
    what: 'I1 a bucket is not the sum of its lots',
    sql: `select b.account_id, b.plan_credits, l.plan, b.add_on_credits, l.add_on
      from public.credit_balances b
      cross join lateral (
        select coalesce(sum(x.live) filter (where x.bucket = 'plan'), 0) as plan,
               coalesce(sum(x.live) filter (where x.bucket = 'add-on'), 0) as add_on
        from (select bucket, case when id = b.current_lot_id then b.current_lot_remaining else remaining end as live
              from public.credit_lots where account_id = b.account_id) x
      ) l
      where (b.plan_credits, b.add_on_credits) is distinct from (l.plan, l.add_on)`,
  },
  {
    what: 'I1 a lot is not what the transactions gave and took',
    sql: `select l.id, l.account_id, live.remaining, coalesce(p.total, 0) as total
      from public.credit_lots l
      join public.credit_balances b on b.account_id = l.account_id
      cross join lateral (select case when l.id = b.current_lot_id then b.current_lot_remaining else l.remaining end as remaining) live
      left join (
        select (piece ->> 'lotId')::uuid as lot_id, sum((piece ->> 'amount')::numeric) as total
        from public.credit_transactions, jsonb_array_elements(lots) piece group by 1
      ) p on p.lot_id = l.id
      where live.remaining <> coalesce(p.total, 0) or live.remaining < 0 or live.remaining > l.amount`,
  },
  {
    what: 'I2 reserved is not the sum of the active reservations',
    sql: `select b.account_id, b.reserved, coalesce(r.held, 0) as held, b.open_reservations, coalesce(r.open, 0) as open
      from public.credit_balances b
      left join (select account_id, sum(held) as held, count(*) as open from public.credit_reservations
                 where state = 'active' group by 1) r using (account_id)
      where (b.reserved, b.open_reservations) is distinct from (coalesce(r.held, 0), coalesce(r.open, 0)::int)`,
  },
  {
    what: 'I3 more is reserved and spent than there is',
    sql: `select account_id, plan_credits, add_on_credits, debt, overage_limit, reserved from public.credit_balances
      where plan_credits + add_on_credits - debt + overage_limit - reserved < 0`,
  },
  {
    what: 'I3 debt stands beside credits',
    sql: `select account_id, debt from public.credit_balances where debt > 0 and plan_credits + add_on_credits > 0`,
  },
  {
    what: 'I4 a reservation is not what its transactions charged',
    sql: `select r.id, r.state, r.captured, r.uncollected, coalesce(t.taken, 0) as taken, coalesce(t.uncollected, 0) as missing
      from public.credit_reservations r
      left join (select reservation_id, -sum(amount) as taken, sum(uncollected) as uncollected from public.credit_transactions
                 where type = 'usage' group by 1) t on t.reservation_id = r.id
      where (r.captured, r.uncollected) is distinct from (coalesce(t.taken, 0), coalesce(t.uncollected, 0))`,
  },
  {
    what: 'I4 a reservation is closed without a time, or open with one',
    sql: `select id, state, closed_at from public.credit_reservations where (state = 'active') <> (closed_at is null)`,
  },
  {
    what: 'I4 charged and returned do not add up to what was held',
    sql: `select r.id, r.held, r.captured, r.uncollected, r.requested, e.added
      from public.credit_reservations r
      cross join lateral (
        select coalesce(sum((value ->> 'amount')::numeric), 0) as added from jsonb_each(coalesce(r.extensions, '{}'))
      ) e
      where r.held > r.requested + e.added
        -- A settle of a reservation that was lost makes one that never held anything: it ends as it begins, give or take
        -- the microseconds between two readings of the clock.
        or (not r.late and r.expires_at > r.created_at + interval '1 millisecond' and r.minimum = r.requested and r.held + r.captured + r.uncollected < r.requested + e.added)`,
  },
  {
    what: 'I7 the versions of an account have a gap, or its running balance does',
    sql: `select account_id, version, amount, balance_after from (
        select account_id, version, amount, balance_after,
          lag(version, 1, 0::bigint) over w as before, lag(balance_after, 1, 0::numeric) over w as balance_before
        from public.credit_transactions window w as (partition by account_id order by version)) x
      where version <> before + 1 or balance_after <> balance_before + amount`,
  },
  {
    what: 'I7 the account does not know its latest transaction',
    sql: `select b.account_id, b.version, t.version as latest from public.credit_balances b
      left join lateral (select version, hash from public.credit_transactions x where x.account_id = b.account_id
                         order by version desc limit 1) t on true
      where b.version <> coalesce(t.version, 0) or b.chain_hash <> coalesce(t.hash, '\\x')`,
  },
]

// Written out again here, not called: a formula that changes without a new hash_version is a finding, too.
const ROW_HASH = `sha256(p.before || convert_to(concat(
  t.hash_version, '|', t.account_id, '|', t.version, '|', t.id, '|', t.user_id, '|', t.type, '|', t.amount, '|',
  t.balance_after, '|', t.uncollected, '|', t.lots, '|', t.reservation_id, '|', t.reverses_id, '|', t.input_tokens, '|',
  t.output_tokens, '|', t.estimated, '|', t.late, '|', extract(epoch from t.created_at), '|', quote_nullable(t.source), '|',
  quote_nullable(t.feature), '|', quote_nullable(t.model), '|', quote_nullable(t.reason), '|', t.metadata, '|', c.charge, '|',
  c.actor_id), 'UTF8'))`

/** I6, I8 and I10: the ledger as a whole. */
export const BOOK_CHECKS: readonly BookCheck[] = [
  {
    what: 'I6 the hash chain is broken',
    sql: `select t.account_id, t.version
      from public.credit_transactions t
      join (select account_id, version, lag(hash, 1, '\\x'::bytea) over (partition by account_id order by version) as before
            from public.credit_transactions) p using (account_id, version)
      left join public.credit_transaction_costs c using (account_id, version)
      where t.hash_version = 1 and t.hash <> ${ROW_HASH}`,
  },
  {
    what: 'I8 one id had more than one effect',
    sql: `select id, count(*) from public.credit_transactions group by 1 having count(*) > 1
      union all select id, count(*) from public.credit_reservations group by 1 having count(*) > 1`,
  },
  {
    what: 'I8 a person had the signup grant twice',
    sql: `select account_id, count(*) from public.credit_transactions where source = 'signup' and type = 'grant'
      group by 1 having count(*) > 1`,
  },
  {
    what: 'I8 more was refunded than was charged',
    sql: `select o.id, o.amount, sum(r.amount) as refunded from public.credit_transactions r
      join public.credit_transactions o on o.id = r.reverses_id group by 1, 2 having sum(r.amount) > -o.amount`,
  },
  {
    what: 'I8 a margin has two rows of one version, or a gap',
    sql: `select scope, target, count(*), max(version) from public.margin_config
      group by 1, 2 having count(*) <> max(version) or min(version) <> 1`,
  },
  {
    what: 'I10 all transactions together are not all balances together',
    sql: `select t.total, b.total as balances
      from (select coalesce(sum(amount), 0) as total from public.credit_transactions) t,
           (select coalesce(sum(plan_credits + add_on_credits - debt), 0) as total from public.credit_balances) b
      where t.total <> b.total`,
  },
  {
    what: 'I10 a transaction, lot or reservation belongs to no account',
    sql: `select 'transaction' as kind, id from public.credit_transactions t
        where not exists (select from public.credit_balances b where b.account_id = t.account_id)
      union all select 'reservation', id from public.credit_reservations r
        where not exists (select from public.credit_balances b where b.account_id = r.account_id)
      union all select 'cost', c.account_id from public.credit_transaction_costs c
        where not exists (select from public.credit_transactions t where (t.account_id, t.version) = (c.account_id, c.version))`,
  },
]

/** I12: nothing is left hanging on the server. */
export const SERVER_CHECKS: readonly BookCheck[] = [
  {
    what: 'I12 a transaction is left open',
    sql: `select pid, state, left(query, 100) as query from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and state like 'idle in transaction%'`,
  },
  {
    what: 'I12 somebody waits for a lock',
    sql: `select l.pid, l.relation::regclass::text as relation from pg_locks l
      join pg_database d on d.oid = l.database and d.datname = current_database() where not l.granted`,
  },
]
