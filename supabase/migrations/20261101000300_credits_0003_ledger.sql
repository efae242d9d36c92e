-- The ledger: how a transaction is written, and how an account is locked and saved.
--
-- Functions here and in the next two files expect that the caller has locked the account. They pass
-- it along as a value: it is read once, changed in memory and written once.
--
-- Lock order everywhere: reservations by id, then accounts by id, then lots. What looks for
-- reservations under the lock of their account (0005) skips those that are locked, so no cycle can
-- arise: the caller that has one locked waits for this account and closes the reservation itself.
-- No operation locks two accounts; the one exception, credits_expire_due, skips locked accounts.
--
-- Invariants, proven by credits_verify_transactions and credits_verify_accounts:
-- - the versions of an account are 1, 2, 3 ... without gaps; each hash covers the hash before it
-- - balance_after is the sum of all amounts so far; the last one is plan + add-on - debt
-- - the lots of a bucket sum up to the credits of that bucket; debt and credits exclude each other
-- - reserved is the sum of the active reservations
set local lock_timeout = '5s';
set local statement_timeout = '60s';

do $$
begin
  create type credits_private.account_change as (
    account public.credit_balances,
    entry public.credit_transactions,
    cost public.credit_transaction_costs
  );
exception when duplicate_object then null;
end;
$$;
comment on type credits_private.account_change is
  'A locked account, the transaction that is being written to it, and what only admins see of it.';

create or replace function credits_private.append(change credits_private.account_change)
returns credits_private.account_change
language plpgsql
set search_path = ''
as $$
declare
  account public.credit_balances := change.account;
  entry public.credit_transactions := change.entry;
  cost public.credit_transaction_costs := change.cost;
begin
  account.version := account.version + 1;
  entry.account_id := account.account_id;
  entry.version := account.version;
  entry.user_id := coalesce(entry.user_id, account.account_id);
  entry.balance_after := account.plan_credits + account.add_on_credits - account.debt;
  entry.uncollected := coalesce(entry.uncollected, 0);
  entry.lots := coalesce(entry.lots, '[]');
  entry.estimated := coalesce(entry.estimated, false);
  entry.late := coalesce(entry.late, false);
  entry.metadata := coalesce(entry.metadata, '{}');
  entry.text_hash := credits_private.text_hash(entry.metadata, cost.reason);
  -- Never before the transaction before it, even if the clock was set back.
  entry.created_at := greatest(clock_timestamp(), account.updated_at);
  entry.hash_version := 1;
  entry.hash := credits_private.transaction_hash(entry, cost, account.chain_hash);
  account.chain_hash := entry.hash;
  account.updated_at := entry.created_at;

  insert into public.credit_transactions values (entry.*)
  on conflict (account_id, id) do nothing;
  if not found then
    -- Another transaction of this account has the id, for example a grant that has the id of a
    -- reservation.
    perform credits_private.raise_error(
      409, 'IDEMPOTENCY_MISMATCH', jsonb_build_object('id', entry.id));
  end if;
  -- A cost row exists only where there is something in it.
  if cost.charge is not null or cost.actor_id is not null or cost.reason is not null then
    cost.account_id := entry.account_id;
    cost.version := entry.version;
    insert into public.credit_transaction_costs values (cost.*);
  end if;

  change.account := account;
  change.entry := entry;
  change.cost := cost;
  return change;
end;
$$;
revoke execute on function credits_private.append from public;
comment on function credits_private.append(credits_private.account_change) is
  'Numbers, chains and inserts a transaction. The credits of the account already stand as after '
  'it.';

create or replace function credits_private.text_hash(p_metadata jsonb, p_reason text)
returns bytea
language plpgsql
immutable
set search_path = ''
as $$
begin
  return sha256(convert_to(jsonb_build_array(p_metadata, p_reason)::text, 'UTF8'));
end;
$$;
revoke execute on function credits_private.text_hash from public;
comment on function credits_private.text_hash(jsonb, text) is
  'Hash of the free text of a transaction: its metadata and the reason of an operator.';

create or replace function credits_private.transaction_hash(
  entry public.credit_transactions, cost public.credit_transaction_costs, p_previous bytea)
returns bytea
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- A JSON array can be read in one way only. Times are seconds, because their text depends on the
  -- session. A new formula gets a new hash_version; this one stays for the rows that have 1.
  return sha256(p_previous || convert_to(jsonb_build_array(
    entry.hash_version, entry.account_id, entry.version, entry.id, entry.user_id, entry.type,
    entry.source, entry.amount, entry.balance_after, entry.uncollected, entry.lots,
    entry.reservation_id, entry.reverses_id, entry.feature, entry.model, entry.input_tokens,
    entry.output_tokens, entry.estimated, entry.late, encode(entry.text_hash, 'hex'),
    extract(epoch from entry.created_at), cost.charge, cost.actor_id)::text, 'UTF8'));
end;
$$;
revoke execute on function credits_private.transaction_hash from public;
comment on function credits_private.transaction_hash(
  public.credit_transactions, public.credit_transaction_costs, bytea) is
  'Hash of a ledger row, chained to the row before; `credits verify` recomputes it.';

create or replace function credits_private.lock_account(p_account_id uuid)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  account public.credit_balances;
begin
  select balance.* into account from public.credit_balances balance
  where balance.account_id = p_account_id
  for update -- guard: lock-account
  ;
  return account;
