-- Expiry needs no scheduler: what is past its time no longer counts, at any read.

insert into auth.users (id, email, email_confirmed_at)
values ('a11ce000-0000-4000-8000-000000000001', 'alice@example.com', now());

-- A promotion of 100 credits that lasts one second, and a reservation that outlives it.
select credits_grant(
  'a11ce000-0000-4000-8000-000000000001',
  '6ea00000-0000-7000-8000-000000000001', 100, 'promo', 'add-on',
  p_expires_in_seconds => 1) -> 'balance' ->> 'available' as available;

select result -> 'balance' ->> 'available' as available
from credits_reserve(
  'a11ce000-0000-4000-8000-000000000001',
  'ca110000-0000-7000-8000-000000000001', 80, p_ttl_seconds => 60) result;

-- This one lasts a second.
select result -> 'balance' ->> 'available' as available
from credits_reserve(
  'a11ce000-0000-4000-8000-000000000001',
  'ca110000-0000-7000-8000-000000000002', 40, p_ttl_seconds => 1) result;

select pg_sleep(1.5) is not null as a_second_later;

-- The second reservation is over. 70 of the promotion have expired.
-- The first reservation covers the other 30.
select plan_credits, add_on_credits, reserved, available from credit_balances_text;

-- The first call settles as if nothing had happened.
select result ->> 'state' as state, result ->> 'captured' as captured
from credits_settle(
  'a11ce000-0000-4000-8000-000000000001',
  'ca110000-0000-7000-8000-000000000001', '{"amount": "80"}') result;

-- The second call came too late. It is charged from what is available, and marked.
select
  result ->> 'captured' as captured,
  result ->> 'uncollected' as uncollected,
  result ->> 'late' as late
from credits_settle(
  'a11ce000-0000-4000-8000-000000000001',
  'ca110000-0000-7000-8000-000000000002', '{"amount": "2"}') result;

select version, type, source, amount, balance_after, uncollected
from credit_transactions order by version;
