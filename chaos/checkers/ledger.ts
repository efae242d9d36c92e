import type { InvariantQuery } from './invariants.ts'

// Written out again here, not called: a formula that changes without a new hash_version is a finding as well.
const ROW_HASH = `sha256(chain.before || convert_to(jsonb_build_array(
  entry.hash_version, entry.account_id, entry.version, entry.id, entry.user_id, entry.type, entry.source, entry.amount,
  entry.balance_after, entry.uncollected, entry.lots, entry.reservation_id, entry.reverses_id, entry.feature,
  entry.model, entry.input_tokens, entry.output_tokens, entry.estimated, entry.late, encode(entry.text_hash, 'hex'),
  extract(epoch from entry.created_at), cost.charge, cost.actor_id)::text, 'UTF8'))`
const TEXT_HASH = `sha256(convert_to(jsonb_build_array(entry.metadata, cost.reason)::text, 'UTF8'))`

/** I6, I8 and I10: the ledger as a whole. */
export const LEDGER_INVARIANTS: readonly InvariantQuery[] = [
  {
    what: 'I6 the hash chain is broken',
    sql: `select entry.account_id, entry.version
      from public.credit_transactions entry
      join (
        select account_id, version, lag(hash, 1, '\\x'::bytea) over (partition by account_id order by version) as before
        from public.credit_transactions
      ) chain using (account_id, version)
      left join public.credit_transaction_costs cost using (account_id, version)
      where entry.hash_version = 1 and entry.hash <> ${ROW_HASH}`,
  },
  {
    what: 'I6 the text of a transaction is neither the one that was written nor erased',
    sql: `select entry.account_id, entry.version
      from public.credit_transactions entry
      left join public.credit_transaction_costs cost using (account_id, version)
      where case when entry.erased_at is null then entry.text_hash <> ${TEXT_HASH}
        else entry.metadata <> '{}' or cost.reason is not null end`,
  },
  {
    what: 'I8 one id had more than one effect',
    sql: `select account_id, id, count(*) from public.credit_transactions group by 1, 2 having count(*) > 1
      union all
      select account_id, id, count(*) from public.credit_reservations group by 1, 2 having count(*) > 1`,
  },
  {
    what: 'I8 an account had the signup grant twice',
    sql: `select account_id, count(*) from public.credit_transactions where source = 'signup' and type = 'grant'
      group by 1 having count(*) > 1`,
  },
  {
    what: 'I8 more was refunded than was charged, or more was reversed than was granted',
    sql: `select original.account_id, original.id, original.amount, sum(correction.amount) as corrected
      from public.credit_transactions correction
      join public.credit_transactions original
        on original.account_id = correction.account_id and original.id = correction.reverses_id
      where correction.type in ('refund', 'reversal')
      group by original.account_id, original.id, original.amount
      having sum(correction.amount) > -original.amount and original.amount <= 0
        or sum(correction.uncollected - correction.amount) > original.amount and original.amount > 0`,
  },
  {
    what: 'I8 a margin has two rows of one version, or a gap',
    sql: `select scope, target, count(*), max(version) from public.margin_config
      group by 1, 2 having count(*) <> max(version) or min(version) <> 1`,
  },
  {
    what: 'I10 all transactions together are not all balances together',
    sql: `select ledger.total, accounts.total as balances
      from (select coalesce(sum(amount), 0) as total from public.credit_transactions) ledger,
        (select coalesce(sum(plan_credits + add_on_credits - debt), 0) as total from public.credit_balances) accounts
      where ledger.total <> accounts.total`,
  },
  {
    what: 'I10 a transaction, reservation or cost belongs to no account',
    sql: `select 'transaction' as kind, id from public.credit_transactions entry
        where not exists (select from public.credit_balances account where account.account_id = entry.account_id)
      union all
      select 'reservation', id from public.credit_reservations reservation
        where not exists (select from public.credit_balances account where account.account_id = reservation.account_id)
      union all
      select 'cost', cost.account_id from public.credit_transaction_costs cost
        where not exists (
          select from public.credit_transactions entry
          where (entry.account_id, entry.version) = (cost.account_id, cost.version))`,
  },
]

/** I12: nothing is left open on the server. */
export const SERVER_INVARIANTS: readonly InvariantQuery[] = [
  {
    what: 'I12 a transaction is still open',
    sql: `select pid, state, left(query, 100) as query from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and state like 'idle in transaction%'`,
  },
  {
    what: 'I12 a session still waits for a lock',
    sql: `select awaited.pid, awaited.relation::regclass::text as relation from pg_locks awaited
      join pg_database database on database.oid = awaited.database and database.datname = current_database()
      where not awaited.granted`,
  },
]
