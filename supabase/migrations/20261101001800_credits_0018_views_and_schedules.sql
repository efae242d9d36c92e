-- What browsers read, what is pushed to them, and what pg_cron tidies up where it exists.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

-- PostgREST sends numeric as a JSON number, and JavaScript rounds it: browsers read these views instead.
create or replace view public.credit_balances_text
with (security_invoker = true) as
select
  b.account_id,
  b.user_id,
  b.plan_id,
  case when b.user_id is null then 'closed' else b.status end as status,
  trim_scale(b.plan_credits - x.plan_gone)::text as plan_credits,
  trim_scale(b.add_on_credits - x.add_on_gone)::text as add_on_credits,
  trim_scale(b.debt)::text as debt,
  trim_scale(x.reserved)::text as reserved,
  trim_scale(b.overage_limit)::text as overage_limit,
  trim_scale(b.plan_credits - x.plan_gone + b.add_on_credits - x.add_on_gone - b.debt + b.overage_limit - x.reserved)::text as available,
  b.plan_period_ends_at,
  b.version,
  b.updated_at
from public.credit_balances b
-- Nothing is written here, so what time has made due is computed: reservations past their time hold nothing,
-- and lots past their time are gone but for the part that open reservations cover.
cross join lateral (
  select
    y.reserved,
    coalesce(sum(y.gone) filter (where y.bucket = 'plan'), 0) as plan_gone,
    coalesce(sum(y.gone) filter (where y.bucket = 'add-on'), 0) as add_on_gone
  from (
    select h.reserved, l.bucket,
      case when l.expires_at <= now() then
        l.remaining - greatest(0, least(l.remaining, h.reserved - coalesce(sum(l.remaining) over (
          order by l.bucket desc, l.priority, l.expires_at, l.sequence rows between unbounded preceding and 1 preceding), 0)))
      end as gone
    from (
      select b.reserved - coalesce(sum(r.held), 0) as reserved
      from public.credit_reservations r
      where r.account_id = b.account_id and r.state = 'active' and r.expires_at > b.swept_until and r.expires_at <= now()
    ) h
    left join (
      select z.bucket, z.priority, z.expires_at, z.sequence,
        case when z.id = b.current_lot_id then b.current_lot_remaining else z.remaining end as remaining
      from public.credit_lots z
      where z.account_id = b.account_id and z.remaining > 0
    ) l on true
  ) y
  group by y.reserved
) x;
comment on view public.credit_balances_text is
  'Balances as decimal strings, as of now. Plan credits of a period that has just begun appear with the next call or cron run.';

create or replace view public.credit_transactions_text
with (security_invoker = true) as
select
  t.id, t.account_id, t.user_id, t.version, t.type, t.source,
  trim_scale(t.amount)::text as amount,
  trim_scale(t.balance_after)::text as balance_after,
  trim_scale(t.uncollected)::text as uncollected,
  t.reservation_id, t.reverses_id, t.feature, t.model, t.input_tokens, t.output_tokens, t.estimated, t.late, t.reason,
  t.metadata, t.created_at
from public.credit_transactions t;
comment on view public.credit_transactions_text is 'The ledger as its owner may see it, amounts as decimal strings.';

create or replace view public.credit_lots_text
with (security_invoker = true) as
select
  l.id, l.account_id, l.bucket, l.source, l.priority,
  trim_scale(l.amount)::text as amount,
  trim_scale(case when l.id = b.current_lot_id then b.current_lot_remaining else l.remaining end)::text as remaining,
  nullif(l.expires_at, 'infinity') as expires_at,
  l.transaction_id, l.created_at
from public.credit_lots l
join public.credit_balances b on b.account_id = l.account_id;
comment on view public.credit_lots_text is 'Lots with their live remainder, amounts as decimal strings.';

-- ------------------------------------------------------------------------------------------------ Realtime

create or replace function credits_private.broadcast_transaction()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  -- Without amounts: the browser asks again, under its own rights. No fault of Realtime may undo a charge.
  begin
    perform realtime.send(
      jsonb_build_object('version', new.version), 'transaction', 'credits:' || new.account_id, true);
  exception when others then
    raise warning 'credits: transaction % was not broadcast: %', new.id, sqlerrm;
  end;
  return null;
end;
$$;
comment on function credits_private.broadcast_transaction() is
  'Tells the owner''s browsers, on the private topic credits:<user id>, that there is a new transaction.';

do $$
begin
  -- Only where the Realtime service has set its schema up; elsewhere browsers ask again on focus.
  if to_regprocedure('realtime.send(jsonb,text,text,boolean)') is null then return; end if;
  execute 'create or replace trigger credit_transactions_broadcast after insert on public.credit_transactions
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

-- ------------------------------------------------------------------------------------------------ pg_cron

do $$
begin
  if not exists (select from pg_catalog.pg_available_extensions where name = 'pg_cron') then return; end if;
  -- Listed does not mean loaded. Nothing depends on the schedule: every touch of an account applies what is due.
  begin
    create extension if not exists pg_cron with schema pg_catalog;
    perform cron.schedule('credits-expire-due', '*/5 * * * *', 'select public.credits_expire_due()');
  exception when others then
    raise warning 'credits: no schedule for credits_expire_due: %', sqlerrm;
  end;
end;
$$;
