-- Rates and margins: read as one snapshot, changed by adding rows.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create or replace function credits_private.rate_json(r public.credit_rates)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'id', r.id, 'modelId', r.model_id, 'type', r.type, 'pricing', r.pricing, 'known', r.known, 'source', r.source,
    'effectiveFrom', credits_private.iso(r.effective_from), 'contextWindow', r.context_window, 'maxOutputTokens', r.max_output_tokens);
$$;
comment on function credits_private.rate_json(public.credit_rates) is 'RateRow of store/port.ts.';

create or replace function credits_private.margin_json(m public.margin_config)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'id', m.id, 'scope', m.scope, 'target', m.target, 'marginPercent', trim_scale(m.margin_percent)::text, 'version', m.version,
    'effectiveFrom', credits_private.iso(m.effective_from), 'createdAt', credits_private.iso(m.created_at));
$$;
comment on function credits_private.margin_json(public.margin_config) is 'MarginRow of store/port.ts.';

create or replace function public.credits_get_pricing(p_ids uuid[] default null)
returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  with
  rates as (
    select distinct on (r.model_id) r.id from public.credit_rates r
    where r.effective_from <= now() order by r.model_id, r.effective_from desc
  ),
  margins as (
    select distinct on (m.scope, m.target) m.id from public.margin_config m
    where m.effective_from <= now() order by m.scope, m.target, m.version desc
  )
  select jsonb_build_object(
    'rates', (
      select coalesce(jsonb_agg(credits_private.rate_json(r) order by r.model_id, r.effective_from), '[]')
      from public.credit_rates r
      where r.effective_from > now() or r.id in (select id from rates) or r.id = any (p_ids)
    ),
    'margins', (
      select coalesce(jsonb_agg(credits_private.margin_json(m) order by m.scope, m.target, m.version), '[]')
      from public.margin_config m
      where m.effective_from > now() or m.id in (select id from margins) or m.id = any (p_ids)
    ),
    'aliases', (select coalesce(jsonb_object_agg(a.alias, a.model_id), '{}') from public.credit_model_aliases a),
    'asOf', credits_private.iso(now()));
$$;
comment on function public.credits_get_pricing(uuid[]) is
  'All rates and margins in force or scheduled, and the rows with these ids even if superseded.';

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
  m public.margin_config;
  v_version integer;
begin
  if p_scope is null or p_scope not in ('default', 'provider', 'model', 'feature', 'plan') then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "scope"}');
  end if;
  if p_target is null or (p_scope = 'default') <> (p_target = '') or char_length(p_target) > 255 then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "target"}');
  end if;
  -- NaN is above every number, so the upper bound refuses it.
  if p_margin_percent <= -100 or p_margin_percent > 10000 or p_margin_percent <> round(p_margin_percent, 4)
    or (p_margin_percent is null and p_scope = 'default')
  then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "marginPercent", "expected": "above -100, at most 10000, at most 4 places"}');
  end if;
  if p_effective_from < now() or not isfinite(p_effective_from) then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "effectiveFrom", "expected": "not in the past"}');
  end if;
  perform credits_private.check_text(p_reason, 'reason', 1000);

  -- One change at a time per scope and target; two admins at once: the second sees the first's version.
  perform pg_advisory_xact_lock(hashtextextended('credits.margin:' || p_scope || ':' || p_target, 0));
  select coalesce(max(x.version), 0) into v_version
  from public.margin_config x where x.scope = p_scope and x.target = p_target;
  if p_expected_version <> v_version then
    perform credits_private.fail(409, 'VERSION_CONFLICT', jsonb_build_object('expected', p_expected_version, 'actual', v_version));
  end if;

  perform set_config('credits.actor_id', coalesce(p_actor_id::text, ''), true);
  perform set_config('credits.reason', coalesce(p_reason, ''), true);
  insert into public.margin_config (scope, target, margin_percent, version, effective_from, created_at)
  values (p_scope, p_target, p_margin_percent, v_version + 1, coalesce(p_effective_from, clock_timestamp()), clock_timestamp())
  returning * into m;
  perform set_config('credits.actor_id', '', true);
  perform set_config('credits.reason', '', true);
  return credits_private.margin_json(m);
