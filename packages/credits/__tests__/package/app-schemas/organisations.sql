-- sign-up row: select from public.members where user_id = $1 and role = 'owner'
-- as the user: update public.organisations set name = 'Renamed' where id in (select public.my_organisations())
create table public.organisations (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  slug text unique,
  created_at timestamptz not null default now()
);
create table public.members (
  organisation_id uuid not null references public.organisations on delete cascade,
  user_id uuid not null references auth.users on delete cascade,
  role text not null default 'member' check (role in ('owner', 'admin', 'member')),
  primary key (organisation_id, user_id)
);
create index members_user_id_idx on public.members (user_id);
create table public.invitations (
  id uuid primary key default gen_random_uuid(),
  organisation_id uuid not null references public.organisations on delete cascade,
  email text not null,
  role text not null default 'member',
  token text unique not null default encode(sha256(gen_random_uuid()::text::bytea), 'hex'),
  expires_at timestamptz not null default now() + interval '7 days'
);
alter table public.organisations enable row level security;
alter table public.members enable row level security;
alter table public.invitations enable row level security;

create function public.my_organisations()
returns setof uuid
language sql
stable
security definer
set search_path = ''
as $$
  select organisation_id from public.members where user_id = auth.uid();
$$;
grant execute on function public.my_organisations() to authenticated;

create policy members_read on public.organisations for select to authenticated
  using (id in (select public.my_organisations()));
create policy members_rename on public.organisations for update to authenticated
  using (id in (select public.my_organisations()));
create policy members_see_members on public.members for select to authenticated
  using (organisation_id in (select public.my_organisations()));
create policy invitations_of_mine on public.invitations to authenticated
  using (organisation_id in (select public.my_organisations()));
grant select, update on public.organisations to authenticated;
grant select on public.members to authenticated;
grant select, insert, delete on public.invitations to authenticated;
alter publication supabase_realtime add table public.members;

create view public.team with (security_invoker = true) as
select organisations.name, members.user_id, members.role
from public.members join public.organisations on organisations.id = members.organisation_id;
grant select on public.team to authenticated;

create function public.make_personal_organisation()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  organisation uuid;
begin
  insert into public.organisations (name) values (coalesce(new.email, 'Personal')) returning id into organisation;
  insert into public.members (organisation_id, user_id, role) values (organisation, new.id, 'owner');
  return new;
end;
$$;
create trigger on_auth_user_created_organisation
  after insert on auth.users for each row execute function public.make_personal_organisation();
