-- Opening accounts (at signup or on first use), granting, reading.
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
  on conflict (account_id) do nothing;
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

-- ------------------------------------------------------------------------------------------------ grants

create or replace function credits_private.transaction_result(p credits_private.posting, p_replayed boolean)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'transaction', credits_private.transaction_json(p.t),
    'balance', credits_private.balance_json(p.b),
    'replayed', p_replayed);
end;
$$;
comment on function credits_private.transaction_result(credits_private.posting, boolean) is 'TransactionResult of store/port.ts.';

create or replace function credits_private.actor_cost(p_actor_id uuid)
returns public.credit_transaction_costs
language plpgsql
immutable
set search_path = ''
as $$
declare
  c public.credit_transaction_costs;
begin
  c.actor_id := p_actor_id;
  return c;
end;
$$;
comment on function credits_private.actor_cost(uuid) is 'The admins-only row of a manual transaction; empty when nobody is named.';

create or replace function public.credits_grant(
  p_transaction_id uuid,
  p_user_id uuid,
  p_amount numeric,
  p_source text,
  p_bucket text,
  p_priority integer default 100,
  p_expires_in_seconds bigint default null,
  p_reason text default null,
  p_actor_id uuid default null,
  p_metadata jsonb default '{}')
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '2s'
as $$
declare
  p credits_private.posting;
  v_priority integer := coalesce(p_priority, 100);
  v_metadata jsonb := coalesce(p_metadata, '{}');
begin
  perform credits_private.check_amount(p_amount, 'amount');
  perform credits_private.check_transaction_input(p_transaction_id, p_reason, v_metadata);
  if p_source is null or p_source not in ('signup', 'plan', 'purchase', 'promo', 'refund', 'adjustment') then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "source"}');
  end if;
  if p_bucket is null or p_bucket not in ('plan', 'add-on') then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "bucket"}');
  end if;
  if v_priority not between 0 and 1000 then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "priority", "expected": "0 to 1000"}');
  end if;
  if p_expires_in_seconds not between 1 and 3153600000 then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "expiresInSeconds", "expected": "1 to 3153600000"}');
  end if;

  p.b := credits_private.open_account(p_user_id);
  p.t := credits_private.find_transaction(p_transaction_id);
  if (p.t).id is not null then
    if ((p.t).account_id, (p.t).type, (p.t).source, (p.t).amount, (p.t).reason, (p.t).metadata)
      is distinct from (p_user_id, 'grant', p_source, p_amount, p_reason, v_metadata)
    then
      perform credits_private.fail(409, 'IDEMPOTENCY_MISMATCH', jsonb_build_object('id', p_transaction_id));
    end if;
    return credits_private.transaction_result(p, true);
  end if;

  p.b := credits_private.apply_due(p.b);
  p.t.id := p_transaction_id;
  p.t.type := 'grant';
  p.t.source := p_source;
  p.t.amount := p_amount;
  p.t.reason := p_reason;
  p.t.metadata := v_metadata;
  p := credits_private.add_lot(p, p_amount, p_bucket, p_source, v_priority,
    clock_timestamp() + make_interval(secs => p_expires_in_seconds));
  p := credits_private.append(p, credits_private.actor_cost(p_actor_id));
  perform credits_private.save_account(p.b);
  return credits_private.transaction_result(p, false);
end;
$$;
comment on function public.credits_grant(uuid, uuid, numeric, text, text, integer, bigint, text, uuid, jsonb) is
  'Gives credits as a lot of a bucket; debt is paid first. Errors: ACCOUNT_NOT_FOUND, IDEMPOTENCY_MISMATCH, INVALID_INPUT.';

create or replace function credits_private.check_transaction_input(p_id uuid, p_reason text, p_metadata jsonb)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_id is null then perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "transactionId"}'); end if;
  perform credits_private.check_text(p_reason, 'reason', 1000);
  perform credits_private.check_object(p_metadata, 'metadata');
  -- A settle writes its transaction under the reservation's id: nobody else may take that.
  if exists (select from public.credit_reservations r where r.id = p_id) then
    perform credits_private.fail(409, 'IDEMPOTENCY_MISMATCH', jsonb_build_object('id', p_id));
  end if;
end;
$$;
comment on function credits_private.check_transaction_input(uuid, text, jsonb) is
  'Refuses malformed arguments of grant, refund and adjust before anything is touched.';

-- ------------------------------------------------------------------------------------------------ reading

create or replace function public.credits_get_balance(p_user_id uuid)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '2s'
as $$
declare
  b public.credit_balances;
begin
  -- Reading takes no lock as long as nothing is due.
  select * into b from public.credit_balances where account_id = p_user_id;
  if b.user_id is null or b.signup_decided_at is null or b.next_due_at <= clock_timestamp() then
    b := credits_private.apply_due(credits_private.open_account(p_user_id));
  end if;
  return credits_private.balance_json(b);
end;
$$;
comment on function public.credits_get_balance(uuid) is
  'A user''s credits as of now, with everything due applied; opens the account if signup missed it. Errors: ACCOUNT_NOT_FOUND.';

create or replace function public.credits_get_history(
  p_user_id uuid,
  p_limit integer,
  p_before bigint default null,
  p_type text default null,
  p_from timestamptz default null,
  p_to timestamptz default null)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
-- The planner must walk the primary key backwards and stop: with bitmap scans or sorts it would at times read
-- all of a user's rows for one page.
set enable_bitmapscan = off
set enable_sort = off
set enable_seqscan = off
as $$
declare
  v_page jsonb;
  v_last bigint;
  v_more boolean;
begin
  if p_limit is null or p_limit not between 1 and 200 then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "limit", "expected": "1 to 200"}');
  end if;
  if p_type not in ('grant', 'usage', 'refund', 'adjustment', 'expiry') then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "type"}');
  end if;
  if not exists (select from public.credit_balances where account_id = p_user_id)
    and not exists (select from auth.users where id = p_user_id)
  then
    perform credits_private.fail(404, 'ACCOUNT_NOT_FOUND', jsonb_build_object('userId', p_user_id));
  end if;

  select coalesce(jsonb_agg(credits_private.transaction_json(x.t)) filter (where x.n <= p_limit), '[]'),
         min((x.t).version) filter (where x.n <= p_limit),
         count(*) > p_limit
  into v_page, v_last, v_more
  from (
    select t, row_number() over (order by t.version desc) as n
    from public.credit_transactions t
    where t.account_id = p_user_id
      and t.version < coalesce(p_before, 9223372036854775807)
      and (p_type is null or t.type = p_type)
      and (p_from is null or t.created_at >= p_from)
      and (p_to is null or t.created_at < p_to)
    order by t.version desc
    limit p_limit + 1
  ) x;
  return jsonb_build_object('data', v_page, 'nextBefore', case when v_more then v_last end);
end;
$$;
comment on function public.credits_get_history(uuid, integer, bigint, text, timestamptz, timestamptz) is
  'A page of a user''s transactions, newest first, by version: no row twice, none skipped, while others write. Errors: ACCOUNT_NOT_FOUND, INVALID_INPUT.';

-- ------------------------------------------------------------------------------------------------ signup

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
