import pg from 'pg'
import { connectionString } from '../postgres/connect.ts'
import { BOOKKEEPING } from '../postgres/migrate.ts'

/** A database of the local cluster. */
export interface DatabaseTarget {
  port: number
  database: string
}

const INT8 = 20

/** The MCP server's schemas want 64-bit integers as numbers. */
const types = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === INT8 ? Number : pg.types.getTypeParser(oid, format),
} as pg.CustomTypesConfig

async function withClient<T>(
  target: DatabaseTarget,
  user: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString: connectionString({ ...target, user }), types })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/** Runs SQL and returns the rows of its last statement. */
export function executeSql(
  target: DatabaseTarget,
  options: { query: string; parameters?: unknown[] | undefined; readOnly: boolean },
): Promise<unknown[]> {
  // The read-only role has no right to write, by any statement that it runs; to the transaction.
  return withClient(target, options.readOnly ? 'supabase_read_only_user' : 'postgres', async (client) => {
    if (options.readOnly) await client.query('set default_transaction_read_only = on')
    const parameters = options.parameters ?? []
    const result = (await (parameters.length > 0
      ? client.query(options.query, parameters)
      : client.query(options.query))) as pg.QueryResult | pg.QueryResult[]
    return (Array.isArray(result) ? result.at(-1) : result)?.rows ?? []
  })
}

/** The migrations that were applied. */
export function listMigrations(target: DatabaseTarget): Promise<{ version: string; name: string }[]> {
  return withClient(target, 'postgres', async (client) => {
    await client.query(BOOKKEEPING)
    return (await client.query('select version, name from supabase_migrations.schema_migrations order by version')).rows
  })
}

/** Applies a migration as a whole, or nothing of it, and records it after all others. */
export function applyMigration(target: DatabaseTarget, migration: { name: string; query: string }): Promise<void> {
  return withClient(target, 'postgres', async (client) => {
    await client.query(BOOKKEEPING)
    await client.query('begin')
    await client.query(migration.query)
    // Versions are times to the second; of two migrations in one second the later one must still sort later.
    await client.query(
      `insert into supabase_migrations.schema_migrations (version, name, statements)
       select greatest(to_char(now() at time zone 'utc', 'YYYYMMDDHH24MISS')::bigint, coalesce(max(version::bigint), 0) + 1)::text, $1, $2
         from supabase_migrations.schema_migrations`,
      [migration.name, [migration.query]],
    )
    await client.query('commit')
    await client.query(`notify pgrst, 'reload schema'`)
  })
}
