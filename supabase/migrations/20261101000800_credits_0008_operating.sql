-- Correcting and operating: refunds, adjustments, plans, freezes, the audit of admin acts, tidying up,
-- proving the books.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

-- ------------------------------------------------------------------------------------------------ audit

create table if not exists public.credit_audit_log (
  id bigint generated always as identity,
  action text not null,
  subject text not null,
  old jsonb,
  new jsonb,
  actor_id uuid,
  actor_role text not null,
  reason text,
  created_at timestamptz not null default clock_timestamp(),
  constraint credit_audit_log_pkey primary key (id),
  constraint credit_audit_log_action_check check (char_length(action) between 1 and 100)
);
comment on table public.credit_audit_log is
  'Admin acts other than margins: roles, freezes, plans of accounts, settings, plan data. Who, when, why, from, to. Append-only.';
comment on column public.credit_audit_log.subject is 'The user, plan or setting that was changed.';

alter table public.credit_audit_log enable row level security;
drop policy if exists credit_audit_log_select on public.credit_audit_log;
create policy credit_audit_log_select on public.credit_audit_log
  for select to authenticated using ((select credits_private.is_admin()));

create or replace trigger credit_audit_log_append_only
  before update or delete on public.credit_audit_log
  for each row execute function credits_private.refuse_change();
create or replace trigger credit_audit_log_no_truncate
  before truncate on public.credit_audit_log
  for each statement execute function credits_private.refuse_change();

create or replace function credits_private.acting_as(p_actor_id uuid, p_reason text)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform credits_private.check_text(p_reason, 'reason', 1000);
  perform set_config('credits.actor_id', coalesce(p_actor_id::text, ''), true);
  perform set_config('credits.reason', coalesce(p_reason, ''), true);
end;
$$;
comment on function credits_private.acting_as(uuid, text) is 'Tells the audit triggers who acts and why, until the transaction ends.';

create or replace function credits_private.audit(p_action text, p_subject text, p_old jsonb, p_new jsonb)
returns void
language sql
volatile
set search_path = ''
as $$
  insert into public.credit_audit_log (action, subject, old, new, actor_id, actor_role, reason)
  values (p_action, p_subject, p_old, p_new,
    coalesce(nullif(current_setting('credits.actor_id', true), '')::uuid, auth.uid()),
    coalesce(nullif(current_setting('role', true), 'none'), session_user::text),
    nullif(current_setting('credits.reason', true), ''));
$$;
comment on function credits_private.audit(text, text, jsonb, jsonb) is 'Writes one row of the audit of admin acts.';

create or replace function credits_private.audit_row()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_old jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) - 'updated_at' end;
  v_new jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) - 'updated_at' end;
begin
  if v_old is distinct from v_new then
    perform credits_private.audit(tg_argv[0], coalesce(v_new, v_old) ->> tg_argv[1], v_old, v_new);
  end if;
  return null;
end;
$$;
comment on function credits_private.audit_row() is 'Audits every change of a row, also one made in the SQL editor. Arguments: action, key column.';

create or replace trigger credit_settings_audit
  after insert or update or delete on public.credit_settings
  for each row execute function credits_private.audit_row('settings', 'id');
create or replace trigger credit_settings_touch_updated_at
  before update on public.credit_settings
  for each row execute function credits_private.touch_updated_at();
create or replace trigger credit_plans_audit
  after insert or update or delete on public.credit_plans
  for each row execute function credits_private.audit_row('plan', 'id');
create or replace trigger profiles_audit_role
  after update of role on public.profiles
  for each row when (old.role is distinct from new.role)
  execute function credits_private.audit_row('role', 'user_id');

-- ------------------------------------------------------------------------------------------------ refunds

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
set lock_timeout = '2s'
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
set lock_timeout = '2s'
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

-- ------------------------------------------------------------------------------------------------ plans

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
set lock_timeout = '2s'
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

-- ------------------------------------------------------------------------------------------------ freezes

