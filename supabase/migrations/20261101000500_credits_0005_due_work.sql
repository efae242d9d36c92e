-- Due work: what time has made due. Applied whenever an account is locked, so that nothing depends
-- on a scheduler.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create or replace function credits_private.apply_due(account public.credit_balances)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  now_at constant timestamptz := clock_timestamp();
begin
  account := credits_private.expire_reservations(account, now_at);
  -- Each missed period is worked off in turn, so that an account without traffic ends up as if a
  -- scheduler had run. A closed account gets no further periods.
  while account.user_id is not null and account.plan_period_ends_at <= now_at loop
    account := credits_private.start_next_period(account);
  end loop;
  account := credits_private.expire_lots(account, now_at);
  account.next_due_at := credits_private.next_due(account);
  -- Saved here, because reservations, lots and ledger rows that belong to it have been written.
  perform credits_private.save_account(account);
  return account;
end;
$$;
revoke execute on function credits_private.apply_due from public;
comment on function credits_private.apply_due(public.credit_balances) is
  'Applies and saves everything that time has made due on a locked account: reservations past '
  'their time, the end of periods, expired lots.';

create or replace function credits_private.expire_reservations(
  account public.credit_balances, p_now timestamptz)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  freed record;
  skipped timestamptz;
begin
  with overdue as (
    select reservation.id from public.credit_reservations reservation
    where reservation.account_id = account.account_id and reservation.state = 'active'
      and reservation.expires_at > account.expired_until and reservation.expires_at <= p_now
    for update skip locked -- guard: skip-locked-reservations
  ),
  expired as (
    update public.credit_reservations reservation
    set state = 'expired', closed_at = p_now
    from overdue
    where reservation.account_id = account.account_id and reservation.id = overdue.id
    returning reservation.reserved
  )
  select coalesce(sum(expired.reserved), 0) as reserved, count(*)::integer as reservations
  into freed from expired;

  -- A skipped reservation is being closed by the caller that has it locked. It counts until then.
  select min(reservation.expires_at) into skipped from public.credit_reservations reservation
  where reservation.account_id = account.account_id and reservation.state = 'active'
    and reservation.expires_at > account.expired_until and reservation.expires_at <= p_now;
  account.reserved := account.reserved - freed.reserved;
  account.open_reservations := account.open_reservations - freed.reservations;
  account.expired_until := coalesce(skipped - interval '1 microsecond', p_now);
  return account;
end;
$$;
revoke execute on function credits_private.expire_reservations from public;
comment on function credits_private.expire_reservations(public.credit_balances, timestamptz) is
  'Frees what reservations past their time keep back, except those that are locked. Reads only '
  'those that expired since the last time, however long the history is.';

create or replace function credits_private.start_next_period(account public.credit_balances)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  ended_at constant timestamptz := account.plan_period_ends_at;
  ending_plan public.credit_plans;
begin
  select plan.* into strict ending_plan from public.credit_plans plan
  where plan.id = account.plan_id;
  account.plan_period := account.plan_period + 1;
  account.plan_period_ends_at :=
    credits_private.period_end(account.plan_anchor_at, account.plan_period);
  account := credits_private.roll_over(account, ending_plan.rollover_limit, ended_at);
  account := credits_private.expire_lots(account, ended_at);
  account.plan_id := coalesce(account.next_plan_id, account.plan_id);
  account.next_plan_id := null;
  return credits_private.grant_plan_credits(account);
end;
$$;
revoke execute on function credits_private.start_next_period from public;
comment on function credits_private.start_next_period(public.credit_balances) is
  'Ends the current period of an account and starts the next: rollover, expiry, a pending plan '
  'change, plan credits.';

create or replace function credits_private.roll_over(
  account public.credit_balances, p_limit numeric, p_ended_at timestamptz)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  change credits_private.account_change;
  lot public.credit_lots;
  moved numeric := 0;
  taken numeric;
begin
  change.account := account;
  -- From the end of the burn-down order, so that open reservations keep covering the oldest lots.
  for lot in
    select candidate.* from public.credit_lots candidate
    where candidate.account_id = account.account_id and not candidate.used_up
      and candidate.bucket = 'plan' and candidate.expires_at <= p_ended_at
    order by candidate.priority desc, candidate.expires_at desc, candidate.version desc
  loop
    exit when moved = p_limit;
    taken := least(lot.remaining, p_limit - moved);
    change := credits_private.change_lot(change, lot.id, -taken);
    moved := moved + taken;
  end loop;
  if moved = 0 then return account; end if;

  change.entry.id := gen_random_uuid();
  change.entry.type := 'adjustment';
  change.entry.source := 'rollover';
  change.entry.amount := 0;
  change := credits_private.insert_lot(
    change, moved, 'plan', 'rollover', 100, account.plan_period_ends_at);
  change := credits_private.append(change);
  return change.account;
