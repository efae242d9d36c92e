-- Reservations: reserve. Extend, release and charges are in the next two files.
--
-- Executable by service_role alone, like every operation. Each answers with one JSON value.
--
-- lock_timeout: a busy account refuses its own callers (STORE_BUSY) instead of filling the
-- connection pool of all others. Reserve waits least: twice as many callers as the pool has
-- connections leave it within a second.
--
-- Lock order: reservation, then account, then lots. Reserve locks the account first and inserts the
-- reservation after, so that a refusal writes nothing. That cannot form a cycle: every insert of a
-- reservation happens under the lock of its account, so no insert ever waits for another one, and
-- reserve locks no row that exists.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

do $$
begin
  create type credits_private.locked_reservation as (
    reservation public.credit_reservations,
    account public.credit_balances
  );
exception when duplicate_object then null;
end;
$$;
comment on type credits_private.locked_reservation is 'A reservation and its account, both locked.';

-- ------------------------------------------------------------------------- reserve

create or replace function public.credits_reserve(
  p_account_id uuid,
  p_reservation_id uuid,
  p_amount numeric,
  p_minimum_amount numeric default null,
  p_ttl_seconds integer default null,
  p_feature text default null, p_model text default null,
  p_rate_id uuid default null, p_margin_id uuid default null,
  p_metadata jsonb default '{}')
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '450ms'
as $$
declare
  malformed constant text := credits_private.malformed_argument(p_account_id, p_reservation_id,
    p_amount, p_minimum_amount, p_ttl_seconds, p_feature, p_model, p_metadata);
  minimum constant numeric := coalesce(p_minimum_amount, p_amount);
  metadata constant jsonb := coalesce(p_metadata, '{}');
  settings public.credit_settings;
  account public.credit_balances;
  reservation public.credit_reservations;
  amount numeric;
  now_at timestamptz;
begin
  if malformed is not null then
    perform credits_private.raise_invalid_input(
      malformed, 'expected a valid argument of credits_reserve');
  end if;
  account := credits_private.open_account(p_account_id);
  if account.next_due_at <= clock_timestamp() then
    account := credits_private.apply_due(account);
  end if;
  select stored.* into strict settings from public.credit_settings stored;
  now_at := clock_timestamp();
  amount := least(p_amount, greatest(0, credits_private.available(account)));
  if account.status = 'active' and not settings.spending_frozen
    and amount >= minimum -- guard: enough-credits
    -- guard limit-open-reservations {
    and account.open_reservations < settings.max_open_reservations
    -- } limit-open-reservations
    and account.reserved + amount <= settings.max_reserved_credits -- guard: limit-reserved-credits
  then
    insert into public.credit_reservations
      (account_id, id, user_id, reserved, requested, minimum, ttl_seconds, feature, model, rate_id,
       margin_id, metadata, created_at, expires_at)
    values
      (p_account_id, p_reservation_id, p_account_id, amount, p_amount, minimum, p_ttl_seconds,
       p_feature, p_model, p_rate_id, p_margin_id, metadata, now_at,
       now_at + make_interval(secs => coalesce(p_ttl_seconds, settings.reservation_ttl_seconds)))
    on conflict (account_id, id) do nothing
    returning * into reservation;
  end if;
  -- Nothing was inserted: the id is known, or the reserve is refused.
  if reservation.id is null then
    return credits_private.repeat_or_refuse_reserve(account, settings, p_reservation_id, p_amount,
      minimum, p_ttl_seconds, p_feature, p_model, p_rate_id, p_margin_id, metadata);
  end if;

  account.reserved := account.reserved + amount;
  account.open_reservations := account.open_reservations + 1;
  account.next_due_at := least(account.next_due_at, reservation.expires_at);
  -- After the clock was set back: the next look for overdue reservations must find this one.
  account.expired_until := least(account.expired_until, now_at);
  account := credits_private.save_credits(account);
  return credits_private.reservation_answer(
    reservation, false, credits_private.balance_json(account));