create or replace function public.credits_freeze_account(
  p_user_id uuid, p_frozen boolean, p_actor_id uuid default null, p_reason text default null)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '2s'
as $$
declare
  b public.credit_balances;
  v_status text := case when p_frozen then 'frozen' else 'active' end;
begin
  if p_frozen is null then perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "frozen"}'); end if;
  perform credits_private.acting_as(p_actor_id, p_reason);
  b := credits_private.open_account(p_user_id);
  if b.status <> v_status then
    perform credits_private.audit('account_status', p_user_id::text, jsonb_build_object('status', b.status), jsonb_build_object('status', v_status));
    b.status := v_status;
    perform credits_private.save_account(b);
  end if;
  return credits_private.balance_json(b);
end;
$$;
comment on function public.credits_freeze_account(uuid, boolean, uuid, text) is
  'Stops or allows new spending of one account. What is reserved still settles. Errors: ACCOUNT_NOT_FOUND, INVALID_INPUT.';

create or replace function public.credits_freeze_spending(
  p_frozen boolean, p_actor_id uuid default null, p_reason text default null)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '2s'
as $$
begin
  if p_frozen is null then perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "frozen"}'); end if;
  perform credits_private.acting_as(p_actor_id, p_reason);
  update public.credit_settings set spending_frozen = p_frozen where id and spending_frozen <> p_frozen;
  return jsonb_build_object('spendingFrozen', p_frozen);
end;
$$;
comment on function public.credits_freeze_spending(boolean, uuid, text) is
  'Stops or allows all new spending. What is reserved still settles. Errors: INVALID_INPUT.';

-- ------------------------------------------------------------------------------------------------ tidying up

create or replace function public.credits_expire_due(p_limit integer default 500)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '2s'
as $$
declare
  b public.credit_balances;
  v_open integer;
  v_accounts integer := 0;
  v_reservations integer := 0;
  v_stop timestamptz := clock_timestamp() + interval '500 milliseconds';
begin
  -- A second scheduler has nothing to do.
  if not pg_try_advisory_xact_lock(hashtextextended('credits.expire_due', 0)) then
    return '{"reservationsExpired": 0, "accountsTouched": 0}'::jsonb;
  end if;
  -- The one place that holds several accounts: it skips what is locked, so it waits for nobody and no cycle can
  -- arise, and it stops after half a second, so nobody waits long for it.
  for b in
    select * from public.credit_balances a
    where a.next_due_at <= now()
    limit greatest(p_limit, 0)
    for update skip locked
  loop
    v_open := b.open_reservations;
    b := credits_private.apply_due(b);
    v_accounts := v_accounts + 1;
    v_reservations := v_reservations + v_open - b.open_reservations;
    exit when clock_timestamp() > v_stop;
  end loop;
  return jsonb_build_object('reservationsExpired', v_reservations, 'accountsTouched', v_accounts);
end;
$$;
comment on function public.credits_expire_due(integer) is
  'Applies what is due to accounts nobody touches. Only tidies: every touch of an account does the same for it.';

create or replace function public.credits_reconcile(p_apply boolean default false, p_limit integer default 500)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '2s'
as $$
declare
  u auth.users;
  b public.credit_balances;
  v_profiles bigint;
  v_accounts jsonb := '[]'::jsonb;
  v_before bigint;
  v_granted bigint := 0::bigint;
  v_due bigint;
  v_swept jsonb;
