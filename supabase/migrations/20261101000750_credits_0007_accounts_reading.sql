-- Reading a balance and a history.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create or replace function public.credits_get_balance(p_account_id uuid)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
declare
  account public.credit_balances;
begin
  -- Reading takes no lock as long as nothing is due.
  select balance.* into account
  from public.credit_balances balance where balance.account_id = p_account_id;
  if account.user_id is null or account.signup_decided_at is null
    or account.next_due_at <= clock_timestamp()
  then
    account := credits_private.apply_due(credits_private.open_account(p_account_id));
  end if;
  return credits_private.balance_json(account);
end;
$$;
revoke execute on function public.credits_get_balance from public, anon, authenticated;
grant execute on function public.credits_get_balance to service_role;
comment on function public.credits_get_balance(uuid) is
  'The credits of an account as of now, with everything due applied. Opens the account if signup '
  'missed it. Returns Balance of store/port.ts. Errors: ACCOUNT_NOT_FOUND.';

create or replace function public.credits_get_history(
  p_account_id uuid,
  p_limit integer,
  p_before bigint default null,
  p_type text default null,
  p_from timestamptz default null,
  p_to timestamptz default null)
returns json
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  -- Versions are in the order of time, so a period is a range of versions.
  first_version bigint := 1;
  end_version bigint := coalesce(p_before, 9223372036854775807);
begin
  perform credits_private.check_limit(p_limit, 200);
  if p_type not in ('grant', 'usage', 'refund', 'reversal', 'adjustment', 'expiry') then
    perform credits_private.raise_invalid_input(
      'type', 'expected grant, usage, refund, reversal, adjustment or expiry');
  end if;
  if not exists (
      select from public.credit_balances balance where balance.account_id = p_account_id)
    and not exists (select from auth.users account_owner where account_owner.id = p_account_id)
  then
    perform credits_private.raise_error(
      404, 'ACCOUNT_NOT_FOUND', jsonb_build_object('userId', p_account_id));
  end if;
  if p_from is not null then
    first_version := credits_private.version_at(p_account_id, p_from);
  end if;
  if p_to is not null then
    end_version := least(end_version, credits_private.version_at(p_account_id, p_to));
  end if;
  return credits_private.history_page(
    p_account_id, first_version, end_version, p_type, p_limit);
end;
$$;
revoke execute on function public.credits_get_history from public, anon, authenticated;
grant execute on function public.credits_get_history to service_role;
comment on function public.credits_get_history(
  uuid, integer, bigint, text, timestamptz, timestamptz) is
  'A page of the transactions of an account, newest first, by version: no row twice and none '
  'skipped while others write. p_from is inclusive, p_to exclusive. Returns HistoryPage of '
  'store/port.ts. Errors: ACCOUNT_NOT_FOUND, INVALID_INPUT.';

create or replace function credits_private.history_page(
  p_account_id uuid,
  p_first_version bigint,
  p_end_version bigint,
  p_type text,
  p_limit integer)
returns json
language plpgsql
stable
set search_path = ''
-- The plan must walk an index backwards and stop. With bitmap scans or sorts it would at times read
-- all rows of an account for one page. And it must be made once: planning took a third of the time.
set enable_bitmapscan = off
set enable_sort = off
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
  entries public.credit_transactions[];
begin
  if coalesce(p_type, 'usage') = 'usage' then
    select array_agg(entry) into entries from (
      select entry from public.credit_transactions entry
      where entry.account_id = p_account_id
        and entry.version >= p_first_version and entry.version < p_end_version
        and (p_type is null or entry.type = 'usage')
      order by entry.version desc
      limit p_limit + 1) page;
  else
    select array_agg(entry) into entries from (
      select entry from public.credit_transactions entry
      where entry.account_id = p_account_id
        and entry.version >= p_first_version and entry.version < p_end_version
        and entry.type <> 'usage' and entry.type = p_type
      order by entry.version desc
      limit p_limit + 1) page;
  end if;
  -- One row more than asked for says whether there is another page.
  return json_build_object(
    'data', (
      select coalesce(json_agg(credits_private.transaction_json(entry)), '[]')
      from unnest(entries[1:p_limit]) entry),
    'nextBefore', case when cardinality(entries) > p_limit then (entries[p_limit]).version end);
end;
$$;
revoke execute on function credits_private.history_page from public;
comment on function credits_private.history_page(uuid, bigint, bigint, text, integer) is
  'Transactions of an account with versions from p_first_version up to, not including, '
  'p_end_version, newest first.';

create or replace function credits_private.version_at(p_account_id uuid, p_time timestamptz)
returns bigint
language plpgsql
stable
set search_path = ''
as $$
declare
  low bigint := 1;
  high bigint;
  middle bigint;
  created_at timestamptz;
begin
  -- The balance may be newer than the snapshot of the ledger, never older.
  select entry.version + 1 into high from public.credit_transactions entry
  where entry.account_id = p_account_id
  order by entry.version desc
  limit 1;
  -- Twenty probes of the primary key find a time among a million transactions.
  while low < high loop
    middle := (low + high) / 2;
    select entry.created_at into created_at from public.credit_transactions entry
    where entry.account_id = p_account_id and entry.version = middle;
    if created_at < p_time then low := middle + 1; else high := middle; end if;
  end loop;
  return low;
end;
$$;
revoke execute on function credits_private.version_at from public;
comment on function credits_private.version_at(uuid, timestamptz) is
  'The version of the first transaction of an account at or after a time.';

create or replace function credits_private.check_limit(p_limit integer, p_most integer)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_limit is null or p_limit not between 1 and p_most then
    perform credits_private.raise_invalid_input('limit', format('expected 1 to %s', p_most));
  end if;
end;
$$;
revoke execute on function credits_private.check_limit from public;
comment on function credits_private.check_limit(integer, integer) is
  'Refuses a size of a page that is missing or out of bounds.';
