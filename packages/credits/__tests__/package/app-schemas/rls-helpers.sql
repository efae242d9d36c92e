-- sign-up row: select from private.user_settings where user_id = $1
-- as the user: insert into public.documents (title) values ('Draft')
create schema private;
grant usage on schema private to authenticated;
create table private.user_settings (
  user_id uuid primary key references auth.users on delete cascade,
  settings jsonb not null default '{"may_write": true}'
);

create function private.may_write()
returns boolean
language sql
stable
security definer
set search_path = ''
as $$
  select (settings ->> 'may_write')::boolean from private.user_settings where user_id = (select auth.uid());
$$;
create function private.touch()
returns trigger
language plpgsql
as $$
begin
  new.updated_at := clock_timestamp();
  return new;
end;
$$;

create table public.documents (
  id uuid primary key default gen_random_uuid(),
  owner uuid not null default auth.uid() references auth.users on delete cascade,
  title text not null,
  search tsvector generated always as (to_tsvector('english'::regconfig, title)) stored,
  updated_at timestamptz not null default now()
);
create index documents_search_idx on public.documents using gin (search);
alter table public.documents enable row level security;
alter table public.documents force row level security;
create policy owners on public.documents to authenticated
  using (owner = (select auth.uid()))
  with check (owner = (select auth.uid()) and (select private.may_write()));
create policy no_anonymous_users on public.documents as restrictive for insert to authenticated
  with check ((select (auth.jwt() ->> 'is_anonymous')::boolean) is not true);
grant select, insert, update, delete on public.documents to authenticated;
create trigger touch before update on public.documents for each row execute function private.touch();
create rule keep_titles as on delete to public.documents where old.title = 'Keep' do instead nothing;

create function private.on_sign_up()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  insert into private.user_settings (user_id) values (new.id);
  return new;
end;
$$;
create trigger sign_up after insert on auth.users for each row execute function private.on_sign_up();
