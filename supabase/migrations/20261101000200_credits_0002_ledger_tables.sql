-- Accounts, lots, reservations and the ledger.
--
-- Every numeric column has a lower AND an upper bound: NaN sorts above all numbers, so only an upper bound
-- refuses it. On the tables that every model call writes, the bounds are domains: Postgres parses a table's CHECKs
-- anew for every statement (30 us and more), but keeps a domain's ready and looks only at the columns that are
-- written. Foreign keys stand where a row is written once (accounts, profiles). Reservations and
-- ledger rows have none: they are written on every model call (a foreign key adds about 40 % to an insert), only
-- by the functions of this package under the account's lock, and `credits verify` proves what a key would.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

do $$
begin
  create domain credits_private.amount as numeric(20, 6) check (value >= 0 and value <= 10000000000000);
  create domain credits_private.signed_amount as numeric(20, 6)
    check (value >= -10000000000000 and value <= 20000000000000);
  create domain credits_private.account_status as text check (value in ('active', 'frozen'));
  create domain credits_private.reservation_state as text check (value in ('active', 'settled', 'released', 'expired'));
  create domain credits_private.transaction_type as text
    check (value in ('grant', 'usage', 'refund', 'adjustment', 'expiry'));
  create domain credits_private.count_of as integer check (value >= 0);
  create domain credits_private.token_count as bigint check (value >= 0);
exception when duplicate_object then null;
end;
$$;
comment on domain credits_private.amount is 'Credits, never negative, never NaN.';
comment on domain credits_private.signed_amount is 'Credits that are gained or lost, or a balance that may be a debt.';
comment on domain credits_private.account_status is 'Whether an account may spend.';
comment on domain credits_private.reservation_state is 'Life of a reservation.';
comment on domain credits_private.transaction_type is 'What a transaction does.';
comment on domain credits_private.count_of is 'How many.';
comment on domain credits_private.token_count is 'Tokens of a model call.';

