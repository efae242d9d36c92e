-- Charges on reservations: settle and capture. What a model call cost leaves the account, the rest
-- is free again.
--
-- A charge is written once. A repeated settle gives the first result, also when its charge differs
-- from the first one. No cost is lost in silence: a second charge of another amount is a row of
-- credit_audit_log (charge_not_recorded), and a charge after a release is refused with its amount
-- in the details (RESERVATION_CLOSED). The caller that must record it sets p_create_missing (after
-- a release), or an admin writes an adjustment.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

do $$
begin
  create type credits_private.charge_input as (
    "amount" numeric, "costUsd" numeric, "marginPercent" numeric, "costSource" text, "model" text,
    "feature" text, "inputTokens" bigint, "outputTokens" bigint, "metadata" jsonb
  );
exception when duplicate_object then null;
end;
$$;
comment on type credits_private.charge_input is
  'The fields of a ChargeRecord of store/port.ts that SQL reads. The cost row stores them all.';

-- ------------------------------------------------------------------------- settle

create or replace function public.credits_settle(
  p_account_id uuid,
  p_reservation_id uuid,
  p_charge jsonb default null,
  p_create_missing boolean default false)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
declare
  input constant credits_private.charge_input := credits_private.check_charge(p_charge);
  locked credits_private.locked_reservation;
  reservation public.credit_reservations;
  account public.credit_balances;
  entry public.credit_transactions;
  change credits_private.account_change;
begin
  if p_create_missing then
    perform credits_private.create_missing(p_account_id, p_reservation_id, input);
  end if;
  locked := credits_private.lock_reservation(p_account_id, p_reservation_id);
  reservation := locked.reservation;
  account := locked.account;
  -- guard settle-once {
  if reservation.state = 'settled' then
    entry := credits_private.find_transaction(p_account_id, p_reservation_id);
    perform credits_private.audit_other_charge(entry, reservation, input);
    return credits_private.reservation_answer(reservation, true,
      credits_private.balance_json(account), credits_private.transaction_json(entry));
  end if;
  -- } settle-once
  -- guard released-is-final {
  if reservation.state = 'released' and not p_create_missing then
    perform credits_private.raise_closed(reservation, input."amount");
  end if;
  -- } released-is-final

  account := credits_private.return_reserved(account, reservation);
  if input."amount" is not null then
    change := credits_private.charge(account, reservation, reservation.id, p_charge, input);
    account := change.account;
    entry := change.entry;
    reservation := credits_private.add_charge(reservation, entry);
  end if;
  reservation.state := 'settled';
  reservation.closed_at := clock_timestamp();
  reservation := credits_private.save_reservation(reservation);
  account := credits_private.save_credits(account);
  return credits_private.reservation_answer(reservation, false,
    credits_private.balance_json(account), credits_private.transaction_json(entry));
end;
$$;
revoke execute on function public.credits_settle from public, anon, authenticated;
grant execute on function public.credits_settle to service_role;
comment on function public.credits_settle(uuid, uuid, jsonb, boolean) is
  'Takes the last charge and returns the rest of the reservation. Again: the first result. After '
  'its expiry: charged late, from what is available. p_create_missing: a reservation that is not '
  'there (promised while the database was away, or lost with it) or was released is charged late '
  'too. Returns SettleResult of store/port.ts. Errors: RESERVATION_NOT_FOUND, RESERVATION_CLOSED, '
  'ACCOUNT_NOT_FOUND, IDEMPOTENCY_MISMATCH, INVALID_INPUT.';

create or replace function credits_private.create_missing(
  p_account_id uuid, p_reservation_id uuid, p_input credits_private.charge_input)
returns void
language plpgsql
set search_path = ''
as $$
declare
  now_at timestamptz;
begin
  perform credits_private.check_id(p_reservation_id, 'reservationId');
  if (credits_private.find_reservation(p_account_id, p_reservation_id)).id is not null then
    return;
  end if;
  -- Locks the account, as reserve does before it inserts.
  perform credits_private.open_account(p_account_id);
  now_at := clock_timestamp();
  -- Over before it began: it keeps nothing back and is charged like any other that has expired.
  insert into public.credit_reservations
    (account_id, id, user_id, state, reserved, requested, minimum, feature, model, created_at,
     expires_at, closed_at)
  values
    (p_account_id, p_reservation_id, p_account_id, 'expired', 0, 0, 0, p_input."feature",
     p_input."model", now_at, now_at, now_at)
  on conflict (account_id, id) do nothing;
  if not found then
    -- Another caller was first. To lock its reservation now, after the account, could form a cycle.
    raise exception 'reservation % was created by another caller', p_reservation_id
      using errcode = 'lock_not_available', hint = 'Call again.';
  end if;
