-- How the functions refuse (one code, one status, JSON details) and how they answer (the shapes of store/port.ts).
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create or replace function credits_private.fail(p_status integer, p_code text, p_detail jsonb default '{}')
returns void
language plpgsql
set search_path = ''
as $$
begin
  raise exception using errcode = 'PT' || p_status, message = p_code, detail = p_detail::text;
end;
$$;
comment on function credits_private.fail(integer, text, jsonb) is
  'Raises one of the documented codes: SQLSTATE PT<http status>, message = the code, detail = JSON.';

create or replace function credits_private.check_amount(p_value numeric, p_field text, p_may_be_zero boolean default false)
returns void
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- NaN and infinity fail the upper bound.
  if p_value > 0 and p_value <= 1000000000000 and p_value = round(p_value, 6) then return; end if;
  if p_value = 0 and p_may_be_zero then return; end if;
  perform credits_private.fail(422, 'INVALID_INPUT', jsonb_build_object(
    'field', p_field, 'expected', 'a positive decimal with at most 6 places, up to 1000000000000'));
end;
$$;
comment on function credits_private.check_amount(numeric, text, boolean) is 'Refuses what is not an amount of credits.';

create or replace function credits_private.check_text(p_value text, p_field text, p_max integer)
returns void
language plpgsql
immutable
set search_path = ''
as $$
begin
  if p_value is not null and char_length(p_value) not between 1 and p_max then
    perform credits_private.fail(422, 'INVALID_INPUT', jsonb_build_object(
      'field', p_field, 'expected', format('1 to %s characters', p_max)));
  end if;
end;
$$;
comment on function credits_private.check_text(text, text, integer) is 'Refuses an empty or overlong text; null is fine.';

create or replace function credits_private.check_object(p_value jsonb, p_field text, p_max_bytes integer default 4096)
returns void
language plpgsql
immutable
set search_path = ''
as $$
begin
  if p_value is null or jsonb_typeof(p_value) = 'null' then return; end if;
  if jsonb_typeof(p_value) <> 'object' or octet_length(p_value::text) > p_max_bytes then
    perform credits_private.fail(422, 'INVALID_INPUT', jsonb_build_object(
      'field', p_field, 'expected', format('a JSON object of at most %s bytes', p_max_bytes)));
  end if;
end;
$$;
comment on function credits_private.check_object(jsonb, text, integer) is 'Refuses what is not a JSON object of bearable size; null is fine.';

create or replace function credits_private.iso(p_time timestamptz)
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return case when isfinite(p_time) then to_char(p_time at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') end;
end;
$$;
comment on function credits_private.iso(timestamptz) is 'ISO 8601, UTC, microseconds; null for null and infinity.';

create or replace function credits_private.available(b public.credit_balances)
returns numeric
language plpgsql
immutable
set search_path = ''
as $$
begin
  return b.plan_credits + b.add_on_credits - b.debt + b.overage_limit - b.reserved;
end;
$$;
comment on function credits_private.available(public.credit_balances) is 'What can still be reserved; may be negative after an overage limit was lowered.';

create or replace function credits_private.balance_json(b public.credit_balances)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'userId', b.account_id,
    'planId', b.plan_id,
    'planCredits', trim_scale(b.plan_credits)::text,
    'addOnCredits', trim_scale(b.add_on_credits)::text,
    'debt', trim_scale(b.debt)::text,
    'reserved', trim_scale(b.reserved)::text,
    'overageLimit', trim_scale(b.overage_limit)::text,
    'available', trim_scale(b.plan_credits + b.add_on_credits - b.debt + b.overage_limit - b.reserved)::text,
    'status', case when b.user_id is null then 'closed' else b.status end,
    'periodEndsAt', b.plan_period_ends_at,
    'version', b.version
  );
end;
$$;
comment on function credits_private.balance_json(public.credit_balances) is 'Balance of store/port.ts.';

create or replace function credits_private.reservation_json(r public.credit_reservations)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'reservationId', r.id,
    'userId', r.user_id,
    'state', case when r.state = 'active' and r.expires_at <= clock_timestamp() then 'expired' else r.state end,
    'amount', case when r.state = 'active' and r.expires_at > clock_timestamp() then trim_scale(r.held)::text else '0' end,
    'captured', trim_scale(r.captured)::text,
    'uncollected', trim_scale(r.uncollected)::text,
    'feature', r.feature,
    'model', r.model,
    'rateId', r.rate_id,
    'marginId', r.margin_id,
    'metadata', r.metadata,
    'late', r.late,
    'createdAt', r.created_at,
    'expiresAt', r.expires_at,
    'closedAt', r.closed_at
  );
end;
$$;
comment on function credits_private.reservation_json(public.credit_reservations) is 'Reservation of store/port.ts.';

create or replace function credits_private.transaction_json(t public.credit_transactions)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'id', t.id,
    'userId', t.user_id,
    'version', t.version,
    'type', t.type,
    'source', t.source,
    'amount', trim_scale(t.amount)::text,
    'balanceAfter', trim_scale(t.balance_after)::text,
    'uncollected', trim_scale(t.uncollected)::text,
    'reservationId', t.reservation_id,
    'reversesId', t.reverses_id,
    'feature', t.feature,
    'model', t.model,
    'inputTokens', t.input_tokens,
    'outputTokens', t.output_tokens,
    'estimated', t.estimated,
    'late', t.late,
    'reason', t.reason,
    'metadata', t.metadata,
    'createdAt', t.created_at
  );
end;
$$;
comment on function credits_private.transaction_json(public.credit_transactions) is 'Transaction of store/port.ts.';
