-- Reservations: reserve. Extend, release and charges are in the next two files.
--
-- Executable by service_role alone, like every operation. Each answers with one jsonb value.
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
  p_feature text default null,
  p_model text default null,
  p_rate_id uuid default null,
  p_margin_id uuid default null,
  p_metadata jsonb default '{}')
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '450ms'
as $$
declare
  account public.credit_balances;
  existing public.credit_reservations;
  -- What is asked for.
  reservation public.credit_reservations;
begin
  reservation.account_id := p_account_id;
  reservation.id := p_reservation_id;
  reservation.requested := p_amount;
  reservation.minimum := coalesce(p_minimum_amount, p_amount);
  reservation.ttl_seconds := p_ttl_seconds;
  reservation.feature := p_feature;
  reservation.model := p_model;
  reservation.rate_id := p_rate_id;
  reservation.margin_id := p_margin_id;
  reservation.metadata := coalesce(p_metadata, '{}');
  perform credits_private.check_reservation(reservation, p_amount, p_minimum_amount);

  account := credits_private.open_account(p_account_id);
  existing := credits_private.find_reservation(p_account_id, p_reservation_id);
  if existing.id is not null then
    perform credits_private.check_same_reservation(existing, reservation);
    return credits_private.reservation_answer(existing, account, true);
  end if;

  if account.next_due_at <= clock_timestamp() then
    account := credits_private.apply_due(account);
  end if;
  reservation := credits_private.allow_reservation(account, reservation);
  insert into public.credit_reservations values (reservation.*);
  account.reserved := account.reserved + reservation.reserved;
  account.open_reservations := account.open_reservations + 1;
  account.next_due_at := least(account.next_due_at, reservation.expires_at);
  -- After the clock was set back: the next look for overdue reservations must find this one.
  account.expired_until := least(account.expired_until, reservation.created_at);
  perform credits_private.save_account(account);
  return credits_private.reservation_answer(reservation, account, false);
end;
$$;
revoke execute on function public.credits_reserve from public, anon, authenticated;
grant execute on function public.credits_reserve to service_role;
comment on function public.credits_reserve(
  uuid, uuid, numeric, numeric, integer, text, text, uuid, uuid, jsonb) is
  'Keeps credits back before a model call. With a minimum, takes what is available down to it. An '
  'amount of 0 '
  'reserves nothing, but status, freeze and limits hold. Errors: INSUFFICIENT_CREDITS, '
  'LIMIT_EXCEEDED, '
  'ACCOUNT_NOT_FOUND, ACCOUNT_FROZEN, SPENDING_FROZEN, RESERVATION_CLOSED, IDEMPOTENCY_MISMATCH, '
  'INVALID_INPUT.';

create or replace function credits_private.check_reservation(
  reservation public.credit_reservations, p_amount numeric, p_minimum numeric)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform credits_private.check_id(reservation.account_id, 'userId');
  perform credits_private.check_id(reservation.id, 'reservationId');
  perform credits_private.check_amount(p_amount, 'amount', true);
  perform credits_private.check_limits('', p_amount, p_minimum, reservation.ttl_seconds);
  perform credits_private.check_text(reservation.feature, 'feature', 255);
  perform credits_private.check_text(reservation.model, 'model', 255);
  perform credits_private.check_object(reservation.metadata, 'metadata');
end;
$$;
revoke execute on function credits_private.check_reservation from public;
comment on function credits_private.check_reservation(
  public.credit_reservations, numeric, numeric) is
  'Refuses malformed arguments of reserve.';

create or replace function credits_private.check_limits(
  p_prefix text, p_amount numeric, p_minimum numeric, p_ttl_seconds integer)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_minimum is not null then
    perform credits_private.check_amount(
      p_minimum, p_prefix || 'minimumAmount', p_amount = 0);
    if p_minimum > p_amount then
      perform credits_private.raise_invalid_input(
        p_prefix || 'minimumAmount', 'expected at most the amount');
    end if;
  end if;
  if p_ttl_seconds not between 1 and 86400 then
    perform credits_private.raise_invalid_input(p_prefix || 'ttlSeconds', 'expected 1 to 86400');
  end if;