begin
  select count(*) into v_profiles
  from (select from auth.users x where not exists (select from public.profiles p where p.user_id = x.id) limit p_limit) missing;
  select count(*) into v_due
  from (select from public.credit_balances a where a.next_due_at <= now() limit p_limit) due;
  if p_apply then
    insert into public.profiles (user_id)
    select x.id from auth.users x where not exists (select from public.profiles p where p.user_id = x.id)
    limit p_limit
    on conflict (user_id) do nothing;
    v_swept := public.credits_expire_due(p_limit);
  end if;

  -- No account, or one whose signup grant is still open although the user has an identity.
  for u in
    select x.* from auth.users x
    left join public.credit_balances a on a.account_id = x.id
    cross join public.credit_settings s
    where a.user_id is null
      or (a.signup_decided_at is null and not x.is_anonymous
        and coalesce(nullif(x.email, ''), nullif(x.phone, '')) is not null
        and not (s.signup_needs_confirmation and x.email_confirmed_at is null and x.phone_confirmed_at is null))
    limit p_limit
  loop
    v_accounts := v_accounts || to_jsonb(u.id);
    continue when not p_apply;
    v_before := coalesce((select a.version from public.credit_balances a where a.account_id = u.id), 0);
    begin
      b := credits_private.ensure_account(u);
      v_granted := v_granted + (b.version - v_before);
    exception when lock_not_available then
      -- Somebody is using it: the next run will see whether anything is left to do.
      null;
    end;
  end loop;
  return jsonb_build_object(
    'applied', p_apply,
    'profilesMissing', v_profiles,
    'accountsToOpen', v_accounts,
    'signupGrants', v_granted,
    'accountsDue', v_due,
    'swept', v_swept);
end;
$$;
comment on function public.credits_reconcile(boolean, integer) is
  'Finds, and with p_apply heals, what a fault left behind: missing profiles and accounts, missed signup grants, stale reservations. Adds rows only; a second run finds nothing.';

create or replace function public.credits_schema_version()
returns jsonb
language sql
immutable
set search_path = ''
as $$
  select '{"version": 1}'::jsonb;
$$;
comment on function public.credits_schema_version() is 'Version of the SQL interface; raised by the migration that changes it.';

-- ------------------------------------------------------------------------------------------------ proof

create or replace function public.credits_verify_transactions(
  p_after_account uuid default null, p_after_version bigint default null, p_limit integer default 5000)
returns jsonb
language sql
stable
security definer
set search_path = ''
set enable_bitmapscan = off
set enable_sort = off
set enable_seqscan = off
as $$
  with
  -- One row more than asked for: the page's first row is checked against the one before it.
  page as (
    select x.t, c, b.account_id is not null as has_account
    from (
      select t from public.credit_transactions t
      where (t.account_id, t.version)
        >= (coalesce(p_after_account, '00000000-0000-0000-0000-000000000000'), coalesce(p_after_version, 0))
      order by t.account_id, t.version
      limit p_limit + 1
    ) x
    left join public.credit_transaction_costs c on c.account_id = (x.t).account_id and c.version = (x.t).version
    left join public.credit_balances b on b.account_id = (x.t).account_id
  ),
  linked as (
    select (p.t).account_id, (p.t).version, (p.t).amount, (p.t).balance_after, (p.t).hash, p.t, p.c, p.has_account,
      lag((p.t).version, 1, 0::bigint) over w as before_version,
      lag((p.t).balance_after, 1, 0::numeric) over w as before_balance,
      lag((p.t).hash, 1, '\x'::bytea) over w as before_hash
    from page p
    window w as (partition by (p.t).account_id order by (p.t).version)
  ),
  checked as (
    select l.* from linked l
    where (l.account_id, l.version) is distinct from (p_after_account, p_after_version)
  ),
  faults as (
    select c.account_id, c.version, f.fault
    from checked c
    cross join lateral (values
      ('no_account', not c.has_account),
      ('version_gap', c.version <> c.before_version + 1),
      ('balance', c.balance_after <> c.before_balance + c.amount),
      ('not_a_number', 'NaN' in (c.amount, c.balance_after, (c.t).uncollected)),
      ('hash', c.hash <> credits_private.transaction_hash(c.t, c.c, c.before_hash))
    ) f (fault, found)
    where f.found
  )
  select jsonb_build_object(
    'transactions', (select count(*) from checked),
    'faults', (select coalesce(jsonb_agg(jsonb_build_object('accountId', account_id, 'version', version, 'fault', fault)), '[]') from faults),
    'next', (
      select jsonb_build_object('accountId', c.account_id, 'version', c.version) from checked c
      where (select count(*) from checked) >= p_limit
      order by c.account_id desc, c.version desc limit 1));
