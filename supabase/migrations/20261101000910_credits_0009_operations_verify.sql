-- Proving the ledger: row by row, account by account, and against chain heads kept elsewhere.
--
-- Read page by page in one REPEATABLE READ transaction.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create or replace function public.credits_verify_transactions(
  p_after_account uuid default null,
  p_after_version bigint default null,
  p_limit integer default 5000)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
-- A page is a walk along the primary key.
set enable_bitmapscan = off
set enable_seqscan = off
as $$
declare
  first_account constant uuid :=
    coalesce(p_after_account, '00000000-0000-0000-0000-000000000000');
  first_version constant bigint := coalesce(p_after_version, 0);
begin
  return (
    with
    -- One row more than asked for: the first of the page is checked against the one before it.
    page as (
      select entry from public.credit_transactions entry
      where (entry.account_id, entry.version) >= (first_account, first_version)
      order by entry.account_id, entry.version
      limit p_limit + 1
    ),
    linked as (
      select page.entry, (page.entry).account_id, (page.entry).version, lag(page.entry) over (
        partition by (page.entry).account_id order by (page.entry).version) as previous
      from page
    ),
    checked as materialized (
      select linked.* from linked
      where (linked.account_id, linked.version) is distinct from (p_after_account, p_after_version)
      order by linked.account_id, linked.version
      limit p_limit
    )
    select jsonb_build_object(
      'transactions', (select count(*) from checked),
      'faults', (
        select coalesce(jsonb_agg(fault), '[]') from checked
        cross join jsonb_array_elements(
          credits_private.transaction_faults(checked.entry, checked.previous)) fault),
      'next', case when (select count(*) from checked) >= p_limit then (
        select jsonb_build_object('accountId', checked.account_id, 'version', checked.version)
        from checked order by checked.account_id desc, checked.version desc limit 1) end));
end;
$$;
revoke execute on function public.credits_verify_transactions from public, anon, authenticated;
grant execute on function public.credits_verify_transactions to service_role;
comment on function public.credits_verify_transactions(uuid, bigint, integer) is
  'Checks a page of the ledger row by row: numbering, running balance, hash chain, and text that '
  'was changed without being erased. Returns {"transactions", "faults": [{"accountId", "version", '
  '"fault"}], "next": {"accountId", "version"} or null}.';

create or replace function credits_private.transaction_faults(
  entry public.credit_transactions, previous public.credit_transactions)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  cost constant public.credit_transaction_costs := credits_private.find_cost(entry);
  text_is_true constant boolean := case when entry.erased_at is null
    then entry.text_hash = credits_private.text_hash(entry.metadata, cost.reason)
    else entry.metadata = '{}' and cost.reason is null end;
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'accountId', entry.account_id, 'version', entry.version, 'fault', checked.fault)), '[]')
    from (values
      ('no_account', not exists (
        select from public.credit_balances balance
        where balance.account_id = entry.account_id)),
      ('version_gap', entry.version <> coalesce(previous.version, 0) + 1),
      ('balance', entry.balance_after <> coalesce(previous.balance_after, 0) + entry.amount),
      ('not_a_number', 'NaN' in (entry.amount, entry.balance_after, entry.uncollected)),
      ('sign', entry.type <> 'adjustment'
        and (entry.amount > 0) <> (entry.type in ('grant', 'refund'))),
      ('text', not text_is_true),
      ('hash', entry.hash <> credits_private.transaction_hash(
        entry, cost, coalesce(previous.hash, '\x')))
    ) checked (fault, found)
    where checked.found);
end;
$$;
revoke execute on function credits_private.transaction_faults from public;
comment on function credits_private.transaction_faults(
  public.credit_transactions, public.credit_transactions) is
  'What is wrong with a ledger row, given the row before it (null: the first of its account).';

create or replace function public.credits_verify_accounts(
  p_after uuid default null, p_limit integer default 1000)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  first_account constant uuid := coalesce(p_after, '00000000-0000-0000-0000-000000000000');
begin
  return (
    with page as (
      select account from public.credit_balances account
      where account.account_id > first_account
      order by account.account_id
      limit p_limit
    )
    select jsonb_build_object(
      'accounts', (select count(*) from page),
      'faults', (
        select coalesce(jsonb_agg(fault), '[]') from page
        cross join jsonb_array_elements(credits_private.account_faults(page.account)) fault),
      'next', case when (select count(*) from page) >= p_limit
        then (select max((page.account).account_id::text) from page) end));
end;
$$;
revoke execute on function public.credits_verify_accounts from public, anon, authenticated;
grant execute on function public.credits_verify_accounts to service_role;
comment on function public.credits_verify_accounts(uuid, integer) is
  'Checks a page of accounts against their ledger, reservations and lots. Returns {"accounts", '
  '"faults": [{"accountId", "fault", "expected", "actual"}], "next": account or null}.';

create or replace function credits_private.account_faults(account public.credit_balances)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  credits constant numeric := account.plan_credits + account.add_on_credits;
  last_entry public.credit_transactions;
  reservations record;
  lots record;
