-- The id that the caller makes is the idempotency key: a call whose answer was lost is repeated as it was.

insert into auth.users (id, email, email_confirmed_at)
values ('a11ce000-0000-4000-8000-000000000001', 'alice@example.com', now());

select result ->> 'replayed' as replayed, result -> 'balance' ->> 'available' as available
from credits_reserve(
  'a11ce000-0000-4000-8000-000000000001',
  'ca110000-0000-7000-8000-000000000001', 10) result;

-- The same call again: the first result. Nothing more is reserved.
select result ->> 'replayed' as replayed, result -> 'balance' ->> 'available' as available
from credits_reserve(
  'a11ce000-0000-4000-8000-000000000001',
  'ca110000-0000-7000-8000-000000000001', 10) result;

-- The same key with another parameter is refused.
select credits_reserve(
  'a11ce000-0000-4000-8000-000000000001',
  'ca110000-0000-7000-8000-000000000001', 11);

select result ->> 'replayed' as replayed, result ->> 'captured' as captured
from credits_settle(
  'a11ce000-0000-4000-8000-000000000001',
  'ca110000-0000-7000-8000-000000000001', '{"amount": "4"}') result;

select result ->> 'replayed' as replayed, result ->> 'captured' as captured
from credits_settle(
  'a11ce000-0000-4000-8000-000000000001',
  'ca110000-0000-7000-8000-000000000001', '{"amount": "4"}') result;

-- A second settle gives the first result, also when its charge differs.
select result ->> 'replayed' as replayed, result ->> 'captured' as captured
from credits_settle(
  'a11ce000-0000-4000-8000-000000000001',
  'ca110000-0000-7000-8000-000000000001', '{"amount": "9", "costUsd": "0.05"}') result;

-- The charge that was not recorded is in the audit log.
select subject, old::text as recorded, new::text as not_recorded from credit_audit_log
where action = 'charge_not_recorded';

-- The key of a closed reservation never lets another call go ahead.
select credits_reserve(
  'a11ce000-0000-4000-8000-000000000001',
  'ca110000-0000-7000-8000-000000000001', 10);

-- A promise made while the database was away: recorded and charged late, once.
select result ->> 'late' as late, result ->> 'captured' as captured
from credits_settle(
  'a11ce000-0000-4000-8000-000000000001',
  'ca110000-0000-7000-8000-000000000002', '{"amount": "1"}',
  p_create_missing => true) result;

select version, type, amount, balance_after, late from credit_transactions order by version;
