-- Tables of accounts, lots, reservations and transactions.
--
-- Every key begins with account_id, so that the same SQL runs on a cluster that distributes by it.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

-- ------------------------------------------------------------------------- accounts and lots

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
  open_reservations credits_private.item_count not null default 0,
  version bigint not null default 0,
  chain_hash bytea not null default '\x',
  expired_until timestamptz not null default '-infinity',
  next_due_at timestamptz not null default 'infinity',
  plan_anchor_at timestamptz,
  plan_period credits_private.item_count not null default 0,
  plan_period_ends_at timestamptz,
  signup_decided_at timestamptz,
  auto_refill_enabled boolean not null default false,
  auto_refill_threshold credits_private.amount not null default 0,
  auto_refill_amount credits_private.amount not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint credit_balances_pkey primary key (account_id),
  constraint credit_balances_user_id_fkey
    foreign key (user_id) references auth.users (id) on delete set null,
  constraint credit_balances_plan_id_fkey foreign key (plan_id) references public.credit_plans (id),
  constraint credit_balances_next_plan_id_fkey
    foreign key (next_plan_id) references public.credit_plans (id)
) with (
  -- Rewritten by every call: room for HOT updates, and vacuum before dead rows slow the next
  -- reserve.
  fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 200,
  autovacuum_vacuum_cost_delay = 0
);
-- Not unique: a key without account_id cannot be enforced on a cluster. The owner of an account is
-- found by its key.
create index if not exists credit_balances_user_id_idx on public.credit_balances (user_id);
-- Finds the accounts with due work. The column changes a few times an hour, not with every call, so
-- nearly all updates of an account stay HOT.
create index if not exists credit_balances_next_due_at_idx
  on public.credit_balances (next_due_at);
comment on table public.credit_balances is
  'The account: one row per balance. The row outlives its user, so that the ledger still adds up.';
comment on column public.credit_balances.account_id is
  'Key of the account; equals the id of the user it was made for.';
comment on column public.credit_balances.user_id is
  'Owner; null once the auth user is deleted: the account is closed.';
comment on column public.credit_balances.next_plan_id is
  'Plan from the next period on (a downgrade waits for it).';
comment on column public.credit_balances.plan_credits is
  'Credits of the current period of the plan, spent before add-on credits.';
comment on column public.credit_balances.add_on_credits is
  'Bought or granted credits; they stay until they expire.';
comment on column public.credit_balances.debt is
  'Overage already spent; the next grant pays it first.';
comment on column public.credit_balances.reserved is
  'Credits of active reservations, including those past their time that are not yet marked '
  'expired.';
comment on column public.credit_balances.version is 'Number of the latest transaction.';
comment on column public.credit_balances.chain_hash is
  'Hash of the latest transaction; empty before the first.';
comment on column public.credit_balances.expired_until is
  'No active reservation has an expiry at or before this time.';
comment on column public.credit_balances.next_due_at is
  'Earliest time at which a reservation or lot expires or the period ends. Due work comes before '
  'anything else.';
comment on column public.credit_balances.plan_anchor_at is
  'Start of period 1; period n ends at anchor + n months, so that the 31st does not drift.';
comment on column public.credit_balances.plan_period_ends_at is
  'End of the current period; null: this account gets no plan credits.';
comment on column public.credit_balances.signup_decided_at is
  'When the signup grant was given or refused; null: undecided (anonymous, unconfirmed or missed).';
alter table public.credit_balances enable row level security;
drop policy if exists credit_balances_select on public.credit_balances;
create policy credit_balances_select on public.credit_balances for select to authenticated
  using (user_id = (select auth.uid()) or (select credits_private.is_admin()));
revoke all on public.credit_balances from public, anon, authenticated, service_role;
grant select on public.credit_balances to authenticated, service_role;

create table if not exists public.credit_lots (
  account_id uuid not null,
  id uuid not null,
  bucket credits_private.bucket not null,
  source text not null,
  priority credits_private.priority not null,
  amount credits_private.amount not null,
  remaining credits_private.amount not null,
  used_up boolean not null default false,
  expires_at timestamptz not null default 'infinity',
  transaction_id uuid not null,
  version bigint not null,
  created_at timestamptz not null default now(),
  constraint credit_lots_pkey primary key (account_id, id),
  constraint credit_lots_account_id_fkey
    foreign key (account_id) references public.credit_balances (account_id)
) with (
  -- A settle rewrites the lot it takes from.
  fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 200,
  autovacuum_vacuum_cost_delay = 0
);
comment on table public.credit_lots is
  'What is left of each grant. Order of use: plan before add-on, lower priority, earliest expiry, '
  'oldest.';
comment on column public.credit_lots.used_up is
  'Nothing remains. A column of its own for the index below: were remaining in it, no update '
  'would be HOT.';
