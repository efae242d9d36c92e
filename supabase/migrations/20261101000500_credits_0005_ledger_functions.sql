-- The parts that the operations are made of. All of them expect the account's row to be locked by the caller
-- and pass it along as a value: it is read once, changed in memory and written once.
--
-- Lock order everywhere: the reservation, its account, the account's lots. What looks for reservations while it holds
-- their account (the sweep of those past their time) skips those that are locked, so no cycle can arise: whoever has
-- them waits for this account and closes them itself. No operation ever holds two accounts.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create or replace function credits_private.transaction_hash(
  t public.credit_transactions, c public.credit_transaction_costs, p_previous bytea)
returns bytea
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- A text of the values that reads one way only: free text is quoted, JSON ends where it ends, and times are seconds,
  -- because their text depends on the session. credits_settle writes the same text for itself. A new formula gets a
  -- new hash_version; this one stays for the rows that have 1.
  return sha256(p_previous || convert_to(format('%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%L|%L|%L|%L|%s|%s|%s',
    t.hash_version, t.account_id, t.version, t.id, t.user_id, t.type, t.amount, t.balance_after, t.uncollected,
    t.lots, t.reservation_id, t.reverses_id, t.input_tokens, t.output_tokens, t.estimated, t.late,
    extract(epoch from t.created_at), t.source, t.feature, t.model, t.reason, t.metadata, c.charge, c.actor_id
  ), 'UTF8'));
end;
$$;
comment on function credits_private.transaction_hash(public.credit_transactions, public.credit_transaction_costs, bytea) is
  'Hash of a ledger row chained to the one before; `credits verify` recomputes it.';

do $$
begin
  create type credits_private.posting as (
    b public.credit_balances, t public.credit_transactions, r public.credit_reservations
  );
exception when duplicate_object then null;
end;
$$;
comment on type credits_private.posting is 'A locked account, the transaction being written to it and, where there is one, the reservation it belongs to.';

create or replace function credits_private.append(
  p credits_private.posting, c public.credit_transaction_costs default null)
returns credits_private.posting
language plpgsql
set search_path = ''
as $$
declare
  b public.credit_balances := p.b;
  t public.credit_transactions := p.t;
begin
  b.version := b.version + 1;
  t.account_id := b.account_id;
  t.version := b.version;
  t.user_id := coalesce(t.user_id, b.account_id);
  t.balance_after := b.plan_credits + b.add_on_credits - b.debt;
  t.uncollected := coalesce(t.uncollected, 0);
  t.lots := coalesce(t.lots, '[]'::jsonb);
  t.estimated := coalesce(t.estimated, false);
  t.late := coalesce(t.late, false);
  t.metadata := coalesce(t.metadata, '{}');
  t.created_at := clock_timestamp();
  t.hash_version := 1;
  -- A cost row exists only where there is something in it.
  if not (c is null) then
    c.account_id := t.account_id;
    c.version := t.version;
    insert into public.credit_transaction_costs values (c.*);
  end if;
  t.hash := credits_private.transaction_hash(t, c, b.chain_hash);
  b.chain_hash := t.hash;
  insert into public.credit_transactions values (t.*) on conflict (id) do nothing;
  -- The id is somebody else's: another account's, or what settle wants to write under the reservation's own id.
  if not found then
    perform credits_private.fail(409, 'IDEMPOTENCY_MISMATCH', jsonb_build_object('id', t.id));
  end if;
  p.b := b;
  p.t := t;
  return p;
end;
$$;
comment on function credits_private.append(credits_private.posting, public.credit_transaction_costs) is
  'Numbers, chains and inserts a transaction. Credits in `b` already stand as they are after it.';

create or replace function credits_private.find_transaction(p_id uuid)
returns public.credit_transactions
language plpgsql
stable
set search_path = ''
as $$
declare
  t public.credit_transactions;
begin
  select x.* into t from public.credit_transactions x where x.id = p_id;
  return t;
end;
$$;
comment on function credits_private.find_transaction(uuid) is 'The transaction with this id; null when there is none.';

create or replace function credits_private.lock_account(p_account_id uuid)
returns public.credit_balances
language plpgsql
volatile
set search_path = ''
as $$
declare
  b public.credit_balances;
begin
  select a.* into b from public.credit_balances a where a.account_id = p_account_id for update;
  return b;
end;
$$;
comment on function credits_private.lock_account(uuid) is 'The account''s row, locked until the transaction ends; null when there is none.';

create or replace function credits_private.save_account(b public.credit_balances)
returns void
language plpgsql
set search_path = ''
as $$
begin
  -- Neither user_id nor plan_id unless they changed would be cheaper still, but a foreign key is only checked
  -- when its column really changes, and unchanged indexed columns leave the update HOT.
  update public.credit_balances a
  set user_id = b.user_id,
      plan_id = b.plan_id,
      next_plan_id = b.next_plan_id,
      status = b.status,
      plan_credits = b.plan_credits,
      add_on_credits = b.add_on_credits,
      debt = b.debt,
      overage_limit = b.overage_limit,
      reserved = b.reserved,
      open_reservations = b.open_reservations,
      version = b.version,
      chain_hash = b.chain_hash,
      current_lot_id = b.current_lot_id,
      current_lot_remaining = b.current_lot_remaining,
      swept_until = b.swept_until,
      next_due_at = b.next_due_at,
      plan_anchor_at = b.plan_anchor_at,
      plan_period = b.plan_period,
      plan_period_ends_at = b.plan_period_ends_at,
      signup_decided_at = b.signup_decided_at,
      updated_at = clock_timestamp()
  where a.account_id = b.account_id;
end;
$$;
comment on function credits_private.save_account(public.credit_balances) is 'Writes a locked and changed account back.';
