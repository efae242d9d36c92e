-- Opening accounts, at signup or on first use, with one signup grant per person.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create or replace function credits_private.person_hash(p_email text, p_phone text)
returns bytea
language plpgsql
stable
set search_path = ''
as $$
declare
  -- NFKC folds full-width and other look-alike forms; the part after + is a tag everywhere that matters.
  v_email text := lower(normalize(trim(p_email), NFKC));
  v_local text := split_part(split_part(v_email, '@', 1), '+', 1);
  v_domain text := split_part(v_email, '@', 2);
  v_person text;
  v_key bytea;
begin
  if v_domain in ('gmail.com', 'googlemail.com') then
    -- Google ignores dots and delivers both domains to one mailbox.
    v_domain := 'gmail.com';
    v_local := replace(v_local, '.', '');
  end if;
  v_person := case
    when v_local <> '' and v_domain <> '' then 'email:' || v_local || '@' || v_domain
    when coalesce(p_phone, '') <> '' then 'phone:' || regexp_replace(p_phone, '[^0-9]', '', 'g')
  end;
  select s.value into strict v_key from credits_private.secrets s where s.name = 'person_hash';
  -- Nested like HMAC, from core functions alone, so that no extension has to be there.
  return sha256(v_key || sha256(v_key || convert_to(v_person, 'UTF8')));
end;
$$;
comment on function credits_private.person_hash(text, text) is
  'Keyed hash of the normalised e-mail, else phone: lower case, NFKC, no +tag, no dots at Gmail. Null when there is neither.';

create or replace function credits_private.skip_periods(b public.credit_balances)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
begin
  -- At most the period that runs now is due: nobody gets credits for months in which they had no account.
  while credits_private.period_end(b.plan_anchor_at, b.plan_period + 1) <= clock_timestamp() loop
    b.plan_period := b.plan_period + 1;
  end loop;
  b.plan_period_ends_at := case when b.plan_period_ends_at is not null
    then credits_private.period_end(b.plan_anchor_at, b.plan_period) end;
  b.next_due_at := least(b.next_due_at, b.plan_period_ends_at);
  return b;
end;
$$;
comment on function credits_private.skip_periods(public.credit_balances) is
  'Brings the period of an account that was closed up to date without working off the missed ones.';

create or replace function credits_private.grant_signup(b public.credit_balances, u auth.users)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  s public.credit_settings;
  p credits_private.posting;
  v_person bytea := credits_private.person_hash(u.email, u.phone);
  v_holder uuid;
begin
  select * into strict s from public.credit_settings;
  -- Anonymous users wait until they have an identity, so that nobody farms credits by opening sessions.
  if b.signup_decided_at is not null or u.is_anonymous or v_person is null then return b; end if;
  if s.signup_needs_confirmation and u.email_confirmed_at is null and u.phone_confirmed_at is null then return b; end if;

  b.signup_decided_at := clock_timestamp();
  b.plan_anchor_at := b.signup_decided_at;
  b.plan_period := 1;
  insert into credits_private.signup_claims (person_hash, account_id) values (v_person, b.account_id)
  on conflict (person_hash) do nothing;
  if found then
    b.plan_period_ends_at := credits_private.period_end(b.plan_anchor_at, 1);
    select overage_limit into b.overage_limit from public.credit_plans where id = b.plan_id;
    b.next_due_at := least(b.next_due_at, b.plan_period_ends_at);
    if s.signup_credits > 0 then
      p.b := b;
      p.t.id := gen_random_uuid();
      p.t.type := 'grant';
      p.t.source := 'signup';
      p.t.amount := s.signup_credits;
      p := credits_private.append(
        credits_private.add_lot(p, s.signup_credits, 'plan', 'signup', 100, b.plan_period_ends_at));
      b := p.b;
    end if;
  else
    -- The same person again. If the account that holds the allowance is gone, this one takes over its period;
    -- if it still lives, this one gets no periods: many spellings of one address are one allowance.
    select c.account_id into v_holder
    from credits_private.signup_claims c
    join public.credit_balances a on a.account_id = c.account_id
    where c.person_hash = v_person and (a.user_id is null or a.account_id = b.account_id);
    if found then
      select a.plan_anchor_at, a.plan_period, a.plan_period_ends_at
      into b.plan_anchor_at, b.plan_period, b.plan_period_ends_at
      from public.credit_balances a where a.account_id = v_holder;
      b := credits_private.skip_periods(b);
      update credits_private.signup_claims set account_id = b.account_id where person_hash = v_person;
    end if;
  end if;
  return b;