comment on column public.credit_lots.expires_at is 'infinity: never.';
comment on column public.credit_lots.transaction_id is 'The transaction that made the lot.';
comment on column public.credit_lots.version is
  'Number of that transaction; decides between lots that are otherwise equal.';
-- The burn-down order itself. Used-up lots are not in it, so it stays small however long the
-- history.
create index if not exists credit_lots_burn_down_idx
  on public.credit_lots (account_id, bucket desc, priority, expires_at, version) where not used_up;
alter table public.credit_lots enable row level security;
drop policy if exists credit_lots_select on public.credit_lots;
create policy credit_lots_select on public.credit_lots for select to authenticated
  using (account_id = (select auth.uid()) or (select credits_private.is_admin()));
revoke all on public.credit_lots from public, anon, authenticated, service_role;
grant select on public.credit_lots to authenticated, service_role;

-- ------------------------------------------------------------------------- reservations

create table if not exists public.credit_reservations (
  account_id uuid not null,
  id uuid not null,
  user_id uuid not null,
  state credits_private.reservation_state not null default 'active',
  reserved credits_private.amount not null,
  captured credits_private.amount not null default 0,
  uncollected credits_private.amount not null default 0,
  requested credits_private.amount not null,
  minimum credits_private.amount not null,
  ttl_seconds integer,
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
  constraint credit_reservations_pkey primary key (account_id, id)
) with (
  -- Each row is written twice, opened and closed; room for the second write on the same page.
  fillfactor = 60,
  autovacuum_vacuum_scale_factor = 0.05,
  autovacuum_vacuum_threshold = 500,
  autovacuum_vacuum_cost_delay = 0
);
comment on table public.credit_reservations is
  'Credits kept back for a model call. The caller makes the id, which is the idempotency key. No '
  'foreign keys: one costs an INSERT about 40 %, and credits verify proves the same.';
comment on column public.credit_reservations.user_id is 'Whose call it is.';
comment on column public.credit_reservations.reserved is
  'Credits kept back; they count only while the state is active.';
comment on column public.credit_reservations.captured is 'Charged so far by capture and settle.';
comment on column public.credit_reservations.uncollected is 'Charges that found no credits.';
comment on column public.credit_reservations.requested is
  'The amount that reserve asked for; a repeat must ask for the same.';
comment on column public.credit_reservations.ttl_seconds is
  'The life that reserve asked for; null: that of the settings.';
comment on column public.credit_reservations.extensions is
  'Extension id -> what was asked for and added, so that a repeat adds nothing.';
comment on column public.credit_reservations.late is 'A charge came after the expiry.';
-- Finds the overdue reservations of an account. Closing changes none of its columns, so closing
-- stays HOT. The condition is always true, and only statements that repeat it can use the index.
-- Otherwise the planner finds a reservation by account here, and not by its key, while it believes
-- that accounts have few rows.
create index if not exists credit_reservations_account_id_expires_at_idx
  on public.credit_reservations (account_id, expires_at) where expires_at > '-infinity';
-- The planner reckons with the average account. This lets it reckon with a busy one, which is where
-- a wrong index costs.
alter table public.credit_reservations alter column account_id set (n_distinct = 100);
-- Reports on expired reservations read by time. Rows come in its order, so it is a few pages.
create index if not exists credit_reservations_created_at_idx
  on public.credit_reservations using brin (created_at);
alter table public.credit_reservations enable row level security;
drop policy if exists credit_reservations_select on public.credit_reservations;
create policy credit_reservations_select on public.credit_reservations for select to authenticated
  using (account_id = (select auth.uid()) or (select credits_private.is_admin()));
revoke all on public.credit_reservations from public, anon, authenticated, service_role;
grant select on public.credit_reservations to authenticated, service_role;

-- ------------------------------------------------------------------------- the ledger

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
  metadata jsonb not null default '{}',
  text_hash bytea not null,
  erased_at timestamptz,
  created_at timestamptz not null,
  hash_version smallint not null default 1,
  hash bytea not null,
  constraint credit_transactions_pkey primary key (account_id, version),
  constraint credit_transactions_account_id_id_key unique (account_id, id)
);
comment on table public.credit_transactions is
  'The ledger: append-only, numbered per account without gaps, chained by hash. No foreign keys: '
  'the history outlives the user.';
comment on column public.credit_transactions.version is '1, 2, 3 ... per account.';
comment on column public.credit_transactions.id is
  'The caller''s idempotency key; the last charge of a reservation has the reservation''s id.';
comment on column public.credit_transactions.amount is 'Signed credits: negative takes.';
comment on column public.credit_transactions.balance_after is
  'plan + add-on - debt after this transaction.';
comment on column public.credit_transactions.uncollected is
  'The part of the cost that found no credits; uncollected - amount is the whole cost.';
