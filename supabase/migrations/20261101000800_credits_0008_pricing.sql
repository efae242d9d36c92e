-- Rates and margins: read as one snapshot, changed by adding rows. Changes of margins are audited.
-- SQL stores prices and never computes with them: TypeScript prices.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

-- ---------------------------------------------------------------------------------------- Reading

create or replace function public.credits_get_pricing(p_ids uuid[] default null)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  return credits_private.rates_in_force(p_ids) || jsonb_build_object(
    'margins', credits_private.margins_in_force(p_ids),
    'aliases', (
      select coalesce(jsonb_object_agg(renamed.alias, renamed.model_id), '{}')
      from public.credit_model_aliases renamed),
    'asOf', credits_private.iso(now()));
end;
$$;
revoke execute on function public.credits_get_pricing from public, anon, authenticated;
grant execute on function public.credits_get_pricing to service_role;
comment on function public.credits_get_pricing(uuid[]) is
  'All rates and margins in force or scheduled; with ids, only the rows with these ids, even if '
  'superseded. Returns PricingSnapshot of store/port.ts, with rates as rates_in_force writes them.';

create or replace function public.credits_get_rate_history(
  p_model_id text, p_limit integer default 100)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  perform credits_private.check_limit(p_limit, 1000);
  return (
    select coalesce(
      jsonb_agg(credits_private.rate_json(rate) order by rate.effective_from desc), '[]')
    from (
      select * from public.credit_rates
      where model_id = p_model_id
      order by effective_from desc
      limit p_limit
    ) rate);
end;
$$;
revoke execute on function public.credits_get_rate_history from public, anon, authenticated;
grant execute on function public.credits_get_rate_history to service_role;
comment on function public.credits_get_rate_history(text, integer) is
  'The rates a model has had and will have, newest first: RateRow[] of store/port.ts. Errors: '
  'INVALID_INPUT.';

create or replace function public.credits_get_margin_audit(
  p_limit integer, p_before bigint default null)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  before_id bigint := coalesce(p_before, 9223372036854775807);
begin
  perform credits_private.check_limit(p_limit, 200);
  return (
    select jsonb_build_object(
      'data', coalesce(
        jsonb_agg(credits_private.margin_audit_json(page.entry) order by page.place)
          filter (where page.place <= p_limit), '[]'),
      'nextBefore', case when count(*) > p_limit
        then min((page.entry).id) filter (where page.place <= p_limit) end)
    from (
      select entry, row_number() over (order by entry.id desc) as place
      from public.margin_audit_log entry
      where entry.id < before_id
      order by entry.id desc
      limit p_limit + 1
    ) page);
end;
$$;
revoke execute on function public.credits_get_margin_audit from public, anon, authenticated;
grant execute on function public.credits_get_margin_audit to service_role;
comment on function public.credits_get_margin_audit(integer, bigint) is
  'A page of the margin audit, newest first: MarginAuditPage of store/port.ts. Errors: '
  'INVALID_INPUT.';

create or replace function credits_private.rates_in_force(p_ids uuid[])
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    with in_force as (
      select distinct on (rate.model_id) rate.id
      from public.credit_rates rate
      where rate.effective_from <= now()
      order by rate.model_id, rate.effective_from desc
    ), chosen as (
      select rate.* from public.credit_rates rate
      where case
        when p_ids is not null then rate.id = any (p_ids)
        else rate.effective_from > now() or rate.id in (select id from in_force)
      end
    ), named as (
      select coalesce(array_agg(distinct chosen.source), '{}') as sources from chosen
    )
    select jsonb_build_object(
      'sources', to_jsonb(named.sources),
      'rates', (
        select coalesce(jsonb_agg(
          jsonb_strip_nulls(
            credits_private.rate_json(chosen.*::public.credit_rates)
            - '{pricing,known,source}'::text[])
          || jsonb_build_object(
            'pricing', chosen.pricing,
            'source', array_position(named.sources, chosen.source) - 1)
          order by chosen.model_id, chosen.effective_from), '[]')
        from chosen))
    from named);
end;
$$;
revoke execute on function credits_private.rates_in_force from public;
comment on function credits_private.rates_in_force(uuid[]) is
  'The rates in force and those scheduled, or those with the given ids. A rate has its source as a '
  'place in "sources", and neither "known" (there is a pricing) nor limits that are null: every '
  'process reads this list.';

