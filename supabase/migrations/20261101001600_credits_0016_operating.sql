-- Tidying up, healing, and proving the books.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create or replace function public.credits_expire_due(p_limit integer default 500)
returns jsonb
language plpgsql
security definer
set search_path = ''
set lock_timeout = '800ms'
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
set lock_timeout = '800ms'
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
      ('sign', (c.t).type <> 'adjustment' and (c.amount > 0) <> ((c.t).type in ('grant', 'refund'))),
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
