-- Accounts: opened at signup or on first use, with one signup grant per person.
--
-- A person is the owner of a confirmed e-mail address or phone. Anonymous and unconfirmed users
-- have an account and no grant until they are confirmed.
--
-- Lock order: the own account, then closed accounts of the same person whose debt moves. Those that
-- are locked are skipped and the decision waits for the next call, so no cycle can arise.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create or replace function credits_private.handle_user()
returns trigger
language plpgsql
security definer
set search_path = ''
-- Two signups of one person may share a row; nothing waits longer than this.
set lock_timeout = '50ms'
as $$
begin
  -- guard signup-never-waits {
  -- One deadline for everything below: a table that a migration has locked is not waited for.
  lock table
    public.credit_settings, public.credit_plans, public.credit_balances, public.credit_lots,
    public.credit_transactions, public.credit_transaction_costs, credits_private.account_plans,
    credits_private.signup_claims, credits_private.person_accounts, credits_private.secrets
    in row exclusive mode nowait;
  -- } signup-never-waits
  perform credits_private.open_account_of(new);
  return new;
-- guard signup-never-fails {
exception when others then
  -- The first use of the account, or credits_reconcile, makes up for it.
  raise warning 'credits: no account for user %: % (%)', new.id, sqlerrm, sqlstate;
  return new;
-- } signup-never-fails
end;
$$;
revoke execute on function credits_private.handle_user from public;
comment on function credits_private.handle_user() is
  'Account and signup grant of a new user, or of one whose identity changed. Never fails, blocks '
  'or delays the signup.';

-- The names sort last: the triggers of the app run before ours.
-- CREATE OR REPLACE, never DROP: on hosted projects dropping a trigger of auth.users locks two
-- dozen tables.
create or replace trigger zz_credits_user_created
  after insert on auth.users
  for each row execute function credits_private.handle_user();

create or replace trigger zz_credits_user_identified
  after update of is_anonymous, email, phone, email_confirmed_at, phone_confirmed_at on auth.users
  for each row
  when (old.is_anonymous is distinct from new.is_anonymous
    or old.email is distinct from new.email
    or old.phone is distinct from new.phone
    or old.email_confirmed_at is distinct from new.email_confirmed_at
    or old.phone_confirmed_at is distinct from new.phone_confirmed_at)
  execute function credits_private.handle_user();

create or replace function credits_private.open_account(p_account_id uuid)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  account public.credit_balances := credits_private.lock_account(p_account_id);
  owner auth.users;
begin
  if account.user_id is null or account.signup_decided_at is null then
    select * into owner from auth.users where id = p_account_id;
    if found then account := credits_private.open_account_of(owner); end if;
  end if;
  if account.user_id is null then
    perform credits_private.raise_error(
      404, 'ACCOUNT_NOT_FOUND', jsonb_build_object('userId', p_account_id));
  end if;
  return account;
end;
$$;
revoke execute on function credits_private.open_account from public;
comment on function credits_private.open_account(uuid) is
  'The account, locked and open; made if its signup was missed. ACCOUNT_NOT_FOUND otherwise.';

create or replace function credits_private.open_account_of(owner auth.users)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  account public.credit_balances;
  person bytea := credits_private.person_of(owner);
begin
  insert into public.credit_balances (account_id, user_id, plan_id)
  select owner.id, owner.id, settings.signup_plan_id from public.credit_settings settings
  on conflict (account_id) do nothing;
  account := credits_private.lock_account(owner.id);
  if account.user_id is null then
    -- The user was deleted and made again under the same id: the account opens as it stood.
    account.user_id := owner.id;
    account := credits_private.skip_periods(account);
  end if;
  if person is not null then
    insert into credits_private.person_accounts (account_id, person_hash)
    values (account.account_id, person)
    on conflict do nothing;
    account := credits_private.decide_signup(account, person);
  end if;
  perform credits_private.save_account(account);
  return account;
end;
$$;
revoke execute on function credits_private.open_account_of from public;
comment on function credits_private.open_account_of(auth.users) is
  'The account of a user, locked; made with its signup grant when it was missing.';

create or replace function credits_private.decide_signup(
  account public.credit_balances, p_person bytea)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  first_account boolean := true;
