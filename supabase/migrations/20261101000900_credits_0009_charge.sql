-- Capture, settle, release: what a model call cost leaves the account, the rest goes back.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

do $$
begin
  create type credits_private.charge_input as (
    "amount" numeric, "costUsd" numeric, "marginPercent" numeric, "costSource" text, "computedCostUsd" numeric,
    "reportedCostUsd" numeric, "model" text, "servedModel" text, "feature" text, "usage" jsonb, "inputTokens" bigint,
    "outputTokens" bigint, "rateId" uuid, "marginId" uuid, "pricing" jsonb, "generationId" text, "provider" jsonb, "metadata" jsonb
  );
exception when duplicate_object then null;
end;
$$;
comment on type credits_private.charge_input is 'A ChargeRecord of store/port.ts, read.';

create or replace function credits_private.charge_fault(p_charge jsonb)
returns text
language sql
immutable
set search_path = ''
as $$
  select r.field
  from (values
    ('amount', '^[0-9]+([.][0-9]{1,6})?$', 0, 1000000000000),
    ('costUsd', '^[0-9]+([.][0-9]{1,12})?$', 0, 100000000000),
    ('computedCostUsd', '^[0-9]+([.][0-9]{1,12})?$', 0, 100000000000),
    ('reportedCostUsd', '^[0-9]+([.][0-9]{1,12})?$', 0, 100000000000),
    ('marginPercent', '^-?[0-9]+([.][0-9]{1,4})?$', -99.9999, 10000),
    ('inputTokens', '^[0-9]+$', 0, 999999999999999),
    ('outputTokens', '^[0-9]+$', 0, 999999999999999),
    ('costSource', '^(market-cost|gateway-cost|rate|estimate|manual)$', null, null),
    ('model', '^.{1,255}$', null, null),
    ('servedModel', '^.{1,255}$', null, null),
    ('feature', '^.{1,255}$', null, null),
    ('generationId', '^.{1,255}$', null, null),
    ('rateId', '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$', null, null),
    ('marginId', '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$', null, null),
    ('usage', '^[{].*[}]$', null, null),
    ('pricing', '^[{].*[}]$', null, null),
    ('provider', '^[{].*[}]$', null, null),
    ('metadata', '^[{].*[}]$', null, null)
  ) as r (field, pattern, least, most)
  where jsonb_typeof(p_charge) = 'object' and case
    when p_charge ->> r.field is null then r.field = 'amount'
    when p_charge ->> r.field !~ r.pattern then true
    when r.most is not null then length(p_charge ->> r.field) > 30 or (p_charge ->> r.field)::numeric not between r.least and r.most
    when r.field = 'metadata' then pg_column_size(p_charge -> r.field) > 4096
    else pg_column_size(p_charge -> r.field) > 65536
  end
  limit 1;
$$;
comment on function credits_private.charge_fault(jsonb) is 'The first malformed field of a charge; null when there is none.';

create or replace function credits_private.read_charge(p_charge jsonb)
returns credits_private.charge_input
language plpgsql
immutable
set search_path = ''
as $$
declare
  v credits_private.charge_input;
begin
  -- A quick look, because every charge passes here; which field is wrong is looked for only when one is.
  begin
    v := jsonb_populate_record(v, p_charge);
    if v."amount" >= 0 and v."amount" <= 1000000000000 and scale(v."amount") <= 6
      and greatest(v."costUsd", v."computedCostUsd", v."reportedCostUsd", 0) <= 100000000000
      and least(v."costUsd", v."computedCostUsd", v."reportedCostUsd", 0) = 0
      and (v."marginPercent" > -100 and v."marginPercent" <= 10000) is not false
      and coalesce(v."costSource", 'manual') in ('market-cost', 'gateway-cost', 'rate', 'estimate', 'manual')
      and greatest(v."inputTokens", v."outputTokens", 0) <= 999999999999999
      and least(v."inputTokens", v."outputTokens", 0) = 0
      and greatest(length(v."model"), length(v."feature"), 1) <= 255
      and least(length(v."model"), length(v."feature"), 1) = 1
      and coalesce(pg_column_size(v."metadata"), 0) <= 4096
      and pg_column_size(p_charge) <= 65536
      and not p_charge @? 'strict $ ? (exists(@.usage ? (@.type() != "object" && @ != null))
        || exists(@.pricing ? (@.type() != "object" && @ != null))
        || exists(@.provider ? (@.type() != "object" && @ != null))
        || exists(@.metadata ? (@.type() != "object" && @ != null)))'
      -- Postgres would also read an exponent, a space or a hexadecimal.
      and p_charge ->> 'amount' ~ '^[0-9]+([.][0-9]+)?$'
      and translate(concat(p_charge ->> 'costUsd', p_charge ->> 'computedCostUsd', p_charge ->> 'reportedCostUsd',
        p_charge ->> 'marginPercent', p_charge ->> 'inputTokens', p_charge ->> 'outputTokens'), '0123456789.-', '') = ''
    then
      return v;
    end if;
  exception when data_exception then
    null;
  end;
  perform credits_private.fail(422, 'INVALID_INPUT',
    jsonb_build_object('field', 'charge' || coalesce('.' || credits_private.charge_fault(p_charge), '')));
