-- Burning lots down and adding to them, under the account's lock.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create or replace function credits_private.put_current_lot_back(b public.credit_balances)
returns void
language plpgsql
set search_path = ''
as $$
begin
  update public.credit_lots l
  set remaining = b.current_lot_remaining
  where l.id = b.current_lot_id and l.remaining <> b.current_lot_remaining;
end;
$$;
comment on function credits_private.put_current_lot_back(public.credit_balances) is
  'Writes the current lot''s live remainder to credit_lots. Comes before anything that reads or changes lots there.';

create or replace function credits_private.take_current_lot(b public.credit_balances)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
begin
  select l.id, l.remaining into b.current_lot_id, b.current_lot_remaining
  from public.credit_lots l
  where l.account_id = b.account_id and l.remaining > 0
  order by l.bucket desc, l.priority, l.expires_at, l.sequence
  limit 1;
  b.current_lot_remaining := coalesce(b.current_lot_remaining, 0);
  return b;
end;
$$;
comment on function credits_private.take_current_lot(public.credit_balances) is
  'Makes the first lot of the burn-down order the current one. Comes after anything that changed lots.';

create or replace function credits_private.spend(p credits_private.posting, p_amount numeric)
returns credits_private.posting
language plpgsql
set search_path = ''
as $$
declare
  b public.credit_balances := p.b;
  t public.credit_transactions := p.t;
  l record;
  v_left numeric := p_amount;
  v_taken numeric;
begin
  if p_amount = 0 then
    p.t.lots := '[]'::jsonb;
    return p;
  end if;

  -- The usual case: the current lot has enough, and credit_lots is not touched.
  if p_amount <= b.current_lot_remaining then
    b.current_lot_remaining := b.current_lot_remaining - p_amount;
    -- Plan lots burn first, so the current lot is one of the plan exactly when there are plan credits.
    if b.plan_credits > 0 then b.plan_credits := b.plan_credits - p_amount;
    else b.add_on_credits := b.add_on_credits - p_amount;
    end if;
    p.b := b;
    p.t.lots := jsonb_build_array(jsonb_build_object('lotId', b.current_lot_id, 'amount', trim_scale(-p_amount)::text));
    return p;
  end if;

  t.lots := '[]'::jsonb;

  perform credits_private.put_current_lot_back(b);
  for l in
    select id, bucket, remaining from public.credit_lots
    where account_id = b.account_id and remaining > 0
    order by bucket desc, priority, expires_at, sequence
  loop
    v_taken := least(l.remaining, v_left);
    update public.credit_lots set remaining = remaining - v_taken where id = l.id;
    if l.bucket = 'plan' then b.plan_credits := b.plan_credits - v_taken;
    else b.add_on_credits := b.add_on_credits - v_taken;
    end if;
    t.lots := t.lots || jsonb_build_object('lotId', l.id, 'amount', trim_scale(-v_taken)::text);
    v_left := v_left - v_taken;
    exit when v_left = 0;
  end loop;
  -- What no lot covers was allowed by the overage limit: a recorded debt.
  b.debt := b.debt + v_left;
  p.b := credits_private.take_current_lot(b);
  p.t := t;
  return p;
end;
$$;
comment on function credits_private.spend(credits_private.posting, numeric) is
  'Takes credits from the lots in burn-down order, the rest as debt, and notes in t.lots what came from where. The caller has checked the limits.';

create or replace function credits_private.add_lot(
  p credits_private.posting, p_amount numeric, p_bucket text, p_source text, p_priority integer, p_expires_at timestamptz)
returns credits_private.posting
language plpgsql
set search_path = ''
as $$
declare
  b public.credit_balances := p.b;
  t public.credit_transactions := p.t;
  v_paid numeric := least(b.debt, p_amount);
  v_lot uuid;
begin
  t.lots := coalesce(t.lots, '[]'::jsonb);
  b.debt := b.debt - v_paid;
  if p_amount = v_paid then
    p.b := b;
    p.t := t;
    return p;
  end if;
  if b.plan_credits + b.add_on_credits + p_amount > 10000000000000 then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "amount", "expected": "a balance of at most 10000000000000"}');
  end if;

  perform credits_private.put_current_lot_back(b);
  insert into public.credit_lots (account_id, bucket, source, priority, amount, remaining, expires_at, transaction_id)
  values (b.account_id, p_bucket, p_source, p_priority, p_amount - v_paid, p_amount - v_paid, coalesce(p_expires_at, 'infinity'), t.id)
  returning id into v_lot;
  if p_bucket = 'plan' then b.plan_credits := b.plan_credits + p_amount - v_paid;
  else b.add_on_credits := b.add_on_credits + p_amount - v_paid;
  end if;
  b.next_due_at := least(b.next_due_at, p_expires_at);
  t.lots := t.lots || jsonb_build_object('lotId', v_lot, 'amount', trim_scale(p_amount - v_paid)::text);
  p.b := credits_private.take_current_lot(b);
  p.t := t;
  return p;
end;
$$;
comment on function credits_private.add_lot(credits_private.posting, numeric, text, text, integer, timestamptz) is
  'Gives credits: pays debt first, the rest becomes a lot, noted in t.lots.';
