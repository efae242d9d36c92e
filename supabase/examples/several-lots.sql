-- Each grant is a lot. A charge takes plan credits first.
-- Then it takes add-on credits by priority and expiry.

insert into auth.users (id, email, email_confirmed_at)
values ('a11ce000-0000-4000-8000-000000000001', 'alice@example.com', now());

select credits_grant(
  'a11ce000-0000-4000-8000-000000000001',
  '6ea00000-0000-7000-8000-000000000001', 100, 'purchase', 'add-on')
  -> 'balance' ->> 'available' as available;

select credits_grant(
  'a11ce000-0000-4000-8000-000000000001',
  '6ea00000-0000-7000-8000-000000000002', 10, 'promo', 'add-on',
  p_expires_in_seconds => 86400) -> 'balance' ->> 'available' as available;

-- 50 plan credits, 10 that expire tomorrow, 100 that stay.
select source, bucket, amount, remaining from credit_lots_text order by created_at;

select result -> 'balance' ->> 'available' as available
from credits_reserve(
  'a11ce000-0000-4000-8000-000000000001',
  'ca110000-0000-7000-8000-000000000001', 75) result;

select result -> 'balance' ->> 'available' as available
from credits_settle(
  'a11ce000-0000-4000-8000-000000000001',
  'ca110000-0000-7000-8000-000000000001', '{"amount": "75"}') result;

select source, bucket, amount, remaining from credit_lots_text order by created_at;

-- A refund of 20 goes back to the lots that the charge came from, last taken first.
select result -> 'transaction' ->> 'amount' as refunded
from credits_refund(
  'a11ce000-0000-4000-8000-000000000001',
  '4ef00000-0000-7000-8000-000000000001',
  'ca110000-0000-7000-8000-000000000001', 'half an answer', 20) result;

select source, bucket, amount, remaining from credit_lots_text order by created_at;
