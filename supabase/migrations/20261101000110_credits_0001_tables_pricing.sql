-- Tables of prices, margins, audits and signup claims.
--
-- A rate or margin is in force from effective_from until the next row of the same model, or of the
-- same scope and target. Nothing is overwritten, so every old charge can be recomputed.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create table if not exists public.credit_rates (
  id uuid not null default gen_random_uuid(),
  model_id text not null,
  type text not null,
  pricing jsonb,
  known boolean not null,
  source text not null,
  source_hash text,
  context_window bigint,
  max_output_tokens bigint,
  effective_from timestamptz not null default now(),
  created_at timestamptz not null default now(),
  constraint credit_rates_pkey primary key (id),
  constraint credit_rates_model_id_effective_from_key unique (model_id, effective_from),
  constraint credit_rates_model_id_check check (char_length(model_id) between 1 and 255),
  constraint credit_rates_type_check check (char_length(type) between 1 and 64),
  constraint credit_rates_source_check check (char_length(source) between 1 and 2000),
  constraint credit_rates_known_check check (
    known = (pricing is not null) and (pricing is null or jsonb_typeof(pricing) = 'object')
  ),
  constraint credit_rates_context_window_check
    check (context_window >= 0 and context_window <= 1000000000000),
  constraint credit_rates_max_output_tokens_check
    check (max_output_tokens >= 0 and max_output_tokens <= 1000000000000)
);
comment on table public.credit_rates is
  'Unit prices of each model, append-only and effective-dated. Changed through credits_set_rates.';
comment on column public.credit_rates.pricing is
  'The price object of the gateway as delivered. SQL never computes with it: TypeScript prices.';
comment on column public.credit_rates.known is
  'false: the model is listed but its price is not known. Calls to it are refused, never free.';
comment on column public.credit_rates.source_hash is
  'Hash of the file or answer the price was taken from.';
create or replace trigger credit_rates_append_only
  before update or delete on public.credit_rates
  for each row execute function credits_private.refuse_change();
create or replace trigger credit_rates_no_truncate
  before truncate on public.credit_rates
  for each statement execute function credits_private.refuse_change();
alter table public.credit_rates enable row level security;
drop policy if exists credit_rates_select on public.credit_rates;
create policy credit_rates_select on public.credit_rates
  for select to authenticated using ((select credits_private.is_admin()));
revoke all on public.credit_rates from public, anon, authenticated, service_role;
grant select on public.credit_rates to authenticated, service_role;

create table if not exists public.credit_model_aliases (
  alias text not null,
  model_id text not null,
  created_at timestamptz not null default now(),
  constraint credit_model_aliases_pkey primary key (alias),
  constraint credit_model_aliases_alias_check
    check (char_length(alias) between 1 and 255 and alias <> model_id),
  constraint credit_model_aliases_model_id_check check (char_length(model_id) between 1 and 255)
);
comment on table public.credit_model_aliases is
  'Renamed models: old id -> the id that credit_rates has.';
alter table public.credit_model_aliases enable row level security;
drop policy if exists credit_model_aliases_select on public.credit_model_aliases;
create policy credit_model_aliases_select on public.credit_model_aliases
  for select to authenticated using ((select credits_private.is_admin()));
revoke all on public.credit_model_aliases from public, anon, authenticated, service_role;
grant select on public.credit_model_aliases to authenticated, service_role;

create table if not exists public.margin_config (
  id uuid not null default gen_random_uuid(),
  scope text not null,
  target text not null default '',
  margin_percent numeric(9, 4),
  version integer not null,
  effective_from timestamptz not null default now(),
  created_at timestamptz not null default now(),
  constraint margin_config_pkey primary key (id),
  constraint margin_config_scope_target_version_key unique (scope, target, version),
  constraint margin_config_scope_check
    check (scope in ('default', 'provider', 'model', 'feature', 'plan')),
  constraint margin_config_target_check check (
    char_length(target) <= 255 and ((scope = 'default') = (target = ''))
  ),
  constraint margin_config_margin_percent_check
    check (margin_percent > -100 and margin_percent <= 10000),
  constraint margin_config_default_check check (scope <> 'default' or margin_percent is not null),
  constraint margin_config_version_check check (version >= 1)
);
comment on table public.margin_config is
  'Margins on provider cost: one default and overrides. The highest version whose effective_from '
  'has come is in force.';
comment on column public.margin_config.target is
  'Which provider, model, feature or plan; empty for the default.';
comment on column public.margin_config.margin_percent is
  'Percent on cost, above -100; null removes the override from effective_from on.';
comment on column public.margin_config.version is
  '1, 2, 3 ... per scope and target; the optimistic lock of credits_set_margin.';
create or replace trigger margin_config_no_truncate
  before truncate on public.margin_config
  for each statement execute function credits_private.refuse_change();
alter table public.margin_config enable row level security;
drop policy if exists margin_config_select on public.margin_config;
create policy margin_config_select on public.margin_config
  for select to authenticated using ((select credits_private.is_admin()));
revoke all on public.margin_config from public, anon, authenticated, service_role;
grant select on public.margin_config to authenticated, service_role;

-- ------------------------------------------------------------------------- audits