create or replace function credits_private.margins_in_force(p_ids uuid[])
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    with in_force as (
      select distinct on (margin.scope, margin.target) margin.id
      from public.margin_config margin
      where margin.effective_from <= now()
      order by margin.scope, margin.target, margin.version desc
    )
    select coalesce(
      jsonb_agg(
        credits_private.margin_json(margin)
        order by margin.scope, margin.target, margin.version), '[]')
    from public.margin_config margin
    where case
      when p_ids is not null then margin.id = any (p_ids)
      else margin.effective_from > now() or margin.id in (select id from in_force)
    end);
end;
$$;
revoke execute on function credits_private.margins_in_force from public;
comment on function credits_private.margins_in_force(uuid[]) is
  'The margin of each scope and target that is in force, those scheduled, those with these ids.';

create or replace function credits_private.rate_json(rate public.credit_rates)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'id', rate.id,
    'modelId', rate.model_id,
    'type', rate.type,
    'pricing', rate.pricing,
    'known', rate.known,
    'source', rate.source,
    'effectiveFrom', credits_private.iso(rate.effective_from),
    'contextWindow', rate.context_window,
    'maxOutputTokens', rate.max_output_tokens);
end;
$$;
revoke execute on function credits_private.rate_json from public;
comment on function credits_private.rate_json(public.credit_rates) is 'RateRow of store/port.ts.';

create or replace function credits_private.margin_json(margin public.margin_config)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'id', margin.id,
    'scope', margin.scope,
    'target', margin.target,
    'marginPercent', trim_scale(margin.margin_percent)::text,
    'version', margin.version,
    'effectiveFrom', credits_private.iso(margin.effective_from),
    'createdAt', credits_private.iso(margin.created_at));
end;
$$;
revoke execute on function credits_private.margin_json from public;
comment on function credits_private.margin_json(public.margin_config) is
  'MarginRow of store/port.ts.';

create or replace function credits_private.margin_audit_json(entry public.margin_audit_log)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'id', entry.id,
    'scope', entry.scope,
    'target', entry.target,
    'operation', entry.operation,
    'oldMarginPercent', trim_scale(entry.old_margin_percent)::text,
    'newMarginPercent', trim_scale(entry.new_margin_percent)::text,
    'actorId', entry.actor_id,
    'actorRole', entry.actor_role,
    'reason', entry.reason,
    'createdAt', credits_private.iso(entry.created_at));
end;
$$;
revoke execute on function credits_private.margin_audit_json from public;
comment on function credits_private.margin_audit_json(public.margin_audit_log) is
  'MarginAuditEntry of store/port.ts.';

-- --------------------------------------------------------------------------------------- Margins

create or replace function public.credits_set_margin(
  p_scope text,
  p_target text,
  p_margin_percent numeric,
  p_expected_version integer default null,
  p_effective_from timestamptz default null,
  p_actor_id uuid default null,
  p_reason text default null)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
declare
  margin public.margin_config;
  latest integer;
begin
  perform credits_private.check_margin(p_scope, p_target, p_margin_percent, p_effective_from);
  perform credits_private.set_actor(p_actor_id, p_reason);

  -- One change at a time per scope and target: of two admins, the second sees the first's version.
  -- guard lock-margin {
  perform pg_advisory_xact_lock(
    hashtextextended('credits.margin:' || p_scope || ':' || p_target, 0));
  -- } lock-margin
  select coalesce(max(version), 0) into latest
  from public.margin_config
  where scope = p_scope and target = p_target;
  -- guard expected-version {
  if p_expected_version <> latest then
    perform credits_private.raise_error(409, 'VERSION_CONFLICT', jsonb_build_object(
      'expected', p_expected_version, 'actual', latest));
  end if;
  -- } expected-version

  insert into public.margin_config
    (scope, target, margin_percent, version, effective_from, created_at)
  values (
    p_scope, p_target, p_margin_percent, latest + 1,
    coalesce(p_effective_from, clock_timestamp()), clock_timestamp())
  returning * into margin;
  perform credits_private.set_actor(null, null);
  return credits_private.margin_json(margin);
end;
$$;
revoke execute on function public.credits_set_margin from public, anon, authenticated;
grant execute on function public.credits_set_margin to service_role;
comment on function public.credits_set_margin(
  text, text, numeric, integer, timestamptz, uuid, text) is
  'Adds the next version of a margin; null removes an override. Audited. Returns MarginRow of '
  'store/port.ts. Errors: VERSION_CONFLICT, INVALID_INPUT.';

