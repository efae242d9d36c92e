import type pg from 'pg'

/** Names of the library. What has none of them in its description belongs to the app or to Supabase. */
const OURS = /\bcredits_private\b|\bcredits?_|\bmargin_(config|audit_log)|zz_credits_/

/** What a database consists of, in lines that can be compared byte for byte. */
export type Catalogue = readonly string[]

/**
 * Describes every schema, table, column, constraint, index, view, function, trigger, rule, policy, type, sequence,
 * publication, comment and grant, with its owner. Left out: Postgres' own, extensions, the list of applied migrations.
 */
export async function readCatalogue(pool: pg.Pool): Promise<Catalogue> {
  const client = await pool.connect()
  try {
    await client.query(`begin; set local search_path = ''`)
    const { rows } = await client.query<{ line: string }>(LINES)
    return rows.map(({ line }) => line).sort()
  } finally {
    await client.query('rollback')
    client.release()
  }
}

/** The lines that are not about the library. */
export function withoutLibrary(lines: Catalogue): Catalogue {
  return lines.filter((line) => !OURS.test(line))
}

/** The rows of tables, as a hash for each; by default of all that {@link readCatalogue} describes. */
export async function readRows(pool: pg.Pool, tables?: readonly string[]): Promise<Record<string, string>> {
  const names = tables ?? (await pool.query<{ name: string }>(TABLES)).rows.map(({ name }) => name)
  const found: Record<string, string> = {}
  for (const name of names) {
    const { rows } = await pool.query<{ hash: string }>(
      `select md5(coalesce(string_agg(content::text, ',' order by content::text), '')) as hash from ${name} content`,
    )
    found[name] = rows[0]?.hash ?? ''
  }
  return found
}

const shown = (schema: string) => `${schema} in (select oid from pg_catalog.pg_namespace
  where nspname !~ '^(pg_|information_schema$|supabase_migrations$)')`
const notOfExtension = (catalogue: string, oid: string) => `not exists (select from pg_catalog.pg_depend member
  where member.classid = 'pg_catalog.${catalogue}'::pg_catalog.regclass and member.objid = ${oid}
    and member.deptype = 'e')`

const TABLES = `
  select format('%I.%I', schema.nspname, relation.relname) as name
  from pg_class relation join pg_namespace schema on schema.oid = relation.relnamespace
  where relation.relkind in ('r', 'p') and ${shown('schema.oid')} order by 1`

const LINES = `
  select format('schema %s owner %s acl %s', nspname, nspowner::regrole, nspacl) as line
    from pg_namespace where ${shown('oid')}
  union all
  select format('relation %s %s owner %s acl %s rls %s %s options %s', oid::regclass, relkind, relowner::regrole,
      relacl, relrowsecurity, relforcerowsecurity, reloptions)
    from pg_class where ${shown('relnamespace')} and relkind <> 'i' and ${notOfExtension('pg_class', 'pg_class.oid')}
  union all
  select format('column %s %s %s %s null %s default %s acl %s identity %s generated %s', attrelid::regclass, attnum,
      attname, format_type(atttypid, atttypmod), not attnotnull,
      (select pg_get_expr(adbin, adrelid) from pg_attrdef where adrelid = attrelid and adnum = attnum), attacl,
      attidentity, attgenerated)
    from pg_attribute join pg_class on pg_class.oid = attrelid
    where attnum > 0 and not attisdropped and ${shown('relnamespace')} and relkind not in ('i', 'S')
  union all
  select format('constraint %s on %s: %s validated %s', conname,
      case when contypid = 0 then conrelid::regclass::text else contypid::regtype::text end,
      pg_get_constraintdef(oid), convalidated)
    from pg_constraint where ${shown('connamespace')}
  union all
  select 'index ' || pg_get_indexdef(indexrelid) from pg_index join pg_class on pg_class.oid = indexrelid
    where ${shown('relnamespace')}
  union all
  select format('view %s: %s', oid::regclass, pg_get_viewdef(oid))
    from pg_class where relkind in ('v', 'm') and ${shown('relnamespace')}
  union all
  select format('function %s owner %s acl %s: %s', oid::regprocedure, proowner::regrole, proacl, pg_get_functiondef(oid))
    from pg_proc where prokind <> 'a' and ${shown('pronamespace')} and ${notOfExtension('pg_proc', 'pg_proc.oid')}
  union all
  select format('trigger %s enabled %s', pg_get_triggerdef(oid), tgenabled) from pg_trigger where not tgisinternal
  union all
  select format('rule %s enabled %s', pg_get_ruledef(oid), ev_enabled) from pg_rewrite where rulename <> '_RETURN'
    and ev_class in (select oid from pg_class where ${shown('relnamespace')})
  union all
  select format('policy %s on %s permissive %s for %s to %s using %s check %s', polname, polrelid::regclass,
      polpermissive, polcmd, polroles::regrole[], pg_get_expr(polqual, polrelid),
      pg_get_expr(polwithcheck, polrelid))
    from pg_policy
  union all
  select format('type %s %s owner %s acl %s labels %s', oid::regtype, typtype, typowner::regrole, typacl,
      array(select enumlabel from pg_enum where enumtypid = pg_type.oid order by enumsortorder))
    from pg_type where ${shown('typnamespace')}
  union all
  select format('default privileges of %s in %s on %s: %s', defaclrole::regrole, defaclnamespace::regnamespace,
      defaclobjtype, defaclacl)
    from pg_default_acl
  union all
  select format('publication %s of %s: %s', pubname, pubowner::regrole,
      array(select prrelid::regclass from pg_publication_rel where prpubid = pg_publication.oid order by 1))
    from pg_publication
  union all
  select format('comment on %s: %s', pg_describe_object(classoid, objoid, objsubid), description)
    from pg_description where objoid >= 16384
  union all
  select format('extension %s in %s', extname, extnamespace::regnamespace) from pg_extension
  union all
  select format('event trigger %s on %s owner %s enabled %s', evtname, evtevent, evtowner::regrole, evtenabled)
    from pg_event_trigger
  union all
  select format('settings of role %s: %s', setrole, setconfig) from pg_db_role_setting`
