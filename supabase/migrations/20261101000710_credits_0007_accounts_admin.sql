-- What admins do to accounts other than moving credits: rights, freezes, erasure, and their audit.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create or replace function public.credits_set_admin(
  p_user_id uuid, p_is_admin boolean, p_actor_id uuid default null, p_reason text default null)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
begin
  if p_is_admin is null then
    perform credits_private.raise_invalid_input('isAdmin', 'expected a boolean');
  end if;
  if not exists (select from auth.users account_owner where account_owner.id = p_user_id) then
    perform credits_private.raise_error(
      404, 'ACCOUNT_NOT_FOUND', jsonb_build_object('userId', p_user_id));
  end if;
  perform credits_private.set_actor(p_actor_id, p_reason);
  if p_is_admin then
    insert into public.credit_admins (user_id) values (p_user_id) on conflict do nothing;
  else
    delete from public.credit_admins where user_id = p_user_id;
  end if;
  perform credits_private.set_actor(null, null);
  return jsonb_build_object('userId', p_user_id, 'isAdmin', p_is_admin, 'actorId', p_actor_id);
end;
$$;
revoke execute on function public.credits_set_admin from public, anon, authenticated;
grant execute on function public.credits_set_admin to service_role;
comment on function public.credits_set_admin(uuid, boolean, uuid, text) is
  'Makes a user an admin of the ledger, or takes it back. Audited. Returns {"userId", "isAdmin", '
  '"actorId"}. Errors: ACCOUNT_NOT_FOUND, INVALID_INPUT.';

create or replace function public.credits_freeze_account(
  p_account_id uuid, p_frozen boolean, p_actor_id uuid default null, p_reason text default null)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
declare
  account public.credit_balances;
  status text := case when p_frozen then 'frozen' else 'active' end;
begin
  if p_frozen is null then
    perform credits_private.raise_invalid_input('frozen', 'expected a boolean');
  end if;
  perform credits_private.set_actor(p_actor_id, p_reason);
  account := credits_private.open_account(p_account_id);
  if account.status <> status then
    perform credits_private.audit('account_status', p_account_id::text,
      jsonb_build_object('status', account.status), jsonb_build_object('status', status));
    account.status := status;
    perform credits_private.save_account(account);
  end if;
  perform credits_private.set_actor(null, null);
  return credits_private.balance_json(account);
end;
$$;
revoke execute on function public.credits_freeze_account from public, anon, authenticated;
grant execute on function public.credits_freeze_account to service_role;
comment on function public.credits_freeze_account(uuid, boolean, uuid, text) is
  'Stops or allows new spending of one account. What is reserved still settles. Returns Balance '
  'of store/port.ts. Errors: ACCOUNT_NOT_FOUND, INVALID_INPUT.';

create or replace function public.credits_freeze_spending(
  p_frozen boolean, p_actor_id uuid default null, p_reason text default null)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
begin
  if p_frozen is null then
    perform credits_private.raise_invalid_input('frozen', 'expected a boolean');
  end if;
  perform credits_private.set_actor(p_actor_id, p_reason);
  update public.credit_settings
  set spending_frozen = p_frozen
  where id and spending_frozen <> p_frozen;
  perform credits_private.set_actor(null, null);
  return jsonb_build_object('spendingFrozen', p_frozen);
end;
$$;
revoke execute on function public.credits_freeze_spending from public, anon, authenticated;
grant execute on function public.credits_freeze_spending to service_role;
comment on function public.credits_freeze_spending(boolean, uuid, text) is
  'Stops or allows all new spending. What is reserved still settles. Returns {"spendingFrozen"}. '
  'Errors: INVALID_INPUT.';

create or replace function public.credits_erase(p_account_id uuid, p_actor_id uuid default null)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
declare
  account public.credit_balances := credits_private.lock_account(p_account_id);
  erased bigint;
