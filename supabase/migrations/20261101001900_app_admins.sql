-- The app's own last migration: who is an admin of the app is an admin of the credits.
set local lock_timeout = '5s';
set local statement_timeout = '60s';

update public.credit_settings
set admin_function = 'public.is_admin'
where id;

-- Only the role: the audit keeps the columns that changed and no name.
create or replace trigger profiles_audit_role
  after update of role on public.profiles
  for each row when (old.role is distinct from new.role)
  execute function credits_private.audit_row('role', 'user_id');
