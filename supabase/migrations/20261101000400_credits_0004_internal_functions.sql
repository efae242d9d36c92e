-- The parts that the operations are made of. All of them expect the account's row to be locked by the caller
-- and pass it along as a value: it is read once, changed in memory and written once.
--
-- Lock order everywhere: the account's row, then its reservations and lots. No function ever holds two accounts.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

-- ------------------------------------------------------------------------------------------------ failing

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

-- ------------------------------------------------------------------------------------------------ telling

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
    'periodEndsAt', to_char(b.plan_period_ends_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
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
    'createdAt', to_char(r.created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'expiresAt', to_char(r.expires_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'closedAt', to_char(r.closed_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
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
    'createdAt', to_char(t.created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
  );
end;
$$;
comment on function credits_private.transaction_json(public.credit_transactions) is 'Transaction of store/port.ts.';

-- ------------------------------------------------------------------------------------------------ ledger

create or replace function credits_private.transaction_hash(
  t public.credit_transactions, c public.credit_transaction_costs, p_previous bytea)
returns bytea
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- A JSON array is a canonical, unambiguous text of the values; times as microseconds, because their text
  -- depends on the session. A new formula gets a new hash_version; this one stays for the rows that have 1.
  return sha256(p_previous || convert_to(jsonb_build_array(
    t.hash_version, t.account_id, t.version, t.id, t.user_id, t.type, t.source, t.amount, t.balance_after,
    t.uncollected, t.lots, t.reservation_id, t.reverses_id, t.feature, t.model, t.input_tokens, t.output_tokens,
    t.estimated, t.late, t.reason, t.metadata, (extract(epoch from t.created_at) * 1000000)::bigint,
    c.transaction_id, c.cost_usd, c.margin_percent, c.cost_source, c.computed_cost_usd, c.reported_cost_usd,
    c.served_model, c.usage, c.rate_id, c.margin_id, c.pricing, c.generation_id, c.provider, c.actor_id
  )::text, 'UTF8'));
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
    c.transaction_id := t.id;
    insert into public.credit_transaction_costs values (c.*);
  end if;
  t.hash := credits_private.transaction_hash(t, c, b.chain_hash);
  b.chain_hash := t.hash;
  insert into public.credit_transactions values (t.*);
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

-- ------------------------------------------------------------------------------------------------ account

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

-- ------------------------------------------------------------------------------------------------ lots

create or replace function credits_private.put_current_lot_back(b public.credit_balances)
returns void
language plpgsql
set search_path = ''
as $$
begin
  update public.credit_lots l
  set remaining = b.current_lot_remaining
  where l.id = b.current_lot_id and l.remaining <> b.current_lot_remaining;
end;
$$;
comment on function credits_private.put_current_lot_back(public.credit_balances) is
  'Writes the current lot''s live remainder to credit_lots. Comes before anything that reads or changes lots there.';

create or replace function credits_private.take_current_lot(b public.credit_balances)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
begin
  select l.id, l.remaining into b.current_lot_id, b.current_lot_remaining
  from public.credit_lots l
  where l.account_id = b.account_id and l.remaining > 0
  order by l.bucket desc, l.priority, l.expires_at, l.sequence
  limit 1;
  b.current_lot_remaining := coalesce(b.current_lot_remaining, 0);
  return b;
end;
$$;
comment on function credits_private.take_current_lot(public.credit_balances) is
  'Makes the first lot of the burn-down order the current one. Comes after anything that changed lots.';

create or replace function credits_private.spend(p credits_private.posting, p_amount numeric)
returns credits_private.posting
language plpgsql
set search_path = ''
as $$
declare
  b public.credit_balances := p.b;
  t public.credit_transactions := p.t;
  l record;
  v_left numeric := p_amount;
  v_taken numeric;
begin
  if p_amount = 0 then
    p.t.lots := '[]'::jsonb;
    return p;
  end if;

  -- The usual case: the current lot has enough, and credit_lots is not touched.
  if p_amount <= b.current_lot_remaining then
    b.current_lot_remaining := b.current_lot_remaining - p_amount;
    -- Plan lots burn first, so the current lot is one of the plan exactly when there are plan credits.
    if b.plan_credits > 0 then b.plan_credits := b.plan_credits - p_amount;
    else b.add_on_credits := b.add_on_credits - p_amount;
    end if;
    p.b := b;
    p.t.lots := jsonb_build_array(jsonb_build_object('lotId', b.current_lot_id, 'amount', trim_scale(-p_amount)::text));
    return p;
  end if;

  t.lots := '[]'::jsonb;

  perform credits_private.put_current_lot_back(b);
  for l in
    select id, bucket, remaining from public.credit_lots
    where account_id = b.account_id and remaining > 0
    order by bucket desc, priority, expires_at, sequence
  loop
    v_taken := least(l.remaining, v_left);
    update public.credit_lots set remaining = remaining - v_taken where id = l.id;
    if l.bucket = 'plan' then b.plan_credits := b.plan_credits - v_taken;
    else b.add_on_credits := b.add_on_credits - v_taken;
    end if;
    t.lots := t.lots || jsonb_build_object('lotId', l.id, 'amount', trim_scale(-v_taken)::text);
    v_left := v_left - v_taken;
    exit when v_left = 0;
  end loop;
  -- What no lot covers was allowed by the overage limit: a recorded debt.
  b.debt := b.debt + v_left;
  p.b := credits_private.take_current_lot(b);
  p.t := t;
  return p;
end;
$$;
comment on function credits_private.spend(credits_private.posting, numeric) is
  'Takes credits from the lots in burn-down order, the rest as debt, and notes in t.lots what came from where. The caller has checked the limits.';

create or replace function credits_private.add_lot(
  p credits_private.posting, p_amount numeric, p_bucket text, p_source text, p_priority integer, p_expires_at timestamptz)
returns credits_private.posting
language plpgsql
set search_path = ''
as $$
declare
  b public.credit_balances := p.b;
  t public.credit_transactions := p.t;
  v_paid numeric := least(b.debt, p_amount);
  v_lot uuid;
begin
  t.lots := coalesce(t.lots, '[]'::jsonb);
  b.debt := b.debt - v_paid;
  if p_amount = v_paid then
    p.b := b;
    p.t := t;
    return p;
  end if;
  if b.plan_credits + b.add_on_credits + p_amount > 10000000000000 then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "amount", "expected": "a balance of at most 10000000000000"}');
  end if;

  perform credits_private.put_current_lot_back(b);
  insert into public.credit_lots (account_id, bucket, source, priority, amount, remaining, expires_at, transaction_id)
  values (b.account_id, p_bucket, p_source, p_priority, p_amount - v_paid, p_amount - v_paid, coalesce(p_expires_at, 'infinity'), t.id)
  returning id into v_lot;
  if p_bucket = 'plan' then b.plan_credits := b.plan_credits + p_amount - v_paid;
  else b.add_on_credits := b.add_on_credits + p_amount - v_paid;
  end if;
  b.next_due_at := least(b.next_due_at, p_expires_at);
  t.lots := t.lots || jsonb_build_object('lotId', v_lot, 'amount', trim_scale(p_amount - v_paid)::text);
  p.b := credits_private.take_current_lot(b);
  p.t := t;
  return p;
end;
$$;
comment on function credits_private.add_lot(credits_private.posting, numeric, text, text, integer, timestamptz) is
  'Gives credits: pays debt first, the rest becomes a lot, noted in t.lots.';

-- ------------------------------------------------------------------------------------------------ due work

create or replace function credits_private.sweep_reservations(b public.credit_balances, p_now timestamptz)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  v_held numeric;
  v_count integer;
begin
  with expired as (
    update public.credit_reservations r
    set state = 'expired', closed_at = p_now
    where r.account_id = b.account_id and r.expires_at > b.swept_until and r.expires_at <= p_now and r.state = 'active'
    returning r.held
  )
  select coalesce(sum(held), 0), count(*)::integer into v_held, v_count from expired;
  b.reserved := b.reserved - v_held;
  b.open_reservations := b.open_reservations - v_count;
  b.swept_until := p_now;
  return b;
end;
$$;
comment on function credits_private.sweep_reservations(public.credit_balances, timestamptz) is
  'Frees what reservations past their time hold. Reads only those that expired since the last sweep, whatever the history.';

create or replace function credits_private.expire_lots(b public.credit_balances, p_at timestamptz)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  p credits_private.posting;
  l public.credit_lots;
  v_held numeric := b.reserved;
  v_covered numeric;
  v_gone numeric;
begin
  if not exists (
    select from public.credit_lots where account_id = b.account_id and remaining > 0 and expires_at <= p_at
  ) then
    return b;
  end if;
  perform credits_private.put_current_lot_back(b);
  for l in
    select * from public.credit_lots
    where account_id = b.account_id and remaining > 0
    order by bucket desc, priority, expires_at, sequence
  loop
    -- Credits under a reservation do not expire under it: reservations cover the lots in burn-down order.
    v_covered := least(l.remaining, v_held);
    v_held := v_held - v_covered;
    v_gone := l.remaining - v_covered;
    continue when l.expires_at > p_at or v_gone = 0;

    update public.credit_lots set remaining = v_covered where id = l.id;
    if l.bucket = 'plan' then b.plan_credits := b.plan_credits - v_gone;
    else b.add_on_credits := b.add_on_credits - v_gone;
    end if;
    p := null;
    p.b := b;
    p.t.id := gen_random_uuid();
    p.t.type := 'expiry';
    p.t.source := l.source;
    p.t.amount := -v_gone;
    p.t.lots := jsonb_build_array(jsonb_build_object('lotId', l.id, 'amount', trim_scale(-v_gone)::text));
    p := credits_private.append(p);
    b := p.b;
  end loop;
  return credits_private.take_current_lot(b);
end;
$$;
comment on function credits_private.expire_lots(public.credit_balances, timestamptz) is
  'Takes what is left of lots past their time, except what open reservations still cover. One transaction per lot.';

create or replace function credits_private.roll_over(b public.credit_balances, p_limit numeric, p_from timestamptz, p_to timestamptz)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  p credits_private.posting;
  l public.credit_lots;
  v_left numeric := p_limit;
  v_taken numeric;
  v_lot uuid := gen_random_uuid();
begin
  if p_limit = 0 then return b; end if;
  perform credits_private.put_current_lot_back(b);
  p.b := b;
  p.t.id := gen_random_uuid();
  p.t.type := 'adjustment';
  p.t.source := 'rollover';
  p.t.amount := 0;
  p.t.lots := '[]'::jsonb;
  -- From the end of the burn-down order, so that open reservations keep covering the oldest.
  for l in
    select * from public.credit_lots
    where account_id = b.account_id and bucket = 'plan' and remaining > 0 and expires_at <= p_from
    order by priority desc, expires_at desc, sequence desc
  loop
    v_taken := least(l.remaining, v_left);
    update public.credit_lots set remaining = remaining - v_taken where id = l.id;
    p.t.lots := (p.t).lots || jsonb_build_object('lotId', l.id, 'amount', trim_scale(-v_taken)::text);
    v_left := v_left - v_taken;
    exit when v_left = 0;
  end loop;
  if v_left = p_limit then return b; end if;

  insert into public.credit_lots (id, account_id, bucket, source, priority, amount, remaining, expires_at, transaction_id)
  values (v_lot, b.account_id, 'plan', 'rollover', 100, p_limit - v_left, p_limit - v_left, p_to, (p.t).id);
  p.t.lots := (p.t).lots || jsonb_build_object('lotId', v_lot, 'amount', trim_scale(p_limit - v_left)::text);
  p.b := credits_private.take_current_lot(p.b);
  p := credits_private.append(p);
  return p.b;
end;
$$;
comment on function credits_private.roll_over(public.credit_balances, numeric, timestamptz, timestamptz) is
  'Moves unused plan credits, up to the plan''s limit, into a lot of the next period. The balance stays; the move is a transaction of 0.';

create or replace function credits_private.period_end(p_anchor timestamptz, p_period integer)
returns timestamptz
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- In UTC, whatever the session's time zone, and from the anchor: 31 January, 28 February, 31 March.
  return (p_anchor at time zone 'utc' + make_interval(months => p_period)) at time zone 'utc';
end;
$$;
comment on function credits_private.period_end(timestamptz, integer) is 'End of the n-th monthly period.';

create or replace function credits_private.start_period(b public.credit_balances, p_source text default 'plan')
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  v_plan public.credit_plans;
  p credits_private.posting;
begin
  select * into v_plan from public.credit_plans where id = b.plan_id;
  b.overage_limit := v_plan.overage_limit;
  if v_plan.monthly_credits = 0 then return b; end if;
  p.b := b;
  p.t.id := gen_random_uuid();
  p.t.type := 'grant';
  p.t.source := p_source;
  p.t.amount := v_plan.monthly_credits;
  p := credits_private.add_lot(p, v_plan.monthly_credits, 'plan', p_source, 100, b.plan_period_ends_at);
  p := credits_private.append(p);
  return p.b;
end;
$$;
comment on function credits_private.start_period(public.credit_balances, text) is
  'Grants the plan''s monthly credits until the end of the period and takes over the plan''s overage limit.';

create or replace function credits_private.next_due(b public.credit_balances, p_now timestamptz)
returns timestamptz
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
  with
  -- The next reservations to expire, closed ones included. If none of these is active, the last one is a
  -- safe answer: looking again then costs little, walking past every closed one now might cost a lot.
  soon as (
    select r.expires_at, r.state from public.credit_reservations r
    where r.account_id = b.account_id and r.expires_at > p_now
    order by r.expires_at limit 200
  ),
  lots as (
    select l.expires_at from public.credit_lots l where l.account_id = b.account_id and l.remaining > 0
  )
  select least(
    (select coalesce(min(expires_at) filter (where state = 'active'), case when count(*) = 200 then max(expires_at) end) from soon),
    (select min(expires_at) from lots),
    case when b.user_id is not null then b.plan_period_ends_at end,
    'infinity'
  )
  );
end;
$$;
comment on function credits_private.next_due(public.credit_balances, timestamptz) is
  'When something is due next. In the past while an expired lot is kept alive by a reservation: then every touch looks again.';

create or replace function credits_private.apply_due(b public.credit_balances)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_end timestamptz;
  v_rollover numeric;
begin
  b := credits_private.sweep_reservations(b, v_now);
  -- Every missed period is worked off in turn, so that an account nobody touched ends up as if cron had run.
  -- A closed account gets no further periods.
  while b.user_id is not null and b.plan_period_ends_at <= v_now loop
    v_end := b.plan_period_ends_at;
    select p.rollover_limit into v_rollover from public.credit_plans p where p.id = b.plan_id;
    b.plan_period := b.plan_period + 1;
    b.plan_period_ends_at := credits_private.period_end(b.plan_anchor_at, b.plan_period);
    b := credits_private.roll_over(b, v_rollover, v_end, b.plan_period_ends_at);
    b := credits_private.expire_lots(b, v_end);
    b.plan_id := coalesce(b.next_plan_id, b.plan_id);
    b.next_plan_id := null;
    b := credits_private.start_period(b);
  end loop;
  b := credits_private.expire_lots(b, v_now);
  b.next_due_at := credits_private.next_due(b, v_now);
  -- Saved here, because reservations, lots and ledger rows have been written that belong to it.
  perform credits_private.save_account(b);
  return b;
end;
$$;
comment on function credits_private.apply_due(public.credit_balances) is
  'Everything that time has made due: reservations past their time, the period''s end, expired lots. Needs no cron.';