end;
$$;
comment on function credits_private.grant_signup(public.credit_balances, auth.users) is
  'Decides the signup grant once per account and grants once per person.';

create or replace function credits_private.ensure_account(u auth.users)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  b public.credit_balances;
begin
  insert into public.credit_balances (account_id, user_id, plan_id)
  select u.id, u.id, s.signup_plan_id from public.credit_settings s
  on conflict do nothing;
  b := credits_private.lock_account(u.id);
  if b.user_id is null then
    -- The user was deleted and made again under the same id: the account opens again as it stands.
    b.user_id := u.id;
    b := credits_private.skip_periods(b);
  end if;
  b := credits_private.grant_signup(b, u);
  perform credits_private.save_account(b);
  return b;
end;
$$;
comment on function credits_private.ensure_account(auth.users) is
  'The account of a user, locked; made with its signup grant when it was missing, so a failed trigger heals on first use.';

create or replace function credits_private.open_account(p_user_id uuid)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  b public.credit_balances := credits_private.lock_account(p_user_id);
  u auth.users;
begin
  if b.user_id is null or b.signup_decided_at is null then
    select * into u from auth.users where id = p_user_id;
    if found then b := credits_private.ensure_account(u); end if;
  end if;
  if b.user_id is null then
    perform credits_private.fail(404, 'ACCOUNT_NOT_FOUND', jsonb_build_object('userId', p_user_id));
  end if;
  return b;
end;
$$;
comment on function credits_private.open_account(uuid) is 'The account of a user, locked and open; made if need be. ACCOUNT_NOT_FOUND otherwise.';

create or replace function credits_private.handle_user()
returns trigger
language plpgsql
security definer
set search_path = ''
-- A lock held on our tables must not hold up a signup.
set lock_timeout = '250ms'
as $$
begin
  -- Two blocks, so that a fault of one does not take the other with it. Nothing here may fail a signup: what
  -- is missed is made up for on first use, or by credits_reconcile.
  begin
    insert into public.profiles (user_id, display_name)
    values (new.id, left(nullif(coalesce(new.raw_user_meta_data ->> 'full_name', new.raw_user_meta_data ->> 'name'), ''), 200))
    on conflict (user_id) do nothing;
  exception when others then
    raise warning 'credits: no profile for user %: % (%)', new.id, sqlerrm, sqlstate;
  end;
  begin
    perform credits_private.ensure_account(new);
  exception when others then
    raise warning 'credits: no account for user %: % (%)', new.id, sqlerrm, sqlstate;
  end;
  return new;
end;
$$;
comment on function credits_private.handle_user() is
  'Profile, account and signup grant for a new user, or for one that has just got an identity. Never fails the signup.';

-- CREATE OR REPLACE, never DROP: on hosted projects dropping a trigger of auth.users locks two dozen tables.
create or replace trigger credits_user_created
  after insert on auth.users
  for each row execute function credits_private.handle_user();

create or replace trigger credits_user_identified
  after update of is_anonymous, email, phone, email_confirmed_at, phone_confirmed_at on auth.users
  for each row
  when (old.is_anonymous is distinct from new.is_anonymous
    or old.email is distinct from new.email
    or old.phone is distinct from new.phone
    or old.email_confirmed_at is distinct from new.email_confirmed_at
    or old.phone_confirmed_at is distinct from new.phone_confirmed_at)
  execute function credits_private.handle_user();
