-- Reserve, extend, capture, settle, release. Executable by service_role alone; one jsonb result each, in the
-- shapes of store/port.ts. lock_timeout: a locked account refuses its own callers after two seconds instead of
-- filling the connection pool of everybody else.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create or replace function credits_private.reserve_slowly(
  p_user_id uuid, p_reservation_id uuid, p_amount numeric, p_minimum numeric, s public.credit_settings)
returns credits_private.posting
language plpgsql
set search_path = ''
as $$
declare
  p credits_private.posting;
  b public.credit_balances;
  v_available numeric;
begin
  b := credits_private.open_account(p_user_id);
  -- A repeated call is answered even when nothing could be reserved now.
  select r into p.r from public.credit_reservations r where r.id = p_reservation_id;
  if (p.r).id is not null then
    p.b := b;
    return p;
  end if;

  b := credits_private.apply_due(b);
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
  p.r.held := least(p_amount, v_available);
  if b.reserved + (p.r).held > s.max_reserved_credits then
    perform credits_private.fail(429, 'LIMIT_EXCEEDED', jsonb_build_object(
      'limit', 'reserved_credits', 'maximum', trim_scale(s.max_reserved_credits)::text));
  end if;
  b.reserved := b.reserved + (p.r).held;
  b.open_reservations := b.open_reservations + 1;
  p.b := b;
  return p;
end;
$$;
comment on function credits_private.reserve_slowly(uuid, uuid, numeric, numeric, public.credit_settings) is
  'Reserve when the fast path did not apply: work is due, less than the amount must do, or it has to be refused with the reason.';

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
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '2s'
as $$
declare
  s public.credit_settings;
  b public.credit_balances;
  r public.credit_reservations;
  p credits_private.posting;
  v_minimum numeric := coalesce(p_minimum_amount, p_amount);
  v_held numeric := p_amount;
  v_life interval;
begin
  -- One expression for the good case; what is wrong is found out only when something is.
  if (p_reservation_id is not null and p_user_id is not null
    and p_amount > 0 and p_amount <= 1000000000000 and p_amount = round(p_amount, 6)
    and v_minimum > 0 and v_minimum <= p_amount and v_minimum = round(v_minimum, 6)
    and coalesce(p_ttl_seconds between 1 and 86400, true)
    and coalesce(char_length(p_feature) between 1 and 255, true)
    and coalesce(char_length(p_model) between 1 and 255, true)
    and coalesce(jsonb_typeof(p_metadata) = 'object' and pg_column_size(p_metadata) <= 4096, true)) is not true
  then
    perform credits_private.refuse_reserve(p_reservation_id, p_user_id, p_amount, v_minimum, p_ttl_seconds, p_feature, p_model, p_metadata);
  end if;
  select * into strict s from public.credit_settings;
  v_life := make_interval(secs => coalesce(p_ttl_seconds, s.reservation_ttl_seconds));

  -- The fast path: check and change in one statement, so no two callers can both see the last credit.
  update public.credit_balances a
  set reserved = a.reserved + p_amount,
      open_reservations = a.open_reservations + 1,
      next_due_at = least(a.next_due_at, clock_timestamp() + v_life),
      -- Only matters after the clock was set back: a sweep must still find this reservation.
      swept_until = least(a.swept_until, clock_timestamp())
  where a.account_id = p_user_id
    and a.plan_credits + a.add_on_credits - a.debt + a.overage_limit - a.reserved >= p_amount
    and a.next_due_at > clock_timestamp()
    and a.status = 'active'
    and a.user_id is not null
    and not s.spending_frozen
    and a.open_reservations < s.max_open_reservations
    and a.reserved + p_amount <= s.max_reserved_credits
  returning a.* into b;

  if not found then
    p := credits_private.reserve_slowly(p_user_id, p_reservation_id, p_amount, v_minimum, s);
    b := p.b;
    v_held := (p.r).held;
    if (p.r).id is null then
      b.next_due_at := least(b.next_due_at, clock_timestamp() + v_life);
      b.swept_until := least(b.swept_until, clock_timestamp());
      perform credits_private.save_account(b);
    end if;
  end if;

  if (p.r).id is null then
    insert into public.credit_reservations
      (id, account_id, user_id, held, requested, minimum, feature, model, rate_id, margin_id, metadata, created_at, expires_at)
    values
      (p_reservation_id, b.account_id, p_user_id, v_held, p_amount, v_minimum, p_feature, p_model, p_rate_id, p_margin_id,
       coalesce(p_metadata, '{}'), clock_timestamp(), clock_timestamp() + v_life)
    on conflict (id) do nothing
    returning * into r;
    if found then
      return credits_private.reservation_json(r)
        || jsonb_build_object('replayed', false, 'balance', credits_private.balance_json(b));
    end if;
    -- A repeated call: give back what was just taken.
    b.reserved := b.reserved - v_held;
    b.open_reservations := b.open_reservations - 1;
    perform credits_private.save_account(b);
  end if;

  select * into strict r from public.credit_reservations where id = p_reservation_id;
  if (r.account_id, r.requested, r.minimum) is distinct from (p_user_id, p_amount, v_minimum)
    or (r.feature, r.model, r.rate_id, r.margin_id) is distinct from (p_feature, p_model, p_rate_id, p_margin_id)
    or r.metadata <> coalesce(p_metadata, '{}')
  then
    perform credits_private.fail(409, 'IDEMPOTENCY_MISMATCH', jsonb_build_object('id', p_reservation_id));
  end if;
  return credits_private.reservation_json(r)
    || jsonb_build_object('replayed', true, 'balance', credits_private.balance_json(b));
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