create or replace function credits_private.check_margin(
  p_scope text, p_target text, p_margin_percent numeric, p_effective_from timestamptz)
returns void
language plpgsql
stable
set search_path = ''
as $$
begin
  if p_scope is null or p_scope not in ('default', 'provider', 'model', 'feature', 'plan') then
    perform credits_private.raise_invalid_input(
      'scope', 'expected default, provider, model, feature or plan');
  end if;
  if p_target is null or (p_scope = 'default') <> (p_target = '')
    or char_length(p_target) > 255
  then
    perform credits_private.raise_invalid_input(
      'target', 'expected up to 255 characters, empty for the default and only for it');
  end if;
  -- NaN is above every number, so the upper bound refuses it.
  if p_margin_percent <= -100 or p_margin_percent > 10000
    or p_margin_percent <> round(p_margin_percent, 4)
    or (p_margin_percent is null and p_scope = 'default')
  then
    perform credits_private.raise_invalid_input(
      'marginPercent', 'expected above -100, at most 10000, with at most 4 places');
  end if;
  if p_effective_from < now() or not isfinite(p_effective_from) then
    perform credits_private.raise_invalid_input(
      'effectiveFrom', 'expected a time that is not in the past');
  end if;
end;
$$;
revoke execute on function credits_private.check_margin from public;
comment on function credits_private.check_margin(text, text, numeric, timestamptz) is
  'Refuses malformed arguments of credits_set_margin.';

create or replace function credits_private.audit_margin()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  changed public.margin_config := case when tg_op = 'DELETE' then old else new end;
  old_percent numeric;
  new_percent numeric := case when tg_op <> 'DELETE' then new.margin_percent end;
  operation text := lower(tg_op);
begin
  if tg_op = 'INSERT' then
    -- A new version is a change of what was in force; the reader of the log wants that figure.
    select margin.margin_percent into old_percent
    from public.margin_config margin
    where margin.scope = new.scope and margin.target = new.target
      and margin.version < new.version
    order by margin.version desc
    limit 1;
    operation := case
      when new_percent is null then 'delete' when old_percent is null then 'insert' else 'update'
    end;
  else
    old_percent := old.margin_percent;
  end if;

  insert into public.margin_audit_log (
    margin_id, scope, target, operation, old_margin_percent, new_margin_percent,
    effective_from, actor_id, actor_role, reason)
  values (
    changed.id, changed.scope, changed.target, operation, old_percent, new_percent,
    changed.effective_from, credits_private.actor_id(), credits_private.actor_role(),
    credits_private.actor_reason());
  return null;
end;
$$;
revoke execute on function credits_private.audit_margin from public;
comment on function credits_private.audit_margin() is
  'Writes the audit row of a margin change. A trigger, so that a change made in the SQL editor is '
  'audited as well.';

create or replace trigger margin_config_audit
  after insert or update or delete on public.margin_config
  for each row execute function credits_private.audit_margin();

-- ----------------------------------------------------------------------------------------- Rates

create or replace function public.credits_set_rates(p_rates jsonb, p_aliases jsonb default null)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
declare
  given jsonb;
  inserted integer := 0;
  unchanged integer := 0;
begin
  if jsonb_typeof(p_rates) is distinct from 'array' then
    perform credits_private.raise_invalid_input('rates', 'expected an array');
  end if;
  perform credits_private.check_object(p_aliases, 'aliases', 1048576);

  -- One at a time, so that each rate is compared with the latest of its model.
  perform pg_advisory_xact_lock(hashtextextended('credits.rates', 0)); -- guard: lock-rates
  for given in select * from jsonb_array_elements(p_rates) loop
    if credits_private.add_rate(credits_private.read_rate(given)) then
      inserted := inserted + 1;
    else
      unchanged := unchanged + 1;
    end if;
  end loop;

  if p_aliases is not null then
    insert into public.credit_model_aliases (alias, model_id)
    select key, value from jsonb_each_text(p_aliases)
    on conflict (alias) do update set model_id = excluded.model_id;
  end if;
  return jsonb_build_object('inserted', inserted, 'unchanged', unchanged);
end;
$$;
revoke execute on function public.credits_set_rates from public, anon, authenticated;
grant execute on function public.credits_set_rates to service_role;
comment on function public.credits_set_rates(jsonb, jsonb) is
  'Adds rates that differ from the latest of their model, and renames of models, all or nothing. '
  'Returns {"inserted", "unchanged"}. Errors: INVALID_INPUT.';

