-- Giving credits, and reading balances and history.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create or replace function credits_private.transaction_result(p credits_private.posting, p_replayed boolean)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'transaction', credits_private.transaction_json(p.t),
    'balance', credits_private.balance_json(p.b),
    'replayed', p_replayed);
end;
$$;
comment on function credits_private.transaction_result(credits_private.posting, boolean) is 'TransactionResult of store/port.ts.';

create or replace function credits_private.actor_cost(p_actor_id uuid)
returns public.credit_transaction_costs
language plpgsql
immutable
set search_path = ''
as $$
declare
  c public.credit_transaction_costs;
begin
  c.actor_id := p_actor_id;
  return c;
end;
$$;
comment on function credits_private.actor_cost(uuid) is 'The admins-only row of a manual transaction; empty when nobody is named.';

create or replace function public.credits_grant(
  p_transaction_id uuid,
  p_user_id uuid,
  p_amount numeric,
  p_source text,
  p_bucket text,
  p_priority integer default 100,
  p_expires_in_seconds bigint default null,
  p_reason text default null,
  p_actor_id uuid default null,
  p_metadata jsonb default '{}')
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
declare
  p credits_private.posting;
  v_priority integer := coalesce(p_priority, 100);
  v_metadata jsonb := coalesce(p_metadata, '{}');
begin
  perform credits_private.check_amount(p_amount, 'amount');
  perform credits_private.check_transaction_input(p_transaction_id, p_reason, v_metadata);
  if p_source is null or p_source not in ('signup', 'plan', 'purchase', 'promo', 'refund', 'adjustment') then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "source"}');
  end if;
  if p_bucket is null or p_bucket not in ('plan', 'add-on') then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "bucket"}');
  end if;
  if v_priority not between 0 and 1000 then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "priority", "expected": "0 to 1000"}');
  end if;
  if p_expires_in_seconds not between 1 and 3153600000 then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "expiresInSeconds", "expected": "1 to 3153600000"}');
  end if;

  p.b := credits_private.open_account(p_user_id);
  p.t := credits_private.find_transaction(p_transaction_id);
  if (p.t).id is not null then
    if ((p.t).account_id, (p.t).type, (p.t).source, (p.t).amount, (p.t).reason, (p.t).metadata)
      is distinct from (p_user_id, 'grant', p_source, p_amount, p_reason, v_metadata)
    then
      perform credits_private.fail(409, 'IDEMPOTENCY_MISMATCH', jsonb_build_object('id', p_transaction_id));
    end if;
    return credits_private.transaction_result(p, true);
  end if;

  p.b := credits_private.apply_due(p.b);
  p.t.id := p_transaction_id;
  p.t.type := 'grant';
  p.t.source := p_source;
  p.t.amount := p_amount;
  p.t.reason := p_reason;
  p.t.metadata := v_metadata;
  p := credits_private.add_lot(p, p_amount, p_bucket, p_source, v_priority,
    clock_timestamp() + make_interval(secs => p_expires_in_seconds));
  p := credits_private.append(p, credits_private.actor_cost(p_actor_id));
  perform credits_private.save_account(p.b);
  return credits_private.transaction_result(p, false);
end;
$$;
comment on function public.credits_grant(uuid, uuid, numeric, text, text, integer, bigint, text, uuid, jsonb) is
  'Gives credits as a lot of a bucket; debt is paid first. Errors: ACCOUNT_NOT_FOUND, IDEMPOTENCY_MISMATCH, INVALID_INPUT.';

create or replace function credits_private.check_transaction_input(p_id uuid, p_reason text, p_metadata jsonb)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_id is null then perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "transactionId"}'); end if;
  perform credits_private.check_text(p_reason, 'reason', 1000);
  perform credits_private.check_object(p_metadata, 'metadata');
  -- A settle writes its transaction under the reservation's id: nobody else may take that.
  if exists (select from public.credit_reservations r where r.id = p_id) then
    perform credits_private.fail(409, 'IDEMPOTENCY_MISMATCH', jsonb_build_object('id', p_id));
  end if;
end;
$$;
comment on function credits_private.check_transaction_input(uuid, text, jsonb) is
  'Refuses malformed arguments of grant, refund and adjust before anything is touched.';

create or replace function public.credits_get_balance(p_user_id uuid)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
as $$
declare
  b public.credit_balances;
begin
  -- Reading takes no lock as long as nothing is due.
  select * into b from public.credit_balances where account_id = p_user_id;
  if b.user_id is null or b.signup_decided_at is null or b.next_due_at <= clock_timestamp() then
    b := credits_private.apply_due(credits_private.open_account(p_user_id));
  end if;
  return credits_private.balance_json(b);
end;
$$;
comment on function public.credits_get_balance(uuid) is
  'A user''s credits as of now, with everything due applied; opens the account if signup missed it. Errors: ACCOUNT_NOT_FOUND.';

create or replace function public.credits_get_history(
  p_user_id uuid,
  p_limit integer,
  p_before bigint default null,
  p_type text default null,
  p_from timestamptz default null,
  p_to timestamptz default null)
returns json
language plpgsql
stable
security definer
set search_path = ''
-- The planner must walk the primary key backwards and stop: with bitmap scans or sorts it would at times read
-- all of a user's rows for one page.
set enable_bitmapscan = off
set enable_sort = off
set enable_seqscan = off
-- And it must do so once: left to choose, it planned every page of a long history anew, for a third of the page's time.
set plan_cache_mode = force_generic_plan
as $$
begin
  if p_limit is null or p_limit not between 1 and 200 then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "limit", "expected": "1 to 200"}');
  end if;
  if p_type not in ('grant', 'usage', 'refund', 'adjustment', 'expiry') then
    perform credits_private.fail(422, 'INVALID_INPUT', '{"field": "type"}');
  end if;
  if not exists (select from public.credit_balances where account_id = p_user_id)
    and not exists (select from auth.users where id = p_user_id)
  then
    perform credits_private.fail(404, 'ACCOUNT_NOT_FOUND', jsonb_build_object('userId', p_user_id));
  end if;

  return (
    select json_build_object(
      -- As transaction_json says it, without a call for every row.
      'data', coalesce(json_agg(json_build_object(
        'id', t.id,
        'userId', t.user_id,
        'version', t.version,
        'type', t.type,
        'source', t.source,
        'amount', t.amount::text,
        'balanceAfter', t.balance_after::text,
        'uncollected', t.uncollected::text,
        'reservationId', t.reservation_id,
        'reversesId', t.reverses_id,
        'feature', t.feature,
        'model', t.model,
        'inputTokens', t.input_tokens,
        'outputTokens', t.output_tokens,
        'estimated', t.estimated,
        'late', t.late,
        'reason', t.reason,
        'metadata', t.metadata,
        'createdAt', t.created_at)) filter (where t.n <= p_limit), '[]'),
      'nextBefore', case when count(*) > p_limit then min(t.version) filter (where t.n <= p_limit) end)
    from (
      select x.*, row_number() over (order by x.version desc) as n
      from public.credit_transactions x
      where x.account_id = p_user_id
        and x.version < coalesce(p_before, 9223372036854775807)
        and (p_type is null or x.type = p_type)
        and (p_from is null or x.created_at >= p_from)
        and (p_to is null or x.created_at < p_to)
      order by x.version desc
      limit p_limit + 1
    ) t);
end;
$$;
comment on function public.credits_get_history(uuid, integer, bigint, text, timestamptz, timestamptz) is
  'A page of a user''s transactions, newest first, by version: no row twice, none skipped, while others write. Errors: ACCOUNT_NOT_FOUND, INVALID_INPUT.';
