-- Who reads what and who writes nothing, tried as the roles themselves.
begin;
do $$ begin
  create extension if not exists pgtap with schema extensions;
exception when others then null;
end $$;
set local search_path = public, extensions;

select plan(43);

insert into auth.users (id, email, email_confirmed_at) values
  ('10000000-0000-4000-8000-000000000001', 'ann@pgtap.test', now()),
  ('10000000-0000-4000-8000-000000000002', 'bob@pgtap.test', now()),
  ('10000000-0000-4000-8000-000000000003', 'admin@pgtap.test', now());
update public.profiles set role = 'admin' where user_id = '10000000-0000-4000-8000-000000000003';

create function pg_temp.sign_in(p_user_id uuid, p_role text default 'authenticated')
returns void language sql as $$
  select set_config('request.jwt.claims', json_build_object('sub', p_user_id, 'role', p_role,
           'user_metadata', json_build_object('role', 'admin'))::text, true),
         set_config('role', p_role, true);
$$;

select lives_ok($$select credits_reserve('10000000-0000-4000-8000-000000000001',
  '20000000-0000-7000-8000-000000000001', 10)$$);
select lives_ok($$select credits_settle('10000000-0000-4000-8000-000000000001',
  '20000000-0000-7000-8000-000000000001', '{"amount": "7", "costUsd": "0.04"}')$$);

-- Ann
select pg_temp.sign_in('10000000-0000-4000-8000-000000000001');
select results_eq('select user_id from public.profiles',
  $$values ('10000000-0000-4000-8000-000000000001'::uuid)$$, 'Ann sees her profile alone');
select results_eq('select available from public.credit_balances_text', $$values ('43')$$,
  'Ann sees her balance alone');
select results_eq('select amount from public.credit_transactions_text order by version',
  $$values ('50'), ('-7')$$, 'Ann sees her ledger alone');
select results_eq('select state::text from public.credit_reservations', $$values ('settled')$$,
  'Ann sees her reservations alone');
select isnt_empty('select 1 from public.credit_plans', 'Ann sees the plans');
select results_eq('select is_admin from public.credit_session', 'values (false)',
  'Ann is no admin, although her token says so');
select is_empty('select 1 from public.' || name, 'Ann sees no ' || name) from unnest(array[
  'credit_transaction_costs', 'credit_charges', 'credit_rates', 'margin_config',
  'margin_audit_log', 'credit_settings', 'credit_audit_log', 'credit_admins'
]) name;
select lives_ok($$update public.profiles set display_name = 'Ann'$$, 'Ann may rename herself');
select throws_ok($$update public.profiles set role = 'admin'$$, '42501', null,
  'Ann cannot make herself an admin');
select throws_ok(
  $$insert into public.profiles (user_id, role) values (gen_random_uuid(), 'admin')$$,
  '42501', null, 'Ann cannot insert a profile');
select throws_ok(
  format('delete from public.%I', name), '42501', null, 'Ann cannot delete from ' || name)
from unnest(array[
  'profiles', 'credit_balances', 'credit_transactions', 'credit_reservations', 'credit_lots',
  'margin_config'
]) name;
select throws_ok(
  $$select credits_grant('10000000-0000-4000-8000-000000000001', gen_random_uuid(), 1000, 'promo',
    'add-on')$$,
  '42501', null, 'Ann cannot grant');
select throws_ok(
  $$select credits_get_balance('10000000-0000-4000-8000-000000000002')$$,
  '42501', null, 'Ann cannot ask for Bob');
select throws_ok($$select credits_set_admin('10000000-0000-4000-8000-000000000001', true)$$,
  '42501', null, 'Ann cannot make an admin');
select throws_ok($$select credits_set_margin('default', '', 0)$$, '42501', null,
  'Ann cannot set a margin');
select throws_ok($$select * from credits_private.signup_claims$$, '42501', null,
  'Ann cannot see the claims');
reset role;

-- a visitor
select pg_temp.sign_in(null, 'anon');
select throws_ok(
  format('select 1 from public.%I', name), '42501', null, 'anon cannot read ' || name)
from unnest(array[
  'profiles', 'credit_balances', 'credit_transactions', 'credit_reservations'
]) name;
select isnt_empty('select 1 from public.credit_plans', 'anon sees the plans');
reset role;

-- an admin
select pg_temp.sign_in('10000000-0000-4000-8000-000000000003');
select results_eq('select count(*) from public.profiles', 'values (3::bigint)',
  'an admin sees all profiles');
select results_eq('select cost_usd::numeric from public.credit_charges', 'values (0.04::numeric)',
  'an admin sees costs');
select isnt_empty('select 1 from public.margin_audit_log', 'an admin sees the margin audit');
select throws_ok($$update public.margin_config set margin_percent = 0$$, '42501', null,
  'an admin writes no table either');
reset role;

-- the service role
select pg_temp.sign_in(null, 'service_role');
select throws_ok(
  $$update public.credit_balances set plan_credits = 1000 where true$$,
  '42501', null, 'the service role writes no table');
select throws_ok($$truncate public.credit_transactions$$, '42501', null,
  'the service role empties no table');
reset role;

-- the owner
select throws_ok($$update public.credit_transactions set amount = 0$$, '23001', null,
  'the owner cannot change the ledger');
select throws_ok($$truncate public.credit_transactions$$, '23001', null,
  'the owner cannot empty the ledger');

select * from finish();
rollback;
