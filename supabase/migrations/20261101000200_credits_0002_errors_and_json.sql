-- How functions refuse, and how they answer: one writer for errors, one for each JSON shape.
--
-- The shapes are those of packages/credits/src/store/port.ts. Amounts are decimal strings without
-- trailing zeros, so that a first answer and its repeat are equal.
--
-- Answers are json, built at once: to build jsonb and merge its parts took 12 % of a settle.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

-- ------------------------------------------------------------------------- errors

create or replace function credits_private.raise_error(
  p_status integer, p_code text, p_details jsonb default '{}')
returns void
language plpgsql
set search_path = ''
as $$
begin
  raise exception using errcode = 'PT' || p_status, message = p_code, detail = p_details::text;
end;
$$;
revoke execute on function credits_private.raise_error from public;
comment on function credits_private.raise_error(integer, text, jsonb) is
  'Raises a documented code: SQLSTATE PT<http status>, message = the code, detail = JSON.';

create or replace function credits_private.raise_invalid_input(p_path text, p_message text)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform credits_private.raise_error(422, 'INVALID_INPUT', jsonb_build_object(
    'issues', jsonb_build_array(jsonb_build_object('path', p_path, 'message', p_message))));
end;
$$;
revoke execute on function credits_private.raise_invalid_input from public;
comment on function credits_private.raise_invalid_input(text, text) is
  'INVALID_INPUT with the one shape of its details: {"issues": [{"path", "message"}]}.';

create or replace function credits_private.raise_insufficient_credits(
  p_account public.credit_balances, p_available numeric, p_required numeric)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform credits_private.raise_error(402, 'INSUFFICIENT_CREDITS', jsonb_build_object(
    'available', trim_scale(greatest(p_available, 0))::text,
    'required', trim_scale(p_required)::text,
    'balance', trim_scale(
      p_account.plan_credits + p_account.add_on_credits - p_account.debt)::text));
end;
$$;
revoke execute on function credits_private.raise_insufficient_credits from public;
comment on function credits_private.raise_insufficient_credits(
  public.credit_balances, numeric, numeric) is
  'INSUFFICIENT_CREDITS; balance is plan + add-on - debt.';

-- ------------------------------------------------------------------------- checks of arguments

create or replace function credits_private.check_amount(
  p_value numeric, p_path text, p_may_be_zero boolean default false)
returns void
language plpgsql
set search_path = ''
as $$
begin
  -- NaN and infinity fail the upper bound.
  if p_value > 0 and p_value <= 1000000000000 and p_value = round(p_value, 6) then return; end if;
  if p_value = 0 and p_may_be_zero then return; end if;
  perform credits_private.raise_invalid_input(
    p_path, 'expected a positive decimal with at most 6 places, up to 1000000000000');
end;
$$;
revoke execute on function credits_private.check_amount from public;
comment on function credits_private.check_amount(numeric, text, boolean) is
  'Refuses what is not an amount of credits, null included.';

create or replace function credits_private.check_id(p_value uuid, p_path text)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_value is null then
    perform credits_private.raise_invalid_input(p_path, 'expected a UUID');
  end if;
end;
$$;
revoke execute on function credits_private.check_id from public;
comment on function credits_private.check_id(uuid, text) is 'Refuses a missing id.';

create or replace function credits_private.check_text(p_value text, p_path text, p_max integer)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_value is not null and char_length(p_value) not between 1 and p_max then
    perform credits_private.raise_invalid_input(
      p_path, format('expected 1 to %s characters', p_max));
  end if;
end;
$$;
revoke execute on function credits_private.check_text from public;
comment on function credits_private.check_text(text, text, integer) is
  'Refuses an empty or overlong text; null is fine.';

create or replace function credits_private.check_object(
  p_value jsonb, p_path text, p_max_bytes integer default 4096)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_value is null or jsonb_typeof(p_value) = 'null' then return; end if;
  if jsonb_typeof(p_value) <> 'object' or octet_length(p_value::text) > p_max_bytes then
    perform credits_private.raise_invalid_input(
      p_path, format('expected a JSON object of at most %s bytes', p_max_bytes));
  end if;
end;
$$;
revoke execute on function credits_private.check_object from public;
comment on function credits_private.check_object(jsonb, text, integer) is
  'Refuses what is not a JSON object of limited size; null is fine.';

-- ------------------------------------------------------------------------- answers

