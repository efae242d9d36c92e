-- Grants, and reversals of grants whose payment was refunded or disputed.
--
-- The id of a transaction is its idempotency key. A repeat must have the same parameters and gets
-- the first result.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create or replace function public.credits_grant(
  p_account_id uuid,
  p_transaction_id uuid,
  p_amount numeric,
  p_source text,
  p_bucket text,
  p_priority integer default 100,
  p_expires_in_seconds bigint default null,
  p_reason text default null,
  p_actor_id uuid default null,
  p_metadata jsonb default '{}')
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
declare
  change credits_private.account_change;
  priority constant integer := coalesce(p_priority, 100);
  expires_at timestamptz;
begin
  perform credits_private.check_amount(p_amount, 'amount');
  perform credits_private.check_transaction_input(
    p_account_id, p_transaction_id, p_reason, p_metadata);
  perform credits_private.check_grant(p_source, p_bucket, priority, p_expires_in_seconds);

  change.account := credits_private.open_account(p_account_id);
  change.entry := credits_private.find_transaction(p_account_id, p_transaction_id);
  if (change.entry).id is not null then
    perform credits_private.check_same_grant(
      change.entry, p_amount, p_source, p_bucket, priority, p_expires_in_seconds);
    return credits_private.repeat_transaction(change, p_reason, p_actor_id, p_metadata);
  end if;

  change.account := credits_private.apply_due(change.account);
  expires_at := clock_timestamp() + make_interval(secs => p_expires_in_seconds);
  change := credits_private.new_change(
    change.account, p_transaction_id, 'grant', p_reason, p_actor_id);
  change.entry.source := p_source;
  change.entry.amount := p_amount;
  change.entry.metadata := coalesce(p_metadata, '{}');
  if (change.account).debt < p_amount then
    change := credits_private.add_lot(
      change, p_amount, p_bucket, p_source, priority, expires_at);
  else
    -- Wholly paid to the debt. The empty lot keeps what a repeat is compared with.
    change.account.debt := (change.account).debt - p_amount;
    change := credits_private.insert_lot(change, 0, p_bucket, p_source, priority, expires_at);
  end if;
  return credits_private.write_transaction(change);
end;
$$;
revoke execute on function public.credits_grant from public, anon, authenticated;
grant execute on function public.credits_grant to service_role;
comment on function public.credits_grant(
  uuid, uuid, numeric, text, text, integer, bigint, text, uuid, jsonb) is
  'Gives credits as a lot of a bucket; debt is paid first. Returns TransactionResult of '
  'store/port.ts. Errors: ACCOUNT_NOT_FOUND, IDEMPOTENCY_MISMATCH, INVALID_INPUT.';

create or replace function credits_private.check_grant(
  p_source text, p_bucket text, p_priority integer, p_expires_in_seconds bigint)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_source is null
    or p_source not in ('signup', 'plan', 'purchase', 'promo', 'refund', 'adjustment')
  then
    perform credits_private.raise_invalid_input(
      'source', 'expected signup, plan, purchase, promo, refund or adjustment');
  end if;
  if p_bucket is null or p_bucket not in ('plan', 'add-on') then
    perform credits_private.raise_invalid_input('bucket', 'expected plan or add-on');
  end if;
  if p_priority not between 0 and 1000 then
    perform credits_private.raise_invalid_input('priority', 'expected 0 to 1000');
  end if;
  if p_expires_in_seconds not between 1 and 3153600000 then
    perform credits_private.raise_invalid_input(
      'expiresInSeconds', 'expected 1 to 3153600000');
  end if;
end;
$$;
revoke execute on function credits_private.check_grant from public;
comment on function credits_private.check_grant(text, text, integer, bigint) is
  'Refuses malformed arguments of credits_grant.';

create or replace function credits_private.check_same_grant(
  entry public.credit_transactions,
  p_amount numeric,
  p_source text,
  p_bucket text,
  p_priority integer,
  p_expires_in_seconds bigint)
returns void
language plpgsql
set search_path = ''
as $$
declare
  lot public.credit_lots;
  seconds bigint;
begin
  select made.* into lot from public.credit_lots made
  where made.account_id = entry.account_id and made.transaction_id = entry.id;
  -- The lot is made a moment before its transaction, so the rounded difference is what was asked.
  if isfinite(lot.expires_at) then
    seconds := round(extract(epoch from lot.expires_at - entry.created_at));
  end if;
  -- guard same-grant {
  if (entry.type::text, entry.source, entry.amount, lot.bucket, lot.priority, seconds)
    is distinct from
    ('grant', p_source, p_amount, p_bucket, p_priority, p_expires_in_seconds)
  then
    perform credits_private.raise_error(
      409, 'IDEMPOTENCY_MISMATCH', jsonb_build_object('id', entry.id));
  end if;
  -- } same-grant
end;
$$;
revoke execute on function credits_private.check_same_grant from public;
comment on function credits_private.check_same_grant(
  public.credit_transactions, numeric, text, text, integer, bigint) is
  'IDEMPOTENCY_MISMATCH unless the grant was made with these parameters.';

-- ------------------------------------------------------------------------------------- Reversals

create or replace function public.credits_reverse(
  p_account_id uuid,
  p_transaction_id uuid,
  p_original_id uuid,
  p_reason text,
  p_amount numeric default null,
  p_actor_id uuid default null)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
declare
  change credits_private.account_change;
  original public.credit_transactions;
  reversible numeric;
