-- Reservations, continued: extend, release, read.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

-- ------------------------------------------------------------------------- extend

create or replace function public.credits_extend(
  p_account_id uuid,
  p_reservation_id uuid,
  p_extension_id uuid,
  p_amount numeric,
  p_minimum_amount numeric default null,
  p_ttl_seconds integer default null)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
declare
  settings public.credit_settings;
  locked credits_private.locked_reservation;
  asked jsonb;
  known jsonb;
begin
  perform credits_private.check_id(p_extension_id, 'extensionId');
  asked := credits_private.extension_request(
    '', p_amount, p_minimum_amount, p_ttl_seconds);
  locked := credits_private.lock_reservation(p_account_id, p_reservation_id);
  known := (locked.reservation).extensions -> p_extension_id::text; -- guard: extend-once
  if known is null then
    if (locked.reservation).state <> 'active' then
      perform credits_private.raise_closed(locked.reservation);
    end if;
    select stored.* into strict settings from public.credit_settings stored;
    perform credits_private.check_may_spend(locked.account, settings);
    locked := credits_private.extend_reservation(locked, p_extension_id, asked, settings);
    locked.reservation := credits_private.save_reservation(locked.reservation);
    locked.account := credits_private.save_credits(locked.account);
  elsif not known @> asked then
    perform credits_private.raise_error(
      409, 'IDEMPOTENCY_MISMATCH', jsonb_build_object('id', p_extension_id));
  end if;
  return credits_private.reservation_answer(locked.reservation, known is not null,
    credits_private.balance_json(locked.account), null,
    credits_private.extension_json(locked.reservation, p_extension_id));
end;
$$;
revoke execute on function public.credits_extend from public, anon, authenticated;
grant execute on function public.credits_extend to service_role;
comment on function public.credits_extend(uuid, uuid, uuid, numeric, numeric, integer) is
  'Adds to an active reservation and prolongs it. Too few credits is an answer (granted: false), '
  'not an error. Returns ExtendResult of store/port.ts. Errors: RESERVATION_NOT_FOUND, '
  'RESERVATION_CLOSED, ACCOUNT_FROZEN, SPENDING_FROZEN, IDEMPOTENCY_MISMATCH, INVALID_INPUT.';

create or replace function credits_private.extension_request(
  p_prefix text, p_amount numeric, p_minimum numeric, p_ttl_seconds integer)
returns jsonb
language plpgsql
set search_path = ''
as $$
begin
  perform credits_private.check_amount(p_amount, p_prefix || 'amount');
  perform credits_private.check_limits(p_prefix, p_amount, p_minimum, p_ttl_seconds);
  return jsonb_build_object(
    'requested', trim_scale(p_amount)::text,
    'minimum', trim_scale(coalesce(p_minimum, p_amount))::text,
    'ttlSeconds', p_ttl_seconds);
end;
$$;
revoke execute on function credits_private.extension_request from public;
comment on function credits_private.extension_request(text, numeric, numeric, integer) is
  'What an extension asks for, checked: a repeat must ask for the same.';

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

create or replace function credits_private.lock_reservation(
  p_account_id uuid, p_reservation_id uuid)
returns credits_private.locked_reservation
language plpgsql
set search_path = ''
as $$
declare
  locked credits_private.locked_reservation;
begin
  select stored, balance into locked
  from public.credit_reservations stored
  join public.credit_balances balance on balance.account_id = stored.account_id
  where stored.account_id = p_account_id and stored.id = p_reservation_id
  -- Postgres locks each row in this order: first the reservation, then the account.
  for update of stored -- guard: lock-reservation
  for update of balance -- guard: lock-account-of-reservation
  ;
  if (locked.reservation).id is null then
    perform credits_private.raise_error(404, 'RESERVATION_NOT_FOUND',
      jsonb_build_object('reservationId', p_reservation_id));
  end if;
  if (locked.account).next_due_at <= clock_timestamp() then
    locked.account := credits_private.apply_due(locked.account);
    -- The reservation itself may have been past its time.
    locked.reservation := credits_private.find_reservation(p_account_id, p_reservation_id);
  end if;
  return locked;
end;
$$;
revoke execute on function credits_private.lock_reservation from public;
comment on function credits_private.lock_reservation(uuid, uuid) is
  'A reservation and its account, locked in this order, with due work applied. '
  'RESERVATION_NOT_FOUND for an unknown one and for that of another account.';

create or replace function credits_private.extend_reservation(
  locked credits_private.locked_reservation, p_extension_id uuid, p_asked jsonb,
  settings public.credit_settings)
returns credits_private.locked_reservation
language plpgsql
set search_path = ''
as $$
declare
  reservation public.credit_reservations := locked.reservation;
  account public.credit_balances := locked.account;
  ttl_seconds constant integer :=
    coalesce((p_asked ->> 'ttlSeconds')::integer, settings.reservation_ttl_seconds);
  amount constant numeric := least(
    (p_asked ->> 'requested')::numeric,
    credits_private.available(account),
    settings.max_reserved_credits - account.reserved);
