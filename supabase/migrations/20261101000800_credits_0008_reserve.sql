-- Reserve and extend. Executable by service_role alone, like every operation; one jsonb result each, in the shapes of
-- store/port.ts. lock_timeout: a locked account refuses its own callers instead of filling the connection pool of
-- everybody else. New spending is refused soonest: callers enough to fill the pool twice still leave it within a second.
-- What ends a reservation is more patient.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create or replace function credits_private.reserve_slowly(
  p_reservation_id uuid, p_user_id uuid, p_amount numeric, p_minimum numeric)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  s public.credit_settings;
  b public.credit_balances;
  r public.credit_reservations;
  v_available numeric;
  v_held numeric;
  v_now timestamptz;
begin
  select * into strict s from public.credit_settings;
  b := credits_private.apply_due(credits_private.open_account(p_user_id));
  v_available := credits_private.available(b);
  perform credits_private.check_may_spend(b, s);
  if v_available < p_minimum then
    perform credits_private.fail(402, 'INSUFFICIENT_CREDITS', jsonb_build_object(
      'available', trim_scale(greatest(v_available, 0))::text,
      'required', trim_scale(p_minimum)::text,
      'balance', trim_scale(b.plan_credits + b.add_on_credits - b.debt)::text));
  end if;
  if b.open_reservations >= s.max_open_reservations then
    perform credits_private.fail(429, 'LIMIT_EXCEEDED', jsonb_build_object(
      'limit', 'open_reservations', 'maximum', s.max_open_reservations));
  end if;
  v_held := least(p_amount, v_available);
  if b.reserved + v_held > s.max_reserved_credits then
    perform credits_private.fail(429, 'LIMIT_EXCEEDED', jsonb_build_object(
      'limit', 'reserved_credits', 'maximum', trim_scale(s.max_reserved_credits)::text));
  end if;
  -- Its life begins now: a sweep that has just passed must not have passed its end already.
  v_now := clock_timestamp();
  update public.credit_reservations x
  set held = v_held, created_at = v_now, expires_at = v_now + (x.expires_at - x.created_at)
  where x.id = p_reservation_id
  returning x.* into r;
  b.reserved := b.reserved + v_held;
  b.open_reservations := b.open_reservations + 1;
  b.next_due_at := least(b.next_due_at, r.expires_at);
  b.swept_until := least(b.swept_until, v_now);
  perform credits_private.save_account(b);
  return credits_private.reservation_json(r) || jsonb_build_object('replayed', false, 'balance', credits_private.balance_json(b));
end;
$$;
comment on function credits_private.reserve_slowly(uuid, uuid, numeric, numeric) is
  'Reserve when the fast path did not apply: work is due, less than the amount must do, or it has to be refused with the reason. Its row has been written already and goes with a refusal.';

create or replace function credits_private.check_may_spend(b public.credit_balances, s public.credit_settings)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if b.status = 'frozen' then perform credits_private.fail(403, 'ACCOUNT_FROZEN'); end if;
  if s.spending_frozen then perform credits_private.fail(503, 'SPENDING_FROZEN'); end if;
end;
$$;
comment on function credits_private.check_may_spend(public.credit_balances, public.credit_settings) is
  'Refuses new spending of a frozen account, or of everybody.';

create or replace function credits_private.repeat_reserve(
  p_reservation_id uuid, p_user_id uuid, p_amount numeric, p_minimum numeric, p_feature text, p_model text, p_rate_id uuid, p_margin_id uuid, p_metadata jsonb)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  r public.credit_reservations;
  b public.credit_balances;
begin
  select * into strict r from public.credit_reservations where id = p_reservation_id;
  if (r.account_id, r.requested, r.minimum) is distinct from (p_user_id, p_amount, p_minimum)
    or (r.feature, r.model, r.rate_id, r.margin_id) is distinct from (p_feature, p_model, p_rate_id, p_margin_id)
    or r.metadata <> coalesce(p_metadata, '{}')
  then
    perform credits_private.fail(409, 'IDEMPOTENCY_MISMATCH', jsonb_build_object('id', p_reservation_id));
  end if;
  select * into strict b from public.credit_balances where account_id = p_user_id;
  return credits_private.reservation_json(r)
    || jsonb_build_object('replayed', true, 'balance', credits_private.balance_json(b));
