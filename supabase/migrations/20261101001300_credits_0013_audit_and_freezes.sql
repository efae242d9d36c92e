-- The audit of admin acts, and the brakes: one account, or all spending.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

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

create or replace function public.credits_freeze_account(
  p_user_id uuid, p_frozen boolean, p_actor_id uuid default null, p_reason text default null)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
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
set lock_timeout = '800ms'
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
