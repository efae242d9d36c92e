import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type pg from 'pg'
import { StackError, type StackErrorCode } from '../errors.ts'
import { type Target, withClient } from './connect.ts'
import { describeSqlError } from './sql-error.ts'

/** The same bookkeeping as the Supabase CLI's, so that `supabase migration list` and `db push` agree with us. */
export const BOOKKEEPING = `
  create schema if not exists supabase_migrations;
  create table if not exists supabase_migrations.schema_migrations (version text primary key, statements text[], name text);
  create table if not exists supabase_migrations.seed_files (path text primary key, hash text not null);`

const MIGRATION_FILE = /^(\d+)_(.*)\.sql$/

/**
 * Applies the migrations that were not applied yet, in order, each in a transaction of its own, as the role that
 * Supabase applies them with.
 *
 * @returns the names of the files that were applied
 * @throws StackError `MIGRATION_FAILED` with file, line and the server's words; nothing of that file stays
 */
export async function migrate(target: Omit<Target, 'user'>, folder: string): Promise<string[]> {
  if (!existsSync(folder)) return []
  const files = readdirSync(folder)
    .filter((file) => MIGRATION_FILE.test(file))
    .sort()
  return withClient({ ...target, user: 'postgres' }, async (client) => {
    await client.query(BOOKKEEPING)
    const done = await client.query<{ version: string }>('select version from supabase_migrations.schema_migrations')
    const applied = new Set(done.rows.map((row) => row.version))
    const fresh = files.filter((file) => !applied.has(MIGRATION_FILE.exec(file)?.[1] ?? ''))
    for (const file of fresh) await applyMigration(client, path.join(folder, file))
    return fresh
  })
}

async function applyMigration(client: pg.Client, file: string): Promise<void> {
  const [, version, name] = MIGRATION_FILE.exec(path.basename(file)) ?? []
  const text = readFileSync(file, 'utf8')
  await runScript(client, file, text, 'MIGRATION_FAILED', () =>
    client.query('insert into supabase_migrations.schema_migrations (version, statements, name) values ($1, $2, $3)', [
      version,
      [text],
      name,
    ]),
  )
}

/**
 * Runs the seed when it is new or has changed. A seed can be run twice.
 *
 * @returns whether it was run
 * @throws StackError `SEED_FAILED` with file, line and the server's words; nothing of it stays
 */
export async function seed(target: Omit<Target, 'user'>, file: string): Promise<boolean> {
  if (!existsSync(file)) return false
  const text = readFileSync(file, 'utf8')
  const hash = createHash('sha256').update(text).digest('hex')
  const key = `supabase/${path.basename(file)}`
  return withClient({ ...target, user: 'postgres' }, async (client) => {
    await client.query(BOOKKEEPING)
    const known = await client.query('select 1 from supabase_migrations.seed_files where path = $1 and hash = $2', [
      key,
      hash,
    ])
    if (known.rowCount) return false
    await runScript(client, file, text, 'SEED_FAILED', () =>
      client.query(
        'insert into supabase_migrations.seed_files (path, hash) values ($1, $2) on conflict (path) do update set hash = excluded.hash',
        [key, hash],
      ),
    )
    return true
  })
}

async function runScript(
  client: pg.Client,
  file: string,
  text: string,
  code: StackErrorCode,
  record: () => Promise<unknown>,
): Promise<void> {
  let finished = 0
  const count = () => {
    finished += 1
  }
  await client.query('begin')
  // `connection` is not in the types. Counting finished statements gives the line of an error that has no position.
  const { connection } = client as unknown as { connection: NodeJS.EventEmitter }
  connection.on('commandComplete', count)
  try {
    await client.query(text)
  } catch (error) {
    throw new StackError(code, `${path.basename(file)}${describeSqlError(error, text, finished)}`, {
      hint: `Correct ${file} and start again. Nothing of it was kept.`,
      cause: error,
    })
  } finally {
    connection.off('commandComplete', count)
  }
  await record()
  await client.query('commit')
}
