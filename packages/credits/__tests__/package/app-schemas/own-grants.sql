-- sign-up row: select from public.accounts where owner = $1
-- as the user: insert into public.notes (body) values ('written by the user')
-- What projects made before October 2026 have: every new object of public is open to the API roles.
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;

create schema api;
grant usage on schema api to anon, authenticated;
alter default privileges in schema api grant select on tables to anon;

create table public.accounts (owner uuid primary key references auth.users on delete cascade, plan text default 'free');
alter table public.accounts enable row level security;
create policy own_account on public.accounts using (owner = (select auth.uid()));

create table public.notes (
  id bigint generated always as identity primary key,
  author uuid not null default auth.uid() references auth.users on delete cascade,
  body text not null
);
alter table public.notes enable row level security;
create policy own_notes on public.notes to authenticated
  using (author = (select auth.uid())) with check (author = (select auth.uid()));

create view api.note_counts as select count(*) as notes from public.notes;
create function api.ping() returns text language sql immutable as $$ select 'pong' $$;
revoke execute on function api.ping() from public;
grant execute on function api.ping() to anon with grant option;
grant select (owner) on public.accounts to supabase_auth_admin;

create function public.open_app_account()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  insert into public.accounts (owner) values (new.id);
  return new;
end;
$$;
create trigger open_app_account
  after insert on auth.users
  for each row execute function public.open_app_account();
