-- The tables, keys and guards are there, as the documents name them.
begin;
do $$ begin
  create extension if not exists pgtap with schema extensions;
exception when others then null;
end $$;
set local search_path = public, extensions;

select plan(71);

select has_table('public', name, name || ' exists') from unnest(array[
  'profiles', 'credit_balances', 'credit_transactions', 'credit_transaction_costs',
  'credit_reservations', 'credit_lots', 'credit_plans', 'credit_settings', 'credit_rates',
  'credit_model_aliases', 'margin_config', 'margin_audit_log', 'credit_audit_log', 'credit_admins'
]) name;

select has_pk('public', name, name || ' has a primary key') from unnest(array[
  'profiles', 'credit_balances', 'credit_transactions', 'credit_transaction_costs',
  'credit_reservations', 'credit_lots', 'credit_plans', 'credit_settings', 'credit_rates',
  'credit_model_aliases', 'margin_config', 'margin_audit_log', 'credit_audit_log', 'credit_admins'
]) name;

select has_view('public', name, name || ' exists')
from unnest(array[
  'credit_balances_text', 'credit_transactions_text', 'credit_lots_text', 'credit_charges',
  'credit_session'
]) name;

select fk_ok('public', 'profiles', 'user_id', 'auth', 'users', 'id');
select fk_ok('public', 'credit_balances', 'user_id', 'auth', 'users', 'id');
select fk_ok('public', 'credit_admins', 'user_id', 'auth', 'users', 'id');
select fk_ok('public', 'credit_balances', 'plan_id', 'public', 'credit_plans', 'id');
select fk_ok('public', 'credit_lots', 'account_id', 'public', 'credit_balances', 'account_id');
select hasnt_fk('public', 'credit_transactions', 'the ledger outlives the user');
select hasnt_fk('public', 'credit_reservations', 'a reservation pays for no foreign key');

select col_type_is('public', 'credit_balances', name, 'credits_private.amount',
  name || ' is an amount of credits')
from unnest(array['plan_credits', 'add_on_credits', 'debt', 'reserved', 'overage_limit']) name;
select col_type_is('public', 'credit_transactions', 'amount', 'credits_private.signed_amount',
  'amount is an amount of credits');
select col_type_is('public', 'credit_charges', 'cost_usd', 'numeric(24,12)',
  'cost_usd is an amount of dollars');

select has_trigger('public', name, name || '_append_only', name || ' refuses update and delete')
from unnest(array[
  'credit_transactions', 'credit_transaction_costs', 'credit_rates', 'margin_audit_log',
  'credit_audit_log'
]) name;
select has_trigger('public', name, name || '_no_truncate', name || ' refuses truncate')
from unnest(array[
  'credit_transactions', 'credit_transaction_costs', 'credit_rates', 'margin_audit_log',
  'credit_audit_log', 'margin_config'
]) name;
select has_trigger('auth', 'users', 'zz_credits_user_created', 'signup opens the account');
select has_trigger('auth', 'users', 'zz_credits_user_identified',
  'a confirmed identity opens the grant');
select has_trigger('public', 'margin_config', 'margin_config_audit',
  'margins are audited however they change');

select has_index('public', 'credit_reservations', 'credit_reservations_account_id_expires_at_idx',
  'overdue reservations are found');
select has_index('public', 'credit_lots', 'credit_lots_burn_down_idx',
  'lots are found in burn-down order');
select has_index('public', 'credit_transactions', 'credit_transactions_account_id_reverses_id_idx',
  'refunds are found');
select has_index('public', 'credit_balances', 'credit_balances_next_due_at_idx',
  'accounts with due work are found');

select results_eq(
  $$select id, price_usd::text, monthly_credits::text from public.credit_plans
    where id in ('free', 'starter', 'pro', 'team') order by sort_order$$,
  $$values ('free', '0.000000', '50.000000'), ('starter', '20.000000', '500.000000'),
           ('pro', '100.000000', '3000.000000'), ('team', '200.000000', '7500.000000')$$,
  'the four plans are seeded');
select results_eq(
  'select margin_percent from public.margin_config where scope = ''default'' and version = 1',
  'values (60::numeric)', 'the default margin of 60 percent is data');
select results_eq(
  'select signup_plan_id, signup_credits, reservation_ttl_seconds from public.credit_settings',
  'values (''free'', 50::numeric, 300)',
  'signup gives 50 credits on the free plan; reservations live five minutes');
select is(
  (select count(*) from pg_class
   where relnamespace = 'public'::regnamespace and relkind = 'r' and not relrowsecurity
     and (relname like 'credit%' or relname like 'margin%' or relname = 'profiles')),
  0::bigint,
  'every table has row level security');

select throws_ok(
  $$insert into public.credit_balances (account_id, plan_id, plan_credits)
    values (gen_random_uuid(), 'free', 'NaN')$$,
  '23514', null, 'NaN is no balance');
select throws_ok(
  $$insert into public.margin_config (scope, target, margin_percent, version)
    values ('model', 'a/b', -100, 1)$$,
  '23514', null, 'a margin of -100 percent is refused');
select * from finish();
rollback;
