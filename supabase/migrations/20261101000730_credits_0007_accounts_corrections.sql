-- Corrections: refunds of usage, adjustments by hand, and the true cost of an estimated charge. Old
-- transactions are never edited: each correction is a new one.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

-- --------------------------------------------------------------------------------------- Refunds

create or replace function public.credits_refund(
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
  refundable numeric;
begin
  perform credits_private.check_correction(p_account_id, p_transaction_id, p_amount, p_reason);
  change.account := credits_private.lock_account(p_account_id);
  original := credits_private.find_original(p_account_id, p_original_id, 'usage');
  change.entry := credits_private.find_transaction(p_account_id, p_transaction_id);
  if (change.entry).id is not null then
    perform credits_private.check_same_correction(
      change.entry, 'refund', p_original_id, coalesce(p_amount, (change.entry).amount));
    return credits_private.repeat_transaction(change, p_reason, p_actor_id, '{}');
  end if;

  refundable := -original.amount - credits_private.sum_refunded(original);
  -- guard refund-within-original {
  if refundable = 0 or p_amount > refundable then
    perform credits_private.raise_error(409, 'REFUND_EXCEEDS_ORIGINAL', jsonb_build_object(
      'refundable', trim_scale(refundable)::text, 'requested', trim_scale(p_amount)::text));
  end if;
  -- } refund-within-original
  change.account := credits_private.apply_due(change.account);
  change := credits_private.new_change(
    change.account, p_transaction_id, 'refund', p_reason, p_actor_id);
  change := credits_private.refund_usage(change, original, coalesce(p_amount, refundable));
  return credits_private.write_transaction(change);
end;
$$;
revoke execute on function public.credits_refund from public, anon, authenticated;
grant execute on function public.credits_refund to service_role;
comment on function public.credits_refund(uuid, uuid, uuid, text, numeric, uuid) is
  'Gives back a usage transaction, wholly or in part, by a linked one. All refunds together never '
  'exceed it. Returns TransactionResult of store/port.ts. Errors: TRANSACTION_NOT_FOUND, '
  'REFUND_EXCEEDS_ORIGINAL, IDEMPOTENCY_MISMATCH, INVALID_INPUT.';

create or replace function credits_private.refund_usage(
  change credits_private.account_change, p_original public.credit_transactions, p_amount numeric)
returns credits_private.account_change
language plpgsql
set search_path = ''
as $$
begin
  change.entry.user_id := p_original.user_id;
  change.entry.source := 'refund';
  change.entry.amount := p_amount;
  change.entry.reverses_id := p_original.id;
  change.entry.reservation_id := p_original.reservation_id;
  change.entry.feature := p_original.feature;
  change.entry.model := p_original.model;
  return credits_private.return_to_lots(change, p_original, p_amount);
end;
$$;
revoke execute on function credits_private.refund_usage from public;
comment on function credits_private.refund_usage(
  credits_private.account_change, public.credit_transactions, numeric) is
  'Makes the change a refund of a usage transaction.';

create or replace function credits_private.sum_refunded(original public.credit_transactions)
returns numeric
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(sum(refund.amount), 0) from public.credit_transactions refund
    where refund.account_id = original.account_id and refund.reverses_id = original.id
      and refund.type = 'refund');
end;
$$;
revoke execute on function credits_private.sum_refunded from public;
comment on function credits_private.sum_refunded(public.credit_transactions) is
  'What refunds of a usage transaction have given back so far.';

-- ----------------------------------------------------------------------------------- Adjustments

create or replace function public.credits_adjust(
  p_account_id uuid,
  p_transaction_id uuid,
  p_amount numeric,
  p_reason text,
  p_actor_id uuid default null)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
declare
  change credits_private.account_change;
  free numeric;
begin
  perform credits_private.check_amount(abs(p_amount), 'amount');
  perform credits_private.check_correction(p_account_id, p_transaction_id, null, p_reason);
  change.account := credits_private.open_account(p_account_id);
  change.entry := credits_private.find_transaction(p_account_id, p_transaction_id);
  if (change.entry).id is not null then
    perform credits_private.check_same_correction(change.entry, 'adjustment', null, p_amount);
    return credits_private.repeat_transaction(change, p_reason, p_actor_id, '{}');
  end if;

  change.account := credits_private.apply_due(change.account);
  change := credits_private.new_change(
    change.account, p_transaction_id, 'adjustment', p_reason, p_actor_id);
  change.entry.source := 'adjustment';
  change.entry.amount := p_amount;
  if p_amount > 0 then
    change := credits_private.add_lot(change, p_amount, 'add-on', 'adjustment', 100, null);
  else
    -- Never overage, and never what a reservation keeps back.
    free := credits_private.available(change.account) - (change.account).overage_limit;
    -- guard adjust-within-available {
    if free < -p_amount then
      perform credits_private.raise_insufficient_credits(change.account, free, -p_amount);
    end if;
    -- } adjust-within-available
    change := credits_private.take_from_lots(change, -p_amount);
  end if;
  return credits_private.write_transaction(change);
