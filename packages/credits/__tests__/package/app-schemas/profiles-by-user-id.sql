-- sign-up row: select from public.profiles where user_id = $1 and role = 'member'
-- as the user: update public.profiles set display_name = 'Ann' where user_id = auth.uid()
create table public.profiles (
  user_id uuid primary key references auth.users (id) on delete cascade,
  role text not null default 'member' check (role in ('member', 'editor', 'admin')),
  display_name text,
  avatar_url text,
  created_at timestamptz not null default now()
);
alter table public.profiles enable row level security;
create policy profiles_select on public.profiles for select to authenticated using (true);
create policy profiles_update on public.profiles for update to authenticated
  using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
grant select on public.profiles to authenticated;
-- Not the role.
grant update (display_name, avatar_url) on public.profiles to authenticated;
grant all on public.profiles to service_role;

create function public.handle_new_user()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  -- No "on conflict": a row that another trigger made would stop the signup.
  insert into public.profiles (user_id, display_name) values (new.id, split_part(new.email, '@', 1));
  return new;
end;
$$;
revoke execute on function public.handle_new_user() from public, anon, authenticated;
create trigger on_auth_user_created
  after insert on auth.users
  for each row execute function public.handle_new_user();
