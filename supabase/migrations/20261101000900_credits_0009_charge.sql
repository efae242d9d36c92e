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
begin
  -- Runs for every charge, so: patterns without counted repeats (those are built anew for every match), and a UUID
  -- by its shape, every hex digit made a zero. A length first, so that no cast below can overflow.
  return case
    when (length(v."amount") <= 19 and v."amount" ~ '^[0-9]+([.][0-9]+)?$') is not true then 'amount'
    when v."amount"::numeric > 1000000000000 or scale(v."amount"::numeric) > 6 then 'amount'
    when length(v."costUsd") > 24 or v."costUsd" !~ '^[0-9]+([.][0-9]+)?$' then 'costUsd'
    when v."costUsd"::numeric > 100000000000 or scale(v."costUsd"::numeric) > 12 then 'costUsd'
    when length(v."marginPercent") > 11 or v."marginPercent" !~ '^-?[0-9]+([.][0-9]+)?$' then 'marginPercent'
    when v."marginPercent"::numeric <= -100 or v."marginPercent"::numeric > 10000
      or scale(v."marginPercent"::numeric) > 4 then 'marginPercent'
    when v."costSource" not in ('market-cost', 'gateway-cost', 'rate', 'estimate', 'manual') then 'costSource'
    when length(v."computedCostUsd") > 24 or v."computedCostUsd" !~ '^[0-9]+([.][0-9]+)?$' then 'computedCostUsd'
    when v."computedCostUsd"::numeric > 100000000000 or scale(v."computedCostUsd"::numeric) > 12 then 'computedCostUsd'
    when length(v."reportedCostUsd") > 24 or v."reportedCostUsd" !~ '^[0-9]+([.][0-9]+)?$' then 'reportedCostUsd'
    when v."reportedCostUsd"::numeric > 100000000000 or scale(v."reportedCostUsd"::numeric) > 12 then 'reportedCostUsd'
    when length(v."model") not between 1 and 255 then 'model'
    when length(v."servedModel") not between 1 and 255 then 'servedModel'
    when length(v."feature") not between 1 and 255 then 'feature'
    when length(v."generationId") not between 1 and 255 then 'generationId'
    when length(v."inputTokens") > 15 or v."inputTokens" !~ '^[0-9]+$' then 'inputTokens'
    when length(v."outputTokens") > 15 or v."outputTokens" !~ '^[0-9]+$' then 'outputTokens'
    when translate(v."rateId", '123456789abcdefABCDEF', '000000000000000000000') <> '00000000-0000-0000-0000-000000000000' then 'rateId'
    when translate(v."marginId", '123456789abcdefABCDEF', '000000000000000000000') <> '00000000-0000-0000-0000-000000000000' then 'marginId'
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

create or replace function credits_private.book_late(p_reservation_id uuid, p_charge jsonb, p_user_id uuid)
returns void
language plpgsql
set search_path = ''
as $$
declare
  b public.credit_balances;
  v credits_private.charge_input;
  v_amount numeric := 0.000001;
begin
  if p_reservation_id is null then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "reservationId"}');
  end if;
  if p_charge is not null and jsonb_typeof(p_charge) <> 'null' then
    v := credits_private.read_charge(p_charge);
    v_amount := greatest(v_amount, v."amount"::numeric);
  end if;
  b := credits_private.open_account(p_user_id);
  perform credits_private.apply_due(b);
  -- Over before it began: it holds nothing and is charged like any other that has expired. Whoever was first with
  -- this id is kept: the settle that follows looks at what is there.
  insert into public.credit_reservations
    (id, account_id, user_id, state, held, requested, minimum, feature, model, rate_id, margin_id, created_at, expires_at, closed_at)
  values
    (p_reservation_id, p_user_id, p_user_id, 'expired', 0, v_amount, v_amount, v."feature", v."model", v."rateId"::uuid, v."marginId"::uuid,
     clock_timestamp(), clock_timestamp(), clock_timestamp())
  on conflict (id) do nothing;
end;
$$;
comment on function credits_private.book_late(uuid, jsonb, uuid) is
  'Makes the row of a reservation that never reached the database, or was lost with an asynchronous commit, so that its cost is recorded.';

create or replace function credits_private.settle_slowly(p_reservation_id uuid, p_charge jsonb, p_user_id uuid)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  p credits_private.posting;
  v_replayed boolean := false;
begin
  if p_user_id is not null and not exists (select from public.credit_reservations r where r.id = p_reservation_id) then
    perform credits_private.book_late(p_reservation_id, p_charge, p_user_id);
  end if;
  p := credits_private.lock_reservation(p_reservation_id);
  case (p.r).state
    when 'settled' then
      p.t := credits_private.find_transaction(p_reservation_id);
      v_replayed := true;
    when 'released' then
      perform credits_private.fail(409, 'RESERVATION_CLOSED', jsonb_build_object('state', (p.r).state));
    else
      if jsonb_typeof(p_charge) <> 'null' then
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
comment on function credits_private.settle_slowly(uuid, jsonb, uuid) is
  'Settle when the fast path did not apply: nothing to charge, work is due, several lots or too few credits, closed, unknown, or to be refused.';