-- ------------------------------------------------------------------------------------------------ reservations

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
  select a.* into b from public.credit_balances a
  where a.account_id = (select x.account_id from public.credit_reservations x where x.id = p_reservation_id)
  for update;
  if not found then
    perform credits_private.fail(404, 'RESERVATION_NOT_FOUND', jsonb_build_object('reservationId', p_reservation_id));
  end if;
  if b.next_due_at <= clock_timestamp() then b := credits_private.apply_due(b); end if;
  -- Read under the account's lock: nobody else can change it now.
  select x.* into r from public.credit_reservations x where x.id = p_reservation_id;
  p.b := b;
  p.r := r;
  return p;
end;
$$;
comment on function credits_private.lock_reservation(uuid) is
  'A reservation and its account, locked account first, with everything due applied.';

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

-- ------------------------------------------------------------------------------------------------ extending

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
set lock_timeout = '2s'
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

-- ------------------------------------------------------------------------------------------------ charging

do $$
begin
  create type credits_private.charge_input as (
    "amount" text, "costUsd" text, "marginPercent" text, "costSource" text, "computedCostUsd" text, "reportedCostUsd" text,
    "model" text, "servedModel" text, "feature" text, "usage" jsonb, "inputTokens" text, "outputTokens" text,
    "rateId" text, "marginId" text, "pricing" jsonb, "generationId" text, "provider" jsonb, "metadata" jsonb
  );
exception when duplicate_object then null;
end;
$$;
comment on type credits_private.charge_input is
  'A ChargeRecord of store/port.ts as it comes: text, so that reading it cannot fail with a foreign error.';

create or replace function credits_private.charge_fault(v credits_private.charge_input)
returns text
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_usd constant text := '^[0-9]{1,11}([.][0-9]{1,12})?$';
  v_uuid constant text := '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$';
