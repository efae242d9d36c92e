-- The tables, part 1: schema, domains, triggers, admins, plans and settings.
--
-- Row level security is on for every table. API roles have SELECT alone, by policy. No role has
-- INSERT, UPDATE, DELETE or TRUNCATE, service_role included: credits move only through functions.
-- Privileges follow each table directly, so that a migration that stops half-way leaves nothing
-- open.
--
-- Every numeric column has a lower and an upper bound. NaN sorts above all numbers: only the upper
-- bound refuses it. Tables that every model call writes take their bounds from domains: Postgres
-- parses the CHECKs of a table again for every statement (30 us and more), but caches those of a
-- domain.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create schema if not exists credits_private;
comment on schema credits_private is
  'Inner functions and tables of the credits ledger. API roles have no USAGE on it.';
revoke all on schema credits_private from public, anon, authenticated, service_role;

do $$
begin
  create domain credits_private.amount as numeric(20, 6)
    check (value >= 0 and value <= 10000000000000);
  create domain credits_private.signed_amount as numeric(20, 6)
    check (value >= -10000000000000 and value <= 20000000000000);
  create domain credits_private.account_status as text check (value in ('active', 'frozen'));
  create domain credits_private.reservation_state as text
    check (value in ('active', 'settled', 'released', 'expired'));
  create domain credits_private.transaction_type as text
    check (value in ('grant', 'usage', 'refund', 'reversal', 'adjustment', 'expiry'));
  create domain credits_private.item_count as integer check (value >= 0);
  create domain credits_private.token_count as bigint check (value >= 0);
  create domain credits_private.bucket as text check (value in ('plan', 'add-on'));
  create domain credits_private.priority as integer check (value between 0 and 1000);
exception when duplicate_object then null;
end;
$$;
comment on domain credits_private.amount is 'Credits, never negative, never NaN.';
comment on domain credits_private.signed_amount is
  'Credits gained or lost, or a balance that may be a debt.';
comment on domain credits_private.account_status is 'Whether an account may spend.';
comment on domain credits_private.reservation_state is 'Life of a reservation.';
comment on domain credits_private.transaction_type is 'What a transaction does.';
comment on domain credits_private.item_count is 'How many.';
comment on domain credits_private.token_count is 'Tokens of a model call.';
comment on domain credits_private.bucket is 'Plan credits are used before add-on credits.';
comment on domain credits_private.priority is 'Lower is used first within a bucket.';

create or replace function credits_private.refuse_change()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  raise exception '% is append-only', tg_table_name using
    errcode = 'restrict_violation',
    hint = 'Correct a mistake with a new row: credits_refund, credits_adjust, credits_set_rates.';
end;
$$;
revoke execute on function credits_private.refuse_change from public;
comment on function credits_private.refuse_change() is
  'Stops UPDATE, DELETE and TRUNCATE of an append-only table, for its owner too.';

create or replace function credits_private.allow_erasing_only()
returns trigger
language plpgsql
set search_path = ''
as $$
declare
  -- The only columns that erasing touches.
  erasable constant text[] := array['metadata', 'reason', 'erased_at'];
  after_row jsonb := to_jsonb(new);
begin
  if to_jsonb(old) ->> 'erased_at' is null
    and after_row ->> 'erased_at' is not null
    and after_row ->> 'reason' is null
    and coalesce(after_row -> 'metadata', '{}') = '{}'
    and to_jsonb(old) - erasable = after_row - erasable
  then
    return new;
  end if;
  raise exception '% is append-only', tg_table_name using
    errcode = 'restrict_violation',
    hint = 'Only credits_erase changes a row: it removes free text.';
end;
$$;
revoke execute on function credits_private.allow_erasing_only from public;
comment on function credits_private.allow_erasing_only() is
  'Stops every change to a ledger row but one: its free text is removed and erased_at is set.';

create or replace function credits_private.touch_updated_at()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := now();
  return new;
end;
$$;
revoke execute on function credits_private.touch_updated_at from public;
comment on function credits_private.touch_updated_at() is 'Sets updated_at on every UPDATE.';

