-- The main job in SQL: signup, reserve, settle, release, refusal, refund, proof.
begin;
do $$ begin create extension if not exists pgtap with schema extensions; exception when others then null; end $$;
set local search_path = public, extensions;

select plan(20);

insert into auth.users (id, email) values ('30000000-0000-4000-8000-000000000001', 'carol@pgtap.test');

select is(credits_get_balance('30000000-0000-4000-8000-000000000001') ->> 'available', '50', 'signup grants 50');
select is(credits_get_history('30000000-0000-4000-8000-000000000001', 10) #>> '{data,0,source}', 'signup', 'as a transaction with source signup');

select is(credits_reserve('30000000-0000-7000-8000-000000000001', '30000000-0000-4000-8000-000000000001', 10) #>> '{balance,available}', '40.000000', 'reserve holds 10');
select is(credits_reserve('30000000-0000-7000-8000-000000000001', '30000000-0000-4000-8000-000000000001', 10) ->> 'replayed', 'true', 'again: the first result');
select throws_ok($$select credits_reserve('30000000-0000-7000-8000-000000000001', '30000000-0000-4000-8000-000000000001', 11)$$,
  'PT409', 'IDEMPOTENCY_MISMATCH', 'the same id for another amount is refused');
select throws_ok($$select credits_reserve(gen_random_uuid(), '30000000-0000-4000-8000-000000000001', 41)$$,
  'PT402', 'INSUFFICIENT_CREDITS', 'more than there is is refused');
select throws_ok($$select credits_reserve(gen_random_uuid(), '30000000-0000-4000-8000-000000000001', 'NaN')$$,
  'PT422', 'INVALID_INPUT', 'NaN is refused');
select throws_ok($$select credits_reserve(gen_random_uuid(), gen_random_uuid(), 1)$$,
  'PT404', 'ACCOUNT_NOT_FOUND', 'nobody has no account');

select is(credits_settle('30000000-0000-7000-8000-000000000001', '{"amount": "3.36"}') #>> '{balance,available}', '46.640000', 'settle takes the charge and frees the rest');
select is(credits_settle('30000000-0000-7000-8000-000000000001', '{"amount": "9"}') ->> 'captured', '3.36', 'again: the first result');

select is(credits_reserve('30000000-0000-7000-8000-000000000002', '30000000-0000-4000-8000-000000000001', 5) ->> 'state', 'active', 'a second reservation');
select is(credits_release('30000000-0000-7000-8000-000000000002') #>> '{balance,available}', '46.64', 'release frees it');
select throws_ok($$select credits_settle('30000000-0000-7000-8000-000000000002', '{"amount": "1"}')$$,
  'PT409', 'RESERVATION_CLOSED', 'a released one cannot be settled');

select is(credits_refund('30000000-0000-7000-8000-000000000003', '30000000-0000-7000-8000-000000000001', 'test') #>> '{balance,available}', '50', 'a refund returns the charge');
select throws_ok($$select credits_refund(gen_random_uuid(), '30000000-0000-7000-8000-000000000001', 'test')$$,
  'PT409', 'REFUND_EXCEEDS_ORIGINAL', 'and not twice');

select is(credits_set_margin('model', 'pgtap/model', 75, 0, null, '30000000-0000-4000-8000-000000000001', 'test') ->> 'marginPercent', '75', 'a margin changes');
select throws_ok($$select credits_set_margin('model', 'pgtap/model', 80, 0)$$, 'PT409', 'VERSION_CONFLICT', 'a stale version is refused');
select is((select count(*) from public.margin_audit_log where new_margin_percent = 75 and actor_id = '30000000-0000-4000-8000-000000000001'), 1::bigint, 'and it is audited');

select is(credits_verify_accounts() -> 'faults', '[]'::jsonb, 'the accounts are proven');
select is(credits_verify_transactions() -> 'faults', '[]'::jsonb, 'the ledger is proven');

select * from finish();
rollback;