end;
$$;
revoke execute on function credits_private.check_limits from public;
comment on function credits_private.check_limits(text, numeric, numeric, integer) is
  'Refuses a malformed minimum or life of a reservation; null is fine.';

create or replace function credits_private.check_same_reservation(
  existing public.credit_reservations, asked public.credit_reservations)
returns void
language plpgsql
set search_path = ''
as $$
begin
  -- guard open-reservation-only {
  -- Never a go-ahead for a second call.
  if existing.state <> 'active' or existing.expires_at <= clock_timestamp() then
    perform credits_private.raise_closed(existing);
  end if;
  -- } open-reservation-only
  -- guard same-parameters {
  if (existing.requested, existing.minimum, existing.ttl_seconds, existing.feature, existing.model,
      existing.rate_id, existing.margin_id, existing.metadata)
    is distinct from (asked.requested, asked.minimum, asked.ttl_seconds, asked.feature, asked.model,
      asked.rate_id, asked.margin_id, asked.metadata)
  then
    perform credits_private.raise_error(
      409, 'IDEMPOTENCY_MISMATCH', jsonb_build_object('id', existing.id));
  end if;
  -- } same-parameters
end;
$$;
revoke execute on function credits_private.check_same_reservation from public;
comment on function credits_private.check_same_reservation(
  public.credit_reservations, public.credit_reservations) is
  'Refuses a repeated reserve whose reservation is closed, or whose parameters differ.';

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

create or replace function credits_private.allow_reservation(
  account public.credit_balances, reservation public.credit_reservations)
returns public.credit_reservations
language plpgsql
set search_path = ''
as $$
declare
  settings public.credit_settings;
  available constant numeric := credits_private.available(account);
begin
  select stored.* into strict settings from public.credit_settings stored;
  perform credits_private.check_may_spend(account, settings);
  reservation.reserved := least(reservation.requested, greatest(available, 0));
  -- guard enough-credits {
  if reservation.reserved < reservation.minimum then
    perform credits_private.raise_insufficient_credits(account, available, reservation.minimum);
  end if;
  -- } enough-credits
  -- guard limit-open-reservations {
  if account.open_reservations >= settings.max_open_reservations then
    perform credits_private.raise_error(429, 'LIMIT_EXCEEDED', jsonb_build_object(
      'limit', 'open_reservations', 'maximum', settings.max_open_reservations));
  end if;
  -- } limit-open-reservations
  -- guard limit-reserved-credits {
  if account.reserved + reservation.reserved > settings.max_reserved_credits then
    perform credits_private.raise_error(429, 'LIMIT_EXCEEDED', jsonb_build_object(
      'limit', 'reserved_credits', 'maximum', trim_scale(settings.max_reserved_credits)::text));
  end if;
  -- } limit-reserved-credits

  reservation.user_id := account.account_id;
  reservation.state := 'active';
  reservation.captured := 0;
  reservation.uncollected := 0;
  reservation.late := false;
  reservation.created_at := clock_timestamp();
  reservation.expires_at := reservation.created_at + make_interval(
    secs => coalesce(reservation.ttl_seconds, settings.reservation_ttl_seconds));
  return reservation;
end;
$$;
revoke execute on function credits_private.allow_reservation from public;
comment on function credits_private.allow_reservation(
  public.credit_balances, public.credit_reservations) is
  'Refuses a reservation that the account cannot pay or the limits do not allow; otherwise fills '
  'in the rest '
  'of its row.';

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

create or replace function credits_private.reservation_answer(
  reservation public.credit_reservations, account public.credit_balances, p_replayed boolean)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return credits_private.reservation_json(reservation) || jsonb_build_object(
    'replayed', p_replayed,
    'balance', credits_private.balance_json(account));
end;
$$;
revoke execute on function credits_private.reservation_answer from public;
comment on function credits_private.reservation_answer(
  public.credit_reservations, public.credit_balances, boolean) is
  'ReservationResult of store/port.ts.';