$$;
comment on function public.credits_verify_transactions(uuid, bigint, integer) is
  'Checks a page of the ledger row by row: numbering, running balance, hash chain. Read it page by page in one REPEATABLE READ transaction.';

create or replace function public.credits_verify_accounts(p_after uuid default null, p_limit integer default 1000)
returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  with
  page as (
    select b.* from public.credit_balances b
    where p_after is null or b.account_id > p_after
    order by b.account_id
    limit p_limit
  ),
  facts as (
    select p.account_id, p.version, p.chain_hash, p.plan_credits, p.add_on_credits, p.debt, p.reserved, p.open_reservations,
      coalesce(t.version, 0) as last_version,
      coalesce(t.balance_after, 0) as last_balance,
      coalesce(t.hash, '\x') as last_hash,
      coalesce(r.held, 0) as held,
      r.open,
      coalesce(l.plan, 0) as plan_lots,
      coalesce(l.add_on, 0) as add_on_lots,
      exists (select from public.credit_transaction_costs c where c.account_id = p.account_id and c.version > p.version) as stray_cost
    from page p
    left join lateral (
      select x.version, x.balance_after, x.hash from public.credit_transactions x
      where x.account_id = p.account_id order by x.version desc limit 1
    ) t on true
    cross join lateral (
      select sum(x.held) as held, count(*) as open from public.credit_reservations x
      where x.account_id = p.account_id and x.state = 'active' and x.expires_at > p.swept_until
    ) r
    cross join lateral (
      select sum(y.remaining) filter (where y.bucket = 'plan') as plan, sum(y.remaining) filter (where y.bucket = 'add-on') as add_on
      from (
        select x.bucket, case when x.id = p.current_lot_id then p.current_lot_remaining else x.remaining end as remaining
        from public.credit_lots x
        where x.account_id = p.account_id and (x.remaining > 0 or x.id = p.current_lot_id)
      ) y
    ) l
  ),
  faults as (
    select f.account_id, x.fault, x.expected, x.actual
    from facts f
    cross join lateral (values
      ('version', f.last_version::text, f.version::text, f.last_version <> f.version),
      ('sum', f.last_balance::text, (f.plan_credits + f.add_on_credits - f.debt)::text, f.last_balance <> f.plan_credits + f.add_on_credits - f.debt),
      ('chain', encode(f.last_hash, 'hex'), encode(f.chain_hash, 'hex'), f.last_hash <> f.chain_hash),
      ('reserved', f.held::text, f.reserved::text, f.held <> f.reserved),
      ('open_reservations', f.open::text, f.open_reservations::text, f.open <> f.open_reservations),
      ('plan_lots', f.plan_lots::text, f.plan_credits::text, f.plan_lots <> f.plan_credits),
      ('add_on_lots', f.add_on_lots::text, f.add_on_credits::text, f.add_on_lots <> f.add_on_credits),
      ('debt_beside_credits', '0', f.debt::text, f.debt > 0 and f.plan_credits + f.add_on_credits > 0),
      ('stray_cost', 'false', 'true', f.stray_cost),
      ('not_a_number', 'numbers', 'NaN', 'NaN' in (f.plan_credits, f.add_on_credits, f.debt, f.reserved))
    ) x (fault, expected, actual, found)
    where x.found
  )
  select jsonb_build_object(
    'accounts', (select count(*) from page),
    'faults', (select coalesce(jsonb_agg(jsonb_build_object(
      'accountId', account_id, 'fault', fault, 'expected', expected, 'actual', actual)), '[]') from faults),
    'next', (select p.account_id from page p where (select count(*) from page) >= p_limit order by p.account_id desc limit 1));
$$;
comment on function public.credits_verify_accounts(uuid, integer) is
  'Checks a page of accounts against their ledger, reservations and lots. Read it page by page in one REPEATABLE READ transaction.';
