-- Profiles, and the one question every policy asks: is this an admin?
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create schema if not exists credits_private;
comment on schema credits_private is
  'Inner workings of the credits ledger. Not exposed by PostgREST; API roles may only call is_admin().';

create table if not exists public.profiles (
  user_id uuid not null,
  role text not null default 'user',
  display_name text,
  avatar_url text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint profiles_pkey primary key (user_id),
  constraint profiles_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade,
  constraint profiles_role_check check (role in ('user', 'admin')),
  constraint profiles_display_name_check check (char_length(display_name) between 1 and 200),
  constraint profiles_avatar_url_check check (char_length(avatar_url) between 1 and 2000)
);
comment on table public.profiles is
  'One row per auth user, made at signup. Users read and update their own; only credits_set_role changes the role.';
comment on column public.profiles.role is
  'user or admin. Never writable by the user: API roles hold UPDATE on display_name and avatar_url alone.';

alter table public.profiles enable row level security;

create or replace function credits_private.is_admin()
returns boolean
language sql
stable
security definer
set search_path = ''
as $$
  select exists (
    select 1 from public.profiles p where p.user_id = auth.uid() and p.role = 'admin'
  );
$$;
comment on function credits_private.is_admin() is
  'Whether the signed-in user is an admin. Definer, because a policy on profiles that reads profiles would recurse.';

drop policy if exists profiles_select on public.profiles;
create policy profiles_select on public.profiles
  for select to authenticated
  using (user_id = (select auth.uid()) or (select credits_private.is_admin()));

drop policy if exists profiles_update on public.profiles;
create policy profiles_update on public.profiles
  for update to authenticated
  using (user_id = (select auth.uid()))
  with check (user_id = (select auth.uid()));

create or replace function credits_private.touch_updated_at()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := now();
  return new;
end;
$$;
comment on function credits_private.touch_updated_at() is 'Keeps updated_at honest whoever writes the row.';

create or replace trigger profiles_touch_updated_at
  before update on public.profiles
  for each row execute function credits_private.touch_updated_at();