begin
  if account.account_id is null then
    perform credits_private.raise_error(
      404, 'ACCOUNT_NOT_FOUND', jsonb_build_object('userId', p_account_id));
  end if;
  erased := credits_private.erase_text(p_account_id);
  perform credits_private.set_actor(p_actor_id, null);
  perform credits_private.audit(
    'erase', p_account_id::text, null, jsonb_build_object('transactions', erased));
  perform credits_private.set_actor(null, null);
  return jsonb_build_object(
    'userId', p_account_id,
    'erased', jsonb_build_object(
      'transactions', erased, 'texts', jsonb_build_array('metadata', 'reason')),
    'stays', jsonb_build_array(
      'credit_transactions: ids, amounts, times, feature, model, token counts',
      'credit_transaction_costs: charge with costs, usage and provider ids, actor',
      'credit_reservations: ids, amounts, times, feature, model',
      'credit_balances, credit_lots: ids, amounts, times',
      'margin_audit_log, credit_audit_log: ids, times, reasons of admins',
      'credits_private.signup_claims, person_accounts: keyed hash of the confirmed address'));
end;
$$;
revoke execute on function public.credits_erase from public, anon, authenticated;
grant execute on function public.credits_erase to service_role;
comment on function public.credits_erase(uuid, uuid) is
  'Removes the free text of an account, also of a closed one, and says what stays. The hash chain '
  'stays valid. A second call erases what was written since. Returns {"userId", "erased", '
  '"stays"}. Errors: ACCOUNT_NOT_FOUND.';

-- ----------------------------------------------------------------------------------------- Audit

create or replace function credits_private.set_actor(p_actor_id uuid, p_reason text)
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
revoke execute on function credits_private.set_actor from public;
comment on function credits_private.set_actor(uuid, text) is
  'Says who acts and why to the audit triggers, until the transaction ends or the next call.';

create or replace function credits_private.actor_id()
returns uuid
language plpgsql
stable
set search_path = ''
as $$
begin
  return coalesce(nullif(current_setting('credits.actor_id', true), '')::uuid, auth.uid());
end;
$$;
revoke execute on function credits_private.actor_id from public;
comment on function credits_private.actor_id() is
  'The admin behind the change, else the signed-in user; null for a change in the SQL editor.';

create or replace function credits_private.actor_role()
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  -- current_user is the owner of the function that asks. The role that was set is the one that
  -- acted.
  return coalesce(nullif(current_setting('role', true), 'none'), session_user::text);
end;
$$;
revoke execute on function credits_private.actor_role from public;
comment on function credits_private.actor_role() is 'The database role that acts.';

create or replace function credits_private.actor_reason()
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return nullif(current_setting('credits.reason', true), '');
end;
$$;
revoke execute on function credits_private.actor_reason from public;
comment on function credits_private.actor_reason() is 'The reason that set_actor was given.';

create or replace function credits_private.audit(
  p_action text, p_subject text, p_old jsonb, p_new jsonb)
returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into public.credit_audit_log
    (action, subject, old, new, actor_id, actor_role, reason)
  values (
    p_action, p_subject, p_old, p_new, credits_private.actor_id(), credits_private.actor_role(),
    credits_private.actor_reason());
end;
$$;
revoke execute on function credits_private.audit from public;
comment on function credits_private.audit(text, text, jsonb, jsonb) is
  'Writes one row of the audit of admin acts.';

create or replace function credits_private.audit_row()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  old_row jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) - 'updated_at' end;
  new_row jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) - 'updated_at' end;
  subject text := coalesce(new_row, old_row) ->> tg_argv[1];
  old_values jsonb := old_row;
  new_values jsonb := new_row;
begin
  if tg_op = 'UPDATE' then
    select
      jsonb_object_agg(field.key, field.value),
      jsonb_object_agg(field.key, new_row -> field.key)
    into old_values, new_values
    from jsonb_each(old_row) field
    where new_row -> field.key is distinct from field.value;
  end if;
  if old_values is distinct from new_values then
    perform credits_private.audit(tg_argv[0], subject, old_values, new_values);
  end if;
  return null;
end;
$$;
revoke execute on function credits_private.audit_row from public;
comment on function credits_private.audit_row() is
  'Audits the changed columns of a row, also of a change made in the SQL editor. Arguments: '
  'action, key column.';

create or replace trigger credit_admins_audit
  after insert or update or delete on public.credit_admins
  for each row execute function credits_private.audit_row('admin', 'user_id');
create or replace trigger credit_settings_audit
  after insert or update or delete on public.credit_settings
  for each row execute function credits_private.audit_row('settings', 'id');
create or replace trigger credit_plans_audit
  after insert or update or delete on public.credit_plans
  for each row execute function credits_private.audit_row('plan', 'id');
