-- Who may do what. The last word: run again after any later migration that adds an object.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

do $$
declare
  f record;
begin
  -- PUBLIC has EXECUTE on every new function, whatever the default privileges of a role say.
  for f in
    select p.oid::regprocedure as signature, n.nspname as schema
    from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'credits_private' or (n.nspname = 'public' and p.proname like 'credits\_%')
  loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', f.signature);
    if f.schema = 'public' then
      execute format('grant execute on function %s to service_role', f.signature);
    end if;
  end loop;
end;
$$;

revoke all on schema credits_private from public, anon, authenticated, service_role;
revoke all on all tables in schema credits_private from public, anon, authenticated, service_role;
revoke all on
  public.profiles, public.credit_plans, public.credit_settings, public.credit_balances, public.credit_lots,
  public.credit_reservations, public.credit_transactions, public.credit_transaction_costs, public.credit_rates,
  public.credit_model_aliases, public.margin_config, public.margin_audit_log, public.credit_audit_log,
  public.credit_balances_text, public.credit_transactions_text, public.credit_lots_text, public.credit_charges
  from public, anon, authenticated, service_role;

revoke all on sequence
  public.credit_lots_sequence_seq, public.margin_audit_log_id_seq, public.credit_audit_log_id_seq
  from public, anon, authenticated, service_role;

-- Reading, as far as the policies let. Nobody writes a table: credits move through functions alone.
grant select on
  public.profiles, public.credit_plans, public.credit_settings, public.credit_balances, public.credit_lots,
  public.credit_reservations, public.credit_transactions, public.credit_transaction_costs, public.credit_rates,
  public.credit_model_aliases, public.margin_config, public.margin_audit_log, public.credit_audit_log,
  public.credit_balances_text, public.credit_transactions_text, public.credit_lots_text, public.credit_charges
  to authenticated, service_role;
grant select on public.credit_plans to anon;
grant update (display_name, avatar_url) on public.profiles to authenticated;

grant usage on schema credits_private to authenticated;
grant execute on function credits_private.is_admin() to authenticated;