begin
  if account.signup_decided_at is not null then return account; end if;
  account := credits_private.take_over_debt(account, p_person);
  -- guard all-debt-first {
  if credits_private.has_closed_debt(account.account_id, p_person) then return account; end if;
  -- } all-debt-first
  -- guard signup-ceiling {
  if credits_private.signup_ceiling_reached(p_person) then return account; end if;
  -- } signup-ceiling

  account.signup_decided_at := clock_timestamp();
  account.plan_anchor_at := account.signup_decided_at;
  account.plan_period := 1;
  insert into credits_private.signup_claims (person_hash, account_id, claimed_at)
  values (p_person, account.account_id, account.signup_decided_at)
  on conflict (person_hash) do nothing;
  first_account := found; -- guard: signup-once-per-person
  if first_account then
    return credits_private.grant_signup(account);
  end if;
  return credits_private.take_over_allowance(account, p_person);
end;
$$;
revoke execute on function credits_private.decide_signup from public;
comment on function credits_private.decide_signup(public.credit_balances, bytea) is
  'Decides the signup grant: once per account, and one grant per person. Undecided, to be tried '
  'again, while the ceiling is reached or a debt of the person is locked.';

create or replace function credits_private.grant_signup(account public.credit_balances)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  change credits_private.account_change;
  signup_credits numeric;
begin
  account.plan_period_ends_at := credits_private.period_end(account.plan_anchor_at, 1);
  account.next_due_at := least(account.next_due_at, account.plan_period_ends_at);
  select plan.overage_limit into account.overage_limit
  from public.credit_plans plan where plan.id = account.plan_id;
  select settings.signup_credits into strict signup_credits from public.credit_settings settings;
  if signup_credits = 0 then return account; end if;

  change.account := account;
  change.entry.id := gen_random_uuid();
  change.entry.type := 'grant';
  change.entry.source := 'signup';
  change.entry.amount := signup_credits;
  change := credits_private.add_lot(
    change, signup_credits, 'plan', 'signup', 100, account.plan_period_ends_at);
  change := credits_private.append(change);
  return change.account;
end;
$$;
revoke execute on function credits_private.grant_signup from public;
comment on function credits_private.grant_signup(public.credit_balances) is
  'Starts the first period of the signup plan with the credits of the settings.';

create or replace function credits_private.take_over_allowance(
  account public.credit_balances, p_person bytea)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  earlier public.credit_balances;
begin
  -- An account that lives keeps the allowance: many spellings of one address are one allowance.
  select balance.* into earlier
  from credits_private.signup_claims claim
  join public.credit_balances balance on balance.account_id = claim.account_id
  where claim.person_hash = p_person
    and (balance.user_id is null or balance.account_id = account.account_id);
  if not found then return account; end if;

  account.plan_anchor_at := earlier.plan_anchor_at;
  account.plan_period := earlier.plan_period;
  account.plan_period_ends_at := earlier.plan_period_ends_at;
  update credits_private.signup_claims
  set account_id = account.account_id
  where person_hash = p_person;
  return credits_private.skip_periods(account);
end;
$$;
revoke execute on function credits_private.take_over_allowance from public;
comment on function credits_private.take_over_allowance(public.credit_balances, bytea) is
  'The periods of an account that its owner has deleted go on in the next account of the person.';

create or replace function credits_private.skip_periods(account public.credit_balances)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  now_at timestamptz := clock_timestamp();
begin
  -- At most the period that runs now is due: months without an account give no credits.
  while credits_private.period_end(account.plan_anchor_at, account.plan_period + 1) <= now_at loop
    account.plan_period := account.plan_period + 1;
  end loop;
  account.plan_period_ends_at := case when account.plan_period_ends_at is not null
    then credits_private.period_end(account.plan_anchor_at, account.plan_period) end;
  account.next_due_at := least(account.next_due_at, account.plan_period_ends_at);
  return account;
end;
$$;
revoke execute on function credits_private.skip_periods from public;
comment on function credits_private.skip_periods(public.credit_balances) is
  'Brings the period of an account that was closed up to date, without credits for missed ones.';

create or replace function credits_private.take_over_debt(
  account public.credit_balances, p_person bytea)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  closed public.credit_balances;
  amount numeric;
begin
  for closed in
    select balance.*
    from credits_private.person_accounts person
    join public.credit_balances balance on balance.account_id = person.account_id
    where person.person_hash = p_person and person.account_id <> account.account_id
      and balance.user_id is null and balance.debt > 0
    order by balance.account_id
    for update of balance skip locked
  loop
    amount := closed.debt;
    perform credits_private.save_account(credits_private.move_debt(closed, -amount));
    account := credits_private.move_debt(account, amount);
  end loop;
  return account;