end;
$$;
comment on function credits_private.read_charge(jsonb) is 'A charge, checked. INVALID_INPUT names the field.';

create or replace function credits_private.charge(p credits_private.posting, p_id uuid, p_charge jsonb)
returns credits_private.posting
language plpgsql
set search_path = ''
as $$
declare
  b public.credit_balances := p.b;
  r public.credit_reservations := p.r;
  t public.credit_transactions;
  c public.credit_transaction_costs;
  v credits_private.charge_input := credits_private.read_charge(p_charge);
  v_amount numeric := v."amount";
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
  t.input_tokens := v."inputTokens";
  t.output_tokens := v."outputTokens";
  t.estimated := coalesce(v."costSource" = 'estimate', false);
  t.late := r.state = 'expired';
  t.metadata := coalesce(nullif(v."metadata", 'null'), r.metadata);
  r.captured := r.captured + v_charged;
  r.uncollected := r.uncollected + t.uncollected;
  r.late := r.late or t.late;

  c.charge := p_charge;

  p.b := b;
  p.t := t;
  p.r := r;
  return credits_private.append(credits_private.spend(p, v_charged), c);
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
  v_charge jsonb;
begin
  select x.charge into v_charge from public.credit_transaction_costs x
  where x.account_id = (p.t).account_id and x.version = (p.t).version;
  if (p.t).reservation_id is distinct from (p.r).id
    or (p.t).uncollected - (p.t).amount <> (credits_private.read_charge(p_charge))."amount"
    or (v_charge -> 'costUsd', v_charge -> 'usage', v_charge -> 'generationId')
      is distinct from (p_charge -> 'costUsd', p_charge -> 'usage', p_charge -> 'generationId')
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
  v credits_private.charge_input;
  v_amount numeric := 0.000001;
begin
  if p_reservation_id is null then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "reservationId"}');
  end if;
  if p_charge is not null and jsonb_typeof(p_charge) <> 'null' then
    v := credits_private.read_charge(p_charge);
    v_amount := greatest(v_amount, v."amount");
  end if;
  -- Over before it began: it holds nothing and is charged like any other that has expired. Whoever was first with
  -- this id is kept: the settle that follows looks at what is there.
  insert into public.credit_reservations
    (id, account_id, user_id, state, held, requested, minimum, feature, model, rate_id, margin_id, created_at, expires_at, closed_at)
  values
    (p_reservation_id, p_user_id, p_user_id, 'expired', 0, v_amount, v_amount, v."feature", v."model", v."rateId", v."marginId",
     clock_timestamp(), clock_timestamp(), clock_timestamp())
  on conflict (id) do nothing;
  if found then perform credits_private.open_account(p_user_id); end if;
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
  if (p.r).user_id <> p_user_id then
    perform credits_private.fail(404, 'RESERVATION_NOT_FOUND', jsonb_build_object('reservationId', p_reservation_id));
  end if;
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
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
declare
  v credits_private.charge_input;
  -- With the type of the columns, so that the hash is made of what will be stored.
  v_amount numeric(20, 6);
  v_account_id uuid;
  v_user_id uuid;
  v_held numeric;
  v_feature text;
  v_model text;
  v_metadata jsonb;
  v_estimated boolean;
  v_taken text;
  v_lot_id uuid;
  v_now timestamptz := clock_timestamp();
  v_version bigint;
  v_balance_after numeric(20, 6);
  v_hash bytea;
  v_reservation text;
  v_answer json;
