-- Changing an account's plan.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create or replace function credits_private.upgrade(
  b public.credit_balances, p_old public.credit_plans, p_new public.credit_plans, p_actor_id uuid, p_reason text)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  p credits_private.posting;
  v_now timestamptz := clock_timestamp();
  v_start timestamptz;
  v_amount numeric;
begin
  b.plan_id := p_new.id;
  b.next_plan_id := null;
  b.overage_limit := p_new.overage_limit;
  if b.plan_period_ends_at is null or (p_old.price_usd = 0 and p_new.price_usd > 0) then
    -- The first paid period starts with the payment, whole; unused free credits stay until their own expiry.
    b.plan_anchor_at := v_now;
    b.plan_period := 1;
    b.plan_period_ends_at := credits_private.period_end(v_now, 1);
    b.next_due_at := least(b.next_due_at, b.plan_period_ends_at);
    v_amount := p_new.monthly_credits;
  else
    -- Within a paid period: the difference, for the rest of the period, by the second.
    v_start := credits_private.period_end(b.plan_anchor_at, b.plan_period - 1);
    v_amount := round((p_new.monthly_credits - p_old.monthly_credits)
      * extract(epoch from b.plan_period_ends_at - v_now) / extract(epoch from b.plan_period_ends_at - v_start), 6);
  end if;
  if v_amount <= 0 then return b; end if;
  p.b := b;
  p.t.id := gen_random_uuid();
  p.t.type := 'grant';
  p.t.source := 'plan';
  p.t.amount := v_amount;
  p.t.reason := p_reason;
  p.t.metadata := jsonb_build_object('planId', p_new.id, 'previousPlanId', p_old.id);
  p := credits_private.append(
    credits_private.add_lot(p, v_amount, 'plan', 'plan', 100, b.plan_period_ends_at), credits_private.actor_cost(p_actor_id));
  return p.b;
end;
$$;
comment on function credits_private.upgrade(public.credit_balances, public.credit_plans, public.credit_plans, uuid, text) is
  'Changes to a plan with at least as many credits, at once.';

create or replace function public.credits_set_plan(
  p_user_id uuid,
  p_plan_id text,
  p_actor_id uuid default null,
  p_reason text default null)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
declare
  b public.credit_balances;
  v_old public.credit_plans;
  v_new public.credit_plans;
  v_before jsonb;
begin
  select * into v_new from public.credit_plans where id = p_plan_id;
  if not found then perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "planId", "expected": "an existing plan"}'); end if;
  perform credits_private.acting_as(p_actor_id, p_reason);
  b := credits_private.apply_due(credits_private.open_account(p_user_id));
  v_before := jsonb_build_object('planId', b.plan_id, 'nextPlanId', b.next_plan_id);
  select * into strict v_old from public.credit_plans where id = b.plan_id;

  if b.plan_id = p_plan_id and b.plan_period_ends_at is not null then
    b.next_plan_id := null;
  elsif b.plan_period_ends_at is null or v_new.monthly_credits >= v_old.monthly_credits then
    b := credits_private.upgrade(b, v_old, v_new, p_actor_id, p_reason);
  else
    -- A downgrade waits for the end of the period: what was granted stays until then.
    b.next_plan_id := p_plan_id;
  end if;
  perform credits_private.save_account(b);
  if v_before <> jsonb_build_object('planId', b.plan_id, 'nextPlanId', b.next_plan_id) then
    perform credits_private.audit('account_plan', p_user_id::text, v_before,
      jsonb_build_object('planId', b.plan_id, 'nextPlanId', b.next_plan_id));
  end if;
  return jsonb_build_object(
    'planId', b.plan_id,
    'nextPlanId', b.next_plan_id,
    'balance', credits_private.balance_json(b));
end;
$$;
comment on function public.credits_set_plan(uuid, text, uuid, text) is
  'Changes an account''s plan. To more credits: at once; from a free plan with a whole new period, else with the difference prorated by the second. To fewer: at the end of the period. The plan it has already: cancels a pending downgrade. Errors: ACCOUNT_NOT_FOUND, INVALID_INPUT.';
