-- sign-up row: select from public.user_credits where user_id = $1 and credits = 10
-- as the user: select public.use_credit()
create table public.user_credits (
  user_id uuid primary key references auth.users on delete cascade,
  credits integer not null default 10 check (credits >= 0),
  updated_at timestamptz not null default now()
);
alter table public.user_credits enable row level security;
create policy "own credits" on public.user_credits for select to authenticated using (user_id = (select auth.uid()));
grant select on public.user_credits to authenticated;

create table public.credits_log (
  id bigint generated always as identity primary key,
  user_id uuid not null references auth.users on delete cascade,
  change integer not null
);
alter table public.credits_log enable row level security;

create function public.use_credit(amount integer default 1)
returns integer
language plpgsql
security definer
set search_path = ''
as $$
declare
  remaining integer;
begin
  update public.user_credits set credits = credits - amount, updated_at = now()
  where user_id = auth.uid() returning credits into remaining;
  insert into public.credits_log (user_id, change) values (auth.uid(), -amount);
  return remaining;
end;
$$;
grant execute on function public.use_credit(integer) to authenticated;

create function public.give_first_credits()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  insert into public.user_credits (user_id) values (new.id);
  return new;
end;
$$;
create trigger give_first_credits
  after insert on auth.users for each row execute function public.give_first_credits();

-- Users from before the install, with what they have left.
insert into auth.users (id, aud, role, email, email_confirmed_at, created_at, updated_at)
select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'authenticated', 'authenticated',
  'old' || n || '@example.test', now(), now(), now()
from generate_series(1, 5) n;
update public.user_credits set credits = 100 * right(user_id::text, 1)::integer;