begin
  return case
    when (v."amount" ~ '^[0-9]{1,12}([.][0-9]{1,6})?$') is not true then 'amount'
    when v."costUsd" !~ v_usd then 'costUsd'
    when v."marginPercent" !~ '^-?[0-9]{1,5}([.][0-9]{1,4})?$' then 'marginPercent'
    when v."marginPercent"::numeric <= -100 or v."marginPercent"::numeric > 10000 then 'marginPercent'
    when v."costSource" not in ('market-cost', 'gateway-cost', 'rate', 'estimate', 'manual') then 'costSource'
    when v."computedCostUsd" !~ v_usd then 'computedCostUsd'
    when v."reportedCostUsd" !~ v_usd then 'reportedCostUsd'
    when char_length(v."model") not between 1 and 255 then 'model'
    when char_length(v."servedModel") not between 1 and 255 then 'servedModel'
    when char_length(v."feature") not between 1 and 255 then 'feature'
    when char_length(v."generationId") not between 1 and 255 then 'generationId'
    when v."inputTokens" !~ '^[0-9]{1,15}$' then 'inputTokens'
    when v."outputTokens" !~ '^[0-9]{1,15}$' then 'outputTokens'
    when v."rateId" !~ v_uuid then 'rateId'
    when v."marginId" !~ v_uuid then 'marginId'
    when jsonb_typeof(v."usage") not in ('object', 'null') or pg_column_size(v."usage") > 65536 then 'usage'
    when jsonb_typeof(v."pricing") not in ('object', 'null') or pg_column_size(v."pricing") > 65536 then 'pricing'
    when jsonb_typeof(v."provider") not in ('object', 'null') or pg_column_size(v."provider") > 65536 then 'provider'
    when jsonb_typeof(v."metadata") not in ('object', 'null') or pg_column_size(v."metadata") > 4096 then 'metadata'
  end;
end;
$$;
comment on function credits_private.charge_fault(credits_private.charge_input) is 'The first malformed field of a charge; null when there is none.';

create or replace function credits_private.read_charge(p_charge jsonb)
returns credits_private.charge_input
language plpgsql
immutable
set search_path = ''
as $$
declare
  v credits_private.charge_input;
  v_fault text := '';
begin
  if jsonb_typeof(p_charge) = 'object' then
    v := jsonb_populate_record(null::credits_private.charge_input, p_charge);
    v_fault := '.' || credits_private.charge_fault(v);
  end if;
  if v_fault is not null then
    perform credits_private.fail(422, 'INVALID_INPUT', jsonb_build_object('field', 'charge' || v_fault));
  end if;
  return v;
end;
$$;
comment on function credits_private.read_charge(jsonb) is 'A charge, checked. INVALID_INPUT names the field.';

create or replace function credits_private.charge_cost(v credits_private.charge_input)
returns public.credit_transaction_costs
language plpgsql
immutable
set search_path = ''
as $$
declare
  c public.credit_transaction_costs;
begin
  c.cost_usd := v."costUsd"::numeric;
  c.margin_percent := v."marginPercent"::numeric;
  c.cost_source := v."costSource";
  c.computed_cost_usd := v."computedCostUsd"::numeric;
  c.reported_cost_usd := v."reportedCostUsd"::numeric;
  c.served_model := v."servedModel";
  c.usage := nullif(v."usage", 'null');
  c.rate_id := v."rateId"::uuid;
  c.margin_id := v."marginId"::uuid;
  c.pricing := nullif(v."pricing", 'null');
  c.generation_id := v."generationId";
  c.provider := nullif(v."provider", 'null');
  return c;
end;
$$;
comment on function credits_private.charge_cost(credits_private.charge_input) is 'The part of a charge that only admins may see.';

create or replace function credits_private.charge(p credits_private.posting, p_id uuid, p_charge jsonb)
returns credits_private.posting
language plpgsql
set search_path = ''
as $$
declare
  b public.credit_balances := p.b;
  r public.credit_reservations := p.r;
  t public.credit_transactions;
  v credits_private.charge_input := credits_private.read_charge(p_charge);
  v_amount numeric := v."amount"::numeric;
  v_held numeric := case when r.state = 'active' then r.held else 0 end;
  v_charged numeric;
