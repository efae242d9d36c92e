-- For development stacks only (`supabase db reset`, the local stack). What every installation needs, plans, settings
-- and the default margin, is in the migrations; model prices are in seed_rates.sql, which is generated.

-- A reminder in the log, so that nobody looks for the prices here.
do $$
begin
  raise notice 'credits: % plans, default margin % %%',
    (select count(*) from public.credit_plans),
    (select trim_scale(margin_percent) from public.margin_config where scope = 'default' order by version desc limit 1);
end;
$$;