begin
  select entry.* into last_entry from public.credit_transactions entry
  where entry.account_id = account.account_id
  order by entry.version desc limit 1;
  select coalesce(sum(reservation.reserved), 0) as reserved, count(*) as open into reservations
  from public.credit_reservations reservation
  where reservation.account_id = account.account_id and reservation.state = 'active'
    and reservation.expires_at > account.expired_until
    and reservation.expires_at > '-infinity';
  select coalesce(sum(lot.remaining) filter (where lot.bucket = 'plan'), 0) as plan,
    coalesce(sum(lot.remaining) filter (where lot.bucket = 'add-on'), 0) as add_on into lots
  from public.credit_lots lot
  where lot.account_id = account.account_id and not lot.used_up;
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'accountId', account.account_id, 'fault', checked.fault,
      'expected', checked.expected, 'actual', checked.actual)
      ) filter (where checked.expected <> checked.actual), '[]')
    from (values
      ('version', coalesce(last_entry.version, 0)::text, account.version::text),
      ('sum', trim_scale(coalesce(last_entry.balance_after, 0))::text,
        trim_scale(credits - account.debt)::text),
      ('chain', encode(coalesce(last_entry.hash, '\x'), 'hex'), encode(account.chain_hash, 'hex')),
      ('reserved', trim_scale(reservations.reserved)::text, trim_scale(account.reserved)::text),
      ('open_reservations', reservations.open::text, account.open_reservations::text),
      ('plan_lots', trim_scale(lots.plan)::text, trim_scale(account.plan_credits)::text),
      ('add_on_lots', trim_scale(lots.add_on)::text, trim_scale(account.add_on_credits)::text),
      ('debt_with_credits', '0',
        trim_scale(case when credits > 0 then account.debt else 0 end)::text),
      ('stray_cost', '0', (
        select count(*) from public.credit_transaction_costs cost
        where cost.account_id = account.account_id and cost.version > account.version)::text),
      ('not_a_number', 'numbers',
        case when 'NaN' in (credits, account.debt, account.reserved) then 'NaN' else 'numbers' end)
    ) checked (fault, expected, actual));
end;
$$;
revoke execute on function credits_private.account_faults from public;
comment on function credits_private.account_faults(public.credit_balances) is
  'What differs between an account and its ledger, reservations and lots.';

create or replace function public.credits_get_heads(
  p_after uuid default null, p_limit integer default 1000)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  perform credits_private.check_limit(p_limit, 5000);
  return (
    with page as (
      select balance.account_id, balance.version, balance.chain_hash
      from public.credit_balances balance
      where p_after is null or balance.account_id > p_after
      order by balance.account_id
      limit p_limit
    )
    select jsonb_build_object(
      'data', coalesce(jsonb_agg(jsonb_build_object(
        'accountId', page.account_id, 'version', page.version,
        'hash', encode(page.chain_hash, 'hex')) order by page.account_id), '[]'),
      'next', case when count(*) = p_limit
        then (select max(last.account_id::text) from page last) end)
    from page);
end;
$$;
revoke execute on function public.credits_get_heads from public, anon, authenticated;
grant execute on function public.credits_get_heads to service_role;
comment on function public.credits_get_heads(uuid, integer) is
  'The head of the hash chain of each account, to be kept outside the database. Returns {"data": '
  '[{"accountId", "version", "hash"}], "next": account or null}. Errors: INVALID_INPUT.';

create or replace function public.credits_verify_heads(p_heads jsonb)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  if jsonb_typeof(p_heads) is distinct from 'array' or jsonb_array_length(p_heads) > 5000 then
    perform credits_private.raise_invalid_input('heads', 'expected an array of at most 5000');
  end if;
  return (
    with compared as (
      select head.account_id, head.version, head.hash, balance.version as version_now,
        encode(entry.hash, 'hex') as hash_now
      from jsonb_to_recordset(p_heads) as given ("accountId" uuid, version bigint, hash text)
      cross join lateral (
        select given."accountId" as account_id, given.version, given.hash) head
      left join public.credit_balances balance on balance.account_id = head.account_id
      left join public.credit_transactions entry
        on entry.account_id = head.account_id and entry.version = head.version
    )
    select jsonb_build_object(
      'heads', count(*),
      'faults', coalesce(jsonb_agg(jsonb_build_object(
          'accountId', compared.account_id, 'fault', difference.fault,
          'expected', difference.expected, 'actual', difference.actual)
        ) filter (where difference.fault is not null), '[]'))
    from compared
    left join lateral (values
      ('missing_account', compared.version::text, null, compared.version_now is null),
      ('lower_version', compared.version::text, compared.version_now::text,
        compared.version_now < compared.version),
      ('hash', compared.hash, compared.hash_now, compared.version_now >= compared.version
        and compared.version > 0 and compared.hash_now is distinct from compared.hash)
    ) difference (fault, expected, actual, found) on difference.found);
end;
$$;
revoke execute on function public.credits_verify_heads from public, anon, authenticated;
grant execute on function public.credits_verify_heads to service_role;
comment on function public.credits_verify_heads(jsonb) is
  'Compares heads that credits_get_heads gave earlier with the ledger of today: an account that '
  'is gone, a version that went back, a hash that changed. Returns {"heads", "faults": '
  '[{"accountId", "fault", "expected", "actual"}]}. Errors: INVALID_INPUT.';
