-- What calls were charged and what they cost, and what an operator has to look at: estimates
-- without a correction, and reservations that expired without a settle.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

-- -------------------------------------------------------------------------------------- Charges

create or replace view public.credit_charges
with (security_invoker = true) as
select
  entry.account_id, entry.version, entry.id as transaction_id, entry.user_id, entry.created_at,
  entry.feature, entry.model,
  cost.charge ->> 'servedModel' as served_model,
  -entry.amount as amount,
  entry.uncollected,
  -- A correction has the difference to its estimate, so that sums are right.
  ((cost.charge ->> 'costUsd')::numeric
    - coalesce((estimate.charge ->> 'costUsd')::numeric, 0))::numeric(24, 12) as cost_usd,
  (cost.charge ->> 'marginPercent')::numeric(9, 4) as margin_percent,
  cost.charge ->> 'costSource' as cost_source,
  (cost.charge ->> 'computedCostUsd')::numeric(24, 12) as computed_cost_usd,
  (cost.charge ->> 'reportedCostUsd')::numeric(24, 12) as reported_cost_usd,
  entry.input_tokens, entry.output_tokens, entry.estimated, entry.late,
  nullif(cost.charge -> 'usage', 'null') as usage,
  (cost.charge ->> 'rateId')::uuid as rate_id,
  (cost.charge ->> 'marginId')::uuid as margin_id,
  nullif(cost.charge -> 'pricing', 'null') as pricing,
  cost.charge ->> 'generationId' as generation_id,
  nullif(cost.charge -> 'provider', 'null') as provider,
  nullif(cost.charge -> 'flags', 'null') as flags,
  nullif(cost.charge -> 'rawUsage', 'null') as raw_usage,
  entry.reverses_id as corrects_id
from public.credit_transactions entry
join public.credit_transaction_costs cost
  on cost.account_id = entry.account_id and cost.version = entry.version
left join public.credit_transactions corrected
  on corrected.account_id = entry.account_id and corrected.id = entry.reverses_id
left join public.credit_transaction_costs estimate
  on estimate.account_id = corrected.account_id and estimate.version = corrected.version
where entry.type = 'usage' or (entry.type = 'refund' and cost.charge is not null);
comment on view public.credit_charges is
  'Every charge with what it cost, in columns; for admins, like the costs. computed_cost_usd and '
  'reported_cost_usd are the figures that are not the base of the charge. A row with corrects_id '
  'corrects the estimate with that transaction_id and has the differences.';
revoke all on public.credit_charges from public, anon, authenticated, service_role;
grant select on public.credit_charges to authenticated, service_role;

create or replace function public.credits_get_charges(
  p_from timestamptz default null,
  p_to timestamptz default null,
  p_limit integer default 1000,
  p_after jsonb default null,
  p_details boolean default false)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  position record;
  end_time constant timestamptz := coalesce(p_to, 'infinity');
begin
  perform credits_private.check_limit(p_limit, 5000);
  position := credits_private.read_position(p_after, p_from);
  return (
    with
    -- One row more than asked for says whether there is another page.
    page as materialized (
      select charge, row_number() over (
        order by charge.created_at, charge.account_id, charge.version) as place
      from public.credit_charges charge
      where charge.created_at >= position.created_at and charge.created_at < end_time
        and (charge.created_at, charge.account_id, charge.version)
          > (position.created_at, position.account_id, position.version)
        and charge.corrects_id is null
      order by charge.created_at, charge.account_id, charge.version
      limit p_limit + 1
    )
    select jsonb_build_object(
      'data', coalesce(
        jsonb_agg(credits_private.charge_json(page.charge, p_details) order by page.place)
          filter (where page.place <= p_limit), '[]'),
      'next', case when count(*) > p_limit then (
        select jsonb_build_object(
          'createdAt', credits_private.iso((last.charge).created_at),
          'accountId', (last.charge).account_id, 'version', (last.charge).version)
        from page last where last.place = p_limit) end)
    from page);
end;
$$;
revoke execute on function public.credits_get_charges from public, anon, authenticated;
grant execute on function public.credits_get_charges to service_role;
comment on function public.credits_get_charges(
  timestamptz, timestamptz, integer, jsonb, boolean) is
  'A page of charges with what they cost, oldest first: p_from inclusive, p_to exclusive, p_after '
  '= next of the page before; p_details adds the price snapshots. An estimate that was corrected '
  'has the figures of its correction. Returns ChargesPage of store/port-charges.ts. '
  'Errors: INVALID_INPUT.';

create or replace function credits_private.charge_json(
  charge public.credit_charges, p_details boolean)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  correction public.credit_charges;
  refunded numeric;
  plan_id text;