end;
$$;
revoke execute on function public.credits_reserve from public, anon, authenticated;
grant execute on function public.credits_reserve to service_role;
comment on function public.credits_reserve(
  uuid, uuid, numeric, numeric, integer, text, text, uuid, uuid, jsonb) is
  'Keeps credits back before a model call. With a minimum, takes what is available down to it. An '
  'amount of 0 reserves nothing, but status, freeze and limits apply. Returns ReservationResult of '
  'store/port.ts. Errors: INSUFFICIENT_CREDITS, LIMIT_EXCEEDED, ACCOUNT_NOT_FOUND, '
  'ACCOUNT_FROZEN, SPENDING_FROZEN, RESERVATION_CLOSED, IDEMPOTENCY_MISMATCH, INVALID_INPUT.';

create or replace function credits_private.malformed_argument(
  p_account_id uuid, p_reservation_id uuid, p_amount numeric, p_minimum numeric,
  p_ttl_seconds integer, p_feature text, p_model text, p_metadata jsonb)
returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- One expression: seven calls of the checks of 0002 would take 20 us more of every reserve.
  return case
    when p_account_id is null then 'userId'
    when p_reservation_id is null then 'reservationId'
    -- NaN and infinity fail the upper bound.
    when (p_amount >= 0 and p_amount <= 1000000000000 and scale(p_amount) <= 6) is not true
      then 'amount'
    when not (p_minimum <= p_amount and scale(p_minimum) <= 6
      and (p_minimum > 0 or p_amount = p_minimum)) then 'minimumAmount'
    when p_ttl_seconds not between 1 and 86400 then 'ttlSeconds'
    when char_length(p_feature) not between 1 and 255 then 'feature'
    when char_length(p_model) not between 1 and 255 then 'model'
    when jsonb_typeof(p_metadata) not in ('object', 'null') then 'metadata'
    when octet_length(p_metadata::text) > 4096 then 'metadata'
  end;
end;
$$;
revoke execute on function credits_private.malformed_argument from public;
comment on function credits_private.malformed_argument(
  uuid, uuid, numeric, numeric, integer, text, text, jsonb) is
  'The path of the first malformed argument of a reserve; null when all are well formed.';

create or replace function credits_private.repeat_or_refuse_reserve(
  account public.credit_balances, settings public.credit_settings, p_reservation_id uuid,
  p_amount numeric, p_minimum numeric, p_ttl_seconds integer, p_feature text, p_model text,
  p_rate_id uuid, p_margin_id uuid, p_metadata jsonb)
returns json
language plpgsql
set search_path = ''
as $$
declare
  reservation public.credit_reservations;
begin
  -- guard reserve-once {
  reservation := credits_private.find_reservation(account.account_id, p_reservation_id);
  -- } reserve-once
  if reservation.id is null then
    perform credits_private.refuse_reserve(account, settings, p_amount, p_minimum);
  end if;
  perform credits_private.check_open(reservation);
  -- guard same-parameters {
  if (reservation.requested, reservation.minimum, reservation.ttl_seconds, reservation.feature,
      reservation.model, reservation.rate_id, reservation.margin_id, reservation.metadata)
    is distinct from (p_amount, p_minimum, p_ttl_seconds, p_feature,
      p_model, p_rate_id, p_margin_id, p_metadata)
  then
    perform credits_private.raise_error(
      409, 'IDEMPOTENCY_MISMATCH', jsonb_build_object('id', p_reservation_id));
  end if;
  -- } same-parameters
  return credits_private.reservation_answer(
    reservation, true, credits_private.balance_json(account));
end;
$$;
revoke execute on function credits_private.repeat_or_refuse_reserve from public;
comment on function credits_private.repeat_or_refuse_reserve(
  public.credit_balances, public.credit_settings, uuid, numeric, numeric, integer, text, text,
  uuid, uuid, jsonb) is
  'The answer to a reserve that inserted nothing: the first result when the id is known, else the '
  'reason of the refusal.';

