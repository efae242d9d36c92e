-- Capture, settle, release: what a model call cost leaves the account, the rest goes back.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

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
set lock_timeout = '800ms'
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
set lock_timeout = '800ms'
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
set lock_timeout = '800ms'
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
