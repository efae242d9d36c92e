-- sign-up row: select from public.app_credits where user_id = $1 and kind = 'welcome'
-- as the user: select from public.app_credits where user_id = auth.uid()
-- collides: index public.credit_transactions_created_at_idx, table public.credit_transactions
-- way out: alter table public.credit_transactions rename to app_credits;
-- way out: alter index public.credit_transactions_created_at_idx rename to app_credits_created_at_idx;
create table public.credit_transactions (
  id uuid constraint own_credit_transactions_pkey primary key default gen_random_uuid(),
  user_id uuid not null references auth.users on delete cascade,
  kind text not null,
  amount integer not null,
  created_at timestamptz not null default now()
);
create index credit_transactions_created_at_idx on public.credit_transactions (created_at);
alter table public.credit_transactions enable row level security;
create policy own_transactions on public.credit_transactions for select to authenticated
  using (user_id = (select auth.uid()));
grant select on public.credit_transactions to authenticated;

create function public.welcome()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  ledger regclass := coalesce(to_regclass('public.app_credits'), to_regclass('public.credit_transactions'));
begin
  execute format('insert into %s (user_id, kind, amount) values ($1, $2, 10)', ledger) using new.id, 'welcome';
  return new;
end;
$$;
create trigger welcome after insert on auth.users for each row execute function public.welcome();