end;
$$;
revoke execute on function credits_private.create_missing from public;
comment on function credits_private.create_missing(uuid, uuid, credits_private.charge_input) is
  'Makes the row of a reservation that never reached the database, or was lost with an '
  'asynchronous commit, so that its cost is recorded.';

create or replace function credits_private.audit_other_charge(
  entry public.credit_transactions, reservation public.credit_reservations,
  p_input credits_private.charge_input)
returns void
language plpgsql
set search_path = ''
as $$
begin
  -- guard no-silent-loss {
  -- Numbers compare by value: 7 and 7.000000 are equal. A settle without a charge asks for nothing.
  if p_input."amount" <> coalesce(entry.uncollected - entry.amount, 0) then
    perform credits_private.audit(
      'charge_not_recorded', reservation.id::text,
      jsonb_build_object(
        'amount', trim_scale(coalesce(entry.uncollected - entry.amount, 0))::text),
      jsonb_build_object(
        'amount', trim_scale(p_input."amount")::text,
        'costUsd', trim_scale(p_input."costUsd")::text));
  end if;
  -- } no-silent-loss
end;
$$;
revoke execute on function credits_private.audit_other_charge from public;
comment on function credits_private.audit_other_charge(
  public.credit_transactions, public.credit_reservations, credits_private.charge_input) is
  'Shows operators the charge of a second settle that is not the one that was written.';

-- ------------------------------------------------------------------------- capture

create or replace function public.credits_capture(
  p_account_id uuid,
  p_reservation_id uuid,
  p_capture_id uuid,
  p_charge jsonb,
  p_extend_amount numeric default null,
  p_extend_minimum numeric default null,
  p_ttl_seconds integer default null)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
declare
  input constant credits_private.charge_input := credits_private.check_charge(p_charge);
  asked jsonb;
  locked credits_private.locked_reservation;
  change credits_private.account_change;
  replayed boolean;
begin
  if p_capture_id is null or p_capture_id = p_reservation_id then
    perform credits_private.raise_invalid_input('captureId', 'expected an id of its own');
  end if;
  if input."amount" is null then
    perform credits_private.raise_invalid_input('charge', 'expected a charge');
  end if;
  if p_extend_amount is not null then
    asked := credits_private.extension_request(
      'extend.', p_extend_amount, p_extend_minimum, p_ttl_seconds);
  end if;

  locked := credits_private.lock_reservation(p_account_id, p_reservation_id);
  change.entry := credits_private.find_transaction(p_account_id, p_capture_id);
  replayed := (change.entry).id is not null;
  if replayed then
    perform credits_private.check_same_capture(
      change.entry, locked.reservation, p_charge, asked);
  else
    if (locked.reservation).state in ('settled', 'released') then
      perform credits_private.raise_closed(locked.reservation, input."amount");
    end if;
    perform credits_private.check_transaction_input(p_account_id, p_capture_id, null, null);
    change := credits_private.charge(
      credits_private.return_reserved(locked.account, locked.reservation),
      locked.reservation, p_capture_id, p_charge, input);
    locked.account := change.account;
    locked.reservation := credits_private.add_charge(locked.reservation, change.entry);
    locked := credits_private.keep_rest(locked, input."amount");
    -- A refused extension does not undo the capture: what the provider did has to be paid.
    if asked is not null then
      locked := credits_private.extend_captured(locked, p_capture_id, asked);
    end if;
    locked.reservation := credits_private.save_reservation(locked.reservation);
    locked.account := credits_private.save_credits(locked.account);
  end if;
  return credits_private.reservation_answer(locked.reservation, replayed,
    credits_private.balance_json(locked.account), credits_private.transaction_json(change.entry),
    case when asked is not null
      then credits_private.extension_json(locked.reservation, p_capture_id) end);
end;
$$;
revoke execute on function public.credits_capture from public, anon, authenticated;
grant execute on function public.credits_capture to service_role;
comment on function public.credits_capture(
  uuid, uuid, uuid, jsonb, numeric, numeric, integer) is
  'Charges one provider call, keeps the reservation open and can reserve more for the next call '
  'in the same round trip. Returns CaptureResult of store/port.ts. Errors: RESERVATION_NOT_FOUND, '
  'RESERVATION_CLOSED, IDEMPOTENCY_MISMATCH, INVALID_INPUT.';

