import type pg from 'pg'

interface Column {
  name: string
  type: string
  /** Numbered by Postgres: never updated, written only when asked to. */
  identity: boolean
  unique: boolean
}

const POISON: Readonly<Record<string, readonly string[]>> = {
  numeric: [`'NaN'`, '-1', '-1000', '99999999999999', '%c + 1000000000', '-%c', 'null'],
  int4: ['-1', '0', '2000000000', 'null'],
  int8: ['-1', '9000000000000000000', 'null'],
  text: [`''`, `'Nonsense!'`, `repeat('x', 3000)`, `'default'`, `'usage'`, `'grant'`, `'refund'`, `'expiry'`, 'null'],
  bool: ['not %c', 'null'],
  uuid: ['gen_random_uuid()', 'null'],
  jsonb: [`'[]'`, `'null'`, 'null'],
  bytea: [`'\\x00'`, 'null'],
  timestamptz: ['null'],
}

/**
 * What a table refuses: every column gets every poison of its type, every row is written twice, every row is
 * changed and removed. Two schemas of which one lacks a guard answer differently.
 */
export async function observe(client: pg.PoolClient, table: string): Promise<string[]> {
  const columns = await columnsOf(client, table)
  const own = columns.find(({ identity }) => !identity)?.name
  const seen: string[] = []
  const note = async (what: string, sql: string): Promise<void> => {
    seen.push(`${what}: ${await outcome(client, sql)}`)
  }
  for (const role of ['replica', 'origin']) {
    await client.query(`set local session_replication_role = ${role}`)
    for (const { name, type } of columns.filter(({ identity }) => !identity)) {
      for (const value of POISON[type] ?? []) {
        const poison = value.replaceAll('%c', name)
        await note(`${role} ${name} = ${poison.slice(0, 20)}`, `update ${table} set ${name} = ${poison}`)
      }
    }
    for (const { name } of columns.filter(({ unique }) => unique))
      await note(`${role} twice, but for ${name}`, copyOf(table, columns, [name]))
    await note(`${role} twice`, copyOf(table, columns, []))
    for (const { name } of columns.filter(({ unique }) => unique)) {
      const others = columns.filter((column) => column.unique && column.name !== name).map((column) => column.name)
      await note(`${role} twice in ${name}`, copyOf(table, columns, others))
    }
  }
  // As the owner in everyday life: the append-only triggers.
  await note('update', `update ${table} set ${own} = ${own}`)
  await note('delete', `delete from ${table}`)
  await note('truncate', `truncate ${table} cascade`)
  return seen
}

async function columnsOf(client: pg.PoolClient, table: string): Promise<Column[]> {
  const { rows } = await client.query<Column>(
    `select quote_ident(a.attname) as name, coalesce(d.typname, t.typname) as type, a.attidentity <> '' as identity,
       exists (select from pg_index i where i.indrelid = a.attrelid and i.indisunique and a.attnum = any (i.indkey)) as unique
     from pg_attribute a join pg_type t on t.oid = a.atttypid left join pg_type d on d.oid = t.typbasetype
     where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
     order by a.attnum`,
    [table],
  )
  return rows
}

const FRESH: Readonly<Record<string, string>> = {
  uuid: 'gen_random_uuid()',
  text: `%c || 'x'`,
  int4: '%c + 1000000',
  int8: '%c + 1000000',
  timestamptz: `%c + interval '1 hour'`,
  bool: 'not %c',
  bytea: `%c || '\\x01'`,
}

/** Writes the first row again, with new values in some columns. */
function copyOf(table: string, columns: readonly Column[], fresh: readonly string[]): string {
  const values = columns.map(({ name, type }) =>
    fresh.includes(name) ? (FRESH[type] ?? '%c').replaceAll('%c', name) : name,
  )
  return `insert into ${table} (${columns.map(({ name }) => name).join(', ')}) overriding system value select ${values.join(', ')} from ${table} limit 1`
}

async function outcome(client: pg.PoolClient, sql: string): Promise<string> {
  await client.query('savepoint poison')
  try {
    const { rowCount } = await client.query(sql)
    return rowCount ? 'taken' : 'no row'
  } catch (error) {
    const { code, constraint } = error as { code?: string; constraint?: string }
    return `${code} ${constraint ?? ''}`
  } finally {
    await client.query('rollback to savepoint poison')
  }
}
