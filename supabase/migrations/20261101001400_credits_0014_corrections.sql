-- Refunds and adjustments: new transactions that correct old ones, never edits.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create or replace function credits_private.give_back(p credits_private.posting, p_original public.credit_transactions, p_amount numeric)
returns credits_private.posting
language plpgsql
set search_path = ''
as $$
declare
  b public.credit_balances := p.b;
  v_from record;
  v_left numeric;
  v_back numeric;
begin
  p.t.lots := '[]'::jsonb;
  v_left := p_amount - least(b.debt, p_amount);
  b.debt := b.debt - least(b.debt, p_amount);
  perform credits_private.put_current_lot_back(b);
  -- Last taken, first returned, and only into lots that still live.
  for v_from in
    select l.id, l.bucket, l.amount - l.remaining as room, -(x.piece ->> 'amount')::numeric as taken
    from jsonb_array_elements(p_original.lots) with ordinality as x (piece, place)
    join public.credit_lots l on l.id = (x.piece ->> 'lotId')::uuid
    where l.expires_at > clock_timestamp()
    order by x.place desc
  loop
    exit when v_left = 0;
    v_back := least(v_left, v_from.taken, v_from.room);
    continue when v_back = 0;
    update public.credit_lots set remaining = remaining + v_back where id = v_from.id;
    if v_from.bucket = 'plan' then b.plan_credits := b.plan_credits + v_back;
    else b.add_on_credits := b.add_on_credits + v_back;
    end if;
    p.t.lots := (p.t).lots || jsonb_build_object('lotId', v_from.id, 'amount', trim_scale(v_back)::text);
    v_left := v_left - v_back;
  end loop;
  b := credits_private.take_current_lot(b);
  -- next_due_at must know the lots that have just come back to life.
  b.next_due_at := credits_private.next_due(b, clock_timestamp());
  p.b := b;
  if v_left > 0 then p := credits_private.add_lot(p, v_left, 'add-on', 'refund', 100, null); end if;
  return p;
end;
$$;
comment on function credits_private.give_back(credits_private.posting, public.credit_transactions, numeric) is
  'Returns charged credits: to the debt first, then to the lots they came from; what came from a lot that has expired since becomes an add-on lot.';

create or replace function public.credits_refund(
  p_transaction_id uuid,
  p_original_id uuid,
  p_reason text,
  p_amount numeric default null,
  p_actor_id uuid default null)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
declare
  o public.credit_transactions := credits_private.find_transaction(p_original_id);
  p credits_private.posting;
  v_left numeric;
begin
  if p_amount is not null then perform credits_private.check_amount(p_amount, 'amount'); end if;
  if p_reason is null then perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "reason"}'); end if;
  perform credits_private.check_transaction_input(p_transaction_id, p_reason, null);
  if o.id is null then
    perform credits_private.fail(404, 'TRANSACTION_NOT_FOUND', jsonb_build_object('transactionId', p_original_id));
  end if;
  if o.type <> 'usage' then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "originalId", "expected": "a usage transaction"}');
  end if;

  p.b := credits_private.lock_account(o.account_id);
  p.t := credits_private.find_transaction(p_transaction_id);
  if (p.t).id is not null then
    if ((p.t).type, (p.t).reverses_id, (p.t).reason, (p.t).amount)
      is distinct from ('refund', p_original_id, p_reason, coalesce(p_amount, (p.t).amount))
    then
      perform credits_private.fail(409, 'IDEMPOTENCY_MISMATCH', jsonb_build_object('id', p_transaction_id));
    end if;
    return credits_private.transaction_result(p, true);
  end if;

  select -o.amount - coalesce(sum(t.amount), 0) into v_left
  from public.credit_transactions t where t.reverses_id = p_original_id;
  if v_left = 0 or p_amount > v_left then
    perform credits_private.fail(409, 'REFUND_EXCEEDS_ORIGINAL', jsonb_build_object(
      'refundable', trim_scale(v_left)::text, 'requested', trim_scale(p_amount)::text));
  end if;
  p.b := credits_private.apply_due(p.b);
  p.t.id := p_transaction_id;
  p.t.user_id := o.user_id;
  p.t.type := 'refund';
  p.t.source := 'refund';
  p.t.amount := coalesce(p_amount, v_left);
  p.t.reverses_id := p_original_id;
  p.t.reservation_id := o.reservation_id;
  p.t.feature := o.feature;
  p.t.model := o.model;
  p.t.reason := p_reason;
  p := credits_private.give_back(p, o, coalesce(p_amount, v_left));
  p := credits_private.append(p, credits_private.actor_cost(p_actor_id));
  perform credits_private.save_account(p.b);
  return credits_private.transaction_result(p, false);
end;
$$;
comment on function public.credits_refund(uuid, uuid, text, numeric, uuid) is
  'Reverses a usage transaction, wholly or in part, by a linked one; all refunds together never exceed it. Errors: TRANSACTION_NOT_FOUND, REFUND_EXCEEDS_ORIGINAL, IDEMPOTENCY_MISMATCH, INVALID_INPUT.';

create or replace function public.credits_adjust(
  p_transaction_id uuid,
  p_user_id uuid,
  p_amount numeric,
  p_reason text,
  p_actor_id uuid default null)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
declare
  p credits_private.posting;
  v_free numeric;
begin
  perform credits_private.check_amount(abs(p_amount), 'amount');
  if p_reason is null then perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "reason"}'); end if;
  perform credits_private.check_transaction_input(p_transaction_id, p_reason, null);

  p.b := credits_private.open_account(p_user_id);
  p.t := credits_private.find_transaction(p_transaction_id);
  if (p.t).id is not null then
    if ((p.t).account_id, (p.t).type, (p.t).amount, (p.t).reason)
      is distinct from (p_user_id, 'adjustment', p_amount, p_reason)
    then
      perform credits_private.fail(409, 'IDEMPOTENCY_MISMATCH', jsonb_build_object('id', p_transaction_id));
    end if;
    return credits_private.transaction_result(p, true);
  end if;

  p.b := credits_private.apply_due(p.b);
  p.t.id := p_transaction_id;
  p.t.type := 'adjustment';
  p.t.source := 'adjustment';
  p.t.amount := p_amount;
  p.t.reason := p_reason;
  if p_amount > 0 then
    p := credits_private.add_lot(p, p_amount, 'add-on', 'adjustment', 100, null);
  else
    -- Never into overage, never from under a reservation.
    v_free := credits_private.available(p.b) - (p.b).overage_limit;
    if v_free < -p_amount then
      perform credits_private.fail(402, 'INSUFFICIENT_CREDITS', jsonb_build_object(
        'available', trim_scale(greatest(v_free, 0))::text,
        'required', trim_scale(-p_amount)::text,
        'balance', trim_scale((p.b).plan_credits + (p.b).add_on_credits - (p.b).debt)::text));
    end if;
    p := credits_private.spend(p, -p_amount);
  end if;
  p := credits_private.append(p, credits_private.actor_cost(p_actor_id));
  perform credits_private.save_account(p.b);
  return credits_private.transaction_result(p, false);
end;
$$;
comment on function public.credits_adjust(uuid, uuid, numeric, text, uuid) is
  'Gives or takes credits by hand, with a reason. Takes only what nobody has reserved. Errors: ACCOUNT_NOT_FOUND, INSUFFICIENT_CREDITS, IDEMPOTENCY_MISMATCH, INVALID_INPUT.';
