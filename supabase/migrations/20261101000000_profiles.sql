-- The app's own base table: one profile per user, and the app's answer to "is this an admin?".
-- It is no part of the credits package. `credits init` copies only the files named `credits`.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create table if not exists public.profiles (
  user_id uuid not null,
  role text not null default 'user',
  display_name text,
  avatar_url text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint profiles_pkey primary key (user_id),
  constraint profiles_user_id_fkey
    foreign key (user_id) references auth.users (id) on delete cascade,
  constraint profiles_role_check check (role in ('user', 'admin')),
  constraint profiles_display_name_check check (char_length(display_name) between 1 and 200),
  constraint profiles_avatar_url_check
    check (avatar_url ~ '^https://[^[:space:]]+$' and char_length(avatar_url) <= 2000)
);
comment on table public.profiles is
  'One row per auth user, made at signup. Users read and update their own.';
comment on column public.profiles.role is
  'user or admin. API users may update display_name and avatar_url, never the role.';
comment on column public.profiles.avatar_url is 'An https address: it ends up in pages.';

alter table public.profiles enable row level security;
revoke all on public.profiles from public, anon, authenticated, service_role;
grant select on public.profiles to authenticated, service_role;
grant update (display_name, avatar_url) on public.profiles to authenticated;
grant update (role) on public.profiles to service_role;

create or replace function public.is_admin()
returns boolean
language sql
stable
security definer
set search_path = ''
as $$
  select exists (
    select from public.profiles profile
    where profile.user_id = (select auth.uid()) and profile.role = 'admin');
$$;
revoke execute on function public.is_admin from public, anon, authenticated;
grant execute on function public.is_admin to authenticated, service_role;
comment on function public.is_admin() is
  'Whether the signed-in user is an admin. Definer, because a policy that reads its own table '
  'would recurse.';

drop policy if exists profiles_select on public.profiles;
create policy profiles_select on public.profiles
  for select to authenticated
  using (user_id = (select auth.uid()) or (select public.is_admin()));

drop policy if exists profiles_update on public.profiles;
create policy profiles_update on public.profiles
  for update to authenticated
  using (user_id = (select auth.uid()))
  with check (user_id = (select auth.uid()));

create or replace function public.touch_profile()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := now();
  return new;
end;
$$;
revoke execute on function public.touch_profile from public, anon, authenticated;
comment on function public.touch_profile() is 'Keeps updated_at true.';

create or replace trigger profiles_touch
  before update on public.profiles
  for each row execute function public.touch_profile();

create or replace function public.handle_new_user()
returns trigger
language plpgsql
security definer
set search_path = ''
-- A migration that has locked the table must not delay a signup.
set lock_timeout = '100ms'
as $$
declare
  name text := coalesce(
    new.raw_user_meta_data ->> 'full_name', new.raw_user_meta_data ->> 'name');
begin
  insert into public.profiles (user_id, display_name)
  values (new.id, left(nullif(name, ''), 200))
  on conflict (user_id) do nothing;
  return new;
exception when others then
  raise warning 'no profile for user %: % (%)', new.id, sqlerrm, sqlstate;
  return new;
end;
$$;
revoke execute on function public.handle_new_user from public, anon, authenticated;
comment on function public.handle_new_user() is
  'Makes the profile of a new user. A failure never stops the signup.';

create or replace trigger on_auth_user_created
  after insert on auth.users
  for each row execute function public.handle_new_user();
