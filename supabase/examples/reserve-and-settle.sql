-- One model call: credits are reserved before it, its cost is settled after it.

-- A user signs up. A trigger opens the account and grants 50 credits.
insert into auth.users (id, email, email_confirmed_at)
values ('a11ce000-0000-4000-8000-000000000001', 'alice@example.com', now());

-- Before the call: reserve 10.
select
  result ->> 'state' as state,
  result ->> 'amount' as amount,
  result -> 'balance' ->> 'reserved' as reserved,
  result -> 'balance' ->> 'available' as available
from credits_reserve(
  'a11ce000-0000-4000-8000-000000000001',
  'ca110000-0000-7000-8000-000000000001', 10, p_feature => 'chat') result;

-- After the call: it cost 3.36. The charge says how that was computed.
select
  result ->> 'state' as state,
  result ->> 'captured' as captured,
  result -> 'balance' ->> 'reserved' as reserved,
  result -> 'balance' ->> 'available' as available
from credits_settle(
  'a11ce000-0000-4000-8000-000000000001',
  'ca110000-0000-7000-8000-000000000001', '{
  "amount": "3.36", "costUsd": "0.021", "marginPercent": "60", "costSource": "rate",
  "model": "openai/gpt-5", "inputTokens": 800, "outputTokens": 2000
}') result;

-- The ledger has one row for the grant and one for the call. A reservation leaves no row.
select version, type, feature, model, amount, balance_after
from credit_transactions order by version;

-- What the operator paid stands in a row that only admins see.
select version, charge ->> 'costUsd' as cost_usd, charge ->> 'marginPercent' as margin_percent
from credit_transaction_costs order by version;

-- Several steps of one call: capture charges a step and keeps the reservation open.
select result ->> 'amount' as amount
from credits_reserve(
  'a11ce000-0000-4000-8000-000000000001',
  'ca110000-0000-7000-8000-000000000002', 10) result;

select
  result ->> 'state' as state,
  result ->> 'captured' as captured,
  result ->> 'amount' as still_reserved
from credits_capture(
  'a11ce000-0000-4000-8000-000000000001',
  'ca110000-0000-7000-8000-000000000002',
  'ca110000-0000-7000-8000-000000000003', '{"amount": "4"}') result;

-- The call failed after the first step: release returns the rest.
select result ->> 'state' as state, result -> 'balance' ->> 'available' as available
from credits_release(
  'a11ce000-0000-4000-8000-000000000001',
  'ca110000-0000-7000-8000-000000000002') result;