begin
  select sum(refund.amount) into refunded from public.credit_transactions refund
  where refund.account_id = charge.account_id and refund.reverses_id = charge.transaction_id
    and refund.type = 'refund';
  select history.plan_id into plan_id from credits_private.account_plans history
  where history.account_id = charge.account_id and history.since <= charge.created_at
  order by history.since desc limit 1;
  if charge.estimated then
    select later.* into correction from public.credit_charges later
    where later.account_id = charge.account_id and later.corrects_id = charge.transaction_id;
    if found then
      charge := credits_private.corrected_charge(charge, correction);
      refunded := refunded + least(correction.amount, 0);
    end if;
  end if;
  return jsonb_build_object(
    'transactionId', charge.transaction_id, 'accountId', charge.account_id,
    'userId', charge.user_id, 'version', charge.version,
    'amount', trim_scale(charge.amount)::text,
    'uncollected', trim_scale(charge.uncollected)::text,
    'refunded', trim_scale(coalesce(refunded, 0))::text,
    'feature', charge.feature, 'model', charge.model, 'planId', plan_id,
    'estimated', charge.estimated,
    'createdAt', credits_private.iso(charge.created_at),
    'costUsd', trim_scale(coalesce(charge.cost_usd, 0))::text,
    'marginPercent', trim_scale(charge.margin_percent)::text,
    'costSource', coalesce(charge.cost_source, 'manual'),
    'computedCostUsd', trim_scale(charge.computed_cost_usd)::text,
    'reportedCostUsd', trim_scale(charge.reported_cost_usd)::text,
    'servedModel', charge.served_model, 'generationId', charge.generation_id,
    'usage', charge.usage, 'flags', coalesce(charge.flags, '[]'),
    'pricing', case when p_details then charge.pricing end);
end;
$$;
revoke execute on function credits_private.charge_json from public;
comment on function credits_private.charge_json(public.credit_charges, boolean) is
  'StoredCharge of store/port-charges.ts.';

create or replace function credits_private.corrected_charge(
  charge public.credit_charges, correction public.credit_charges)
returns public.credit_charges
language plpgsql
immutable
set search_path = ''
as $$
begin
  charge.amount := charge.amount + correction.amount;
  charge.uncollected := charge.uncollected + correction.uncollected;
  charge.cost_usd := charge.cost_usd + correction.cost_usd;
  charge.cost_source := correction.cost_source;
  charge.computed_cost_usd := correction.computed_cost_usd;
  charge.reported_cost_usd := correction.reported_cost_usd;
  charge.usage := coalesce(correction.usage, charge.usage);
  charge.flags := coalesce(correction.flags, charge.flags);
  charge.estimated := false;
  return charge;
end;
$$;
revoke execute on function credits_private.corrected_charge from public;
comment on function credits_private.corrected_charge(
  public.credit_charges, public.credit_charges) is
  'An estimate with the figures of its correction.';

create or replace function credits_private.read_position(
  p_after jsonb, p_from timestamptz,
  out created_at timestamptz, out account_id uuid, out version bigint)
language plpgsql
stable
set search_path = ''
as $$
begin
  if p_after is null then
    created_at := coalesce(p_from, '-infinity');
    account_id := '00000000-0000-0000-0000-000000000000';
    version := 0;
    return;
  end if;
  begin
    created_at := (p_after ->> 'createdAt')::timestamptz;
    account_id := (p_after ->> 'accountId')::uuid;
    version := (p_after ->> 'version')::bigint;
  exception when others then
    created_at := null;
  end;
  if created_at is null or account_id is null or version is null or created_at < p_from then
    perform credits_private.raise_invalid_input('after', 'expected next of the page before');
  end if;
end;
$$;
revoke execute on function credits_private.read_position from public;
comment on function credits_private.read_position(jsonb, timestamptz) is
  'Where a page of charges begins.';

-- ------------------------------------------------------------------------------------ Estimates

create or replace function public.credits_get_estimates(
  p_limit integer default 1000, p_after jsonb default null)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  position record;
begin
  perform credits_private.check_limit(p_limit, 5000);
  position := credits_private.read_position(
    p_after || '{"createdAt": "-infinity"}', null);
  return (
    with
    page as materialized (
      select entry, cost.charge, row_number() over (
        order by entry.account_id, entry.version) as place
      from public.credit_transactions entry
      join public.credit_transaction_costs cost
        on cost.account_id = entry.account_id and cost.version = entry.version
      where entry.estimated
        and (entry.account_id, entry.version) > (position.account_id, position.version)
        and cost.charge ->> 'generationId' is not null
        and not credits_private.is_corrected(entry)
      order by entry.account_id, entry.version
      limit p_limit + 1
    )
    select jsonb_build_object(
      'data', coalesce(
        jsonb_agg(credits_private.estimate_json(page.entry, page.charge) order by page.place)
          filter (where page.place <= p_limit), '[]'),
      'next', case when count(*) > p_limit then (
        select jsonb_build_object(
          'accountId', (last.entry).account_id, 'version', (last.entry).version)
        from page last where last.place = p_limit) end)
    from page);