end;
$$;
comment on function credits_private.repeat_reserve(uuid, uuid, numeric, numeric, text, text, uuid, uuid, jsonb) is
  'The answer to a reserve whose id is there already: the first reservation, or IDEMPOTENCY_MISMATCH.';

create or replace function public.credits_reserve(
  p_reservation_id uuid,
  p_user_id uuid,
  p_amount numeric,
  p_minimum_amount numeric default null,
  p_ttl_seconds integer default null,
  p_feature text default null,
  p_model text default null,
  p_rate_id uuid default null,
  p_margin_id uuid default null,
  p_metadata jsonb default '{}')
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '450ms'
as $$
declare
  v_minimum numeric := coalesce(p_minimum_amount, p_amount);
  v_now timestamptz := clock_timestamp();
  v_expires_at timestamptz;
  v_answer json;
begin
  -- One expression for the good case; what is wrong is found out only when something is.
  if (p_reservation_id is not null and p_user_id is not null
    and v_minimum > 0 and v_minimum <= p_amount and p_amount <= 1000000000000
    and greatest(scale(p_amount), scale(v_minimum)) <= 6
    and coalesce(p_ttl_seconds, 1) between 1 and 86400
    and least(length(p_feature), length(p_model), 1) = 1 and greatest(length(p_feature), length(p_model), 1) <= 255
    and jsonb_typeof(coalesce(p_metadata, '{}')) = 'object' and coalesce(pg_column_size(p_metadata), 0) <= 4096) is not true
  then
    perform credits_private.refuse_reserve(p_reservation_id, p_user_id, p_amount, v_minimum, p_ttl_seconds, p_feature, p_model, p_metadata);
  end if;
  if p_ttl_seconds is null then select s.reservation_ttl_seconds into p_ttl_seconds from public.credit_settings s; end if;
  v_expires_at := v_now + make_interval(secs => p_ttl_seconds);

  -- The account comes last, so that callers of a busy one wait for each other as shortly as can be.
  insert into public.credit_reservations
    (id, account_id, user_id, held, requested, minimum, feature, model, rate_id, margin_id, metadata, created_at, expires_at)
  values
    (p_reservation_id, p_user_id, p_user_id, p_amount, p_amount, v_minimum, p_feature, p_model, p_rate_id, p_margin_id,
     coalesce(p_metadata, '{}'), v_now, v_expires_at)
  on conflict (id) do nothing;
  if not found then
    return credits_private.repeat_reserve(p_reservation_id, p_user_id, p_amount, v_minimum, p_feature, p_model, p_rate_id, p_margin_id, p_metadata);
  end if;

  -- Check and change in one statement, so no two callers can both see the last credit. It answers as reservation_json
  -- and balance_json would.
  update public.credit_balances a
  set reserved = a.reserved + p_amount,
      open_reservations = a.open_reservations + 1,
      next_due_at = least(a.next_due_at, v_expires_at),
      -- Only matters after the clock was set back: a sweep must still find this reservation.
      swept_until = least(a.swept_until, v_now)
  from public.credit_settings s
  where a.account_id = p_user_id
    and a.plan_credits + a.add_on_credits - a.debt + a.overage_limit - a.reserved >= p_amount
    and a.next_due_at > clock_timestamp()
    and a.status = 'active'
    and a.user_id is not null
    and not s.spending_frozen
    and a.open_reservations < s.max_open_reservations
    and a.reserved + p_amount <= s.max_reserved_credits
  returning format('{"reservationId": "%s", "userId": "%s", "state": "active", "amount": "%s", "captured": "0", "uncollected": "0", '
      '"feature": %s, "model": %s, "rateId": %s, "marginId": %s, "metadata": %s, "late": false, "createdAt": %s, "expiresAt": %s, '
      '"closedAt": null, "replayed": false, "balance": {"userId": "%s", "planId": "%s", "planCredits": "%s", "addOnCredits": "%s", '
      '"debt": "%s", "reserved": "%s", "overageLimit": "%s", "available": "%s", "status": "active", "periodEndsAt": %s, "version": %s}}',
    p_reservation_id, p_user_id, p_amount, coalesce(to_json(p_feature), 'null'), coalesce(to_json(p_model), 'null'),
    coalesce(to_json(p_rate_id), 'null'), coalesce(to_json(p_margin_id), 'null'), coalesce(p_metadata, '{}'), to_json(v_now),
    to_json(v_expires_at), p_user_id, a.plan_id, a.plan_credits, a.add_on_credits, a.debt, a.reserved, a.overage_limit,
    a.plan_credits + a.add_on_credits - a.debt + a.overage_limit - a.reserved, coalesce(to_json(a.plan_period_ends_at), 'null'), a.version)
  into v_answer;

  if v_answer is null then return credits_private.reserve_slowly(p_reservation_id, p_user_id, p_amount, v_minimum); end if;
  return v_answer;
