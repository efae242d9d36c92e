-- What time makes due. Applied whenever an account is touched, so that nothing depends on a scheduler.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create or replace function credits_private.sweep_reservations(b public.credit_balances, p_now timestamptz)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  v_held numeric;
  v_count integer;
  v_skipped timestamptz;
begin
  with overdue as (
    select r.id from public.credit_reservations r
    where r.account_id = b.account_id and r.expires_at > b.swept_until and r.expires_at <= p_now and r.state = 'active'
    for update skip locked
  ),
  expired as (
    update public.credit_reservations r
    set state = 'expired', closed_at = p_now
    from overdue o
    where r.id = o.id
    returning r.held
  )
  select coalesce(sum(held), 0), count(*)::integer into v_held, v_count from expired;
  -- One that was skipped is being closed by whoever has its lock, and counts until then.
  select min(r.expires_at) into v_skipped from public.credit_reservations r
  where r.account_id = b.account_id and r.expires_at > b.swept_until and r.expires_at <= p_now and r.state = 'active';
  b.reserved := b.reserved - v_held;
  b.open_reservations := b.open_reservations - v_count;
  b.swept_until := coalesce(v_skipped - interval '1 microsecond', p_now);
  return b;
end;
$$;
comment on function credits_private.sweep_reservations(public.credit_balances, timestamptz) is
  'Frees what reservations past their time hold, except those that somebody has locked to close them. Reads only those that expired since the last sweep, whatever the history.';

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
  -- A reservation that the sweep had to skip: the next touch looks again.
  if b.swept_until < v_now then b.next_due_at := least(b.next_due_at, v_now); end if;
  -- Saved here, because reservations, lots and ledger rows have been written that belong to it.
  perform credits_private.save_account(b);
  return b;
end;
$$;
comment on function credits_private.apply_due(public.credit_balances) is
  'Everything that time has made due: reservations past their time, the period''s end, expired lots. Needs no cron.';
