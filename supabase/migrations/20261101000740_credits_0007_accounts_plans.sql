-- Changing the plan of an account.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create or replace function public.credits_set_plan(
  p_account_id uuid, p_plan_id text, p_actor_id uuid default null, p_reason text default null)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
declare
  account public.credit_balances;
  old_plan public.credit_plans;
  new_plan public.credit_plans;
  plans_before jsonb;
begin
  select plan.* into new_plan from public.credit_plans plan where plan.id = p_plan_id;
  if not found then
    perform credits_private.raise_invalid_input('planId', 'expected an existing plan');
  end if;
  perform credits_private.set_actor(p_actor_id, p_reason);
  account := credits_private.apply_due(credits_private.open_account(p_account_id));
  plans_before := credits_private.plans_json(account);
  select plan.* into strict old_plan from public.credit_plans plan where plan.id = account.plan_id;

  if account.plan_id = p_plan_id and account.plan_period_ends_at is not null then
    account.next_plan_id := null;
  elsif account.plan_period_ends_at is null
    or new_plan.monthly_credits >= old_plan.monthly_credits
  then
    account := credits_private.upgrade(account, old_plan, new_plan, p_actor_id, p_reason);
  else
    -- A downgrade waits for the end of the period: what was granted stays until then.
    account.next_plan_id := p_plan_id;
  end if;
  perform credits_private.save_account(account);
  if plans_before <> credits_private.plans_json(account) then
    perform credits_private.audit('account_plan', p_account_id::text, plans_before,
      credits_private.plans_json(account));
  end if;
  perform credits_private.set_actor(null, null);
  return credits_private.plans_json(account)
    || jsonb_build_object('balance', credits_private.balance_json(account));
end;
$$;
revoke execute on function public.credits_set_plan from public, anon, authenticated;
grant execute on function public.credits_set_plan to service_role;
comment on function public.credits_set_plan(uuid, text, uuid, text) is
  'Changes the plan of an account. To more credits: at once, from a free plan with a whole new '
  'period, else with the difference prorated by the second. To fewer: at the end of the period. '
  'The plan it has already: cancels a pending downgrade. '
  'Returns {"planId", "nextPlanId", "balance"}. Errors: ACCOUNT_NOT_FOUND, INVALID_INPUT.';

create or replace function credits_private.plans_json(account public.credit_balances)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return jsonb_build_object('planId', account.plan_id, 'nextPlanId', account.next_plan_id);
end;
$$;
revoke execute on function credits_private.plans_json from public;
comment on function credits_private.plans_json(public.credit_balances) is
  'The plan of an account, and the one that follows at the end of the period.';

create or replace function credits_private.upgrade(
  account public.credit_balances,
  p_old public.credit_plans,
  p_new public.credit_plans,
  p_actor_id uuid,
  p_reason text)
returns public.credit_balances
language plpgsql
set search_path = ''
as $$
declare
  change credits_private.account_change;
  now_at constant timestamptz := clock_timestamp();
  amount numeric;
begin
  account.plan_id := p_new.id;
  account.next_plan_id := null;
  account.overage_limit := p_new.overage_limit;
  if account.plan_period_ends_at is null or (p_old.price_usd = 0 and p_new.price_usd > 0) then
    -- The first paid period starts with the payment, whole. Unused free credits stay until their
    -- own expiry.
    account.plan_anchor_at := now_at;
    account.plan_period := 1;
    account.plan_period_ends_at := credits_private.period_end(now_at, 1);
    account.next_due_at := least(account.next_due_at, account.plan_period_ends_at);
    amount := p_new.monthly_credits;
  else
    amount := credits_private.prorate(
      account, p_new.monthly_credits - p_old.monthly_credits, now_at);
  end if;
  if amount <= 0 then return account; end if;

  change := credits_private.new_change(account, gen_random_uuid(), 'grant', p_reason, p_actor_id);
  change.entry.source := 'plan';
  change.entry.amount := amount;
  change.entry.metadata := jsonb_build_object('planId', p_new.id, 'previousPlanId', p_old.id);
  change := credits_private.add_lot(
    change, amount, 'plan', 'plan', 100, account.plan_period_ends_at);
  change := credits_private.append(change);
  return change.account;
end;
$$;
revoke execute on function credits_private.upgrade from public;
comment on function credits_private.upgrade(
  public.credit_balances, public.credit_plans, public.credit_plans, uuid, text) is
  'Changes to a plan with at least as many credits, at once.';

create or replace function credits_private.prorate(
  account public.credit_balances, p_amount numeric, p_from timestamptz)
returns numeric
language plpgsql
immutable
set search_path = ''
as $$
declare
  period_start constant timestamptz :=
    credits_private.period_end(account.plan_anchor_at, account.plan_period - 1);
begin
  return round(p_amount
    * extract(epoch from account.plan_period_ends_at - p_from)
    / extract(epoch from account.plan_period_ends_at - period_start), 6);
end;
$$;
revoke execute on function credits_private.prorate from public;
comment on function credits_private.prorate(public.credit_balances, numeric, timestamptz) is
  'The share of a monthly amount for the rest of the current period, by the second.';

create or replace function credits_private.record_plan()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  insert into credits_private.account_plans (account_id, plan_id)
  values (new.account_id, new.plan_id)
  on conflict do nothing;
  return null;
end;
$$;
revoke execute on function credits_private.record_plan from public;
comment on function credits_private.record_plan() is
  'Keeps the history of the plans of an account, also of a change made in the SQL editor.';

create or replace trigger credit_balances_first_plan
  after insert on public.credit_balances
  for each row execute function credits_private.record_plan();
create or replace trigger credit_balances_next_plan
  after update of plan_id on public.credit_balances
  for each row when (old.plan_id is distinct from new.plan_id)
  execute function credits_private.record_plan();
