-- What happens when the credits do not reach.

insert into auth.users (id, email, email_confirmed_at)
values ('a11ce000-0000-4000-8000-000000000001', 'alice@example.com', now());

-- More than is available is refused. The details say what there is.
select credits_reserve(
  'a11ce000-0000-4000-8000-000000000001',
  'ca110000-0000-7000-8000-000000000001', 60);

-- A refusal leaves nothing behind, so the same key works for what can be paid.
select result ->> 'state' as state, result ->> 'amount' as amount
from credits_reserve(
  'a11ce000-0000-4000-8000-000000000001',
  'ca110000-0000-7000-8000-000000000001', 30) result;

-- With a minimum, reserve takes what is available down to it.
select result ->> 'state' as state, result ->> 'amount' as amount
from credits_reserve(
  'a11ce000-0000-4000-8000-000000000001',
  'ca110000-0000-7000-8000-000000000002', 40,
  p_minimum_amount => 15) result;

-- A call may cost more than was reserved. What is available pays. The rest is uncollected.
select
  result ->> 'captured' as captured,
  result ->> 'uncollected' as uncollected,
  result -> 'balance' ->> 'available' as available
from credits_settle(
  'a11ce000-0000-4000-8000-000000000001',
  'ca110000-0000-7000-8000-000000000001', '{"amount": "35"}') result;

-- The other reservation still has its 20.
select reserved, available from credit_balances_text;
