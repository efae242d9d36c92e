import { existsSync } from 'node:fs'
import { loadEnvFile } from 'node:process'
import type pg from 'pg'
import { CreditError } from '../core/errors.ts'
import type { Credits } from '../credits/types.ts'
import { createCredits } from '../credits.ts'
import { postgresStore } from '../store/postgres.ts'
import { classifyDatabaseError } from '../store/sql/database-errors.ts'

/** Reads `.env.local` and `.env` of the folder one stands in; what is set already stays. */
export function loadEnvironment(): void {
  for (const file of ['.env.local', '.env']) if (existsSync(file)) loadEnvFile(file)
}

/**
 * Runs something on one connection, and closes it whatever happens.
 *
 * @throws CreditError `CONFIG_INVALID` without a URL or without `pg`, `STORE_UNAVAILABLE` when nobody answers
 */
export async function withDatabase<Result>(
  url: string | undefined,
  use: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const connectionString = url ?? process.env.DATABASE_URL
  if (connectionString === undefined || connectionString === '') {
    throw new CreditError({
      code: 'CONFIG_INVALID',
      message: 'DATABASE_URL is not set. Set it, or give --database-url; on the local stack: pnpm stack env',
    })
  }
  const { default: driver } = await loadDriver()
  const client = new driver.Client({ connectionString, connectionTimeoutMillis: 10_000, application_name: 'credits' })
  // A connection that breaks while idle emits an event; the query that follows reports it.
  client.on('error', () => undefined)
  try {
    await client.connect()
    return await use(client)
  } catch (error) {
    throw asDatabaseError(error)
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** The use cases over one connection. */
export function withCreditsOf<Result>(
  url: string | undefined,
  use: (credits: Credits) => Promise<Result>,
): Promise<Result> {
  return withDatabase(url, (client) => use(createCredits({ store: postgresStore(client) })))
}

async function loadDriver(): Promise<{ default: typeof pg }> {
  try {
    return await import('pg')
  } catch (cause) {
    throw new CreditError({
      code: 'CONFIG_INVALID',
      message: 'This command needs the package "pg": pnpm add pg',
      cause,
    })
  }
}

/** Only what comes from the database is translated; a mistake of ours stays what it is. */
function asDatabaseError(error: unknown): unknown {
  if (CreditError.isInstance(error) || !(error instanceof Error) || !('code' in error)) return error
  return classifyDatabaseError(error).error
}

/** One moment of the database for everything inside: no write of others is seen, and none is made. */
export async function inSnapshot<Result>(client: pg.Client, read: () => Promise<Result>): Promise<Result> {
  await client.query('begin transaction isolation level repeatable read read only')
  try {
    return await read()
  } finally {
    await client.query('rollback').catch(() => undefined)
  }
}