begin
  if amount < (p_asked ->> 'minimum')::numeric then return locked; end if;
  account.reserved := account.reserved + amount;
  reservation.reserved := reservation.reserved + amount;
  -- Never shortens. next_due_at may stay early: the look then finds nothing due.
  reservation.expires_at := greatest(
    reservation.expires_at, clock_timestamp() + make_interval(secs => ttl_seconds));
  account.expired_until := least(account.expired_until, clock_timestamp());
  reservation.extensions := coalesce(reservation.extensions, '{}') || jsonb_build_object(
    p_extension_id, p_asked || jsonb_build_object('amount', trim_scale(amount)::text));
  locked.reservation := reservation;
  locked.account := account;
  return locked;
end;
$$;
revoke execute on function credits_private.extend_reservation from public;
comment on function credits_private.extend_reservation(
  credits_private.locked_reservation, uuid, jsonb, public.credit_settings) is
  'Adds to an active reservation and prolongs it, or leaves it as it is when less than the '
  'minimum is available.';

create or replace function credits_private.save_reservation(
  reservation public.credit_reservations)
returns public.credit_reservations
language plpgsql
set search_path = ''
as $$
begin
  update public.credit_reservations stored
  set state = reservation.state,
      reserved = reservation.reserved,
      captured = reservation.captured,
      uncollected = reservation.uncollected,
      extensions = reservation.extensions,
      late = reservation.late,
      expires_at = reservation.expires_at,
      closed_at = reservation.closed_at
  where stored.account_id = reservation.account_id and stored.id = reservation.id;
  return reservation;
end;
$$;
revoke execute on function credits_private.save_reservation from public;
comment on function credits_private.save_reservation(public.credit_reservations) is
  'Writes a locked and changed reservation back.';

create or replace function credits_private.extension_json(
  reservation public.credit_reservations, p_extension_id uuid)
returns json
language plpgsql
stable
set search_path = ''
as $$
declare
  extension constant jsonb := reservation.extensions -> p_extension_id::text;
begin
  -- A capture also notes an extension that was refused: it has no amount.
  return json_build_object(
    'granted', coalesce(extension ? 'amount', false),
    'amount', coalesce(extension ->> 'amount', '0'));
end;
$$;
revoke execute on function credits_private.extension_json from public;
comment on function credits_private.extension_json(public.credit_reservations, uuid) is
  'Extension of store/port.ts.';

-- ------------------------------------------------------------------------- release and read

create or replace function public.credits_release(p_account_id uuid, p_reservation_id uuid)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
declare
  locked credits_private.locked_reservation :=
    credits_private.lock_reservation(p_account_id, p_reservation_id);
  reservation public.credit_reservations := locked.reservation;
  account public.credit_balances := locked.account;
  replayed constant boolean := reservation.state <> 'active';
begin
  if not replayed then
    account := credits_private.return_reserved(account, reservation);
    reservation.state := 'released';
    reservation.closed_at := clock_timestamp();
    reservation := credits_private.save_reservation(reservation);
    account := credits_private.save_credits(account);
  end if;
  return credits_private.reservation_answer(
    reservation, replayed, credits_private.balance_json(account));
end;
$$;
revoke execute on function public.credits_release from public, anon, authenticated;
grant execute on function public.credits_release to service_role;
comment on function public.credits_release(uuid, uuid) is
  'Returns everything that a reservation keeps back. A closed one stays as it is. Returns '
  'ReservationResult of store/port.ts. Errors: RESERVATION_NOT_FOUND.';

create or replace function credits_private.return_reserved(
  account public.credit_balances, reservation public.credit_reservations)
returns public.credit_balances
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- An expired reservation keeps nothing back any more.
  if reservation.state = 'active' then
    account.reserved := account.reserved - reservation.reserved;
    account.open_reservations := account.open_reservations - 1;
  end if;
  return account;
end;
$$;
revoke execute on function credits_private.return_reserved from public;
comment on function credits_private.return_reserved(
  public.credit_balances, public.credit_reservations) is
  'Frees what a reservation keeps back, before it is charged or closed.';

create or replace function public.credits_get_reservation(
  p_account_id uuid, p_reservation_id uuid)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  reservation constant public.credit_reservations :=
    credits_private.find_reservation(p_account_id, p_reservation_id);
begin
  if reservation.id is null then
    perform credits_private.raise_error(404, 'RESERVATION_NOT_FOUND',
      jsonb_build_object('reservationId', p_reservation_id));
  end if;
  return credits_private.reservation_json(reservation);
end;
$$;
revoke execute on function public.credits_get_reservation from public, anon, authenticated;
grant execute on function public.credits_get_reservation to service_role;
comment on function public.credits_get_reservation(uuid, uuid) is
  'A reservation as it is now. Returns Reservation of store/port.ts. Errors: '
  'RESERVATION_NOT_FOUND.';
