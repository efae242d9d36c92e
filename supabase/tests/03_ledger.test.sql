-- The main job in SQL: signup, reserve, settle, release, refusal, refund, proof.
begin;
do $$ begin create extension if not exists pgtap with schema extensions; exception when others then null; end $$;
set local search_path = public, extensions;

select plan(22);

insert into auth.users (id, email, email_confirmed_at)
values ('30000000-0000-4000-8000-000000000001', 'carol@pgtap.test', now());

select is(credits_get_balance('30000000-0000-4000-8000-000000000001') ->> 'available', '50', 'signup grants 50');
select is(credits_get_history('30000000-0000-4000-8000-000000000001', 10) #>> '{data,0,source}', 'signup',
  'as a transaction with source signup');

select is(credits_reserve('30000000-0000-4000-8000-000000000001', '30000000-0000-7000-8000-000000000001', 10) #>> '{balance,available}', '40',
  'reserve keeps 10 back');
select is(credits_reserve('30000000-0000-4000-8000-000000000001', '30000000-0000-7000-8000-000000000001', 10) ->> 'replayed', 'true',
  'a repeated reserve gets the first result');
select throws_ok($$select credits_reserve('30000000-0000-4000-8000-000000000001', '30000000-0000-7000-8000-000000000001', 11)$$,
  'PT409', 'IDEMPOTENCY_MISMATCH', 'the same id for another amount is refused');
select throws_ok($$select credits_reserve('30000000-0000-4000-8000-000000000001', gen_random_uuid(), 41)$$,
  'PT402', 'INSUFFICIENT_CREDITS', 'more than is available is refused');
select throws_ok($$select credits_reserve('30000000-0000-4000-8000-000000000001', gen_random_uuid(), 'NaN')$$,
  'PT422', 'INVALID_INPUT', 'NaN is refused');
select throws_ok($$select credits_reserve(gen_random_uuid(), gen_random_uuid(), 1)$$,
  'PT404', 'ACCOUNT_NOT_FOUND', 'an unknown user has no account');

select is(credits_settle('30000000-0000-4000-8000-000000000001', '30000000-0000-7000-8000-000000000001', '{"amount": "3.36"}')
  #>> '{balance,available}', '46.64', 'settle takes the charge and frees the rest');
select is(credits_settle('30000000-0000-4000-8000-000000000001', '30000000-0000-7000-8000-000000000001', '{"amount": "3.36"}') ->> 'captured', '3.36',
  'a repeated settle gets the first result');
select is(credits_settle('30000000-0000-4000-8000-000000000001', '30000000-0000-7000-8000-000000000001', '{"amount": "9"}') ->> 'captured', '3.36',
  'a second settle with another amount gets the first result');
select throws_ok($$select credits_reserve('30000000-0000-4000-8000-000000000001', '30000000-0000-7000-8000-000000000001', 10)$$,
  'PT409', 'RESERVATION_CLOSED', 'the key of a settled reservation is refused');

select is(credits_reserve('30000000-0000-4000-8000-000000000001', '30000000-0000-7000-8000-000000000002', 5) ->> 'state', 'active',
  'a second reservation is active');
select is(credits_release('30000000-0000-4000-8000-000000000001', '30000000-0000-7000-8000-000000000002') #>> '{balance,available}', '46.64',
  'release frees it');
select throws_ok($$select credits_settle('30000000-0000-4000-8000-000000000001', '30000000-0000-7000-8000-000000000002', '{"amount": "1"}')$$,
  'PT409', 'RESERVATION_CLOSED', 'a released reservation cannot be settled');

select is(credits_refund('30000000-0000-4000-8000-000000000001', '30000000-0000-7000-8000-000000000003', '30000000-0000-7000-8000-000000000001', 'test')
  #>> '{balance,available}', '50', 'a refund returns the charge');
select throws_ok($$select credits_refund('30000000-0000-4000-8000-000000000001', gen_random_uuid(), '30000000-0000-7000-8000-000000000001', 'test')$$,
  'PT409', 'REFUND_EXCEEDS_ORIGINAL', 'a second refund of the whole charge is refused');

select is(credits_set_margin('model', 'pgtap/model', 75, 0, null, '30000000-0000-4000-8000-000000000001', 'test') ->> 'marginPercent', '75',
  'a margin changes');
select throws_ok($$select credits_set_margin('model', 'pgtap/model', 80, 0)$$, 'PT409', 'VERSION_CONFLICT',
  'a stale version is refused');
select is((select count(*) from public.margin_audit_log where new_margin_percent = 75 and actor_id = '30000000-0000-4000-8000-000000000001'), 1::bigint,
  'the change of the margin is audited');

select is(credits_verify_accounts() -> 'faults', '[]'::jsonb, 'verify finds no fault in the accounts');
select is(credits_verify_transactions() -> 'faults', '[]'::jsonb, 'verify finds no fault in the ledger');

select * from finish();
rollback;