create or replace function credits_private.iso(p_time timestamptz)
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return case when isfinite(p_time)
    then to_char(p_time at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') end;
end;
$$;
revoke execute on function credits_private.iso from public;
comment on function credits_private.iso(timestamptz) is
  'ISO 8601, UTC, microseconds; null for null and infinity.';

create or replace function credits_private.available(account public.credit_balances)
returns numeric
language plpgsql
immutable
set search_path = ''
as $$
begin
  return account.plan_credits + account.add_on_credits - account.debt
    + account.overage_limit - account.reserved;
end;
$$;
revoke execute on function credits_private.available from public;
comment on function credits_private.available(public.credit_balances) is
  'What can still be reserved; negative after an overage limit was lowered.';

create or replace function credits_private.balance_json(account public.credit_balances)
returns json
language plpgsql
stable
set search_path = ''
as $$
begin
  return json_build_object(
    'userId', account.account_id,
    'planId', account.plan_id,
    'planCredits', trim_scale(account.plan_credits)::text,
    'addOnCredits', trim_scale(account.add_on_credits)::text,
    'debt', trim_scale(account.debt)::text,
    'reserved', trim_scale(account.reserved)::text,
    'overageLimit', trim_scale(account.overage_limit)::text,
    'available', trim_scale(account.plan_credits + account.add_on_credits - account.debt
      + account.overage_limit - account.reserved)::text,
    'status', case when account.user_id is null then 'closed' else account.status end,
    'periodEndsAt', account.plan_period_ends_at,
    'version', account.version);
end;
$$;
revoke execute on function credits_private.balance_json from public;
comment on function credits_private.balance_json(public.credit_balances) is
  'Balance of store/port.ts.';

create or replace function credits_private.reservation_answer(
  reservation public.credit_reservations, p_replayed boolean default null,
  p_balance json default null, p_transaction json default null, p_extension json default null)
returns json
language plpgsql
stable
set search_path = ''
as $$
declare
  -- A reservation past its time counts as expired before due work marks it.
  state constant text := case
    when reservation.state = 'active' and reservation.expires_at <= clock_timestamp()
    then 'expired' else reservation.state end;
begin
  return json_build_object(
    'reservationId', reservation.id,
    'userId', reservation.user_id,
    'state', state,
    'amount', case when state = 'active' then trim_scale(reservation.reserved)::text else '0' end,
    'captured', trim_scale(reservation.captured)::text,
    'uncollected', trim_scale(reservation.uncollected)::text,
    'feature', reservation.feature,
    'model', reservation.model,
    'rateId', reservation.rate_id,
    'marginId', reservation.margin_id,
    'metadata', reservation.metadata,
    'late', reservation.late,
    'createdAt', reservation.created_at,
    'expiresAt', reservation.expires_at,
    'closedAt', reservation.closed_at,
    'replayed', p_replayed,
    'balance', p_balance,
    'transaction', p_transaction,
    'extension', p_extension);
end;
$$;
revoke execute on function credits_private.reservation_answer from public;
comment on function credits_private.reservation_answer(
  public.credit_reservations, boolean, json, json, json) is
  'ReservationResult, ExtendResult, CaptureResult and SettleResult of store/port.ts. Fields that '
  'an operation does not answer are null.';

create or replace function credits_private.reservation_json(
  reservation public.credit_reservations)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return credits_private.reservation_answer(reservation)::jsonb
    - array['replayed', 'balance', 'transaction', 'extension'];
end;
$$;
revoke execute on function credits_private.reservation_json from public;
comment on function credits_private.reservation_json(public.credit_reservations) is
  'Reservation of store/port.ts.';

create or replace function credits_private.transaction_json(entry public.credit_transactions)
returns json
language plpgsql
stable
set search_path = ''
as $$
begin
  if entry.id is null then return null; end if;
  return json_build_object(
    'id', entry.id,
    'userId', entry.user_id,
    'version', entry.version,
    'type', entry.type,
    'source', entry.source,
    'amount', trim_scale(entry.amount)::text,
    'balanceAfter', trim_scale(entry.balance_after)::text,
    'uncollected', trim_scale(entry.uncollected)::text,
    'reservationId', entry.reservation_id,
    'reversesId', entry.reverses_id,
    'feature', entry.feature,
    'model', entry.model,
    'inputTokens', entry.input_tokens,
    'outputTokens', entry.output_tokens,
    'estimated', entry.estimated,
    'late', entry.late,
    'metadata', entry.metadata,
    'createdAt', entry.created_at);
end;
$$;
revoke execute on function credits_private.transaction_json from public;
comment on function credits_private.transaction_json(public.credit_transactions) is
  'Transaction of store/port.ts: what the owner may see. Null for no transaction.';

create or replace function credits_private.transaction_result_json(
  account public.credit_balances, entry public.credit_transactions, p_replayed boolean)
returns json
language plpgsql
stable
set search_path = ''
as $$
begin
  return json_build_object(
    'transaction', credits_private.transaction_json(entry),
    'balance', credits_private.balance_json(account),
    'replayed', p_replayed);
end;
$$;
revoke execute on function credits_private.transaction_result_json from public;
comment on function credits_private.transaction_result_json(
  public.credit_balances, public.credit_transactions, boolean) is
  'TransactionResult of store/port.ts.';
