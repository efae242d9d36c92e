-- What calls were charged and what they cost, page by page, for whoever operates the app; and the prices a model has had.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

-- Reports read by time. New rows go to its right edge, so it costs a charge next to nothing; a condition would cost
-- more, because Postgres reads it anew for every row.
-- Not concurrently, because that is impossible in a transaction, and in a first installation the table is empty.
-- squawk-ignore require-concurrent-index-creation
create index if not exists credit_transactions_created_at_idx on public.credit_transactions (created_at);

create or replace view public.credit_charges
with (security_invoker = true) as
select
  t.account_id, t.version, t.id as transaction_id, t.user_id, t.created_at, t.feature, t.model,
  c.charge ->> 'servedModel' as served_model,
  -t.amount as amount,
  t.uncollected,
  (c.charge ->> 'costUsd')::numeric(24, 12) as cost_usd,
  (c.charge ->> 'marginPercent')::numeric(9, 4) as margin_percent,
  c.charge ->> 'costSource' as cost_source,
  (c.charge ->> 'computedCostUsd')::numeric(24, 12) as computed_cost_usd,
  (c.charge ->> 'reportedCostUsd')::numeric(24, 12) as reported_cost_usd,
  t.input_tokens, t.output_tokens, t.estimated, t.late,
  nullif(c.charge -> 'usage', 'null') as usage,
  (c.charge ->> 'rateId')::uuid as rate_id,
  (c.charge ->> 'marginId')::uuid as margin_id,
  nullif(c.charge -> 'pricing', 'null') as pricing,
  c.charge ->> 'generationId' as generation_id,
  nullif(c.charge -> 'provider', 'null') as provider
from public.credit_transactions t
join public.credit_transaction_costs c on c.account_id = t.account_id and c.version = t.version
where t.type = 'usage';
comment on view public.credit_charges is
  'Every charge with what it cost, in columns; for admins, like the costs. computed_cost_usd and reported_cost_usd are the figures that are not the base of the charge.';

create table if not exists credits_private.account_plans (
  account_id uuid not null,
  plan_id text not null,
  since timestamptz not null default clock_timestamp(),
  constraint account_plans_pkey primary key (account_id, since)
);
comment on table credits_private.account_plans is
  'Which plan an account was on, from when until its next row: reports by plan would otherwise show today''s plan for last year''s calls.';
alter table credits_private.account_plans enable row level security;
-- The functions of this package own the table and pass; written down, so that nobody takes the missing policy for an oversight.
drop policy if exists account_plans_nobody on credits_private.account_plans;
create policy account_plans_nobody on credits_private.account_plans using (false);

insert into credits_private.account_plans (account_id, plan_id, since)
select b.account_id, b.plan_id, '-infinity' from public.credit_balances b
on conflict (account_id, since) do nothing;

create or replace function credits_private.note_plan()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  insert into credits_private.account_plans (account_id, plan_id) values (new.account_id, new.plan_id);
  return null;
end;
$$;
comment on function credits_private.note_plan() is 'Keeps the history of an account''s plans, whichever way the plan was changed.';

create or replace trigger credit_balances_first_plan
  after insert on public.credit_balances
  for each row execute function credits_private.note_plan();
create or replace trigger credit_balances_note_plan
  after update of plan_id on public.credit_balances
  for each row when (old.plan_id is distinct from new.plan_id)
  execute function credits_private.note_plan();

create or replace function public.credits_get_charges(
  p_from timestamptz default null,
  p_to timestamptz default null,
  p_limit integer default 1000,
  p_after jsonb default null,
  p_details boolean default false)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_from timestamptz := coalesce(p_from, '-infinity'::timestamptz);
  v_account uuid := '00000000-0000-0000-0000-000000000000'::uuid;
  v_version bigint := 0::bigint;
begin
  if p_limit is null or p_limit not between 1 and 5000 then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "limit", "expected": "1 to 5000"}');
  end if;
  if p_after is not null then
    begin
      v_from := (p_after ->> 'createdAt')::timestamptz;
      v_account := (p_after ->> 'accountId')::uuid;
      v_version := (p_after ->> 'version')::bigint;
    exception when others then
      v_from := null;
    end;
    if v_from is null or v_account is null or v_version is null or v_from < p_from then
      perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "after", "expected": "next of the page before"}');
    end if;
  end if;
  return (
    with
    -- One row more than asked for tells whether there is another page.
    page as materialized (
      select x.*, row_number() over (order by x.created_at, x.account_id, x.version) as n
      from public.credit_charges x
      where x.created_at >= v_from and x.created_at < coalesce(p_to, 'infinity')
        and (x.created_at, x.account_id, x.version) > (v_from, v_account, v_version)
      order by x.created_at, x.account_id, x.version
      limit p_limit + 1
    )
    select jsonb_build_object(
      'data', coalesce(jsonb_agg(jsonb_build_object(
        'transactionId', t.transaction_id, 'accountId', t.account_id, 'userId', t.user_id, 'version', t.version,
        'amount', trim_scale(t.amount)::text,
        'uncollected', trim_scale(t.uncollected)::text,
        'refunded', trim_scale(coalesce(r.amount, 0))::text,
        'feature', t.feature, 'model', t.model, 'planId', p.plan_id, 'estimated', t.estimated,
        'createdAt', credits_private.iso(t.created_at),
        'costUsd', trim_scale(coalesce(t.cost_usd, 0))::text,
        'marginPercent', trim_scale(t.margin_percent)::text,
        'costSource', coalesce(t.cost_source, 'manual'),
        'computedCostUsd', trim_scale(t.computed_cost_usd)::text,
        'reportedCostUsd', trim_scale(t.reported_cost_usd)::text,
        'servedModel', t.served_model, 'generationId', t.generation_id, 'usage', t.usage,
        'pricing', case when p_details then t.pricing end) order by t.n) filter (where t.n <= p_limit), '[]'),
      'next', case when count(*) > p_limit then (
        select jsonb_build_object('createdAt', credits_private.iso(l.created_at), 'accountId', l.account_id, 'version', l.version)
        from page l where l.n = p_limit) end)
    from page t
    left join lateral (
      select sum(x.amount) as amount from public.credit_transactions x where x.reverses_id = t.transaction_id
    ) r on true
    left join lateral (
      select h.plan_id from credits_private.account_plans h
      where h.account_id = t.account_id and h.since <= t.created_at
      order by h.since desc limit 1
    ) p on true);
end;
$$;
comment on function public.credits_get_charges(timestamptz, timestamptz, integer, jsonb, boolean) is
  'A page of usage transactions with what they cost, oldest first: from inclusive, to exclusive, after = next of the page before; p_details adds the price snapshots. Errors: INVALID_INPUT.';

create or replace function public.credits_get_rate_history(p_model_id text, p_limit integer default 100)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  if p_limit is null or p_limit not between 1 and 1000 then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "limit", "expected": "1 to 1000"}');
  end if;
  return (
    select coalesce(jsonb_agg(credits_private.rate_json(r) order by r.effective_from desc), '[]')
    from (
      select x.* from public.credit_rates x where x.model_id = p_model_id order by x.effective_from desc limit p_limit
    ) r);
end;
$$;
comment on function public.credits_get_rate_history(text, integer) is
  'The rates a model has had and will have, newest first. Errors: INVALID_INPUT.';