begin
  -- What this reservation holds plus what nobody holds; the rest of the cost is recorded as uncollected.
  v_charged := greatest(0, least(v_amount, v_held + b.plan_credits + b.add_on_credits - b.debt + b.overage_limit - b.reserved));
  b.reserved := b.reserved - least(v_held, v_amount);
  r.held := v_held - least(v_held, v_amount);

  t.id := p_id;
  t.user_id := r.user_id;
  t.type := 'usage';
  t.amount := -v_charged;
  t.uncollected := v_amount - v_charged;
  t.reservation_id := r.id;
  t.feature := coalesce(v."feature", r.feature);
  t.model := coalesce(v."model", r.model);
  t.input_tokens := v."inputTokens"::bigint;
  t.output_tokens := v."outputTokens"::bigint;
  t.estimated := coalesce(v."costSource" = 'estimate', false);
  t.late := r.state = 'expired';
  t.metadata := coalesce(nullif(v."metadata", 'null'), r.metadata);
  r.captured := r.captured + v_charged;
  r.uncollected := r.uncollected + t.uncollected;
  r.late := r.late or t.late;

  p.b := b;
  p.t := t;
  p.r := r;
  return credits_private.append(credits_private.spend(p, v_charged), credits_private.charge_cost(v));
end;
$$;
comment on function credits_private.charge(credits_private.posting, uuid, jsonb) is
  'Takes a charge from what the reservation holds and from what is available beyond it, and writes the usage transaction.';

create or replace function credits_private.check_same_charge(p credits_private.posting, p_charge jsonb)
returns void
language plpgsql
stable
set search_path = ''
as $$
declare
  c public.credit_transaction_costs;
  v credits_private.charge_input := credits_private.read_charge(p_charge);
  n public.credit_transaction_costs := credits_private.charge_cost(v);
begin
  select * into c from public.credit_transaction_costs x
  where x.account_id = (p.t).account_id and x.version = (p.t).version;
  if (p.t).reservation_id is distinct from (p.r).id
    or (p.t).uncollected - (p.t).amount <> v."amount"::numeric
    or (c.cost_usd, c.usage, c.generation_id) is distinct from (n.cost_usd, n.usage, n.generation_id)
  then
    perform credits_private.fail(409, 'IDEMPOTENCY_MISMATCH', jsonb_build_object('id', (p.t).id));
  end if;
end;
$$;
comment on function credits_private.check_same_charge(credits_private.posting, jsonb) is
  'Refuses a capture id that was used for another charge.';

create or replace function public.credits_capture(
  p_reservation_id uuid,
  p_capture_id uuid,
  p_charge jsonb,
  p_extend_amount numeric default null,
  p_extend_minimum numeric default null,
  p_ttl_seconds integer default null)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '2s'
as $$
declare
  s public.credit_settings;
  p credits_private.posting;
  v_minimum numeric := coalesce(p_extend_minimum, p_extend_amount);
  v_replayed boolean := true;
begin
  if p_capture_id is null or p_capture_id = p_reservation_id then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "captureId", "expected": "an id of its own"}');
  end if;
  if p_extend_amount is not null then
    perform credits_private.check_amount(p_extend_amount, 'extend.amount');
    perform credits_private.check_hold(v_minimum, p_extend_amount, p_ttl_seconds);
  end if;
  select * into strict s from public.credit_settings;

  p := credits_private.lock_reservation(p_reservation_id);
  p.t := credits_private.find_transaction(p_capture_id);
  if (p.t).id is not null then
    perform credits_private.check_same_charge(p, p_charge);
  elsif (p.r).state in ('settled', 'released') then
    perform credits_private.fail(409, 'RESERVATION_CLOSED', jsonb_build_object('state', (p.r).state));
  else
    perform credits_private.check_transaction_input(p_capture_id, null, null);
    v_replayed := false;
    p := credits_private.charge(p, p_capture_id, p_charge);
    -- A refused extension does not undo the capture: what the provider did has to be paid.
    if p_extend_amount is not null and (p.r).state = 'active' and (p.b).status = 'active' and not s.spending_frozen then
      p := credits_private.hold_more(p, p_capture_id, p_extend_amount, v_minimum, p_ttl_seconds, s);
    end if;
    perform credits_private.save_reservation(p.r);
    perform credits_private.save_account(p.b);
  end if;
  return credits_private.reservation_json(p.r) || jsonb_build_object(
    'replayed', v_replayed,
    'balance', credits_private.balance_json(p.b),
    'transaction', credits_private.transaction_json(p.t),
    'extension', case when p_extend_amount is not null then credits_private.extension_json(p.r, p_capture_id) end);