create or replace function credits_private.check_same_capture(
  entry public.credit_transactions, reservation public.credit_reservations, p_charge jsonb,
  p_asked jsonb)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if entry.reservation_id is distinct from reservation.id
    or (credits_private.find_cost(entry)).charge is distinct from p_charge - 'metadata'
    or (entry.erased_at is null and entry.metadata
      <> coalesce(nullif(p_charge -> 'metadata', 'null'), reservation.metadata))
    or (reservation.extensions -> entry.id::text) - 'amount' is distinct from p_asked
  then
    perform credits_private.raise_error(
      409, 'IDEMPOTENCY_MISMATCH', jsonb_build_object('id', entry.id));
  end if;
end;
$$;
revoke execute on function credits_private.check_same_capture from public;
comment on function credits_private.check_same_capture(
  public.credit_transactions, public.credit_reservations, jsonb, jsonb) is
  'Refuses a capture id that was used for another charge or another extension.';

create or replace function credits_private.keep_rest(
  locked credits_private.locked_reservation, p_amount numeric)
returns credits_private.locked_reservation
language plpgsql
immutable
set search_path = ''
as $$
declare
  reservation public.credit_reservations := locked.reservation;
  account public.credit_balances := locked.account;
begin
  if reservation.state <> 'active' then return locked; end if;
  reservation.reserved := greatest(0, reservation.reserved - p_amount);
  account.reserved := account.reserved + reservation.reserved;
  account.open_reservations := account.open_reservations + 1;
  locked.reservation := reservation;
  locked.account := account;
  return locked;
end;
$$;
revoke execute on function credits_private.keep_rest from public;
comment on function credits_private.keep_rest(
  credits_private.locked_reservation, numeric) is
  'Keeps back again what a capture has left of an active reservation.';

create or replace function credits_private.extend_captured(
  locked credits_private.locked_reservation, p_capture_id uuid, p_asked jsonb)
returns credits_private.locked_reservation
language plpgsql
set search_path = ''
as $$
declare
  settings public.credit_settings;
begin
  select stored.* into strict settings from public.credit_settings stored;
  if (locked.reservation).state = 'active' and (locked.account).status = 'active'
    and not settings.spending_frozen
  then
    locked := credits_private.extend_reservation(locked, p_capture_id, p_asked, settings);
  end if;
  -- A refused extension is noted without an amount, so that a repeat can be compared with it.
  locked.reservation.extensions := jsonb_build_object(p_capture_id, p_asked)
    || coalesce((locked.reservation).extensions, '{}');
  return locked;
end;
$$;
revoke execute on function credits_private.extend_captured from public;
comment on function credits_private.extend_captured(
  credits_private.locked_reservation, uuid, jsonb) is
  'Extends a reservation for the next provider call, unless spending is frozen or too little is '
  'available.';

-- ------------------------------------------------------------------------- one charge

create or replace function credits_private.charge(
  account public.credit_balances, reservation public.credit_reservations, p_id uuid,
  p_charge jsonb, p_input credits_private.charge_input)
returns credits_private.account_change
language plpgsql
set search_path = ''
as $$
declare
  change credits_private.account_change;
  entry public.credit_transactions;
  -- What the reservation kept back is free again by now. What is not available is recorded as
  -- uncollected.
  charged constant numeric :=
    greatest(0, least(p_input."amount", credits_private.available(account)));
begin
  entry.id := p_id;
  entry.user_id := reservation.user_id;
  entry.type := 'usage';
  entry.amount := -charged;
  entry.uncollected := p_input."amount" - charged;
  entry.reservation_id := reservation.id;
  entry.feature := coalesce(p_input."feature", reservation.feature);
  entry.model := coalesce(p_input."model", reservation.model);
  entry.input_tokens := p_input."inputTokens";
  entry.output_tokens := p_input."outputTokens";
  entry.estimated := coalesce(p_input."costSource" = 'estimate', false);
  entry.late := reservation.state <> 'active';
  entry.metadata := coalesce(nullif(p_input."metadata", 'null'), reservation.metadata);
  change.account := account;
  change.entry := entry;
  -- The metadata is free text, which can be erased on the ledger row alone.
  change.cost.charge := p_charge - 'metadata';
  change := credits_private.take_from_lots(change, charged, reservation.created_at);
  return credits_private.append(change);
