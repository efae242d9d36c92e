-- What browsers read, what is pushed to them, what pg_cron tidies up where it exists, and the data
-- that an installation starts from.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

-- ----------------------------------------------------------------------------------------- Views
-- PostgREST sends numeric as a JSON number, and JavaScript rounds it: browsers read these views.

create or replace view public.credit_session
with (security_invoker = true) as
select (select auth.uid()) as user_id, (select credits_private.is_admin()) as is_admin;
comment on view public.credit_session is
  'One row: who is signed in, and whether this user is an admin of the ledger.';
revoke all on public.credit_session from public, anon, authenticated, service_role;
grant select on public.credit_session to authenticated, service_role;

create or replace function credits_private.credits_now(
  account public.credit_balances,
  out plan_credits numeric, out add_on_credits numeric, out reserved numeric)
language plpgsql
stable
set search_path = ''
as $$
declare
  now_at constant timestamptz := now();
  lot record;
  -- What remains of the lots that come earlier in the burn-down order.
  earlier numeric := 0;
  covered numeric;
begin
  plan_credits := account.plan_credits;
  add_on_credits := account.add_on_credits;
  reserved := account.reserved;
  if account.next_due_at > now_at then return; end if;

  reserved := (
    select coalesce(sum(reservation.reserved), 0) from public.credit_reservations reservation
    where reservation.account_id = account.account_id and reservation.state = 'active'
      and reservation.expires_at > now_at and reservation.expires_at > '-infinity');
  for lot in
    select candidate.bucket, candidate.remaining, candidate.expires_at, (
        select coalesce(sum(reservation.reserved), 0)
        from public.credit_reservations reservation
        where reservation.account_id = account.account_id and reservation.state = 'active'
          and reservation.expires_at > now_at and reservation.expires_at > '-infinity'
          and reservation.created_at < candidate.expires_at
      ) as reserved_before
    from public.credit_lots candidate
    where candidate.account_id = account.account_id and not candidate.used_up
    order by candidate.bucket desc, candidate.priority, candidate.expires_at, candidate.version
  loop
    covered := case when lot.expires_at > now_at then lot.remaining
      else least(lot.remaining, greatest(0, lot.reserved_before - earlier)) end;
    earlier := earlier + covered;
    if lot.bucket = 'plan' then plan_credits := plan_credits - lot.remaining + covered;
    else add_on_credits := add_on_credits - lot.remaining + covered;
    end if;
  end loop;
end;
$$;
-- The view calls it with the rights of the reader, who sees only own rows. That needs no USAGE on
-- the schema.
revoke execute on function credits_private.credits_now from public;
grant execute on function credits_private.credits_now to authenticated, service_role;
comment on function credits_private.credits_now(public.credit_balances) is
  'The credits of an account as of now, without writing: reservations past their time keep '
  'nothing back, and lots past their time are gone but for what reservations cover (see '
  'expire_lots).';

create or replace view public.credit_balances_text
with (security_invoker = true) as
select
  account.account_id,
  account.user_id,
  account.plan_id,
  case when account.user_id is null then 'closed' else account.status end as status,
  trim_scale(credits.plan_credits)::text as plan_credits,
  trim_scale(credits.add_on_credits)::text as add_on_credits,
  trim_scale(account.debt)::text as debt,
  trim_scale(credits.reserved)::text as reserved,
  trim_scale(account.overage_limit)::text as overage_limit,
  trim_scale(credits.plan_credits + credits.add_on_credits - account.debt
    + account.overage_limit - credits.reserved)::text as available,
  account.plan_period_ends_at,
  account.version,
  account.updated_at
from public.credit_balances account
cross join lateral credits_private.credits_now(account) credits;
comment on view public.credit_balances_text is
  'Balances as decimal strings, as of now. Plan credits of a period that has just begun appear '
  'with the next call or cron run.';
revoke all on public.credit_balances_text from public, anon, authenticated, service_role;
grant select on public.credit_balances_text to authenticated, service_role;

create or replace view public.credit_transactions_text
with (security_invoker = true) as
select
  entry.id, entry.account_id, entry.user_id, entry.version, entry.type, entry.source,
  trim_scale(entry.amount)::text as amount,
  trim_scale(entry.balance_after)::text as balance_after,
  trim_scale(entry.uncollected)::text as uncollected,
  entry.reservation_id, entry.reverses_id, entry.feature, entry.model,
  entry.input_tokens, entry.output_tokens, entry.estimated, entry.late,
  entry.metadata, entry.created_at
from public.credit_transactions entry;
comment on view public.credit_transactions_text is
  'The ledger as its owner may see it, amounts as decimal strings.';
revoke all on public.credit_transactions_text from public, anon, authenticated, service_role;
grant select on public.credit_transactions_text to authenticated, service_role;

create or replace view public.credit_lots_text
with (security_invoker = true) as
select
  lot.id, lot.account_id, lot.bucket, lot.source, lot.priority,
  trim_scale(lot.amount)::text as amount,
  trim_scale(lot.remaining)::text as remaining,
  nullif(lot.expires_at, 'infinity') as expires_at,
  lot.transaction_id, lot.created_at
from public.credit_lots lot;
comment on view public.credit_lots_text is 'Lots with what remains, amounts as decimal strings.';
revoke all on public.credit_lots_text from public, anon, authenticated, service_role;
grant select on public.credit_lots_text to authenticated, service_role;

-- -------------------------------------------------------------------------------------- Realtime

create or replace function credits_private.broadcast_transaction()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  -- Without amounts: the browser asks again, with its own rights. A fault of Realtime must not undo
  -- a charge.
  begin
    perform realtime.send(
      jsonb_build_object('version', new.version), 'transaction', 'credits:' || new.account_id,
      true);
  exception when others then
    raise warning 'credits: transaction % was not broadcast: %', new.id, sqlerrm;
  end;
  return null;
end;
$$;
revoke execute on function credits_private.broadcast_transaction from public;
comment on function credits_private.broadcast_transaction() is
  'Says on the private topic credits:<user id> that there is a new transaction.';

do $$
begin
  -- Only where the Realtime service has made its schema. Elsewhere browsers ask again on focus.
  if to_regprocedure('realtime.send(jsonb,text,text,boolean)') is null then return; end if;
  execute 'create or replace trigger credit_transactions_broadcast
    after insert on public.credit_transactions
    for each row execute function credits_private.broadcast_transaction()';
  begin
    execute 'drop policy if exists credits_own_topic on realtime.messages';
    execute $policy$
      create policy credits_own_topic on realtime.messages for select to authenticated
      using (realtime.topic() = 'credits:' || (select auth.uid())::text)
    $policy$;
  exception when others then
    raise warning 'credits: no policy for the private Realtime topic: %', sqlerrm;
  end;
end;
$$;

-- --------------------------------------------------------------------------------------- pg_cron

do $$
begin
  if not exists (select from pg_catalog.pg_available_extensions where name = 'pg_cron') then
    return;
  end if;
  -- Listed does not mean loaded. Nothing depends on the schedule: every operation applies what is
  -- due to its account.
  begin
    create extension if not exists pg_cron with schema pg_catalog;
    perform cron.schedule(
      'credits-expire-due', '*/5 * * * *', 'select public.credits_expire_due()');
  exception when others then
    raise warning 'credits: no schedule for credits_expire_due: %', sqlerrm;
  end;
end;
$$;

-- ------------------------------------------------------------------------------------------ Data
-- The plans and the settings are in 0001. A later migration never overwrites data.

insert into public.margin_config (scope, target, margin_percent, version)
values ('default', '', 60, 1)
on conflict (scope, target, version) do nothing;