end;
$$;
revoke execute on function public.credits_adjust from public, anon, authenticated;
grant execute on function public.credits_adjust to service_role;
comment on function public.credits_adjust(uuid, uuid, numeric, text, uuid) is
  'Gives or takes credits by hand, with a reason. Takes only what is available without overage. '
  'Returns TransactionResult of store/port.ts. Errors: ACCOUNT_NOT_FOUND, INSUFFICIENT_CREDITS, '
  'IDEMPOTENCY_MISMATCH, INVALID_INPUT.';

-- ----------------------------------------------------------------------------------- Estimates

create or replace function public.credits_correct(
  p_account_id uuid, p_transaction_id uuid, p_original_id uuid, p_charge jsonb)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
declare
  input constant credits_private.charge_input := credits_private.check_charge(p_charge);
  change credits_private.account_change;
  original public.credit_transactions;
begin
  if input."amount" is null then
    perform credits_private.raise_invalid_input('charge', 'expected a charge');
  end if;
  perform credits_private.check_transaction_input(p_account_id, p_transaction_id, null, null);
  change.account := credits_private.lock_account(p_account_id);
  original := credits_private.find_original(p_account_id, p_original_id, 'usage');
  change.entry := credits_private.find_transaction(p_account_id, p_transaction_id);
  if (change.entry).id is not null then
    if (change.entry).reverses_id is distinct from p_original_id
      or (credits_private.find_cost(change.entry)).charge is distinct from p_charge - 'metadata'
    then
      perform credits_private.raise_error(
        409, 'IDEMPOTENCY_MISMATCH', jsonb_build_object('id', p_transaction_id));
    end if;
    return credits_private.transaction_result_json(change.account, change.entry, true);
  end if;

  -- guard correct-once {
  if not original.estimated or credits_private.is_corrected(original) then
    perform credits_private.raise_invalid_input(
      'transactionId', 'expected an estimated charge that has no correction');
  end if;
  -- } correct-once
  change.account := credits_private.apply_due(change.account);
  change.entry.id := p_transaction_id;
  change.cost.charge := p_charge - 'metadata';
  return credits_private.write_transaction(
    credits_private.correct_charge(change, original, input));
end;
$$;
revoke execute on function public.credits_correct from public, anon, authenticated;
grant execute on function public.credits_correct to service_role;
comment on function public.credits_correct(uuid, uuid, uuid, jsonb) is
  'Replaces an estimate by what the call really cost, once. More: a usage transaction for the '
  'difference; what is not available is uncollected. Less: a refund. The same: a usage '
  'transaction of 0. Each carries the charge and the id of the estimate in reverses_id. Returns '
  'TransactionResult of store/port.ts. Errors: TRANSACTION_NOT_FOUND, IDEMPOTENCY_MISMATCH, '
  'INVALID_INPUT.';

create or replace function credits_private.correct_charge(
  change credits_private.account_change,
  p_original public.credit_transactions,
  p_input credits_private.charge_input)
returns credits_private.account_change
language plpgsql
set search_path = ''
as $$
declare
  estimate constant numeric := p_original.uncollected - p_original.amount;
  collected constant numeric := -p_original.amount - credits_private.sum_refunded(p_original);
  missing constant numeric := greatest(0, p_input."amount" - estimate);
  charged constant numeric :=
    greatest(0, least(missing, credits_private.available(change.account)));
begin
  if p_input."amount" < collected then
    change.entry.type := 'refund';
    return credits_private.refund_usage(change, p_original, collected - p_input."amount");
  end if;
  change.entry.user_id := p_original.user_id;
  change.entry.type := 'usage';
  change.entry.amount := -charged;
  change.entry.uncollected := missing - charged;
  change.entry.reverses_id := p_original.id;
  change.entry.feature := p_original.feature;
  change.entry.model := p_original.model;
  change.entry.input_tokens := p_input."inputTokens";
  change.entry.output_tokens := p_input."outputTokens";
  return credits_private.take_from_lots(change, charged);
end;
$$;
revoke execute on function credits_private.correct_charge from public;
comment on function credits_private.correct_charge(
  credits_private.account_change, public.credit_transactions, credits_private.charge_input) is
  'Makes the change the correction of an estimate: a refund, or a further usage.';

create or replace function credits_private.is_corrected(original public.credit_transactions)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  -- A refund by hand has no charge.
  return exists (
    select from public.credit_transactions correction
    join public.credit_transaction_costs cost
      on cost.account_id = correction.account_id and cost.version = correction.version
    where correction.account_id = original.account_id and correction.reverses_id = original.id
      and cost.charge is not null);
end;
$$;
revoke execute on function credits_private.is_corrected from public;
comment on function credits_private.is_corrected(public.credit_transactions) is
  'Whether credits_correct has replaced an estimate.';