end;
$$;
revoke execute on function credits_private.lock_account from public;
comment on function credits_private.lock_account(uuid) is
  'The account, locked until the transaction ends; null when there is none.';

create or replace function credits_private.save_account(account public.credit_balances)
returns void
language plpgsql
set search_path = ''
as $$
begin
  -- Columns that did not change cost nothing more: a foreign key is checked, and an index written,
  -- only when the value of its column differs.
  update public.credit_balances balance
  set user_id = account.user_id,
      plan_id = account.plan_id,
      next_plan_id = account.next_plan_id,
      status = account.status,
      plan_credits = account.plan_credits,
      add_on_credits = account.add_on_credits,
      debt = account.debt,
      overage_limit = account.overage_limit,
      reserved = account.reserved,
      open_reservations = account.open_reservations,
      version = account.version,
      chain_hash = account.chain_hash,
      expired_until = account.expired_until,
      next_due_at = account.next_due_at,
      plan_anchor_at = account.plan_anchor_at,
      plan_period = account.plan_period,
      plan_period_ends_at = account.plan_period_ends_at,
      signup_decided_at = account.signup_decided_at,
      updated_at = greatest(account.updated_at, clock_timestamp())
  where balance.account_id = account.account_id;
end;
$$;
revoke execute on function credits_private.save_account from public;
comment on function credits_private.save_account(public.credit_balances) is
  'Writes a locked and changed account back.';

create or replace function credits_private.save_credits(account public.credit_balances)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
begin
  -- 25 us where save_account takes 32: fewer columns, and no trigger that watches one of them.
  update public.credit_balances balance
  set plan_credits = account.plan_credits,
      add_on_credits = account.add_on_credits,
      debt = account.debt,
      reserved = account.reserved,
      open_reservations = account.open_reservations,
      version = account.version,
      chain_hash = account.chain_hash,
      expired_until = account.expired_until,
      next_due_at = account.next_due_at,
      updated_at = account.updated_at
  where balance.account_id = account.account_id;
  return account;
end;
$$;
revoke execute on function credits_private.save_credits from public;
comment on function credits_private.save_credits(public.credit_balances) is
  'Writes back what reservations and charges change of a locked account.';

create or replace function credits_private.check_transaction_input(
  p_account_id uuid, p_id uuid, p_reason text, p_metadata jsonb)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform credits_private.check_id(p_account_id, 'userId');
  perform credits_private.check_id(p_id, 'transactionId');
  perform credits_private.check_text(p_reason, 'reason', 1000);
  perform credits_private.check_object(p_metadata, 'metadata');
  -- guard reservation-id-is-taken {
  -- A settle writes its transaction under the id of the reservation: no other operation may use
  -- that id.
  if exists (
    select from public.credit_reservations reservation
    where reservation.account_id = p_account_id and reservation.id = p_id
  ) then
    perform credits_private.raise_error(
      409, 'IDEMPOTENCY_MISMATCH', jsonb_build_object('id', p_id));
  end if;
  -- } reservation-id-is-taken
end;
$$;
revoke execute on function credits_private.check_transaction_input from public;
comment on function credits_private.check_transaction_input(uuid, uuid, text, jsonb) is
  'Refuses malformed arguments of a transaction before anything is locked.';

create or replace function credits_private.find_transaction(p_account_id uuid, p_id uuid)
returns public.credit_transactions
language plpgsql
stable
set search_path = ''
as $$
declare
  entry public.credit_transactions;
begin
  select transaction.* into entry from public.credit_transactions transaction
  where transaction.account_id = p_account_id and transaction.id = p_id;
  return entry;
end;
$$;
revoke execute on function credits_private.find_transaction from public;
comment on function credits_private.find_transaction(uuid, uuid) is
  'The transaction of an account with this id; null when there is none.';

create or replace function credits_private.find_cost(entry public.credit_transactions)
returns public.credit_transaction_costs
language plpgsql
stable
set search_path = ''
as $$
declare
  cost public.credit_transaction_costs;
begin
  select stored.* into cost from public.credit_transaction_costs stored
  where stored.account_id = entry.account_id and stored.version = entry.version;
  return cost;
end;
$$;
revoke execute on function credits_private.find_cost from public;
comment on function credits_private.find_cost(public.credit_transactions) is
  'The cost row of a transaction; null when it has none.';

create or replace function credits_private.erase_text(p_account_id uuid)
returns bigint
language plpgsql
set search_path = ''
as $$
declare
  now_at timestamptz := clock_timestamp();
  erased bigint;
begin
  update public.credit_transactions entry
  set metadata = '{}', erased_at = now_at
  where entry.account_id = p_account_id and entry.erased_at is null
    and (entry.metadata <> '{}' or exists (
      select from public.credit_transaction_costs cost
      where cost.account_id = p_account_id and cost.version = entry.version
        and cost.reason is not null));
  get diagnostics erased = row_count;
  update public.credit_transaction_costs cost
  set reason = null, erased_at = now_at
  where cost.account_id = p_account_id and cost.reason is not null;
  update public.credit_reservations reservation
  set metadata = '{}'
  where reservation.account_id = p_account_id and reservation.metadata <> '{}';
  return erased;
end;
$$;
revoke execute on function credits_private.erase_text from public;
comment on function credits_private.erase_text(uuid) is
  'Removes the free text of an account: metadata of transactions and reservations, reasons of '
  'operators. The chain stays valid, because it covers the hash of the text. Answers how many '
  'transactions it changed.';