create or replace function credits_private.check_open(
  reservation public.credit_reservations)
returns void
language plpgsql
set search_path = ''
as $$
begin
  -- guard open-reservation-only {
  if reservation.state <> 'active' or reservation.expires_at <= clock_timestamp() then
    perform credits_private.raise_closed(reservation);
  end if;
  -- } open-reservation-only
end;
$$;
revoke execute on function credits_private.check_open from public;
comment on function credits_private.check_open(public.credit_reservations) is
  'Refuses a repeated reserve whose reservation is closed: a second call must not go ahead under '
  'it.';

create or replace function credits_private.raise_closed(
  reservation public.credit_reservations, p_charged numeric default null)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform credits_private.raise_error(409, 'RESERVATION_CLOSED', jsonb_strip_nulls(
    jsonb_build_object(
      'reservationId', reservation.id,
      'state', case when reservation.state = 'active' then 'expired' else reservation.state end,
      'amount', trim_scale(p_charged)::text)));
end;
$$;
revoke execute on function credits_private.raise_closed from public;
comment on function credits_private.raise_closed(public.credit_reservations, numeric) is
  'RESERVATION_CLOSED with the state, and with the amount of a charge that was not recorded.';

create or replace function credits_private.refuse_reserve(
  account public.credit_balances, settings public.credit_settings, p_amount numeric,
  p_minimum numeric)
returns void
language plpgsql
set search_path = ''
as $$
declare
  available constant numeric := credits_private.available(account);
begin
  perform credits_private.check_may_spend(account, settings);
  if available < p_minimum then
    perform credits_private.raise_insufficient_credits(account, available, p_minimum);
  end if;
  if account.open_reservations >= settings.max_open_reservations then
    perform credits_private.raise_error(429, 'LIMIT_EXCEEDED', jsonb_build_object(
      'limit', 'open_reservations', 'maximum', settings.max_open_reservations));
  end if;
  if account.reserved + least(p_amount, available) > settings.max_reserved_credits then
    perform credits_private.raise_error(429, 'LIMIT_EXCEEDED', jsonb_build_object(
      'limit', 'reserved_credits', 'maximum', trim_scale(settings.max_reserved_credits)::text));
  end if;
end;
$$;
revoke execute on function credits_private.refuse_reserve from public;
comment on function credits_private.refuse_reserve(
  public.credit_balances, public.credit_settings, numeric, numeric) is
  'Names the reason of a refused reserve.';

create or replace function credits_private.check_may_spend(
  account public.credit_balances, settings public.credit_settings)
returns void
language plpgsql
set search_path = ''
as $$
begin
  -- guard account-not-frozen {
  if account.status = 'frozen' then
    perform credits_private.raise_error(403, 'ACCOUNT_FROZEN');
  end if;
  -- } account-not-frozen
  -- guard spending-not-frozen {
  if settings.spending_frozen then
    perform credits_private.raise_error(503, 'SPENDING_FROZEN');
  end if;
  -- } spending-not-frozen
end;
$$;
revoke execute on function credits_private.check_may_spend from public;
comment on function credits_private.check_may_spend(
  public.credit_balances, public.credit_settings) is
  'Refuses new spending while the account, or all spending, is frozen.';

create or replace function credits_private.find_reservation(
  p_account_id uuid, p_reservation_id uuid)
returns public.credit_reservations
language plpgsql
stable
set search_path = ''
as $$
declare
  reservation public.credit_reservations;
begin
  select stored.* into reservation from public.credit_reservations stored
  where stored.account_id = p_account_id and stored.id = p_reservation_id;
  return reservation;
end;
$$;
revoke execute on function credits_private.find_reservation from public;
comment on function credits_private.find_reservation(uuid, uuid) is
  'The reservation of an account with this id; null when there is none.';