create table if not exists public.margin_audit_log (
  id bigint generated always as identity,
  margin_id uuid not null,
  scope text not null,
  target text not null,
  operation text not null,
  old_margin_percent numeric(9, 4),
  new_margin_percent numeric(9, 4),
  effective_from timestamptz not null,
  actor_id uuid,
  actor_role text not null,
  reason text,
  created_at timestamptz not null default clock_timestamp(),
  constraint margin_audit_log_pkey primary key (id),
  constraint margin_audit_log_operation_check check (operation in ('insert', 'update', 'delete')),
  constraint margin_audit_log_old_margin_percent_check
    check (old_margin_percent > -100 and old_margin_percent <= 10000),
  constraint margin_audit_log_new_margin_percent_check
    check (new_margin_percent > -100 and new_margin_percent <= 10000)
);
comment on table public.margin_audit_log is
  'Every change of a margin, also one made in the SQL editor: who, when, why, from, to. '
  'Append-only.';
comment on column public.margin_audit_log.actor_role is
  'The database role that acted; the only trace when no person is known.';
create or replace trigger margin_audit_log_append_only
  before update or delete on public.margin_audit_log
  for each row execute function credits_private.refuse_change();
create or replace trigger margin_audit_log_no_truncate
  before truncate on public.margin_audit_log
  for each statement execute function credits_private.refuse_change();
alter table public.margin_audit_log enable row level security;
drop policy if exists margin_audit_log_select on public.margin_audit_log;
create policy margin_audit_log_select on public.margin_audit_log
  for select to authenticated using ((select credits_private.is_admin()));
revoke all on public.margin_audit_log from public, anon, authenticated, service_role;
revoke all on sequence public.margin_audit_log_id_seq
  from public, anon, authenticated, service_role;
grant select on public.margin_audit_log to authenticated, service_role;

create table if not exists public.credit_audit_log (
  id bigint generated always as identity,
  action text not null,
  subject text not null,
  old jsonb,
  new jsonb,
  actor_id uuid,
  actor_role text not null,
  reason text,
  created_at timestamptz not null default clock_timestamp(),
  constraint credit_audit_log_pkey primary key (id),
  constraint credit_audit_log_action_check check (char_length(action) between 1 and 100)
);
comment on table public.credit_audit_log is
  'Admin acts other than margins: admins, freezes, plans of accounts, settings, plan data, '
  'erasures. Who, when, why, from, to. Also charges that no reservation could take '
  '(charge_not_recorded). Append-only; contains ids, never names or addresses.';
comment on column public.credit_audit_log.subject is
  'The user, plan or setting that was changed, or the reservation of a charge.';
create or replace trigger credit_audit_log_append_only
  before update or delete on public.credit_audit_log
  for each row execute function credits_private.refuse_change();
create or replace trigger credit_audit_log_no_truncate
  before truncate on public.credit_audit_log
  for each statement execute function credits_private.refuse_change();
alter table public.credit_audit_log enable row level security;
drop policy if exists credit_audit_log_select on public.credit_audit_log;
create policy credit_audit_log_select on public.credit_audit_log
  for select to authenticated using ((select credits_private.is_admin()));
revoke all on public.credit_audit_log from public, anon, authenticated, service_role;
revoke all on sequence public.credit_audit_log_id_seq
  from public, anon, authenticated, service_role;
grant select on public.credit_audit_log to authenticated, service_role;

-- ------------------------------------------------------------------------- one grant per person

create table if not exists credits_private.signup_claims (
  person_hash bytea not null,
  account_id uuid not null,
  claimed_at timestamptz not null default now(),
  constraint signup_claims_pkey primary key (person_hash)
);
comment on table credits_private.signup_claims is
  'Who has had the signup grant: a keyed hash of the normalised e-mail or phone, never the '
  'address. Outlives the user.';
comment on column credits_private.signup_claims.account_id is
  'The account that has the free allowance of the person now.';
-- Counts the grants of the last 24 hours.
create index if not exists signup_claims_claimed_at_idx
  on credits_private.signup_claims (claimed_at);
alter table credits_private.signup_claims enable row level security;
drop policy if exists signup_claims_no_access on credits_private.signup_claims;
create policy signup_claims_no_access on credits_private.signup_claims using (false);
revoke all on credits_private.signup_claims from public, anon, authenticated, service_role;

create table if not exists credits_private.person_accounts (
  account_id uuid not null,
  person_hash bytea not null,
  constraint person_accounts_pkey primary key (account_id, person_hash)
);
comment on table credits_private.person_accounts is
  'Which accounts a person has had, by the keyed hash of signup_claims: a debt outlives the '
  'account that made it.';
create index if not exists person_accounts_person_hash_idx
  on credits_private.person_accounts (person_hash);
alter table credits_private.person_accounts enable row level security;
drop policy if exists person_accounts_no_access on credits_private.person_accounts;
create policy person_accounts_no_access on credits_private.person_accounts using (false);
revoke all on credits_private.person_accounts from public, anon, authenticated, service_role;

create table if not exists credits_private.secrets (
  name text not null,
  value bytea not null,
  constraint secrets_pkey primary key (name)
);
comment on table credits_private.secrets is 'Keys made in this database that never leave it.';
alter table credits_private.secrets enable row level security;
drop policy if exists secrets_no_access on credits_private.secrets;
create policy secrets_no_access on credits_private.secrets using (false);
revoke all on credits_private.secrets from public, anon, authenticated, service_role;
-- 244 random bits.
insert into credits_private.secrets (name, value)
values ('person_hash',
  sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')))
on conflict (name) do nothing;