create table if not exists public.credit_plans (
  id text not null,
  name text not null,
  price_usd numeric(20, 6) not null,
  monthly_credits numeric(20, 6) not null,
  rollover_limit numeric(20, 6) not null default 0,
  overage_limit numeric(20, 6) not null default 0,
  sort_order integer not null default 0,
  created_at timestamptz not null default now(),
  constraint credit_plans_pkey primary key (id),
  constraint credit_plans_id_check check (id ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
  constraint credit_plans_name_check check (char_length(name) between 1 and 200),
  constraint credit_plans_price_usd_check check (price_usd >= 0 and price_usd <= 1000000000),
  constraint credit_plans_monthly_credits_check check (monthly_credits >= 0 and monthly_credits <= 1000000000000),
  constraint credit_plans_rollover_limit_check check (rollover_limit >= 0 and rollover_limit <= 1000000000000),
  constraint credit_plans_overage_limit_check check (overage_limit >= 0 and overage_limit <= 1000000000000)
);
comment on table public.credit_plans is
  'Subscription plans as data. An account takes over changed figures at its next period or change of plan.';
comment on column public.credit_plans.monthly_credits is 'Plan credits set anew at the start of every period.';
comment on column public.credit_plans.rollover_limit is 'Most unused plan credits carried into the next period; 0: none.';
comment on column public.credit_plans.overage_limit is 'Most credits an account may spend past its credits, as a recorded debt; 0: overage is off.';

alter table public.credit_plans enable row level security;
drop policy if exists credit_plans_select on public.credit_plans;
create policy credit_plans_select on public.credit_plans for select to anon, authenticated using (true);

create table if not exists public.credit_settings (
  id boolean not null default true,
  signup_plan_id text not null default 'free',
  signup_credits numeric(20, 6) not null default 50,
  signup_needs_confirmation boolean not null default false,
  reservation_ttl_seconds integer not null default 300,
  max_open_reservations integer not null default 100,
  max_reserved_credits numeric(20, 6) not null default 1000000,
  spending_frozen boolean not null default false,
  updated_at timestamptz not null default now(),
  constraint credit_settings_pkey primary key (id),
  constraint credit_settings_single_row_check check (id),
  constraint credit_settings_signup_plan_id_fkey foreign key (signup_plan_id) references public.credit_plans (id),
  constraint credit_settings_signup_credits_check check (signup_credits >= 0 and signup_credits <= 1000000000),
  constraint credit_settings_reservation_ttl_seconds_check check (reservation_ttl_seconds between 1 and 86400),
  constraint credit_settings_max_open_reservations_check check (max_open_reservations between 1 and 100000),
  constraint credit_settings_max_reserved_credits_check
    check (max_reserved_credits > 0 and max_reserved_credits <= 1000000000000)
);
comment on table public.credit_settings is 'The one row of settings. Change it in SQL; the next call follows it.';
comment on column public.credit_settings.signup_credits is 'Granted once per person, valid for the first period of the signup plan.';
comment on column public.credit_settings.signup_needs_confirmation is
  'Wait with the signup grant until the e-mail or phone is confirmed.';
comment on column public.credit_settings.reservation_ttl_seconds is 'Life of a reservation whose caller names none.';
comment on column public.credit_settings.max_open_reservations is 'Per account, against one caller hoarding: LIMIT_EXCEEDED beyond.';
comment on column public.credit_settings.max_reserved_credits is 'Per account, in credits: LIMIT_EXCEEDED beyond.';
comment on column public.credit_settings.spending_frozen is 'Refuses every reserve and extend with SPENDING_FROZEN; what is open still settles.';

alter table public.credit_settings enable row level security;
drop policy if exists credit_settings_select on public.credit_settings;
create policy credit_settings_select on public.credit_settings
  for select to authenticated using ((select credits_private.is_admin()));

create table if not exists public.credit_balances (
  account_id uuid not null,
  user_id uuid,
  plan_id text not null,
  next_plan_id text,
  status credits_private.account_status not null default 'active',
  plan_credits credits_private.amount not null default 0,
  add_on_credits credits_private.amount not null default 0,
  debt credits_private.amount not null default 0,
  overage_limit credits_private.amount not null default 0,
  reserved credits_private.amount not null default 0,
  open_reservations credits_private.count_of not null default 0,
  version bigint not null default 0,
  chain_hash bytea not null default '\x',
  current_lot_id uuid,
  current_lot_remaining credits_private.amount not null default 0,
  swept_until timestamptz not null default '-infinity',
  next_due_at timestamptz not null default 'infinity',
  plan_anchor_at timestamptz,
  plan_period credits_private.count_of not null default 0,
  plan_period_ends_at timestamptz,
  signup_decided_at timestamptz,
  auto_refill_enabled boolean not null default false,
  auto_refill_threshold credits_private.amount not null default 0,
  auto_refill_amount credits_private.amount not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint credit_balances_pkey primary key (account_id),
  constraint credit_balances_user_id_key unique (user_id),
  constraint credit_balances_user_id_fkey foreign key (user_id) references auth.users (id) on delete set null,
  constraint credit_balances_plan_id_fkey foreign key (plan_id) references public.credit_plans (id),
  constraint credit_balances_next_plan_id_fkey foreign key (next_plan_id) references public.credit_plans (id)
) with (
  -- Rewritten by every call: room for HOT updates, and vacuum before dead rows slow the next reserve.
  fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 200,
  autovacuum_vacuum_cost_delay = 0
);
comment on table public.credit_balances is
  'The account: one row per balance. Its key is today the user''s id, later perhaps an organisation''s. Stays as a tombstone when the user goes, so that the books still add up.';
comment on column public.credit_balances.account_id is 'Key of the account; equals the id of the user it was made for.';
comment on column public.credit_balances.user_id is 'Owner; null once the auth user is deleted: the account is closed.';
comment on column public.credit_balances.next_plan_id is 'Plan from the next period on (a downgrade waits for it).';
comment on column public.credit_balances.plan_credits is 'Credits of the plan''s period, spent before add-on credits.';
comment on column public.credit_balances.add_on_credits is 'Bought or given credits; they stay until they expire.';
comment on column public.credit_balances.debt is 'Overage already spent; the next grant pays it first.';
comment on column public.credit_balances.reserved is 'Held by open reservations, including those past their time that nobody has swept yet.';
comment on column public.credit_balances.version is 'Number of the latest transaction.';
comment on column public.credit_balances.chain_hash is 'Hash of the latest transaction; empty before the first.';
comment on column public.credit_balances.current_lot_id is
  'The lot being burned down. Its live remainder is current_lot_remaining, here, so that a charge need not touch credit_lots.';
comment on column public.credit_balances.swept_until is 'No open reservation has an expiry at or before this time.';
comment on column public.credit_balances.next_due_at is 'Earliest time at which a lot expires or the period ends; work is then due before anything else.';
comment on column public.credit_balances.plan_anchor_at is 'Start of period 1; period n ends at anchor + n months, so that the 31st does not drift.';
comment on column public.credit_balances.plan_period_ends_at is 'When plan credits are set anew; null: this account gets none.';
comment on column public.credit_balances.signup_decided_at is 'When the signup grant was given or refused; null: still open (anonymous, unconfirmed or missed).';

alter table public.credit_balances enable row level security;
drop policy if exists credit_balances_select on public.credit_balances;
create policy credit_balances_select on public.credit_balances
  for select to authenticated
  using (user_id = (select auth.uid()) or (select credits_private.is_admin()));

create table if not exists public.credit_lots (
  id uuid not null default gen_random_uuid(),
  account_id uuid not null,
  bucket text not null,
  source text not null,
  priority integer not null,
  amount numeric(20, 6) not null,
  remaining numeric(20, 6) not null,
  expires_at timestamptz not null default 'infinity',
  transaction_id uuid not null,
  created_at timestamptz not null default now(),
  sequence bigint generated always as identity,
  constraint credit_lots_pkey primary key (id),
  constraint credit_lots_account_id_fkey foreign key (account_id) references public.credit_balances (account_id),
  constraint credit_lots_bucket_check check (bucket in ('plan', 'add-on')),
  constraint credit_lots_priority_check check (priority between 0 and 1000),
  constraint credit_lots_amount_check check (amount > 0 and amount <= 10000000000000),
  constraint credit_lots_remaining_check check (remaining >= 0 and remaining <= amount)
);
comment on table public.credit_lots is
  'Granted credits by origin. Burned down plan before add-on, then lower priority, soonest expiry, oldest.';
comment on column public.credit_lots.remaining is
  'What is left. For the account''s current lot this is the figure when it became current: credit_balances.current_lot_remaining is the live one.';
comment on column public.credit_lots.expires_at is 'infinity: never.';
comment on column public.credit_lots.transaction_id is 'The transaction that made the lot.';
comment on column public.credit_lots.sequence is 'Order of making; decides between lots that are equal otherwise.';

-- The burn-down order itself; only lots with credits left, so it stays small however long the history.
create index if not exists credit_lots_burn_down_idx
  on public.credit_lots (account_id, bucket desc, priority, expires_at, sequence) where remaining > 0;

alter table public.credit_lots enable row level security;
drop policy if exists credit_lots_select on public.credit_lots;
create policy credit_lots_select on public.credit_lots
  for select to authenticated
  using (account_id = (select auth.uid()) or (select credits_private.is_admin()));

create table if not exists public.credit_reservations (
  id uuid not null,
  account_id uuid not null,
  user_id uuid not null,
  state credits_private.reservation_state not null default 'active',
  held credits_private.amount not null,
  captured credits_private.amount not null default 0,
  uncollected credits_private.amount not null default 0,
  requested credits_private.amount not null,
  minimum credits_private.amount not null,
  feature text,
  model text,
  rate_id uuid,
  margin_id uuid,
  metadata jsonb not null default '{}',
  extensions jsonb,
  late boolean not null default false,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  closed_at timestamptz,
  constraint credit_reservations_pkey primary key (id)
) with (
  -- Each row is written twice, opened and closed; room for the second write beside the first.
  fillfactor = 60,
  autovacuum_vacuum_scale_factor = 0.05,
  autovacuum_vacuum_threshold = 500,
  autovacuum_vacuum_cost_delay = 0
);
comment on table public.credit_reservations is 'Credits set aside before a model call. The id is the caller''s and its idempotency key.';
comment on column public.credit_reservations.held is 'Credits set aside; counts only while the state is active.';
comment on column public.credit_reservations.captured is 'Charged so far by capture and settle.';
comment on column public.credit_reservations.uncollected is 'Charges that found no credits.';
comment on column public.credit_reservations.requested is 'What reserve was asked for; with minimum it tells a repeated call from another one.';
comment on column public.credit_reservations.extensions is 'Extension id -> what it added, so that a repeat adds nothing.';
comment on column public.credit_reservations.late is 'A charge came after the expiry.';

-- Finds an account's overdue reservations. No column that closing changes is in it, so closing stays HOT.
create index if not exists credit_reservations_account_id_expires_at_idx
  on public.credit_reservations (account_id, expires_at);

alter table public.credit_reservations enable row level security;
drop policy if exists credit_reservations_select on public.credit_reservations;
create policy credit_reservations_select on public.credit_reservations
  for select to authenticated
  using (account_id = (select auth.uid()) or (select credits_private.is_admin()));

create table if not exists public.credit_transactions (
  account_id uuid not null,
  version bigint not null,
  id uuid not null,
  user_id uuid not null,
  type credits_private.transaction_type not null,
  source text,
  amount credits_private.signed_amount not null,
  balance_after credits_private.signed_amount not null,
  uncollected credits_private.amount not null default 0,
  lots jsonb not null default '[]',
  reservation_id uuid,
  reverses_id uuid,
  feature text,
  model text,
  input_tokens credits_private.token_count,
  output_tokens credits_private.token_count,
  estimated boolean not null default false,
  late boolean not null default false,
  reason text,
  metadata jsonb not null default '{}',
  created_at timestamptz not null,
  hash_version smallint not null default 1,
  hash bytea not null,
  constraint credit_transactions_pkey primary key (account_id, version),
  constraint credit_transactions_id_key unique (id)
);
comment on table public.credit_transactions is
  'The ledger: append-only, numbered per account without gaps, chained by hash. No foreign key to auth.users: the history outlives the user.';
comment on column public.credit_transactions.version is '1, 2, 3 ... per account.';
comment on column public.credit_transactions.id is 'The caller''s idempotency key; the last charge of a reservation has the reservation''s id.';
comment on column public.credit_transactions.amount is 'Signed credits: negative takes.';
comment on column public.credit_transactions.balance_after is 'plan + add-on - debt after this transaction.';
comment on column public.credit_transactions.uncollected is 'The part of a charge that found no credits; -amount + uncollected is the whole charge.';
comment on column public.credit_transactions.lots is '[{"lotId", "amount"}]: what each lot gained or lost; the difference to amount is debt.';
comment on column public.credit_transactions.reverses_id is 'The transaction that this refund reverses.';
comment on column public.credit_transactions.hash is 'sha256 over the previous row''s hash and every field of this row and its cost row.';

-- Only refunds are in it: nothing on the hot path pays for it.
create index if not exists credit_transactions_reverses_id_idx
  on public.credit_transactions (reverses_id) where reverses_id is not null;

alter table public.credit_transactions enable row level security;
drop policy if exists credit_transactions_select on public.credit_transactions;
create policy credit_transactions_select on public.credit_transactions
  for select to authenticated
  using (account_id = (select auth.uid()) or (select credits_private.is_admin()));

create table if not exists public.credit_transaction_costs (
  account_id uuid not null,
  version bigint not null,
  charge jsonb,
  actor_id uuid,
  constraint credit_transaction_costs_pkey primary key (account_id, version)
);
comment on table public.credit_transaction_costs is
  'What only admins may see of a transaction: the charge with cost, margin, prices, usage and provider ids, and who acted. Same key as its ledger row, covered by the same hash. The view credit_charges has it in columns.';
comment on column public.credit_transaction_costs.charge is
  'The charge as it came, checked: a ChargeRecord of store/port.ts, amounts as decimal strings. Everything that recomputes the amount from the usage. Null for what is no charge.';
comment on column public.credit_transaction_costs.actor_id is 'The admin behind a manual operation.';

alter table public.credit_transaction_costs enable row level security;
drop policy if exists credit_transaction_costs_select on public.credit_transaction_costs;
create policy credit_transaction_costs_select on public.credit_transaction_costs
  for select to authenticated using ((select credits_private.is_admin()));

create table if not exists credits_private.signup_claims (
  person_hash bytea not null,
  account_id uuid not null,
  claimed_at timestamptz not null default now(),
  constraint signup_claims_pkey primary key (person_hash)
);
comment on table credits_private.signup_claims is
  'Who has had the signup grant: a keyed hash of the normalised e-mail or phone, never the address. Outlives the user.';
comment on column credits_private.signup_claims.account_id is 'The account that holds the person''s free allowance now.';
alter table credits_private.signup_claims enable row level security;
-- The functions of this package own the table and pass; written down, so that nobody takes the missing policy for an oversight.
drop policy if exists signup_claims_nobody on credits_private.signup_claims;
create policy signup_claims_nobody on credits_private.signup_claims using (false);

create table if not exists credits_private.secrets (
  name text not null,
  value bytea not null,
  constraint secrets_pkey primary key (name)
);
comment on table credits_private.secrets is 'Keys made in this database and never leaving it.';
alter table credits_private.secrets enable row level security;
-- The functions of this package own the table and pass; written down, so that nobody takes the missing policy for an oversight.
drop policy if exists secrets_nobody on credits_private.secrets;
create policy secrets_nobody on credits_private.secrets using (false);