create or replace function public.credits_settle(p_reservation_id uuid, p_charge jsonb default null, p_user_id uuid default null)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
declare
  v credits_private.charge_input;
  -- With the types of the columns, so that the hash is made of what will be stored. Single values, not rows:
  -- handling a row of thirty columns costs more than writing it.
  v_amount numeric(20, 6);
  v_cost_usd numeric(24, 12);
  v_computed_cost_usd numeric(24, 12);
  v_reported_cost_usd numeric(24, 12);
  v_margin_percent numeric(9, 4);
  v_feature text;
  v_model text;
  v_metadata jsonb;
  v_now timestamptz;
  v_lots jsonb;
  v_hash bytea;
  v_balance_after numeric(20, 6);
  -- The account as it was when it was locked, and the reservation as it is now.
  b_account_id uuid;
  b_closed boolean;
  b_plan_id text;
  b_status text;
  b_plan_credits numeric;
  b_add_on_credits numeric;
  b_debt numeric;
  b_overage_limit numeric;
  b_reserved numeric;
  b_period_ends_at timestamptz;
  b_version bigint;
  b_chain_hash bytea;
  b_lot_id uuid;
  r_user_id uuid;
  r_captured numeric;
  r_uncollected numeric;
  r_feature text;
  r_model text;
  r_rate_id uuid;
  r_margin_id uuid;
  r_metadata jsonb;
  r_late boolean;
  r_created_at timestamptz;
  r_expires_at timestamptz;