comment on column public.credit_transactions.lots is
  '[{"lotId", "amount"}]: what each lot gained or lost; the difference to amount is debt.';
comment on column public.credit_transactions.reverses_id is
  'The transaction that this refund or reversal takes back.';
comment on column public.credit_transactions.text_hash is
  'sha256 of the free text: metadata here, reason in the cost row. The chain covers this hash, so '
  'that erasing the text leaves the chain valid.';
comment on column public.credit_transactions.erased_at is 'When the free text was removed.';
comment on column public.credit_transactions.hash is
  'sha256 over the hash of the row before, every field of this row but its free text, and the '
  'cost row.';
-- As for credit_reservations: without it, a transaction may be looked up by account and then
-- filtered by version.
alter table public.credit_transactions alter column account_id set (n_distinct = 100);
-- Only refunds and reversals are in it: no model call pays for it.
create index if not exists credit_transactions_account_id_reverses_id_idx
  on public.credit_transactions (account_id, reverses_id) where reverses_id is not null;
-- Reports read by time. New rows go to its right edge, so it costs a charge next to nothing. A
-- condition would cost more, because Postgres evaluates it for every row.
create index if not exists credit_transactions_created_at_idx
  on public.credit_transactions (created_at);
-- A history by type reads this index: all but usage is rare, and a type among it is found without
-- walking the model calls in between.
create index if not exists credit_transactions_account_id_version_idx
  on public.credit_transactions (account_id, version) where type <> 'usage';
-- The work list of corrections: only estimates are in it.
create index if not exists credit_transactions_estimated_idx
  on public.credit_transactions (account_id, version) where estimated;
-- guard append-only {
create or replace trigger credit_transactions_erasing_only
  before update on public.credit_transactions
  for each row execute function credits_private.allow_erasing_only();
create or replace trigger credit_transactions_append_only
  before delete on public.credit_transactions
  for each row execute function credits_private.refuse_change();
create or replace trigger credit_transactions_no_truncate
  before truncate on public.credit_transactions
  for each statement execute function credits_private.refuse_change();
-- } append-only
alter table public.credit_transactions enable row level security;
drop policy if exists credit_transactions_select on public.credit_transactions;
create policy credit_transactions_select on public.credit_transactions for select to authenticated
  using (account_id = (select auth.uid()) or (select credits_private.is_admin()));
revoke all on public.credit_transactions from public, anon, authenticated, service_role;
grant select on public.credit_transactions to authenticated, service_role;

create table if not exists public.credit_transaction_costs (
  account_id uuid not null,
  version bigint not null,
  charge jsonb,
  actor_id uuid,
  reason text,
  erased_at timestamptz,
  constraint credit_transaction_costs_pkey primary key (account_id, version)
);
comment on table public.credit_transaction_costs is
  'What only admins may see of a transaction. Same key as its ledger row, covered by the same '
  'hash. The view credit_charges shows the charge in columns.';
comment on column public.credit_transaction_costs.charge is
  'The charge as it was sent, without its metadata (that is on the ledger row): amounts as '
  'decimal strings, and everything that recomputes the amount from the usage. Null for what is no '
  'charge.';
comment on column public.credit_transaction_costs.actor_id is
  'The admin behind a manual operation.';
comment on column public.credit_transaction_costs.reason is 'Why the admin did it. Free text.';
-- guard append-only {
create or replace trigger credit_transaction_costs_erasing_only
  before update on public.credit_transaction_costs
  for each row execute function credits_private.allow_erasing_only();
create or replace trigger credit_transaction_costs_append_only
  before delete on public.credit_transaction_costs
  for each row execute function credits_private.refuse_change();
create or replace trigger credit_transaction_costs_no_truncate
  before truncate on public.credit_transaction_costs
  for each statement execute function credits_private.refuse_change();
-- } append-only
alter table public.credit_transaction_costs enable row level security;
drop policy if exists credit_transaction_costs_select on public.credit_transaction_costs;
create policy credit_transaction_costs_select on public.credit_transaction_costs
  for select to authenticated using ((select credits_private.is_admin()));
revoke all on public.credit_transaction_costs from public, anon, authenticated, service_role;
grant select on public.credit_transaction_costs to authenticated, service_role;

create table if not exists credits_private.account_plans (
  account_id uuid not null,
  plan_id text not null,
  since timestamptz not null default clock_timestamp(),
  constraint account_plans_pkey primary key (account_id, since)
);
comment on table credits_private.account_plans is
  'Which plan an account was on, from when until its next row. Reports need the plan of the time.';
alter table credits_private.account_plans enable row level security;
drop policy if exists account_plans_no_access on credits_private.account_plans;
create policy account_plans_no_access on credits_private.account_plans using (false);
revoke all on credits_private.account_plans from public, anon, authenticated, service_role;