end;
$$;
revoke execute on function credits_private.charge from public;
comment on function credits_private.charge(
  public.credit_balances, public.credit_reservations, uuid, jsonb,
  credits_private.charge_input) is
  'Takes the cost of a provider call from what is available and writes the usage transaction.';

create or replace function credits_private.add_charge(
  reservation public.credit_reservations, entry public.credit_transactions)
returns public.credit_reservations
language plpgsql
immutable
set search_path = ''
as $$
begin
  reservation.captured := reservation.captured - entry.amount;
  reservation.uncollected := reservation.uncollected + entry.uncollected;
  reservation.late := reservation.late or entry.late;
  return reservation;
end;
$$;
revoke execute on function credits_private.add_charge from public;
comment on function credits_private.add_charge(
  public.credit_reservations, public.credit_transactions) is
  'Adds a written charge to the totals of its reservation.';

create or replace function credits_private.check_charge(p_charge jsonb)
returns credits_private.charge_input
language plpgsql
immutable
set search_path = ''
as $$
declare
  input credits_private.charge_input;
  malformed text;
begin
  if p_charge is null or jsonb_typeof(p_charge) = 'null' then return null; end if;
  if jsonb_typeof(p_charge) <> 'object' or pg_column_size(p_charge) > 65536 then
    perform credits_private.raise_invalid_input(
      'charge', 'expected an object of at most 65536 bytes');
  end if;
  -- A field that is missing or null makes its condition null: the next one is looked at. Every
  -- charge passes here, so this is one expression (12 us; a join with a table of rules took 58 us).
  malformed := case
    when (p_charge ->> 'amount' ~ '^[0-9]{1,12}([.][0-9]{1,6})?$') is not true then 'amount'
    when p_charge ->> 'costUsd' !~ '^[0-9]{1,11}([.][0-9]{1,12})?$' then 'costUsd'
    when p_charge ->> 'computedCostUsd' !~ '^[0-9]{1,11}([.][0-9]{1,12})?$'
      then 'computedCostUsd'
    when p_charge ->> 'reportedCostUsd' !~ '^[0-9]{1,11}([.][0-9]{1,12})?$'
      then 'reportedCostUsd'
    when p_charge ->> 'marginPercent' !~ '^-?[0-9]{1,5}([.][0-9]{1,4})?$' then 'marginPercent'
    when (p_charge ->> 'marginPercent')::numeric not between -99.9999 and 10000
      then 'marginPercent'
    when p_charge ->> 'inputTokens' !~ '^[0-9]{1,15}$' then 'inputTokens'
    when p_charge ->> 'outputTokens' !~ '^[0-9]{1,15}$' then 'outputTokens'
    when p_charge ->> 'costSource'
      not in ('market-cost', 'gateway-cost', 'rate', 'estimate', 'manual') then 'costSource'
    when char_length(p_charge ->> 'model') not between 1 and 255 then 'model'
    when char_length(p_charge ->> 'servedModel') not between 1 and 255 then 'servedModel'
    when char_length(p_charge ->> 'feature') not between 1 and 255 then 'feature'
    when char_length(p_charge ->> 'generationId') not between 1 and 255 then 'generationId'
    when p_charge ->> 'rateId' !~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'
      then 'rateId'
    when p_charge ->> 'marginId' !~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'
      then 'marginId'
    when jsonb_typeof(p_charge -> 'usage') not in ('object', 'null') then 'usage'
    when jsonb_typeof(p_charge -> 'pricing') not in ('object', 'null') then 'pricing'
    when jsonb_typeof(p_charge -> 'provider') not in ('object', 'null') then 'provider'
    when jsonb_typeof(p_charge -> 'rawUsage') not in ('object', 'null') then 'rawUsage'
    when octet_length(p_charge ->> 'rawUsage') > 4096 then 'rawUsage'
    when jsonb_typeof(p_charge -> 'flags') not in ('array', 'null') then 'flags'
    when octet_length(p_charge ->> 'flags') > 4096 then 'flags'
    when jsonb_typeof(p_charge -> 'metadata') not in ('object', 'null') then 'metadata'
    when octet_length(p_charge ->> 'metadata') > 4096 then 'metadata'
  end;
  if malformed is not null then
    perform credits_private.raise_invalid_input(
      'charge.' || malformed, 'expected a valid field of a charge');
  end if;
  return jsonb_populate_record(input, p_charge);
end;
$$;
revoke execute on function credits_private.check_charge from public;
comment on function credits_private.check_charge(jsonb) is
  'A charge, checked field by field; null for null. INVALID_INPUT names the field.';
