-- What every installation starts from. Data, not code: change it with SQL; a later migration never overwrites it.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

insert into public.credit_plans (id, name, price_usd, monthly_credits, sort_order)
values ('free', 'Free', 0, 50, 1), ('starter', 'Starter', 20, 500, 2), ('pro', 'Pro', 100, 3000, 3), ('team', 'Team', 200, 7500, 4)
on conflict (id) do nothing;

insert into public.credit_settings (id) values (true) on conflict (id) do nothing;

insert into public.margin_config (scope, target, margin_percent, version)
values ('default', '', 60, 1)
on conflict (scope, target, version) do nothing;

-- 244 random bits, made here and never leaving this database.
insert into credits_private.secrets (name, value)
values ('person_hash', sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')))
on conflict (name) do nothing;
