-- sign-up row: select from public.sign_ups where user_id = $1 and order_seen = array['first', 'on_created', 'last']
-- as the user: select from public.sign_ups where user_id = auth.uid()
create table public.sign_ups (
  user_id uuid primary key,
  email text,
  order_seen text[] not null,
  confirmed boolean not null default false
);
alter table public.sign_ups enable row level security;
create policy own_sign_up on public.sign_ups for select to authenticated using (user_id = (select auth.uid()));
grant select on public.sign_ups to authenticated;

create function public.check_domain()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if new.email like '%@blocked.test' then raise exception 'this domain may not sign up'; end if;
  return new;
end;
$$;
create trigger a_check_domain before insert on auth.users for each row execute function public.check_domain();

-- Triggers run in the order of their names, so these come before and after those of the library.
create function public.note_sign_up()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  insert into public.sign_ups (user_id, email, order_seen) values (new.id, new.email, array[tg_argv[0]])
  on conflict (user_id) do update set order_seen = public.sign_ups.order_seen || tg_argv[0];
  return new;
end;
$$;
create trigger aaa_first after insert on auth.users for each row execute function public.note_sign_up('first');
create trigger on_auth_user_created
  after insert on auth.users for each row execute function public.note_sign_up('on_created');
create trigger zzz_last after insert on auth.users for each row execute function public.note_sign_up('last');

create function public.follow_user()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  update public.sign_ups set email = new.email, confirmed = new.confirmed_at is not null where user_id = new.id;
  return new;
end;
$$;
create trigger on_auth_user_updated after update on auth.users for each row execute function public.follow_user();

create function public.forget_user()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  delete from public.sign_ups where user_id = old.id;
  return old;
end;
$$;
create trigger zzz_on_auth_user_deleted
  before delete on auth.users for each row execute function public.forget_user();
