-- Lots: what is left of each grant. Credits are taken from them and returned to them under the lock
-- of the account.
--
-- Every function adds to entry.lots what each lot gained or lost, and changes the credits of the
-- account alike.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create or replace function credits_private.take_from_lots(
  change credits_private.account_change, p_amount numeric, p_since timestamptz default null)
returns credits_private.account_change
language plpgsql
set search_path = ''
as $$
declare
  account public.credit_balances := change.account;
  since constant timestamptz := coalesce(p_since, clock_timestamp());
  pieces jsonb := coalesce((change.entry).lots, '[]');
  missing numeric := p_amount;
  taken numeric;
  lot record;
begin
  -- A cursor over all lots, or one statement that finds and changes a lot, costs a charge 20 to
  -- 40 us more.
  while missing > 0 loop
    -- A lot that had expired by then is alive only for reservations made before its expiry, so it
    -- comes last.
    select candidate.id, candidate.bucket, candidate.remaining into lot
    from public.credit_lots candidate
    where candidate.account_id = account.account_id and not candidate.used_up
    order by candidate.expires_at <= since,
      candidate.bucket desc, candidate.priority, candidate.expires_at, candidate.version
    limit 1;
    exit when not found;
    taken := least(lot.remaining, missing);
    update public.credit_lots stored
    set remaining = lot.remaining - taken, used_up = lot.remaining = taken
    where stored.account_id = account.account_id and stored.id = lot.id;
    account := credits_private.add_to_bucket(account, lot.bucket, -taken);
    pieces := pieces || credits_private.lot_piece(lot.id, -taken);
    missing := missing - taken;
  end loop;
  -- What no lot covers was allowed by the overage limit: a recorded debt.
  account.debt := account.debt + missing;
  change.account := account;
  change.entry.lots := pieces;
  return change;
end;
$$;
revoke execute on function credits_private.take_from_lots from public;
comment on function credits_private.take_from_lots(
  credits_private.account_change, numeric, timestamptz) is
  'Takes credits from the lots in burn-down order, the rest as debt. The caller has checked the '
  'limits. Lots that expired before p_since (default: now) come last.';

create or replace function credits_private.add_to_bucket(
  account public.credit_balances, p_bucket text, p_amount numeric)
returns public.credit_balances
language plpgsql
immutable
set search_path = ''
as $$
begin
  if p_bucket = 'plan' then account.plan_credits := account.plan_credits + p_amount;
  else account.add_on_credits := account.add_on_credits + p_amount;
  end if;
  return account;
end;
$$;
revoke execute on function credits_private.add_to_bucket from public;
comment on function credits_private.add_to_bucket(public.credit_balances, text, numeric) is
  'Adds a signed amount to the plan credits or the add-on credits.';

create or replace function credits_private.lot_piece(p_lot_id uuid, p_amount numeric)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return jsonb_build_object('lotId', p_lot_id, 'amount', trim_scale(p_amount)::text);
end;
$$;
revoke execute on function credits_private.lot_piece from public;
comment on function credits_private.lot_piece(uuid, numeric) is
  'One element of credit_transactions.lots: what a lot gained or lost.';

create or replace function credits_private.change_lot(
  change credits_private.account_change, p_lot_id uuid, p_amount numeric)
returns credits_private.account_change
language plpgsql
set search_path = ''
as $$
declare
  changed_bucket text;
begin
  update public.credit_lots lot
  set remaining = lot.remaining + p_amount,
      used_up = lot.remaining + p_amount = 0
  where lot.account_id = (change.account).account_id and lot.id = p_lot_id
  returning lot.bucket into strict changed_bucket;
  return credits_private.note_lot(change, p_lot_id, changed_bucket, p_amount);
end;
$$;
revoke execute on function credits_private.change_lot from public;
comment on function credits_private.change_lot(
  credits_private.account_change, uuid, numeric) is
  'Adds a signed amount to what remains of one lot.';

create or replace function credits_private.note_lot(
  change credits_private.account_change, p_lot_id uuid, p_bucket text, p_amount numeric)
returns credits_private.account_change
language plpgsql
set search_path = ''
as $$
begin
  change.account := credits_private.add_to_bucket(change.account, p_bucket, p_amount);
  change.entry.lots := coalesce((change.entry).lots, '[]')
    || credits_private.lot_piece(p_lot_id, p_amount);
  return change;
end;
$$;
revoke execute on function credits_private.note_lot from public;
comment on function credits_private.note_lot(
  credits_private.account_change, uuid, text, numeric) is
  'Changes the bucket of the account by what a lot gained or lost, and notes it on the '
  'transaction.';

create or replace function credits_private.add_lot(
  change credits_private.account_change, p_amount numeric, p_bucket text, p_source text,
  p_priority integer, p_expires_at timestamptz)
returns credits_private.account_change
language plpgsql
set search_path = ''
as $$
declare
  account public.credit_balances := change.account;
  paid constant numeric := least(account.debt, p_amount);
  rest constant numeric := p_amount - paid;