end;
$$;
comment on function public.credits_set_margin(text, text, numeric, integer, timestamptz, uuid, text) is
  'Adds the next version of a margin; null removes an override. Audited. Errors: VERSION_CONFLICT, INVALID_INPUT.';

create or replace function public.credits_get_margin_audit(p_limit integer, p_before bigint default null)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_page jsonb;
  v_last bigint;
  v_more boolean;
begin
  if p_limit is null or p_limit not between 1 and 200 then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "limit", "expected": "1 to 200"}');
  end if;
  select coalesce(jsonb_agg(jsonb_build_object(
           'id', x.id, 'scope', x.scope, 'target', x.target, 'operation', x.operation,
           'oldMarginPercent', trim_scale(x.old_margin_percent)::text,
           'newMarginPercent', trim_scale(x.new_margin_percent)::text,
           'actorId', x.actor_id, 'actorRole', x.actor_role, 'reason', x.reason,
           'createdAt', credits_private.iso(x.created_at)) order by x.id desc) filter (where x.n <= p_limit), '[]'),
         min(x.id) filter (where x.n <= p_limit),
         count(*) > p_limit
  into v_page, v_last, v_more
  from (
    select a.*, row_number() over (order by a.id desc) as n
    from public.margin_audit_log a
    where a.id < coalesce(p_before, 9223372036854775807)
    order by a.id desc
    limit p_limit + 1
  ) x;
  return jsonb_build_object('data', v_page, 'nextBefore', case when v_more then v_last end);
end;
$$;
comment on function public.credits_get_margin_audit(integer, bigint) is 'A page of the margin audit, newest first. Errors: INVALID_INPUT.';

create or replace function public.credits_set_rates(p_rates jsonb, p_aliases jsonb default null)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
declare
  v_rate jsonb;
  v_latest public.credit_rates;
  v_new public.credit_rates;
  v_inserted integer := 0;
  v_unchanged integer := 0;
begin
  if jsonb_typeof(p_rates) is distinct from 'array' then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "rates", "expected": "an array"}');
  end if;
  perform pg_advisory_xact_lock(hashtextextended('credits.rates', 0));
  for v_rate in select x from jsonb_array_elements(p_rates) x loop
    v_new := null;
    v_new.model_id := credits_private.rate_field(v_rate, 'modelId', '^.{1,255}$', true);
    v_new.type := credits_private.rate_field(v_rate, 'type', '^.{1,64}$', true);
    v_new.source := credits_private.rate_field(v_rate, 'source', '.', true);
    perform credits_private.check_text(v_new.source, 'rates.source', 2000);
    v_new.source_hash := credits_private.rate_field(v_rate, 'sourceHash', '^.{1,255}$');
    v_new.pricing := nullif(v_rate -> 'pricing', 'null');
    perform credits_private.check_object(v_new.pricing, 'rates.pricing', 65536);
    v_new.known := coalesce(credits_private.rate_field(v_rate, 'known', '^(true|false)$')::boolean, v_new.pricing is not null);
    if v_new.known <> (v_new.pricing is not null) then
      perform credits_private.fail(422, 'INVALID_INPUT', jsonb_build_object('field', 'rates.known', 'modelId', v_new.model_id));
    end if;
    v_new.context_window := credits_private.rate_field(v_rate, 'contextWindow', '^[0-9]{1,12}$')::bigint;
    v_new.max_output_tokens := credits_private.rate_field(v_rate, 'maxOutputTokens', '^[0-9]{1,12}$')::bigint;
    v_new.effective_from := coalesce(credits_private.rate_time(v_rate), clock_timestamp());

    select * into v_latest from public.credit_rates r
    where r.model_id = v_new.model_id order by r.effective_from desc limit 1;
    if v_latest.id is not null
      and (v_latest.type, v_latest.pricing, v_latest.known, v_latest.context_window, v_latest.max_output_tokens)
        is not distinct from (v_new.type, v_new.pricing, v_new.known, v_new.context_window, v_new.max_output_tokens)
    then
      v_unchanged := v_unchanged + 1;
      continue;
    end if;
    if v_new.effective_from <= v_latest.effective_from then
      perform credits_private.fail(422, 'INVALID_INPUT', jsonb_build_object(
        'field', 'rates.effectiveFrom', 'modelId', v_new.model_id, 'expected', 'after the model''s latest row'));
    end if;
    insert into public.credit_rates
      (model_id, type, pricing, known, source, source_hash, context_window, max_output_tokens, effective_from)
    values
      (v_new.model_id, v_new.type, v_new.pricing, v_new.known, v_new.source, v_new.source_hash, v_new.context_window,
       v_new.max_output_tokens, v_new.effective_from);
    v_inserted := v_inserted + 1;
  end loop;

  if p_aliases is not null then
    perform credits_private.check_object(p_aliases, 'aliases', 1048576);
    insert into public.credit_model_aliases (alias, model_id)
    select key, value from jsonb_each_text(p_aliases)
    on conflict (alias) do update set model_id = excluded.model_id;
  end if;
  return jsonb_build_object('inserted', v_inserted, 'unchanged', v_unchanged);
