import { existsSync } from 'node:fs'
import { loadEnvFile } from 'node:process'
import type pg from 'pg'
import { CreditError, invalidInput } from '../core/errors.ts'
import type { Credits } from '../credits/types.ts'
import { createCredits } from '../credits.ts'
import { postgresStore } from '../store/postgres.ts'
import { classifyDatabaseError } from '../store/sql/database-errors.ts'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Reads `.env.local` and `.env` of the working folder. Variables that are set already stay. */
export function loadEnvironment(): void {
  for (const file of ['.env.local', '.env']) if (existsSync(file)) loadEnvFile(file)
}

/** The connection string of a command; undefined when there is none. */
export function databaseUrl(flag: string | undefined): string | undefined {
  return (flag ?? process.env.DATABASE_URL) || undefined
}

/**
 * Runs something on one connection and closes it in any case.
 *
 * @throws CreditError `CONFIG_INVALID` without a URL, without `pg` or with a wrong password, `STORE_UNAVAILABLE` when
 * the server does not answer
 */
export async function withDatabase<Result>(
  flag: string | undefined,
  use: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const connectionString = databaseUrl(flag)
  if (connectionString === undefined) {
    const message = 'DATABASE_URL is not set. Set it in .env.local, or give --database-url'
    throw new CreditError({ code: 'CONFIG_INVALID', message, details: { missing: ['DATABASE_URL'] } })
  }
  const client = await connect(connectionString)
  try {
    return await use(client)
  } catch (error) {
    throw isFromDatabase(error) ? classifyDatabaseError(error).error : error
  } finally {
    await client.end().catch(() => undefined)
  }
}

async function connect(connectionString: string): Promise<pg.Client> {
  const { default: driver } = await loadDriver()
  try {
    const client = new driver.Client({ connectionString, connectionTimeoutMillis: 10_000, application_name: 'credits' })
    // A connection that breaks while idle emits an event; the query that follows reports it.
    client.on('error', () => undefined)
    await client.connect()
    return client
  } catch (error) {
    if (error instanceof TypeError) throw invalidInput('--database-url', 'expected postgres://user:password@host/name')
    throw classifyDatabaseError(error).error
  }
}

/** A command over one connection, with the use cases of the library. */
export function withCreditsOf<Result>(
  url: string | undefined,
  use: (credits: Credits, client: pg.Client) => Promise<Result>,
): Promise<Result> {
  return withDatabase(url, (client) => use(createCredits({ store: postgresStore(client) }), client))
}

async function loadDriver(): Promise<{ default: typeof pg }> {
  try {
    return await import('pg')
  } catch (cause) {
    const message = 'This command needs the package "pg": npm install pg'
    throw new CreditError({ code: 'CONFIG_INVALID', message, cause })
  }
}

/** A SQLSTATE with a severity, or a connection that broke. Errors of files have a code too, and are not meant. */
function isFromDatabase(error: unknown): boolean {
  if (CreditError.isInstance(error) || !(error instanceof Error)) return false
  return 'severity' in error || /^Connection terminated|^Client has encountered a connection error/.test(error.message)
}

/** One moment of the database for everything inside: it sees no later write and makes none. */
export async function inSnapshot<Result>(client: pg.Client, read: () => Promise<Result>): Promise<Result> {
  await client.query('begin transaction isolation level repeatable read read only')
  try {
    return await read()
  } finally {
    await client.query('rollback').catch(() => undefined)
  }
}

/** Calls a function of the migrations that returns one JSON document. */
export async function callFunction<Answer>(
  client: pg.Client,
  name: string,
  values: readonly (string | number | boolean | null)[],
): Promise<Answer> {
  const parameters = values.map((_, index) => `$${index + 1}`).join(', ')
  const text = `select public.${name}(${parameters}) as answer`
  const { rows } = await client.query<{ answer: Answer }>(text, [...values])
  return (rows[0] as { answer: Answer }).answer
}

/**
 * The id of a user who is given by UUID or e-mail address.
 *
 * @throws CreditError `INVALID_INPUT` for any other text, `ACCOUNT_NOT_FOUND` for an address without a user
 */
export async function userIdOf(client: pg.Client, user: string, flag = '--user'): Promise<string> {
  if (UUID.test(user)) return user.toLowerCase()
  if (!user.includes('@')) throw invalidInput(flag, 'expected a UUID or an e-mail address')
  const { rows } = await client.query<{ id: string }>('select id from auth.users where lower(email) = lower($1)', [
    user,
  ])
  if (rows[0] !== undefined) return rows[0].id
  throw new CreditError({ code: 'ACCOUNT_NOT_FOUND', message: `No user has the address ${user}` })
}