comment on column public.credit_transactions.reverses_id is
  'The transaction that this refund or reversal takes back, or the estimate that this usage '
  'corrects.';

-- ------------------------------------------------- Common steps of grants and corrections

create or replace function credits_private.check_correction(
  p_account_id uuid, p_transaction_id uuid, p_amount numeric, p_reason text)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_amount is not null then
    perform credits_private.check_amount(p_amount, 'amount');
  end if;
  if p_reason is null then
    perform credits_private.raise_invalid_input('reason', 'expected 1 to 1000 characters');
  end if;
  perform credits_private.check_transaction_input(p_account_id, p_transaction_id, p_reason, null);
end;
$$;
revoke execute on function credits_private.check_correction from public;
comment on function credits_private.check_correction(uuid, uuid, numeric, text) is
  'Refuses malformed arguments of refund, reverse and adjust before anything is locked.';

create or replace function credits_private.find_original(
  p_account_id uuid, p_original_id uuid, p_type text)
returns public.credit_transactions
language plpgsql
stable
set search_path = ''
as $$
declare
  original public.credit_transactions :=
    credits_private.find_transaction(p_account_id, p_original_id);
begin
  if original.id is null then
    perform credits_private.raise_error(
      404, 'TRANSACTION_NOT_FOUND', jsonb_build_object('transactionId', p_original_id));
  end if;
  if original.type <> p_type then
    perform credits_private.raise_invalid_input(
      'transactionId', format('expected a transaction of the type %s', p_type));
  end if;
  return original;
end;
$$;
revoke execute on function credits_private.find_original from public;
comment on function credits_private.find_original(uuid, uuid, text) is
  'The transaction that is to be corrected. TRANSACTION_NOT_FOUND, or INVALID_INPUT when it is of '
  'another type.';

create or replace function credits_private.new_change(
  account public.credit_balances, p_id uuid, p_type text, p_reason text, p_actor_id uuid)
returns credits_private.account_change
language plpgsql
immutable
set search_path = ''
as $$
declare
  change credits_private.account_change;
begin
  change.account := account;
  change.entry.id := p_id;
  change.entry.type := p_type;
  change.cost.reason := p_reason;
  change.cost.actor_id := p_actor_id;
  return change;
end;
$$;
revoke execute on function credits_private.new_change from public;
comment on function credits_private.new_change(
  public.credit_balances, uuid, text, text, uuid) is
  'A new transaction of a locked account, with who acts and why.';

create or replace function credits_private.write_transaction(
  change credits_private.account_change)
returns json
language plpgsql
set search_path = ''
as $$
begin
  change := credits_private.append(change);
  perform credits_private.save_account(change.account);
  return credits_private.transaction_result_json(change.account, change.entry, false);
end;
$$;
revoke execute on function credits_private.write_transaction from public;
comment on function credits_private.write_transaction(credits_private.account_change) is
  'Writes a transaction and its account, and answers with both.';

create or replace function credits_private.check_same_correction(
  entry public.credit_transactions, p_type text, p_original_id uuid, p_amount numeric)
returns void
language plpgsql
set search_path = ''
as $$
declare
  -- A reversal may have found fewer credits than it was asked for.
  asked numeric := case when entry.type = 'reversal'
    then entry.uncollected - entry.amount else entry.amount end;
begin
  -- guard same-correction {
  if (entry.type::text, entry.reverses_id, asked)
    is distinct from (p_type, p_original_id, p_amount)
  then
    perform credits_private.raise_error(
      409, 'IDEMPOTENCY_MISMATCH', jsonb_build_object('id', entry.id));
  end if;
  -- } same-correction
end;
$$;
revoke execute on function credits_private.check_same_correction from public;
comment on function credits_private.check_same_correction(
  public.credit_transactions, text, uuid, numeric) is
  'IDEMPOTENCY_MISMATCH unless the transaction was made with these parameters.';

create or replace function credits_private.repeat_transaction(
  change credits_private.account_change, p_reason text, p_actor_id uuid, p_metadata jsonb)
returns json
language plpgsql
set search_path = ''
as $$
declare
  cost public.credit_transaction_costs := credits_private.find_cost(change.entry);
  text_hash bytea := credits_private.text_hash(coalesce(p_metadata, '{}'), p_reason);
begin
  -- The hash of the text stays when the text is erased.
  -- guard same-text-and-actor {
  if (change.entry).text_hash <> text_hash or cost.actor_id is distinct from p_actor_id then
    perform credits_private.raise_error(
      409, 'IDEMPOTENCY_MISMATCH', jsonb_build_object('id', (change.entry).id));
  end if;
  -- } same-text-and-actor
  return credits_private.transaction_result_json(change.account, change.entry, true);
end;
$$;
revoke execute on function credits_private.repeat_transaction from public;
comment on function credits_private.repeat_transaction(
  credits_private.account_change, text, uuid, jsonb) is
  'The answer to a repeated transaction: the first result, or IDEMPOTENCY_MISMATCH when its text '
  'or actor differ.';