begin
  if p_charge is null or jsonb_typeof(p_charge) = 'null' then
    return credits_private.settle_slowly(p_reservation_id, p_charge, p_user_id);
  end if;
  v := credits_private.read_charge(p_charge);
  v_amount := v."amount";

  -- The usual case, in four short statements on a row each: an open reservation, nothing due, and the current lot pays
  -- for all of it. It writes and answers what charge, append and the json functions would. Whoever had to wait for the
  -- reservation's lock finds it closed: Postgres looks again at a row that was changed meanwhile.
  update public.credit_reservations r
  set state = 'settled', captured = r.captured + v_amount, closed_at = v_now
  where r.id = p_reservation_id and r.state = 'active' and r.user_id = coalesce(p_user_id, r.user_id)
  returning r.account_id, r.user_id, r.held, coalesce(v."feature", r.feature), coalesce(v."model", r.model),
    coalesce(nullif(v."metadata", 'null'), r.metadata),
    format('"reservationId": "%s", "userId": "%s", "state": "settled", "amount": "0", "captured": "%s", "uncollected": "%s", '
        '"feature": %s, "model": %s, "rateId": %s, "marginId": %s, "metadata": %s, "late": false, "createdAt": %s, "expiresAt": %s, '
        '"closedAt": %s, "replayed": false',
      r.id, r.user_id, r.captured, r.uncollected, coalesce(to_json(r.feature), 'null'), coalesce(to_json(r.model), 'null'),
      coalesce(to_json(r.rate_id), 'null'), coalesce(to_json(r.margin_id), 'null'), r.metadata, to_json(r.created_at),
      to_json(r.expires_at), to_json(r.closed_at))
  into v_account_id, v_user_id, v_held, v_feature, v_model, v_metadata, v_reservation;
  if v_account_id is null then
    return credits_private.settle_slowly(p_reservation_id, p_charge, p_user_id);
  end if;
  v_estimated := coalesce(v."costSource" = 'estimate', false);
  v_taken := trim_scale(-v_amount);

  update public.credit_balances a
  set plan_credits = a.plan_credits - case when a.plan_credits > 0 then v_amount else 0 end,
      -- Plan lots burn first, so the current lot is one of the plan exactly when there are plan credits.
      add_on_credits = a.add_on_credits - case when a.plan_credits > 0 then 0 else v_amount end,
      reserved = a.reserved - v_held,
      open_reservations = a.open_reservations - 1,
      current_lot_remaining = a.current_lot_remaining - v_amount,
      version = a.version + 1,
      -- The text of transaction_hash; verify recomputes it from the rows.
      chain_hash = sha256(a.chain_hash || convert_to(format('1|%s|%s|%s|%s|usage|%s|%s|0.000000|[{"lotId": "%s", "amount": "%s"}]|%s||%s|%s|%s|f|%s|NULL|%L|%L|NULL|%s|%s|',
        a.account_id, a.version + 1, p_reservation_id, v_user_id, -v_amount, a.plan_credits + a.add_on_credits - a.debt - v_amount,
        a.current_lot_id, v_taken, p_reservation_id, v."inputTokens", v."outputTokens", v_estimated,
        extract(epoch from greatest(v_now, a.updated_at)), v_feature, v_model, v_metadata, p_charge), 'UTF8')),
      -- Never before the transaction before it, for which this one may have waited.
      updated_at = greatest(v_now, a.updated_at)
  where a.account_id = v_account_id
    and a.next_due_at > clock_timestamp()
    and v_amount <= a.current_lot_remaining
    and v_amount <= v_held + a.plan_credits + a.add_on_credits - a.debt + a.overage_limit - a.reserved
  returning a.version, a.plan_credits + a.add_on_credits - a.debt, a.chain_hash, a.updated_at, a.current_lot_id,
    format('{%s, "transaction": {"id": "%s", "userId": "%s", "version": %s, "type": "usage", '
        '"source": null, "amount": "%s", "balanceAfter": "%s", "uncollected": "0", "reservationId": "%s", "reversesId": null, '
        '"feature": %s, "model": %s, "inputTokens": %s, "outputTokens": %s, "estimated": %s, "late": false, "reason": null, '
        '"metadata": %s, "createdAt": %s}, "balance": {"userId": "%s", "planId": "%s", "planCredits": "%s", "addOnCredits": "%s", '
        '"debt": "%s", "reserved": "%s", "overageLimit": "%s", "available": "%s", "status": "%s", "periodEndsAt": %s, "version": %s}}',
      v_reservation, p_reservation_id, v_user_id, a.version,
      -v_amount, a.plan_credits + a.add_on_credits - a.debt, p_reservation_id,
      coalesce(to_json(v_feature), 'null'), coalesce(to_json(v_model), 'null'), coalesce(to_json(v."inputTokens"), 'null'),
      coalesce(to_json(v."outputTokens"), 'null'), to_json(v_estimated),
      v_metadata, to_json(a.updated_at), a.account_id, a.plan_id, a.plan_credits, a.add_on_credits,
      a.debt, a.reserved, a.overage_limit, a.plan_credits + a.add_on_credits - a.debt + a.overage_limit - a.reserved,
      case when a.user_id is null then 'closed' else a.status end, coalesce(to_json(a.plan_period_ends_at), 'null'), a.version)
  into v_version, v_balance_after, v_hash, v_now, v_lot_id, v_answer;
  if v_version is null then
    -- Not the usual case after all: as if nothing had been done.
    update public.credit_reservations r
    set state = 'active', captured = r.captured - v_amount, closed_at = null
    where r.id = p_reservation_id;
    return credits_private.settle_slowly(p_reservation_id, p_charge, p_user_id);
  end if;

  insert into public.credit_transactions
    (account_id, version, id, user_id, type, amount, balance_after, lots, reservation_id, feature, model,
     input_tokens, output_tokens, estimated, metadata, created_at, hash)
  values
    (v_account_id, v_version, p_reservation_id, v_user_id, 'usage', -v_amount, v_balance_after,
     format('[{"lotId": "%s", "amount": "%s"}]', v_lot_id, v_taken)::jsonb,
     p_reservation_id, v_feature, v_model, v."inputTokens", v."outputTokens", v_estimated, v_metadata, v_now, v_hash)
  on conflict (id) do nothing;
  -- Somebody else's transaction has this id. Everything above is undone.
  if not found then
    perform credits_private.fail(409, 'IDEMPOTENCY_MISMATCH', jsonb_build_object('id', p_reservation_id));
  end if;
  insert into public.credit_transaction_costs (account_id, version, charge) values (v_account_id, v_version, p_charge);
  return v_answer;
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