end;
$$;
comment on function public.credits_reserve(uuid, uuid, numeric, numeric, integer, text, text, uuid, uuid, jsonb) is
  'Sets credits aside before a model call. With a minimum, takes what is available down to it. Errors: INSUFFICIENT_CREDITS, LIMIT_EXCEEDED, ACCOUNT_NOT_FOUND, ACCOUNT_FROZEN, SPENDING_FROZEN, IDEMPOTENCY_MISMATCH, INVALID_INPUT.';

create or replace function credits_private.refuse_reserve(
  p_reservation_id uuid, p_user_id uuid, p_amount numeric, p_minimum numeric, p_ttl_seconds integer, p_feature text, p_model text, p_metadata jsonb)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_reservation_id is null then perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "reservationId"}'); end if;
  if p_user_id is null then perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "userId"}'); end if;
  perform credits_private.check_amount(p_amount, 'amount');
  perform credits_private.check_hold(p_minimum, p_amount, p_ttl_seconds);
  perform credits_private.check_text(p_feature, 'feature', 255);
  perform credits_private.check_text(p_model, 'model', 255);
  perform credits_private.check_object(p_metadata, 'metadata');
  perform credits_private.fail(422, 'INVALID_INPUT');
end;
$$;
comment on function credits_private.refuse_reserve(uuid, uuid, numeric, numeric, integer, text, text, jsonb) is
  'Names the malformed argument of reserve.';

create or replace function credits_private.check_hold(p_minimum numeric, p_amount numeric, p_ttl_seconds integer)
returns void
language plpgsql
immutable
set search_path = ''
as $$
begin
  perform credits_private.check_amount(p_minimum, 'minimumAmount');
  if p_minimum > p_amount then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "minimumAmount", "expected": "at most the amount"}');
  end if;
  if p_ttl_seconds not between 1 and 86400 then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "ttlSeconds", "expected": "1 to 86400"}');
  end if;
end;
$$;
comment on function credits_private.check_hold(numeric, numeric, integer) is 'Refuses a malformed minimum or life of a reservation.';

create or replace function credits_private.lock_reservation(p_reservation_id uuid)
returns credits_private.posting
language plpgsql
set search_path = ''
as $$
declare
  p credits_private.posting;
  b public.credit_balances;
  r public.credit_reservations;
begin
  select x.* into r from public.credit_reservations x where x.id = p_reservation_id for update;
  if not found then
    perform credits_private.fail(404, 'RESERVATION_NOT_FOUND', jsonb_build_object('reservationId', p_reservation_id));
  end if;
  b := credits_private.lock_account(r.account_id);
  if b.next_due_at <= clock_timestamp() then
    b := credits_private.apply_due(b);
    -- It may have been past its time itself.
    select x.* into r from public.credit_reservations x where x.id = p_reservation_id;
  end if;
  p.b := b;
  p.r := r;
  return p;
end;
$$;
comment on function credits_private.lock_reservation(uuid) is
  'A reservation and its account, locked in this order, with everything due applied.';

create or replace function credits_private.save_reservation(r public.credit_reservations)
returns void
language plpgsql
set search_path = ''
as $$
begin
  update public.credit_reservations x
  set state = r.state, held = r.held, captured = r.captured, uncollected = r.uncollected, extensions = r.extensions,
      late = r.late, expires_at = r.expires_at, closed_at = r.closed_at
  where x.id = r.id;