begin
  perform credits_private.check_correction(p_account_id, p_transaction_id, p_amount, p_reason);
  change.account := credits_private.lock_account(p_account_id);
  original := credits_private.find_original(p_account_id, p_original_id, 'grant');
  change.entry := credits_private.find_transaction(p_account_id, p_transaction_id);
  if (change.entry).id is not null then
    perform credits_private.check_same_correction(
      change.entry, 'reversal', p_original_id,
      coalesce(p_amount, (change.entry).uncollected - (change.entry).amount));
    return credits_private.repeat_transaction(change, p_reason, p_actor_id, '{}');
  end if;

  reversible := original.amount - credits_private.sum_reversed(original);
  -- guard reversal-within-original {
  if reversible = 0 or p_amount > reversible then
    perform credits_private.raise_error(409, 'REFUND_EXCEEDS_ORIGINAL', jsonb_build_object(
      'refundable', trim_scale(reversible)::text, 'requested', trim_scale(p_amount)::text));
  end if;
  -- } reversal-within-original
  change.account := credits_private.apply_due(change.account);
  change := credits_private.new_change(
    change.account, p_transaction_id, 'reversal', p_reason, p_actor_id);
  change := credits_private.reverse_grant(change, original, coalesce(p_amount, reversible));
  return credits_private.write_transaction(change);
end;
$$;
revoke execute on function public.credits_reverse from public, anon, authenticated;
grant execute on function public.credits_reverse to service_role;
comment on function public.credits_reverse(uuid, uuid, uuid, text, numeric, uuid) is
  'Takes back a grant whose payment was refunded or disputed, wholly or in part: what is left of '
  'its lot. The rest becomes debt, or is recorded as uncollected where the plan of the account '
  'says so (credit_plans.reversal_debt). What has expired is uncollected too. All reversals '
  'together never exceed the grant. Returns TransactionResult of store/port.ts. Errors: '
  'TRANSACTION_NOT_FOUND, REFUND_EXCEEDS_ORIGINAL, IDEMPOTENCY_MISMATCH, INVALID_INPUT.';

create or replace function credits_private.reverse_grant(
  change credits_private.account_change, p_original public.credit_transactions, p_amount numeric)
returns credits_private.account_change
language plpgsql
set search_path = ''
as $$
declare
  lot public.credit_lots;
  taken numeric := 0;
  owed numeric := 0;
begin
  change.entry.source := p_original.source;
  change.entry.reverses_id := p_original.id;
  select made.* into lot from public.credit_lots made
  where made.account_id = p_original.account_id and made.transaction_id = p_original.id;
  if found then
    taken := least(p_amount, lot.remaining);
    change := credits_private.take_from_lot(change, lot.id, taken);
  end if;

  if credits_private.has_reversal_debt(change.account) then
    -- What was spent of the grant and is not owed already. A refund after an earlier reversal can
    -- put more back into the lot than is still to be taken: then nothing is owed.
    owed := greatest(0, least(p_amount - taken, p_original.amount - coalesce(lot.remaining, 0)
      - credits_private.sum_expired(lot) - credits_private.sum_collected(p_original)));
    -- Debt and credits exclude each other, so other lots pay before there is a debt.
    change := credits_private.take_from_lots(change, owed);
  end if;
  change.entry.amount := -(taken + owed);
  change.entry.uncollected := p_amount - taken - owed;
  return change;
end;
$$;
revoke execute on function credits_private.reverse_grant from public;
comment on function credits_private.reverse_grant(
  credits_private.account_change, public.credit_transactions, numeric) is
  'Makes the change a reversal of a grant.';

create or replace function credits_private.has_reversal_debt(account public.credit_balances)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return (select plan.reversal_debt from public.credit_plans plan where plan.id = account.plan_id);
end;
$$;
revoke execute on function credits_private.has_reversal_debt from public;
comment on function credits_private.has_reversal_debt(public.credit_balances) is
  'Whether, by the plan of the account, what a reversal finds spent becomes a debt.';

create or replace function credits_private.sum_reversed(original public.credit_transactions)
returns numeric
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(sum(reversal.uncollected - reversal.amount), 0)
    from public.credit_transactions reversal
    where reversal.account_id = original.account_id and reversal.reverses_id = original.id
      and reversal.type = 'reversal');
end;
$$;
revoke execute on function credits_private.sum_reversed from public;
comment on function credits_private.sum_reversed(public.credit_transactions) is
  'How much of a grant has been reversed so far, uncollected parts included.';

create or replace function credits_private.sum_collected(original public.credit_transactions)
returns numeric
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(-sum(reversal.amount), 0) from public.credit_transactions reversal
    where reversal.account_id = original.account_id and reversal.reverses_id = original.id
      and reversal.type = 'reversal');
end;
$$;
revoke execute on function credits_private.sum_collected from public;
comment on function credits_private.sum_collected(public.credit_transactions) is
  'What reversals of a grant have taken so far, as credits or debt.';

create or replace function credits_private.sum_expired(lot public.credit_lots)
returns numeric
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(-sum((lost.piece ->> 'amount')::numeric), 0)
    from public.credit_transactions expiry
    cross join jsonb_array_elements(expiry.lots) as lost (piece)
    where expiry.account_id = lot.account_id and expiry.type <> 'usage' and expiry.type = 'expiry'
      and lost.piece ->> 'lotId' = lot.id::text);
end;
$$;
revoke execute on function credits_private.sum_expired from public;
comment on function credits_private.sum_expired(public.credit_lots) is
  'What has expired of a lot.';
