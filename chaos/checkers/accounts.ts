import type { InvariantQuery } from './invariants.ts'

/** I1 to I4 and I7: every account against its ledger, lots and reservations. */
export const ACCOUNT_INVARIANTS: readonly InvariantQuery[] = [
  {
    what: 'I1 the balance is not the sum of the transactions',
    sql: `select account.account_id, account.plan_credits + account.add_on_credits - account.debt as balance,
      ledger.total
      from public.credit_balances account
      cross join lateral (
        select coalesce(sum(entry.amount), 0) as total from public.credit_transactions entry
        where entry.account_id = account.account_id
      ) ledger
      where account.plan_credits + account.add_on_credits - account.debt <> ledger.total`,
  },
  {
    what: 'I1 a bucket is not the sum of its lots',
    sql: `select account.account_id, account.plan_credits, lots.plan, account.add_on_credits, lots.add_on
      from public.credit_balances account
      cross join lateral (
        select coalesce(sum(lot.remaining) filter (where lot.bucket = 'plan'), 0) as plan,
          coalesce(sum(lot.remaining) filter (where lot.bucket = 'add-on'), 0) as add_on
        from public.credit_lots lot where lot.account_id = account.account_id
      ) lots
      where (account.plan_credits, account.add_on_credits) is distinct from (lots.plan, lots.add_on)`,
  },
  {
    what: 'I1 a lot is not what the transactions gave and took',
    sql: `select lot.account_id, lot.id, lot.amount, lot.remaining, lot.used_up, coalesce(moved.total, 0) as total
      from public.credit_lots lot
      left join (
        select entry.account_id, (piece ->> 'lotId')::uuid as id, sum((piece ->> 'amount')::numeric) as total
        from public.credit_transactions entry, jsonb_array_elements(entry.lots) piece group by 1, 2
      ) moved using (account_id, id)
      where lot.remaining <> coalesce(moved.total, 0) or lot.remaining < 0 or lot.remaining > lot.amount
        or lot.used_up <> (lot.remaining = 0)`,
  },
  {
    what: 'I2 reserved is not the sum of the active reservations',
    sql: `select account.account_id, account.reserved, active.reserved as sum, account.open_reservations, active.open
      from public.credit_balances account
      cross join lateral (
        select coalesce(sum(reservation.reserved), 0) as reserved, count(*)::int as open
        from public.credit_reservations reservation
        where reservation.account_id = account.account_id and reservation.state = 'active'
      ) active
      where (account.reserved, account.open_reservations) is distinct from (active.reserved, active.open)`,
  },
  {
    // A reversed payment, and a debt taken over from a deleted account, are debts that no limit bounds.
    what: 'I3 more is reserved and spent than there is',
    sql: `select account.account_id, plan_credits, add_on_credits, debt, overage_limit, reserved, unbounded.total
      from public.credit_balances account
      cross join lateral (
        select coalesce(-sum(entry.amount), 0) as total from public.credit_transactions entry
        where entry.account_id = account.account_id
          and (entry.type = 'reversal' or (entry.source = 'debt' and entry.amount < 0))
      ) unbounded
      where plan_credits + add_on_credits - debt + overage_limit - reserved + unbounded.total < 0`,
  },
  {
    what: 'I3 there is a debt next to credits',
    sql: `select account_id, debt from public.credit_balances where debt > 0 and plan_credits + add_on_credits > 0`,
  },
  {
    what: 'I4 a reservation is not what its transactions charged',
    sql: `select reservation.id, reservation.state, reservation.captured, reservation.uncollected, charged.*
      from public.credit_reservations reservation
      cross join lateral (
        select coalesce(-sum(entry.amount), 0) as taken, coalesce(sum(entry.uncollected), 0) as missing
        from public.credit_transactions entry
        where entry.account_id = reservation.account_id and entry.reservation_id = reservation.id
          and entry.type = 'usage'
      ) charged
      where (reservation.captured, reservation.uncollected) is distinct from (charged.taken, charged.missing)`,
  },
  {
    what: 'I4 a reservation is closed without a time, or open with one',
    sql: `select id, state, closed_at from public.credit_reservations where (state = 'active') <> (closed_at is null)`,
  },
  {
    what: 'I4 charged and returned do not add up to what was reserved',
    sql: `select reservation.id, reserved, captured, uncollected, requested, extended.added
      from public.credit_reservations reservation
      cross join lateral (
        select coalesce(sum((value ->> 'amount')::numeric), 0) as added
        from jsonb_each(coalesce(reservation.extensions, '{}'))
      ) extended
      where reserved > requested + extended.added
        or (not late and minimum = requested and reserved + captured + uncollected < requested + extended.added)`,
  },
  {
    what: 'I7 the versions of an account have a gap, or its running balance does',
    sql: `select account_id, version, amount, balance_after from (
        select account_id, version, amount, balance_after,
          lag(version, 1, 0::bigint) over by_version as version_before,
          lag(balance_after, 1, 0::numeric) over by_version as balance_before
        from public.credit_transactions window by_version as (partition by account_id order by version)) entry
      where version <> version_before + 1 or balance_after <> balance_before + amount`,
  },
  {
    what: 'I7 the account does not name its latest transaction',
    sql: `select account.account_id, account.version, latest.version as latest from public.credit_balances account
      left join lateral (
        select entry.version, entry.hash from public.credit_transactions entry
        where entry.account_id = account.account_id order by entry.version desc limit 1
      ) latest on true
      where account.version <> coalesce(latest.version, 0) or account.chain_hash <> coalesce(latest.hash, '\\x')`,
  },
]