end;
$$;
comment on function credits_private.save_reservation(public.credit_reservations) is 'Writes a locked and changed reservation back.';

create or replace function credits_private.hold_more(
  p credits_private.posting, p_extension_id uuid, p_amount numeric, p_minimum numeric, p_ttl_seconds integer, s public.credit_settings)
returns credits_private.posting
language plpgsql
set search_path = ''
as $$
declare
  v_until timestamptz := clock_timestamp() + make_interval(secs => coalesce(p_ttl_seconds, s.reservation_ttl_seconds));
  v_amount numeric := least(p_amount, credits_private.available(p.b), s.max_reserved_credits - (p.b).reserved);
begin
  if v_amount < p_minimum then return p; end if;
  p.b.reserved := (p.b).reserved + v_amount;
  p.b.swept_until := least((p.b).swept_until, clock_timestamp());
  p.r.held := (p.r).held + v_amount;
  -- Never shortens. next_due_at may stay early: the look then finds nothing due.
  p.r.expires_at := greatest((p.r).expires_at, v_until);
  p.r.extensions := coalesce((p.r).extensions, '{}') || jsonb_build_object(p_extension_id, jsonb_build_object(
    'amount', trim_scale(v_amount)::text, 'requested', trim_scale(p_amount)::text, 'minimum', trim_scale(p_minimum)::text));
  return p;
end;
$$;
comment on function credits_private.hold_more(credits_private.posting, uuid, numeric, numeric, integer, public.credit_settings) is
  'Adds to what an active reservation holds and prolongs it, or leaves it as it is when less than the minimum is available.';

create or replace function credits_private.extension_json(r public.credit_reservations, p_extension_id uuid)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'granted', coalesce(r.extensions ? p_extension_id::text, false),
    'amount', coalesce(r.extensions -> p_extension_id::text ->> 'amount', '0'));
end;
$$;
comment on function credits_private.extension_json(public.credit_reservations, uuid) is 'Extension of store/port.ts.';

create or replace function public.credits_extend(
  p_reservation_id uuid,
  p_extension_id uuid,
  p_amount numeric,
  p_minimum_amount numeric default null,
  p_ttl_seconds integer default null)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
declare
  s public.credit_settings;
  p credits_private.posting;
  v_minimum numeric := coalesce(p_minimum_amount, p_amount);
  v_known jsonb;
begin
  perform credits_private.check_amount(p_amount, 'amount');
  perform credits_private.check_hold(v_minimum, p_amount, p_ttl_seconds);
  if p_extension_id is null then perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "extensionId"}'); end if;
  select * into strict s from public.credit_settings;

  p := credits_private.lock_reservation(p_reservation_id);
  v_known := (p.r).extensions -> p_extension_id::text;
  if v_known is null then
    if (p.r).state <> 'active' then
      perform credits_private.fail(409, 'RESERVATION_CLOSED', jsonb_build_object('state', (p.r).state));
    end if;
    perform credits_private.check_may_spend(p.b, s);
    p := credits_private.hold_more(p, p_extension_id, p_amount, v_minimum, p_ttl_seconds, s);
    perform credits_private.save_reservation(p.r);
    perform credits_private.save_account(p.b);
  elsif ((v_known ->> 'requested')::numeric, (v_known ->> 'minimum')::numeric) is distinct from (p_amount, v_minimum) then
    perform credits_private.fail(409, 'IDEMPOTENCY_MISMATCH', jsonb_build_object('id', p_extension_id));
  end if;
  return credits_private.reservation_json(p.r) || jsonb_build_object(
    'replayed', v_known is not null,
    'balance', credits_private.balance_json(p.b),
    'extension', credits_private.extension_json(p.r, p_extension_id));
end;
$$;
comment on function public.credits_extend(uuid, uuid, numeric, numeric, integer) is
  'Adds to an active reservation and prolongs it. Too few credits is an answer (granted: false), not an error. Errors: RESERVATION_NOT_FOUND, RESERVATION_CLOSED, ACCOUNT_FROZEN, SPENDING_FROZEN, IDEMPOTENCY_MISMATCH, INVALID_INPUT.';