-- ------------------------------------------------------------------------- admins, plans, settings

create or replace function credits_private.is_admin()
returns boolean
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  app_function text;
  answer boolean;
begin
  if exists (select from public.credit_admins admin where admin.user_id = auth.uid()) then
    return true;
  end if;
  select settings.admin_function into app_function from public.credit_settings settings;
  if app_function is null then
    return false;
  end if;
  begin
    -- The name has been checked when it was set: two plain identifiers.
    execute format('select %I.%I()',
      split_part(app_function, '.', 1), split_part(app_function, '.', 2)) into answer;
  exception when undefined_function or invalid_schema_name then
    -- The app has dropped its function: then only credit_admins counts.
    answer := false;
  end;
  return coalesce(answer, false);
end;
$$;
-- A policy calls it with the rights of the reader. That needs no USAGE on the schema.
revoke execute on function credits_private.is_admin from public;
grant execute on function credits_private.is_admin to authenticated, service_role;
comment on function credits_private.is_admin() is
  'Whether the signed-in user is an admin: listed in credit_admins, or so says the app''s own '
  'function.';

create table if not exists public.credit_admins (
  user_id uuid not null,
  created_at timestamptz not null default now(),
  constraint credit_admins_pkey primary key (user_id),
  constraint credit_admins_user_id_fkey
    foreign key (user_id) references auth.users (id) on delete cascade
);
comment on table public.credit_admins is
  'Users who may see and change everything of the ledger. Changed through credits_set_admin.';
alter table public.credit_admins enable row level security;
drop policy if exists credit_admins_select on public.credit_admins;
create policy credit_admins_select on public.credit_admins for select to authenticated
  using (user_id = (select auth.uid()) or (select credits_private.is_admin()));
revoke all on public.credit_admins from public, anon, authenticated, service_role;
grant select on public.credit_admins to authenticated, service_role;