end;
$$;
revoke execute on function public.credits_get_estimates from public, anon, authenticated;
grant execute on function public.credits_get_estimates to service_role;
comment on function public.credits_get_estimates(integer, jsonb) is
  'A page of estimated charges that the gateway has a record of and that have no correction yet. '
  'Returns {"data": [{"transactionId", "accountId", "userId", "version", "amount", '
  '"marginPercent", "generationId", "model", "feature", "createdAt"}], "next": p_after of the next '
  'page or null}; amount is the whole charge. Errors: INVALID_INPUT.';

create or replace function credits_private.estimate_json(
  entry public.credit_transactions, p_charge jsonb)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'transactionId', entry.id, 'accountId', entry.account_id, 'userId', entry.user_id,
    'version', entry.version,
    'amount', trim_scale(entry.uncollected - entry.amount)::text,
    'marginPercent', p_charge ->> 'marginPercent',
    'generationId', p_charge ->> 'generationId',
    'model', entry.model, 'feature', entry.feature,
    'createdAt', credits_private.iso(entry.created_at));
end;
$$;
revoke execute on function credits_private.estimate_json from public;
comment on function credits_private.estimate_json(public.credit_transactions, jsonb) is
  'One estimated charge of credits_get_estimates.';

-- ----------------------------------------------------------------------- Expired reservations

create or replace function public.credits_get_expired_reservations(
  p_from timestamptz default null,
  p_to timestamptz default null,
  p_limit integer default 1000,
  p_after jsonb default null)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  now_at constant timestamptz := clock_timestamp();
  end_time constant timestamptz := coalesce(p_to, 'infinity');
  after_time timestamptz := coalesce(p_from, '-infinity');
  after_id uuid := '00000000-0000-0000-0000-000000000000'::uuid;
begin
  perform credits_private.check_limit(p_limit, 5000);
  if p_after is not null then
    begin
      after_time := (p_after ->> 'createdAt')::timestamptz;
      after_id := (p_after ->> 'reservationId')::uuid;
    exception when others then
      after_id := null;
    end;
    if after_time is null or after_id is null then
      perform credits_private.raise_invalid_input('after', 'expected next of the page before');
    end if;
  end if;
  return (
    with
    page as materialized (
      select reservation, row_number() over (
        order by reservation.created_at, reservation.id) as place
      from public.credit_reservations reservation
      where reservation.created_at >= after_time and reservation.created_at < end_time
        and (reservation.created_at, reservation.id) > (after_time, after_id)
        and reservation.state in ('active', 'expired') and reservation.expires_at <= now_at
      order by reservation.created_at, reservation.id
      limit p_limit + 1
    )
    select jsonb_build_object(
      'data', coalesce(
        jsonb_agg(credits_private.expired_reservation_json(page.reservation) order by page.place)
          filter (where page.place <= p_limit), '[]'),
      'next', case when count(*) > p_limit then (
        select jsonb_build_object(
          'createdAt', credits_private.iso((last.reservation).created_at),
          'reservationId', (last.reservation).id)
        from page last where last.place = p_limit) end)
    from page);
end;
$$;
revoke execute on function public.credits_get_expired_reservations
  from public, anon, authenticated;
grant execute on function public.credits_get_expired_reservations to service_role;
comment on function public.credits_get_expired_reservations(
  timestamptz, timestamptz, integer, jsonb) is
  'A page of reservations that expired without a settle, oldest first: made from p_from on, before '
  'p_to. What their calls cost is unknown. Returns {"data": [Reservation of store/port.ts with '
  '"accountId" and "reserved": what it kept back when it expired, the most that was allowed], '
  '"next": p_after of the next page or null}. Errors: INVALID_INPUT.';

create or replace function credits_private.expired_reservation_json(
  reservation public.credit_reservations)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return credits_private.reservation_json(reservation) || jsonb_build_object(
    'accountId', reservation.account_id,
    'reserved', trim_scale(reservation.reserved)::text,
    'createdAt', credits_private.iso(reservation.created_at),
    'expiresAt', credits_private.iso(reservation.expires_at));
end;
$$;
revoke execute on function credits_private.expired_reservation_json from public;
comment on function credits_private.expired_reservation_json(public.credit_reservations) is
  'One reservation of credits_get_expired_reservations.';
