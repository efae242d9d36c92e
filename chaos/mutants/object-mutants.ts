import type pg from 'pg'

/** One constraint, trigger or policy that is removed, or one right that is granted. */
export interface ObjectMutant {
  name: string
  kind: 'constraint' | 'trigger' | 'policy' | 'row security' | 'revoke'
  sql: string
  /** The relation or function that is changed, as the system catalogue prints it. */
  object: string
}

const OURS = `n.nspname in ('public', 'credits_private')`

const LISTS: readonly { kind: ObjectMutant['kind']; sql: string }[] = [
  {
    kind: 'constraint',
    sql: `select c.oid::regclass::text as object, k.conname as name,
      format('alter table %s drop constraint %I cascade', c.oid::regclass, k.conname) as sql
      from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
      where ${OURS} and k.contype in ('c', 'u', 'p', 'f')`,
  },
  {
    // A domain constrains every column of its type. The first table that uses it is tested.
    kind: 'constraint',
    sql: `select min(c.oid::regclass::text) as object, 'domain ' || t.typname as name,
        format('alter domain %s drop constraint %I', k.contypid::regtype, k.conname) as sql
      from pg_constraint k join pg_type t on t.oid = k.contypid join pg_namespace n on n.oid = t.typnamespace
      join pg_attribute a on a.atttypid = t.oid join pg_class c on c.oid = a.attrelid and c.relkind = 'r'
      where ${OURS} group by k.contypid, k.conname, t.typname`,
  },
  {
    kind: 'trigger',
    sql: `select c.oid::regclass::text as object, t.tgname as name, format('drop trigger %I on %s', t.tgname,
      c.oid::regclass) as sql
      from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_proc p on p.oid = t.tgfoid
        join pg_namespace n on n.oid = p.pronamespace
      where n.nspname = 'credits_private' and not t.tgisinternal`,
  },
  {
    kind: 'policy',
    sql: `select format('%I.%I', schemaname, tablename)::regclass::text as object, policyname as name,
        format('drop policy %I on %I.%I', policyname, schemaname, tablename) as sql
      from pg_policies where schemaname in ('public', 'credits_private')`,
  },
  {
    kind: 'policy',
    sql: `select format('%I.%I', schemaname, tablename)::regclass::text as object, policyname || ' shows all' as name,
        format('alter policy %I on %I.%I using (true)', policyname, schemaname, tablename) as sql
      from pg_policies where schemaname in ('public', 'credits_private') and qual <> 'true'`,
  },
  {
    kind: 'row security',
    sql: `select c.oid::regclass::text as object, 'row security' as name,
      format('alter table %s disable row level security', c.oid::regclass) as sql
      from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'public' and c.relkind = 'r'
        and exists (select from pg_policies y where y.schemaname = 'public' and y.tablename = c.relname
          and y.qual <> 'true')`,
  },
  {
    kind: 'revoke',
    sql: `select c.oid::regclass::text as object, format('%s to %s', v.verb, r.role) as name,
        format('grant %s on %s to %s; grant usage on schema credits_private to %s', v.verb, c.oid::regclass, r.role,
          r.role) as sql
      from pg_class c join pg_namespace n on n.oid = c.relnamespace,
        (values ('anon'), ('authenticated'), ('service_role')) r (role), (values ('select'), ('insert'), ('update'),
          ('delete'), ('truncate')) v (verb)
      where ${OURS} and c.relkind in ('r', 'v') and not has_table_privilege(r.role, c.oid, v.verb)
        and (c.relkind = 'r' or v.verb = 'select')`,
  },
  {
    kind: 'revoke',
    sql: `select p.oid::regprocedure::text as object, format('execute to %s', r.role) as name,
        format('grant execute on function %s to %s; grant usage on schema credits_private to %s',
          p.oid::regprocedure, r.role, replace(r.role, 'public', 'anon, authenticated, service_role')) as sql
      from pg_proc p
        join pg_namespace n on n.oid = p.pronamespace, (values ('anon'), ('authenticated'), ('service_role'),
        ('public')) r (role)
      where ${OURS} and (r.role = 'public' or not has_function_privilege(r.role, p.oid, 'execute'))`,
  },
]

/** Every object mutant of the schema. */
export async function objectMutants(client: pg.Pool): Promise<ObjectMutant[]> {
  const all: ObjectMutant[] = []
  for (const { kind, sql } of LISTS) {
    const { rows } = await client.query<{ object: string; name: string; sql: string }>(`${sql} order by 1, 2`)
    for (const row of rows)
      all.push({ kind, object: row.object, sql: row.sql, name: `${kind} ${row.object} ${row.name}` })
  }
  return all
}