end;
$$;
revoke execute on function credits_private.take_over_debt from public;
comment on function credits_private.take_over_debt(public.credit_balances, bytea) is
  'Moves the debt of accounts that the person has deleted to this account. Skips locked ones.';

create or replace function credits_private.has_closed_debt(p_account_id uuid, p_person bytea)
returns boolean
language plpgsql
set search_path = ''
as $$
begin
  return exists (
    select from credits_private.person_accounts person
    join public.credit_balances balance on balance.account_id = person.account_id
    where person.person_hash = p_person and person.account_id <> p_account_id
      and balance.user_id is null and balance.debt > 0);
end;
$$;
revoke execute on function credits_private.has_closed_debt from public;
comment on function credits_private.has_closed_debt(uuid, bytea) is
  'Whether a deleted account of the person still has a debt.';

create or replace function credits_private.move_debt(
  account public.credit_balances, p_amount numeric)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  change credits_private.account_change;
begin
  change.account := account;
  change.entry.id := gen_random_uuid();
  change.entry.type := 'adjustment';
  change.entry.source := 'debt';
  change.entry.amount := -p_amount;
  if p_amount > 0 then
    change := credits_private.take_from_lots(change, p_amount);
  else
    change.account.debt := account.debt + p_amount;
  end if;
  change := credits_private.append(change);
  return change.account;
end;
$$;
revoke execute on function credits_private.move_debt from public;
comment on function credits_private.move_debt(public.credit_balances, numeric) is
  'Adds a debt to an account, or, with a negative amount, takes it off, as a transaction of the '
  'source debt.';

create or replace function credits_private.signup_ceiling_reached(p_person bytea)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  most integer;
  since timestamptz := clock_timestamp() - interval '24 hours';
begin
  select settings.max_signup_grants_per_day into most from public.credit_settings settings;
  if most is null
    or exists (select from credits_private.signup_claims claim where claim.person_hash = p_person)
  then
    return false;
  end if;
  begin
    -- One grant at a time, so that two signups cannot both see the last free place.
    perform pg_advisory_xact_lock(hashtextextended('credits.signup', 0)); -- guard: lock-ceiling
  exception when lock_not_available then
    return true;
  end;
  return (
    select count(*) from credits_private.signup_claims claim where claim.claimed_at > since
  ) >= most;
end;
$$;
revoke execute on function credits_private.signup_ceiling_reached from public;
comment on function credits_private.signup_ceiling_reached(bytea) is
  'Whether the ceiling of the settings keeps a new person waiting: until it is raised, or 24 '
  'hours have passed.';

create or replace function credits_private.person_of(owner auth.users)
returns bytea
language plpgsql
stable
set search_path = ''
as $$
begin
  if owner.is_anonymous then return null; end if;
  -- An address counts once it is confirmed: an unconfirmed one may belong to someone else.
  return credits_private.person_hash(
    case when owner.email_confirmed_at is not null then owner.email end,
    case when owner.phone_confirmed_at is not null then owner.phone end);
end;
$$;
revoke execute on function credits_private.person_of from public;
comment on function credits_private.person_of(auth.users) is
  'Keyed hash of the confirmed identity of a user; null for anonymous and unconfirmed users.';

create or replace function credits_private.person_hash(p_email text, p_phone text)
returns bytea
language plpgsql
stable
set search_path = ''
as $$
declare
  -- NFKC folds full-width and other look-alike forms. The part after + is a tag with every large
  -- provider.
  email text := lower(normalize(trim(p_email), NFKC));
  local_part text := split_part(split_part(email, '@', 1), '+', 1);
  domain text := split_part(email, '@', 2);
  person text;
  key bytea;
begin
  if domain in ('gmail.com', 'googlemail.com') then
    -- Google ignores dots and delivers both domains to one mailbox.
    domain := 'gmail.com';
    local_part := replace(local_part, '.', '');
  end if;
  person := case
    when local_part <> '' and domain <> '' then 'email:' || local_part || '@' || domain
    when coalesce(p_phone, '') <> '' then 'phone:' || regexp_replace(p_phone, '[^0-9]', '', 'g')
  end;
  select secret.value into strict key
  from credits_private.secrets secret where secret.name = 'person_hash';
  -- Nested like HMAC, from core functions alone, so that no extension is needed.
  return sha256(key || sha256(key || convert_to(person, 'UTF8')));
end;
$$;
revoke execute on function credits_private.person_hash from public;
comment on function credits_private.person_hash(text, text) is
  'Keyed hash of the normalised e-mail, else phone: lower case, NFKC, no +tag, no dots at Gmail. '
  'Null when there is neither.';
