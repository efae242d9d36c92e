-- For a Postgres without Supabase (your own, Neon, RDS ...): what the migrations need
-- and Supabase has. `credits init --plain` puts it in front of them. It adds what is missing and
-- changes nothing that exists.
--
-- auth.users is the list of users who may have an account. Keep it in step with your own table of
-- users, as docs/supabase.md shows. The three roles have no login and no members: an app that
-- connects as the owner of the database needs none of them.
set local lock_timeout = '5s';

do $$
declare
  role text;
begin
  foreach role in array array['anon', 'authenticated', 'service_role'] loop
    if not exists (select from pg_catalog.pg_roles where rolname = role) then
      execute format('create role %I nologin', role);
    end if;
  end loop;
end;
$$;

create schema if not exists auth;

-- The columns that decide about an account and its signup grant. A user counts as confirmed once
-- email_confirmed_at or phone_confirmed_at is set.
create table if not exists auth.users (
  id uuid not null,
  email text,
  email_confirmed_at timestamptz,
  phone text,
  phone_confirmed_at timestamptz,
  is_anonymous boolean not null default false,
  created_at timestamptz default now(),
  constraint users_pkey primary key (id)
);

do $$
begin
  if to_regprocedure('auth.uid()') is null then
    -- As on Supabase: the user of a request that comes with a verified token.
    create function auth.uid()
    returns uuid
    language sql
    stable
    set search_path = ''
    as $uid$
      select nullif(
        coalesce(
          nullif(current_setting('request.jwt.claim.sub', true), ''),
          nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'),
        '')::uuid;
    $uid$;
    grant execute on function auth.uid() to anon, authenticated, service_role;
  end if;
end;
$$;
grant usage on schema auth to anon, authenticated, service_role;