end;
$$;
comment on function public.credits_capture(uuid, uuid, jsonb, numeric, numeric, integer) is
  'Charges one provider call, keeps the reservation open and can hold more for the next call in the same round trip. Errors: RESERVATION_NOT_FOUND, RESERVATION_CLOSED, IDEMPOTENCY_MISMATCH, INVALID_INPUT.';

create or replace function public.credits_settle(p_reservation_id uuid, p_charge jsonb default null)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '2s'
as $$
declare
  p credits_private.posting;
  v_replayed boolean := false;
begin
  p := credits_private.lock_reservation(p_reservation_id);
  case (p.r).state
    when 'settled' then
      p.t := credits_private.find_transaction(p_reservation_id);
      v_replayed := true;
    when 'released' then
      perform credits_private.fail(409, 'RESERVATION_CLOSED', jsonb_build_object('state', (p.r).state));
    else
      if jsonb_typeof(p_charge) is distinct from 'null' and p_charge is not null then
        p := credits_private.charge(p, p_reservation_id, p_charge);
      end if;
      -- An expired reservation holds nothing any more.
      if (p.r).state = 'active' then
        p.b.reserved := (p.b).reserved - (p.r).held;
        p.b.open_reservations := (p.b).open_reservations - 1;
      end if;
      p.r.state := 'settled';
      p.r.closed_at := clock_timestamp();
      perform credits_private.save_reservation(p.r);
      perform credits_private.save_account(p.b);
  end case;
  return credits_private.reservation_json(p.r) || jsonb_build_object(
    'replayed', v_replayed,
    'balance', credits_private.balance_json(p.b),
    'transaction', case when (p.t).id is not null then credits_private.transaction_json(p.t) end);
end;
$$;
comment on function public.credits_settle(uuid, jsonb) is
  'Takes the last charge and returns the rest of the reservation. Again: the first result. After its expiry: charged late, from what is available. Errors: RESERVATION_NOT_FOUND, RESERVATION_CLOSED, INVALID_INPUT.';

create or replace function public.credits_release(p_reservation_id uuid)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '2s'
as $$
declare
  p credits_private.posting;
  v_replayed boolean := true;
begin
  p := credits_private.lock_reservation(p_reservation_id);
  if (p.r).state = 'active' then
    p.b.reserved := (p.b).reserved - (p.r).held;
    p.b.open_reservations := (p.b).open_reservations - 1;
    p.r.state := 'released';
    p.r.closed_at := clock_timestamp();
    v_replayed := false;
    perform credits_private.save_reservation(p.r);
    perform credits_private.save_account(p.b);
  end if;
  return credits_private.reservation_json(p.r)
    || jsonb_build_object('replayed', v_replayed, 'balance', credits_private.balance_json(p.b));
end;
$$;
comment on function public.credits_release(uuid) is
  'Returns everything a reservation holds. One that is closed already stays as it is. Errors: RESERVATION_NOT_FOUND.';

create or replace function public.credits_get_reservation(p_reservation_id uuid)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  r public.credit_reservations;
begin
  select * into r from public.credit_reservations where id = p_reservation_id;
  if not found then
    perform credits_private.fail(404, 'RESERVATION_NOT_FOUND', jsonb_build_object('reservationId', p_reservation_id));
  end if;
  return credits_private.reservation_json(r);
end;
$$;
comment on function public.credits_get_reservation(uuid) is 'A reservation as it is now. Errors: RESERVATION_NOT_FOUND.';
