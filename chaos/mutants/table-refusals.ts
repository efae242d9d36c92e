import type pg from 'pg'

interface Column {
  name: string
  type: string
  /** Numbered by Postgres: never updated, written only with "overriding system value". */
  identity: boolean
  unique: boolean
}

/** Values that a column of the type may have to refuse; `%c` is the column. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
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
 * What a table refuses: every column is set to every value of its type, every row is copied, changed and removed. A
 * schema that lacks a constraint or trigger refuses less.
 */
export async function listRefusals(client: pg.PoolClient, table: string): Promise<string[]> {
  const columns = await columnsOf(client, table)
  const own = columns.find(({ identity }) => !identity)?.name
  const lines: string[] = []
  const record = async (what: string, sql: string): Promise<void> => {
    lines.push(`${what}: ${await outcome(client, sql)}`)
  }
  for (const role of ['replica', 'origin']) {
    await client.query(`set local session_replication_role = ${role}`)
    for (const { name, type } of columns.filter(({ identity }) => !identity)) {
      for (const value of VALUES[type] ?? []) {
        const set = value.replaceAll('%c', name)
        await record(`${role} ${name} = ${set.slice(0, 20)}`, `update ${table} set ${name} = ${set}`)
      }
    }
    for (const { name } of columns.filter(({ unique }) => unique))
      await record(`${role} twice, but for ${name}`, copyOf(table, columns, [name]))
    await record(`${role} twice`, copyOf(table, columns, []))
    for (const { name } of columns.filter(({ unique }) => unique)) {
      const others = columns.filter((column) => column.unique && column.name !== name).map((column) => column.name)
      await record(`${role} twice in ${name}`, copyOf(table, columns, others))
    }
  }
  // With triggers: append-only.
  await record('update', `update ${table} set ${own} = ${own}`)
  await record('delete', `delete from ${table}`)
  await record('truncate', `truncate ${table} cascade`)
  return lines
}

async function columnsOf(client: pg.PoolClient, table: string): Promise<Column[]> {
  const { rows } = await client.query<Column>(
    `select quote_ident(a.attname) as name, coalesce(d.typname, t.typname) as type, a.attidentity <> '' as identity,
       exists (select from pg_index i where i.indrelid = a.attrelid and i.indisunique
         and a.attnum = any (i.indkey)) as unique
     from pg_attribute a join pg_type t on t.oid = a.atttypid left join pg_type d on d.oid = t.typbasetype
     where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
     order by a.attnum`,
    [table],
  )
  return rows
}

/** Another value than the one of the row. */
const OTHER: Readonly<Record<string, string>> = {
  uuid: 'gen_random_uuid()',
  text: `%c || 'x'`,
  int4: '%c + 1000000',
  int8: '%c + 1000000',
  timestamptz: `%c + interval '1 hour'`,
  bool: 'not %c',
  bytea: `%c || '\\x01'`,
}

/** Copies the first row, with other values in some columns. */
function copyOf(table: string, columns: readonly Column[], changed: readonly string[]): string {
  const values = columns.map(({ name, type }) =>
    changed.includes(name) ? (OTHER[type] ?? '%c').replaceAll('%c', name) : name,
  )
  return `insert into ${table} (${columns.map(({ name }) => name).join(', ')}) overriding system value
    select ${values.join(', ')} from ${table} limit 1`
}

async function outcome(client: pg.PoolClient, sql: string): Promise<string> {
  await client.query('savepoint tried')
  try {
    const { rowCount } = await client.query(sql)
    return rowCount ? 'accepted' : 'no row'
  } catch (error) {
    const { code, constraint } = error as { code?: string; constraint?: string }
    return `${code} ${constraint ?? ''}`
  } finally {
    await client.query('rollback to savepoint tried')
  }
}
