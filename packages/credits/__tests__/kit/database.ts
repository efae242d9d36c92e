import { type ClonedDatabase, type Stack, startStack } from '@layers/local-stack'
import pg from 'pg'

/** A database with the migrations and the seeded rates applied, and the two roles that the tests act as. */
export interface TestDatabase {
  /** Superuser: what the code under test never is. */
  admin: pg.Pool
  /** The role of a server with the secret key. */
  service: pg.Pool
  /** For the role `postgres`. */
  dbUrl: string
  close(): Promise<void>
}

let stack: Promise<Stack> | undefined

/** A database of its own, in some 20 ms: one stack for each test file, one copy of its template for each call. */
export async function createTestDatabase(): Promise<TestDatabase> {
  stack ??= startStack({ ephemeral: true })
  const database: ClonedDatabase = await (await stack).cloneDatabase()
  const admin = openPool(database.adminDbUrl, { max: 4 })
  const service = openPool(database.dbUrl, { max: 60, options: '-c role=service_role' })
  return {
    admin,
    service,
    dbUrl: database.dbUrl,
    // The stack drops the database itself.
    async close() {
      await Promise.all([admin.end(), service.end()])
    },
  }
}

/** Stops the stack of this file. */
export async function stopDatabases(): Promise<void> {
  await (await stack)?.stop()
  stack = undefined
}

/**
 * A pool for tests, of two connections by default. A connection that the server ends, while idle or just
 * after `end()`, emits an error event. Without a listener the event would end the process. A query still rejects.
 */
export function openPool(connectionString: string, options: pg.PoolConfig = {}): pg.Pool {
  const pool = new pg.Pool({ connectionString, max: 2, ...options })
  pool.on('error', () => undefined)
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}

/** A user who signs up. By default the user has an e-mail address of their own, and it is confirmed. */
export interface NewUser {
  id?: string
  email?: string
  confirmed?: boolean
}

/** Signs a user up as the auth server does. The trigger opens the account; a confirmed user gets 50 credits. */
export async function signUp(admin: pg.Pool, user: NewUser = {}): Promise<string> {
  const { id = crypto.randomUUID(), email = `${crypto.randomUUID()}@example.test`, confirmed = true } = user
  await admin.query(
    `insert into auth.users (id, aud, role, email, email_confirmed_at, created_at, updated_at)
     values ($1, 'authenticated', 'authenticated', $2, case when $3 then now() end, now(), now())`,
    [id, email, confirmed],
  )
  return id
}

/** Runs something while another session has taken locks. They are given back even if it fails. */
export async function whileLocked<Result>(
  database: TestDatabase,
  statement: string,
  run: () => Promise<Result>,
): Promise<Result> {
  const session = await database.admin.connect()
  try {
    await session.query(`begin; ${statement}`)
    return await run()
  } finally {
    await session.query('rollback')
    session.release()
  }
}

/**
 * Lets time pass for an account. The clock is the database's, so everything that lies in the future or the past of the
 * account is moved towards the past instead.
 */
export async function advance(admin: pg.Pool, userId: string, interval: string): Promise<void> {
  await admin.query(
    `with lots as (
       update public.credit_lots set expires_at = expires_at - $2::interval where account_id = $1
     ), reservations as (
       update public.credit_reservations
       set expires_at = expires_at - $2::interval, created_at = created_at - $2::interval
       where account_id = $1
     )
     update public.credit_balances
     set next_due_at = next_due_at - $2::interval, expired_until = expired_until - $2::interval,
         plan_anchor_at = plan_anchor_at - $2::interval, plan_period_ends_at = plan_period_ends_at - $2::interval
     where account_id = $1`,
    [userId, interval],
  )
}
