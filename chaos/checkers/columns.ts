import type pg from 'pg'

/** A numeric column of our schemas, as the system catalogue describes it. */
export interface NumericColumn {
  /** `table.column`, quoted for SQL. */
  name: string
  table: string
  column: string
}

/** Every numeric column of every table of ours, new ones included. */
export async function numericColumns(client: pg.Client | pg.Pool): Promise<NumericColumn[]> {
  const { rows } = await client.query<NumericColumn>(`
    select c.oid::regclass || '.' || quote_ident(a.attname) as name, c.oid::regclass::text as table,
      quote_ident(a.attname) as column
    from pg_attribute a
    join pg_class c on c.oid = a.attrelid
    join pg_namespace n on n.oid = c.relnamespace
    join pg_type t on t.oid = a.atttypid
    where n.nspname in ('public', 'credits_private') and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped
      and 'numeric'::regtype in (a.atttypid, t.typbasetype)
    order by 1`)
  return rows
}

/** Selects rows whose number is NaN, infinite or beyond everything that the schema allows. */
export function outOfRange({ table, column }: NumericColumn): string {
  return `select ${column}::text as value from ${table}
    where ${column} in ('NaN', 'Infinity', '-Infinity') or abs(${column}) > 20000000000000`
}