create table if not exists public.credit_plans (
  id text not null,
  name text not null,
  price_usd numeric(20, 6) not null,
  monthly_credits numeric(20, 6) not null,
  rollover_limit numeric(20, 6) not null default 0,
  overage_limit numeric(20, 6) not null default 0,
  reversal_debt boolean not null default true,
  sort_order integer not null default 0,
  created_at timestamptz not null default now(),
  constraint credit_plans_pkey primary key (id),
  constraint credit_plans_id_check check (id ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
  constraint credit_plans_name_check check (char_length(name) between 1 and 200),
  constraint credit_plans_price_usd_check check (price_usd >= 0 and price_usd <= 1000000000),
  constraint credit_plans_monthly_credits_check
    check (monthly_credits >= 0 and monthly_credits <= 1000000000000),
  constraint credit_plans_rollover_limit_check
    check (rollover_limit >= 0 and rollover_limit <= 1000000000000),
  constraint credit_plans_overage_limit_check
    check (overage_limit >= 0 and overage_limit <= 1000000000000)
);
comment on table public.credit_plans is
  'Subscription plans as data. An account takes over changed figures at its next period or plan '
  'change.';
comment on column public.credit_plans.monthly_credits is
  'Plan credits granted at the start of each period.';
comment on column public.credit_plans.rollover_limit is
  'Most unused plan credits carried into the next period; 0: none.';
comment on column public.credit_plans.overage_limit is
  'Most credits an account may spend past its credits, as a recorded debt; 0: overage is off.';
comment on column public.credit_plans.reversal_debt is
  'Whether credits that were spent before their grant is reversed become a debt; false: '
  'uncollected.';
alter table public.credit_plans enable row level security;
drop policy if exists credit_plans_select on public.credit_plans;
create policy credit_plans_select on public.credit_plans
  for select to anon, authenticated using (true);
revoke all on public.credit_plans from public, anon, authenticated, service_role;
grant select on public.credit_plans to anon, authenticated, service_role;

create table if not exists public.credit_settings (
  id boolean not null default true,
  signup_plan_id text not null default 'free',
  signup_credits numeric(20, 6) not null default 50,
  max_signup_grants_per_day integer,
  reservation_ttl_seconds integer not null default 300,
  max_open_reservations integer not null default 100,
  max_reserved_credits numeric(20, 6) not null default 1000000,
  spending_frozen boolean not null default false,
  admin_function text,
  updated_at timestamptz not null default now(),
  constraint credit_settings_pkey primary key (id),
  constraint credit_settings_single_row_check check (id),
  constraint credit_settings_signup_plan_id_fkey
    foreign key (signup_plan_id) references public.credit_plans (id),
  constraint credit_settings_signup_credits_check
    check (signup_credits >= 0 and signup_credits <= 1000000000),
  constraint credit_settings_max_signup_grants_per_day_check
    check (max_signup_grants_per_day between 0 and 1000000000),
  constraint credit_settings_reservation_ttl_seconds_check
    check (reservation_ttl_seconds between 1 and 86400),
  constraint credit_settings_max_open_reservations_check
    check (max_open_reservations between 1 and 100000),
  constraint credit_settings_max_reserved_credits_check
    check (max_reserved_credits > 0 and max_reserved_credits <= 1000000000000),
  constraint credit_settings_admin_function_check
    check (admin_function ~ '^[a-z_][a-z0-9_]*[.][a-z_][a-z0-9_]*$')
);
comment on table public.credit_settings is
  'The one row of settings. Change it with SQL; the next call follows it.';
comment on column public.credit_settings.signup_credits is
  'Granted once per person, valid for the first period of the signup plan.';
comment on column public.credit_settings.max_signup_grants_per_day is
  'Ceiling of signup grants in 24 hours; null: no ceiling.';
comment on column public.credit_settings.reservation_ttl_seconds is
  'Life of a reservation whose caller names none.';
comment on column public.credit_settings.max_open_reservations is
  'Per account: LIMIT_EXCEEDED beyond.';
comment on column public.credit_settings.max_reserved_credits is
  'Per account, in credits: LIMIT_EXCEEDED beyond.';
comment on column public.credit_settings.spending_frozen is
  'Refuses every reserve and extend with SPENDING_FROZEN; open reservations still settle.';
comment on column public.credit_settings.admin_function is
  'A function of the app, schema.function, without arguments, that says whether the user is an '
  'admin.';

create or replace function credits_private.check_admin_function()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if new.admin_function is not null and not exists (
    select from pg_catalog.pg_proc function
    where function.oid = to_regprocedure(new.admin_function || '()')
      and function.prorettype = 'boolean'::regtype and not function.proretset
  ) then
    raise exception 'credit_settings.admin_function: % is no function that returns a boolean',
      new.admin_function using errcode = 'undefined_function';
  end if;
  return new;
end;
$$;
revoke execute on function credits_private.check_admin_function from public;
comment on function credits_private.check_admin_function() is
  'Refuses an admin_function that does not exist or does not answer with a boolean.';

create or replace trigger credit_settings_check_admin_function
  before insert or update of admin_function on public.credit_settings
  for each row execute function credits_private.check_admin_function();
create or replace trigger credit_settings_touch_updated_at
  before update on public.credit_settings
  for each row execute function credits_private.touch_updated_at();
alter table public.credit_settings enable row level security;
drop policy if exists credit_settings_select on public.credit_settings;
create policy credit_settings_select on public.credit_settings
  for select to authenticated using ((select credits_private.is_admin()));
revoke all on public.credit_settings from public, anon, authenticated, service_role;
grant select on public.credit_settings to authenticated, service_role;

-- Data of a new installation. Later migrations never overwrite it.
insert into public.credit_plans (id, name, price_usd, monthly_credits, sort_order)
values
  ('free', 'Free', 0, 50, 1),
  ('starter', 'Starter', 20, 500, 2),
  ('pro', 'Pro', 100, 3000, 3),
  ('team', 'Team', 200, 7500, 4)
on conflict (id) do nothing;
insert into public.credit_settings (id) values (true) on conflict (id) do nothing;