begin
  if jsonb_typeof(p_charge) = 'object' then
    v := jsonb_populate_record(null::credits_private.charge_input, p_charge);
  end if;
  -- What is wrong with a charge is said by the slow path, once it is known that there is something to charge.
  if v."costUsd" is null or credits_private.charge_fault(v) is not null then
    return credits_private.settle_slowly(p_reservation_id, p_charge, p_user_id);
  end if;
  v_amount := v."amount"::numeric;

  -- The usual case: an open reservation, nothing due, and the current lot pays for all of it. Locks the account,
  -- then closes the reservation: without the locked row there is nothing to join, so the order is certain. Whoever
  -- had to wait for the lock sees the reservation as it is now, because Postgres looks again at a row that was
  -- changed meanwhile: a second settle closes nothing here.
  with a as materialized (
    select x.account_id, x.user_id is null as closed, x.plan_id, x.status, x.plan_credits, x.add_on_credits, x.debt,
      x.overage_limit, x.reserved, x.next_due_at, x.plan_period_ends_at, x.version, x.chain_hash, x.current_lot_id,
      x.current_lot_remaining
    from public.credit_balances x
    where x.account_id = (select y.account_id from public.credit_reservations y where y.id = p_reservation_id)
    for update
  )
  update public.credit_reservations r
  set state = 'settled', captured = r.captured + v_amount, closed_at = clock_timestamp()
  from a
  where r.id = p_reservation_id
    and r.state = 'active'
    and a.next_due_at > clock_timestamp()
    and v_amount <= a.current_lot_remaining
    and v_amount <= r.held + a.plan_credits + a.add_on_credits - a.debt + a.overage_limit - a.reserved
  returning a.account_id, a.closed, a.plan_id, a.status, a.plan_credits, a.add_on_credits, a.debt, a.overage_limit,
    a.reserved - r.held, a.plan_period_ends_at, a.version + 1, a.chain_hash, a.current_lot_id,
    r.user_id, r.captured, r.uncollected, r.feature, r.model, r.rate_id, r.margin_id, r.metadata, r.late, r.created_at,
    r.expires_at, r.closed_at
  into b_account_id, b_closed, b_plan_id, b_status, b_plan_credits, b_add_on_credits, b_debt, b_overage_limit,
    b_reserved, b_period_ends_at, b_version, b_chain_hash, b_lot_id,
    r_user_id, r_captured, r_uncollected, r_feature, r_model, r_rate_id, r_margin_id, r_metadata, r_late, r_created_at,
    r_expires_at, v_now;
  if b_account_id is null then
    return credits_private.settle_slowly(p_reservation_id, p_charge, p_user_id);
  end if;

  -- What spend, append and charge do in the general case, in as few steps as possible.
  if b_plan_credits > 0 then b_plan_credits := b_plan_credits - v_amount;
  else b_add_on_credits := b_add_on_credits - v_amount;
  end if;
  v_balance_after := b_plan_credits + b_add_on_credits - b_debt;
  v_lots := case when v_amount = 0 then '[]'
    else jsonb_build_array(jsonb_build_object('lotId', b_lot_id, 'amount', trim_scale(-v_amount)::text)) end;
  v_cost_usd := v."costUsd"::numeric;
  v_computed_cost_usd := v."computedCostUsd"::numeric;
  v_reported_cost_usd := v."reportedCostUsd"::numeric;
  v_margin_percent := v."marginPercent"::numeric;
  v_feature := coalesce(v."feature", r_feature);
  v_model := coalesce(v."model", r_model);
  v_metadata := coalesce(v."metadata", r_metadata);
  -- The text of transaction_hash; verify recomputes it from the rows.
  v_hash := sha256(b_chain_hash || convert_to(jsonb_build_array(
    1, b_account_id, b_version, p_reservation_id, r_user_id, 'usage', null, -v_amount, v_balance_after,
    0::numeric(20, 6), v_lots, p_reservation_id, null, v_feature, v_model, v."inputTokens"::bigint,
    v."outputTokens"::bigint, coalesce(v."costSource" = 'estimate', false), false, null, v_metadata,
    (extract(epoch from v_now) * 1000000)::bigint,
    p_reservation_id, v_cost_usd, v_margin_percent, v."costSource", v_computed_cost_usd, v_reported_cost_usd,
    v."servedModel", v."usage", v."rateId"::uuid, v."marginId"::uuid, v."pricing", v."generationId", v."provider", null
  )::text, 'UTF8'));

  with cost as (
    insert into public.credit_transaction_costs
      (account_id, version, transaction_id, cost_usd, margin_percent, cost_source, computed_cost_usd, reported_cost_usd,
       served_model, usage, rate_id, margin_id, pricing, generation_id, provider)
    values
      (b_account_id, b_version, p_reservation_id, v_cost_usd, v_margin_percent, v."costSource", v_computed_cost_usd,
       v_reported_cost_usd, v."servedModel", v."usage", v."rateId"::uuid, v."marginId"::uuid, v."pricing",
       v."generationId", v."provider")
  ),
  entry as (
    insert into public.credit_transactions
      (account_id, version, id, user_id, type, amount, balance_after, lots, reservation_id, feature, model,
       input_tokens, output_tokens, estimated, metadata, created_at, hash)
    values
      (b_account_id, b_version, p_reservation_id, r_user_id, 'usage', -v_amount, v_balance_after, v_lots,
       p_reservation_id, v_feature, v_model, v."inputTokens"::bigint, v."outputTokens"::bigint,
       coalesce(v."costSource" = 'estimate', false), v_metadata, v_now, v_hash)
    on conflict (id) do nothing
    returning account_id
  )
  update public.credit_balances a
  set plan_credits = b_plan_credits,
      add_on_credits = b_add_on_credits,
      reserved = b_reserved,
      open_reservations = a.open_reservations - 1,
      current_lot_remaining = a.current_lot_remaining - v_amount,
      version = b_version,
      chain_hash = v_hash,
      updated_at = v_now
  from entry
  where a.account_id = b_account_id;
  -- Somebody else's transaction has this id. Everything above is undone.
  if not found then
    perform credits_private.fail(409, 'IDEMPOTENCY_MISMATCH', jsonb_build_object('id', p_reservation_id));
  end if;

  -- As reservation_json, transaction_json and balance_json would say it, from single values.
  return jsonb_build_object(
    'reservationId', p_reservation_id,
    'userId', r_user_id,
    'state', 'settled',
    'amount', '0',
    'captured', trim_scale(r_captured)::text,
    'uncollected', trim_scale(r_uncollected)::text,
    'feature', r_feature,
    'model', r_model,
    'rateId', r_rate_id,
    'marginId', r_margin_id,
    'metadata', r_metadata,
    'late', r_late,
    'createdAt', to_char(r_created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'expiresAt', to_char(r_expires_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'closedAt', to_char(v_now at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'replayed', false,
    'transaction', jsonb_build_object(
      'id', p_reservation_id,
      'userId', r_user_id,
      'version', b_version,
      'type', 'usage',
      'source', null,
      'amount', trim_scale(-v_amount)::text,
      'balanceAfter', trim_scale(v_balance_after)::text,
      'uncollected', '0',
      'reservationId', p_reservation_id,
      'reversesId', null,
      'feature', v_feature,
      'model', v_model,
      'inputTokens', v."inputTokens"::bigint,
      'outputTokens', v."outputTokens"::bigint,
      'estimated', coalesce(v."costSource" = 'estimate', false),
      'late', false,
      'reason', null,
      'metadata', v_metadata,
      'createdAt', to_char(v_now at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')),
    'balance', jsonb_build_object(
      'userId', b_account_id,
      'planId', b_plan_id,
      'planCredits', trim_scale(b_plan_credits)::text,
      'addOnCredits', trim_scale(b_add_on_credits)::text,
      'debt', trim_scale(b_debt)::text,
      'reserved', trim_scale(b_reserved)::text,
      'overageLimit', trim_scale(b_overage_limit)::text,
      'available', trim_scale(v_balance_after + b_overage_limit - b_reserved)::text,
      'status', case when b_closed then 'closed' else b_status end,
      'periodEndsAt', to_char(b_period_ends_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      'version', b_version));
end;
$$;
comment on function public.credits_settle(uuid, jsonb, uuid) is
  'Takes the last charge and returns the rest of the reservation. Again: the first result. After its expiry: charged late, from what is available. With a user id a reservation that is not there (promised while the database was away, or lost with it) is booked late too. Errors: RESERVATION_NOT_FOUND, RESERVATION_CLOSED, ACCOUNT_NOT_FOUND, IDEMPOTENCY_MISMATCH, INVALID_INPUT.';

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
