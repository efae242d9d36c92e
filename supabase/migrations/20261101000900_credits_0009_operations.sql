-- Operating the ledger: tidying up, healing what a fault left behind, the version of the interface.
--
-- These functions lock several accounts. They skip locked ones, so they wait for none and no cycle
-- can arise. Each account has a block of its own: one that fails does not stop the others.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create or replace function public.credits_expire_due(p_limit integer default 500)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
declare
  due_account uuid;
  expired integer;
  reservations_expired integer := 0;
  accounts_touched integer := 0;
  accounts_failed integer := 0;
  now_at constant timestamptz := clock_timestamp();
begin
  -- guard one-scheduler {
  -- A second scheduler has nothing to do.
  if not pg_try_advisory_xact_lock(hashtextextended('credits.expire_due', 0)) then
    return '{"reservationsExpired": 0, "accountsTouched": 0, "accountsFailed": 0}'::jsonb;
  end if;
  -- } one-scheduler
  for due_account in
    select balance.account_id from public.credit_balances balance
    where balance.next_due_at <= now_at
    order by balance.next_due_at
    limit greatest(p_limit, 0)
  loop
    begin
      expired := credits_private.expire_account(due_account, now_at);
      reservations_expired := reservations_expired + coalesce(expired, 0);
      accounts_touched := accounts_touched + (expired is not null)::integer;
    -- guard one-account-alone {
    exception when others then
      raise warning 'credits: due work of account % failed: % (%)', due_account, sqlerrm, sqlstate;
      accounts_failed := accounts_failed + 1;
    -- } one-account-alone
    end;
    -- What is locked here is free again within half a second, with any limit.
    exit when clock_timestamp() > now_at + interval '500 milliseconds';
  end loop;
  return jsonb_build_object(
    'reservationsExpired', reservations_expired,
    'accountsTouched', accounts_touched,
    'accountsFailed', accounts_failed);
end;
$$;
revoke execute on function public.credits_expire_due from public, anon, authenticated;
grant execute on function public.credits_expire_due to service_role;
comment on function public.credits_expire_due(integer) is
  'Applies what is due to accounts without traffic. Only tidies: every operation does the same for '
  'its account. Returns {"reservationsExpired", "accountsTouched", "accountsFailed"}.';

create or replace function credits_private.expire_account(p_account_id uuid, p_now timestamptz)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  account public.credit_balances;
  open_before integer;
begin
  select balance.* into account from public.credit_balances balance
  where balance.account_id = p_account_id and balance.next_due_at <= p_now
  for update skip locked;
  if not found then return null; end if;
  open_before := account.open_reservations;
  account := credits_private.apply_due(account);
  return open_before - account.open_reservations;
end;
$$;
revoke execute on function credits_private.expire_account from public;
comment on function credits_private.expire_account(uuid, timestamptz) is
  'Applies what is due to one account: how many reservations expired, null when it is locked.';

create or replace function public.credits_reconcile(
  p_apply boolean default false, p_limit integer default 500)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
declare
  owner auth.users;
  accounts_to_open jsonb := '[]'::jsonb;
  accounts_failed integer := 0;
  signup_grants bigint := 0;
  accounts_due bigint;
  expired jsonb;
  now_at constant timestamptz := clock_timestamp();
begin
  select count(*) into accounts_due from (
    select balance.account_id from public.credit_balances balance
    where balance.next_due_at <= now_at
    limit p_limit) due;
  if p_apply then
    expired := public.credits_expire_due(p_limit);
  end if;
  for owner in select * from credits_private.find_unopened(p_limit) loop
    accounts_to_open := accounts_to_open || to_jsonb(owner.id);
    continue when not p_apply;
    begin
      signup_grants := signup_grants + credits_private.heal_account(owner);
    exception when others then
      raise warning 'credits: account % was not opened: % (%)', owner.id, sqlerrm, sqlstate;
      accounts_failed := accounts_failed + 1;
    end;
  end loop;
  return jsonb_build_object(
    'applied', p_apply,
    'accountsToOpen', accounts_to_open,
    'accountsFailed', accounts_failed,
    'signupGrants', signup_grants,
    'accountsDue', accounts_due,
    'expired', expired);
end;
$$;
revoke execute on function public.credits_reconcile from public, anon, authenticated;
grant execute on function public.credits_reconcile to service_role;
comment on function public.credits_reconcile(boolean, integer) is
  'Finds, and with p_apply heals, what a fault left behind: missing accounts, missed signup '
  'grants, due work. Adds rows only; a second run finds nothing. Returns {"applied", '
  '"accountsToOpen", "accountsFailed", "signupGrants", "accountsDue", "expired"}.';

create or replace function credits_private.find_unopened(p_limit integer)
returns setof auth.users
language plpgsql
set search_path = ''
as $$
declare
  -- A new person waits until the ceiling allows a grant.
  waiting constant boolean := credits_private.signup_ceiling_reached(null);
begin
  return query
  select account_owner.* from auth.users account_owner
  left join public.credit_balances balance on balance.account_id = account_owner.id
  where balance.user_id is null
    or (balance.signup_decided_at is null and not waiting
      and credits_private.person_of(account_owner) is not null)
  limit p_limit;
end;
$$;
revoke execute on function credits_private.find_unopened from public;
comment on function credits_private.find_unopened(integer) is
  'Users without an account, and confirmed users whose signup grant is undecided.';

create or replace function credits_private.heal_account(owner auth.users)
returns bigint
language plpgsql
set search_path = ''
as $$
declare
  account public.credit_balances := credits_private.lock_account(owner.id);
  version_before constant bigint := coalesce(account.version, 0);
begin
  account := credits_private.open_account_of(owner);
  return (
    select count(*) from public.credit_transactions entry
    where entry.account_id = account.account_id and entry.version > version_before
      and entry.type = 'grant' and entry.source = 'signup');
end;
$$;
revoke execute on function credits_private.heal_account from public;
comment on function credits_private.heal_account(auth.users) is
  'Opens the account of a user: how many signup grants that made.';

create or replace function public.credits_schema_version()
returns jsonb
language sql
immutable
set search_path = ''
as $$
  select '{"version": 1}'::jsonb;
$$;
revoke execute on function public.credits_schema_version from public, anon, authenticated;
grant execute on function public.credits_schema_version to service_role;
comment on function public.credits_schema_version() is
  'Version of the SQL interface, raised by the migration that changes it. Returns {"version"}.';