create or replace function credits_private.add_rate(rate public.credit_rates)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  latest public.credit_rates;
begin
  select * into latest from public.credit_rates
  where model_id = rate.model_id
  order by effective_from desc
  limit 1;
  if latest.id is not null
    and (latest.type, latest.pricing, latest.context_window, latest.max_output_tokens)
      is not distinct from (rate.type, rate.pricing, rate.context_window, rate.max_output_tokens)
  then
    return false;
  end if;
  if rate.effective_from <= latest.effective_from then
    perform credits_private.raise_invalid_input(
      'rates.effectiveFrom', format('expected after the latest rate of %s', rate.model_id));
  end if;
  insert into public.credit_rates (
    model_id, type, pricing, known, source, source_hash, context_window, max_output_tokens,
    effective_from)
  values (
    rate.model_id, rate.type, rate.pricing, rate.known, rate.source, rate.source_hash,
    rate.context_window, rate.max_output_tokens, rate.effective_from);
  return true;
end;
$$;
revoke execute on function credits_private.add_rate from public;
comment on function credits_private.add_rate(public.credit_rates) is
  'Adds a rate unless the latest of its model says the same; whether it was added.';

create or replace function credits_private.read_rate(p_rate jsonb)
returns public.credit_rates
language plpgsql
stable
set search_path = ''
as $$
declare
  rate public.credit_rates;
  known text := credits_private.rate_field(p_rate, 'known', '^(true|false)$');
begin
  rate.model_id := credits_private.rate_field(p_rate, 'modelId', '^.{1,255}$', true);
  rate.type := credits_private.rate_field(p_rate, 'type', '^.{1,64}$', true);
  rate.source := credits_private.rate_field(p_rate, 'source', '.', true);
  perform credits_private.check_text(rate.source, 'rates.source', 2000);
  rate.source_hash := credits_private.rate_field(p_rate, 'sourceHash', '^.{1,255}$');
  rate.pricing := nullif(p_rate -> 'pricing', 'null');
  perform credits_private.check_object(rate.pricing, 'rates.pricing', 65536);
  rate.known := rate.pricing is not null;
  if known::boolean <> rate.known then
    perform credits_private.raise_invalid_input(
      'rates.known', format('expected true exactly when there is a pricing: %s', rate.model_id));
  end if;
  rate.context_window :=
    credits_private.rate_field(p_rate, 'contextWindow', '^[0-9]{1,12}$')::bigint;
  rate.max_output_tokens :=
    credits_private.rate_field(p_rate, 'maxOutputTokens', '^[0-9]{1,12}$')::bigint;
  rate.effective_from := credits_private.rate_time(p_rate);
  return rate;
end;
$$;
revoke execute on function credits_private.read_rate from public;
comment on function credits_private.read_rate(jsonb) is
  'NewRateRow of store/port.ts as a row, every field checked.';

create or replace function credits_private.rate_field(
  p_rate jsonb, p_field text, p_pattern text, p_required boolean default false)
returns text
language plpgsql
stable
set search_path = ''
as $$
declare
  value text := p_rate ->> p_field;
begin
  if (value ~ p_pattern or (value is null and not p_required)) is not true then
    perform credits_private.raise_invalid_input(
      'rates.' || p_field, format('malformed, for the model %s', p_rate ->> 'modelId'));
  end if;
  return value;
end;
$$;
revoke execute on function credits_private.rate_field from public;
comment on function credits_private.rate_field(jsonb, text, text, boolean) is
  'A field of a rate as text, checked against a pattern.';

create or replace function credits_private.rate_time(p_rate jsonb)
returns timestamptz
language plpgsql
stable
set search_path = ''
as $$
declare
  effective_from timestamptz;
begin
  begin
    effective_from := coalesce((p_rate ->> 'effectiveFrom')::timestamptz, clock_timestamp());
  exception when others then
    effective_from := '-infinity';
  end;
  -- A price is never changed after the fact.
  if effective_from < now() or not isfinite(effective_from) then
    perform credits_private.raise_invalid_input('rates.effectiveFrom', format(
      'expected an ISO time that is not in the past, for the model %s', p_rate ->> 'modelId'));
  end if;
  return effective_from;
end;
$$;
revoke execute on function credits_private.rate_time from public;
comment on function credits_private.rate_time(jsonb) is
  'effectiveFrom of a rate, by default now; never in the past.';