begin
  change.account.debt := account.debt - paid;
  if rest = 0 then return change; end if;
  if account.plan_credits + account.add_on_credits + rest > 10000000000000 then
    perform credits_private.raise_invalid_input(
      'amount', 'expected a balance of at most 10000000000000 after it');
  end if;
  return credits_private.insert_lot(change, rest, p_bucket, p_source, p_priority, p_expires_at);
end;
$$;
revoke execute on function credits_private.add_lot from public;
comment on function credits_private.add_lot(
  credits_private.account_change, numeric, text, text, integer, timestamptz) is
  'Gives credits: debt is paid first, the rest becomes a lot. entry.id must be set.';

create or replace function credits_private.insert_lot(
  change credits_private.account_change, p_amount numeric, p_bucket text, p_source text,
  p_priority integer, p_expires_at timestamptz)
returns credits_private.account_change
language plpgsql
set search_path = ''
as $$
declare
  lot public.credit_lots;
begin
  lot.id := gen_random_uuid();
  lot.expires_at := coalesce(p_expires_at, 'infinity');
  insert into public.credit_lots
    (account_id, id, bucket, source, priority, amount, remaining, used_up, expires_at,
     transaction_id, version)
  values
    ((change.account).account_id, lot.id, p_bucket, p_source, p_priority, p_amount, p_amount,
     p_amount = 0, lot.expires_at, (change.entry).id, (change.account).version + 1);
  change.account.next_due_at := least((change.account).next_due_at, lot.expires_at);
  return credits_private.note_lot(change, lot.id, p_bucket, p_amount);
end;
$$;
revoke execute on function credits_private.insert_lot from public;
comment on function credits_private.insert_lot(
  credits_private.account_change, numeric, text, text, integer, timestamptz) is
  'Makes a lot of the transaction that append will write next.';

create or replace function credits_private.return_to_lots(
  change credits_private.account_change, p_original public.credit_transactions, p_amount numeric)
returns credits_private.account_change
language plpgsql
set search_path = ''
as $$
declare
  now_at constant timestamptz := clock_timestamp();
  paid constant numeric := least((change.account).debt, p_amount);
  rest numeric := p_amount - paid;
  returned numeric;
  lot record;
begin
  change.account.debt := (change.account).debt - paid;
  for lot in
    select owed.id, least(owed.amount, stored.amount - stored.remaining) as room
    from credits_private.owed_to_lots(p_original) owed
    join public.credit_lots stored
      on stored.account_id = p_original.account_id and stored.id = owed.id
    where stored.expires_at > now_at
    -- Last taken, first returned.
    order by owed.place desc
  loop
    exit when rest = 0;
    returned := least(rest, lot.room);
    continue when returned = 0;
    change := credits_private.change_lot(change, lot.id, returned);
    rest := rest - returned;
  end loop;
  -- A lot that was used up counts again from now on, so its expiry may be the next due work.
  change.account.next_due_at := credits_private.next_due(change.account);
  if rest > 0 then
    change := credits_private.insert_lot(change, rest, 'add-on', 'refund', 100, null);
  end if;
  return change;
end;
$$;
revoke execute on function credits_private.return_to_lots from public;
comment on function credits_private.return_to_lots(
  credits_private.account_change, public.credit_transactions, numeric) is
  'Returns credits of a charge: debt is paid first, then the lots they came from get them back. '
  'What came from a lot that has expired since becomes an add-on lot.';

create or replace function credits_private.owed_to_lots(p_original public.credit_transactions)
returns table (id uuid, amount numeric, place bigint)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select (taken.piece ->> 'lotId')::uuid,
    -- guard subtract-earlier-refunds {
    - coalesce((
      select sum((given.piece ->> 'amount')::numeric)
      from public.credit_transactions refund
      cross join jsonb_array_elements(refund.lots) as given (piece)
      where refund.account_id = p_original.account_id and refund.reverses_id = p_original.id
        and given.piece ->> 'lotId' = taken.piece ->> 'lotId'
    ), 0)
    -- } subtract-earlier-refunds
    - (taken.piece ->> 'amount')::numeric,
    taken.place
  from jsonb_array_elements(p_original.lots) with ordinality as taken (piece, place);
end;
$$;
revoke execute on function credits_private.owed_to_lots from public;
comment on function credits_private.owed_to_lots(public.credit_transactions) is
  'What a charge took from each lot, minus what earlier refunds of the same charge gave back to '
  'it.';

create or replace function credits_private.take_from_lot(
  change credits_private.account_change, p_lot_id uuid, p_most numeric)
returns credits_private.account_change
language plpgsql
set search_path = ''
as $$
declare
  taken numeric;
begin
  select least(lot.remaining, p_most) into strict taken from public.credit_lots lot
  where lot.account_id = (change.account).account_id and lot.id = p_lot_id;
  if taken > 0 then
    change := credits_private.change_lot(change, p_lot_id, -taken);
  end if;
  return change;
end;
$$;
revoke execute on function credits_private.take_from_lot from public;
comment on function credits_private.take_from_lot(
  credits_private.account_change, uuid, numeric) is
  'Takes up to p_most credits from one lot, wherever it is in the burn-down order.';