end;
$$;
revoke execute on function credits_private.roll_over from public;
comment on function credits_private.roll_over(public.credit_balances, numeric, timestamptz) is
  'Moves unused plan credits, up to the limit of the plan, into a lot of the next period. The '
  'balance stays; the move is a transaction of 0.';

create or replace function credits_private.grant_plan_credits(account public.credit_balances)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  current_plan public.credit_plans;
  change credits_private.account_change;
begin
  select plan.* into strict current_plan from public.credit_plans plan
  where plan.id = account.plan_id;
  account.overage_limit := current_plan.overage_limit;
  if current_plan.monthly_credits = 0 then return account; end if;
  change.account := account;
  change.entry.id := gen_random_uuid();
  change.entry.type := 'grant';
  change.entry.source := 'plan';
  change.entry.amount := current_plan.monthly_credits;
  change := credits_private.add_lot(
    change, current_plan.monthly_credits, 'plan', 'plan', 100, account.plan_period_ends_at);
  change := credits_private.append(change);
  return change.account;
end;
$$;
revoke execute on function credits_private.grant_plan_credits from public;
comment on function credits_private.grant_plan_credits(public.credit_balances) is
  'Grants the monthly credits of the plan until the end of the period and takes over its overage '
  'limit.';

create or replace function credits_private.expire_lots(
  account public.credit_balances, p_at timestamptz)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  change credits_private.account_change;
  lot public.credit_lots;
  -- What remains of the lots that come earlier in the burn-down order.
  earlier numeric := 0;
  covered numeric;
begin
  change.account := account;
  for lot in
    select candidate.* from public.credit_lots candidate
    where candidate.account_id = account.account_id and not candidate.used_up
    order by candidate.bucket desc, candidate.priority, candidate.expires_at, candidate.version
  loop
    covered := lot.remaining;
    if lot.expires_at <= p_at then
      -- Credits under a reservation do not expire under it. Reservations cover the lots in
      -- burn-down order.
      covered := least(lot.remaining, greatest(0,
        credits_private.reserved_before(account, lot.expires_at) - earlier));
    end if;
    earlier := earlier + covered;
    continue when covered = lot.remaining;

    change.entry := null;
    change.entry.id := gen_random_uuid();
    change.entry.type := 'expiry';
    change.entry.source := lot.source;
    change.entry.amount := covered - lot.remaining;
    change := credits_private.change_lot(change, lot.id, covered - lot.remaining);
    change := credits_private.append(change);
  end loop;
  return change.account;
end;
$$;
revoke execute on function credits_private.expire_lots from public;
comment on function credits_private.expire_lots(public.credit_balances, timestamptz) is
  'Takes what is left of lots past their time, except what reservations made before their expiry '
  'still cover. One transaction per lot.';

create or replace function credits_private.reserved_before(
  account public.credit_balances, p_time timestamptz)
returns numeric
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(sum(reservation.reserved), 0) from public.credit_reservations reservation
    where reservation.account_id = account.account_id and reservation.state = 'active'
      and reservation.expires_at > account.expired_until
      and reservation.created_at < p_time -- guard: cover-only-earlier-reservations
  );
end;
$$;
revoke execute on function credits_private.reserved_before from public;
comment on function credits_private.reserved_before(public.credit_balances, timestamptz) is
  'Credits of the active reservations that were made before a time.';

create or replace function credits_private.next_due(account public.credit_balances)
returns timestamptz
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    with
    -- The next reservations to expire, closed ones included. If none of 200 is active, the last one
    -- is a safe answer: looking again then costs little, walking past every closed one now might
    -- cost a lot.
    upcoming as (
      select reservation.expires_at, reservation.state
      from public.credit_reservations reservation
      where reservation.account_id = account.account_id
        and reservation.expires_at > account.expired_until
      order by reservation.expires_at limit 200
    )
    select least(
      coalesce(
        min(upcoming.expires_at) filter (where upcoming.state = 'active'),
        case when count(*) = 200 then max(upcoming.expires_at) end),
      (select min(lot.expires_at) from public.credit_lots lot
        where lot.account_id = account.account_id and not lot.used_up),
      case when account.user_id is not null then account.plan_period_ends_at end,
      'infinity')
    from upcoming
  );
end;
$$;
revoke execute on function credits_private.next_due from public;
comment on function credits_private.next_due(public.credit_balances) is
  'When something is due next. In the past while a reservation covers an expired lot, or while an '
  'overdue one is locked: then every operation looks again.';

create or replace function credits_private.period_end(p_anchor timestamptz, p_period integer)
returns timestamptz
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- In UTC, not in the time zone of the session, and from the anchor: 31 January, 28 February, 31
  -- March.
  return (p_anchor at time zone 'utc' + make_interval(months => p_period)) at time zone 'utc';
end;
$$;
revoke execute on function credits_private.period_end from public;
comment on function credits_private.period_end(timestamptz, integer) is
  'End of the n-th monthly period.';