end;
$$;
comment on function public.credits_set_rates(jsonb, jsonb) is
  'Adds rates that differ from the latest of their model, and renames. Errors: INVALID_INPUT; then nothing is added.';

create or replace function credits_private.rate_field(p_rate jsonb, p_field text, p_pattern text, p_required boolean default false)
returns text
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_value text := p_rate ->> p_field;
begin
  if (v_value ~ p_pattern or (v_value is null and not p_required)) is not true then
    perform credits_private.fail(422, 'INVALID_INPUT', jsonb_build_object(
      'field', 'rates.' || p_field, 'modelId', p_rate -> 'modelId'));
  end if;
  return v_value;
end;
$$;
comment on function credits_private.rate_field(jsonb, text, text, boolean) is 'A field of a rate as text, checked against a pattern.';

create or replace function credits_private.rate_time(p_rate jsonb)
returns timestamptz
language plpgsql
stable
set search_path = ''
as $$
declare
  v_time timestamptz;
begin
  begin
    v_time := (p_rate ->> 'effectiveFrom')::timestamptz;
  exception when others then
    v_time := '-infinity';
  end;
  if v_time < now() or not isfinite(v_time) then
    perform credits_private.fail(422, 'INVALID_INPUT', jsonb_build_object(
      'field', 'rates.effectiveFrom', 'modelId', p_rate -> 'modelId', 'expected', 'an ISO time that is not in the past'));
  end if;
  return v_time;
end;
$$;
comment on function credits_private.rate_time(jsonb) is 'effectiveFrom of a rate; never in the past: a price is not changed after the fact.';

create or replace function public.credits_set_role(p_user_id uuid, p_role text, p_actor_id uuid default null)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
begin
  if p_role is null or p_role not in ('user', 'admin') then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "role", "expected": "user or admin"}');
  end if;
  perform credits_private.acting_as(p_actor_id, null);
  -- The profile may be missing when the signup trigger failed.
  insert into public.profiles (user_id, role)
  select u.id, p_role from auth.users u where u.id = p_user_id
  on conflict (user_id) do update set role = excluded.role;
  if not found then perform credits_private.fail(404, 'ACCOUNT_NOT_FOUND', jsonb_build_object('userId', p_user_id)); end if;
  return jsonb_build_object('userId', p_user_id, 'role', p_role, 'actorId', p_actor_id);
end;
$$;
comment on function public.credits_set_role(uuid, text, uuid) is
  'Makes a user an admin, or takes it back. The only way a role changes. Errors: ACCOUNT_NOT_FOUND, INVALID_INPUT.';
