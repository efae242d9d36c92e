import { type ClonedDatabase, type Stack, startStack } from '@layers/local-stack'
import pg from 'pg'
import { expect } from 'vitest'

/** A database with the migrations applied, and the two roles that the tests act as. */
export interface TestDatabase {
  /** Superuser: what the code under test never is. */
  admin: pg.Pool
  /** The role of a server with the secret key. */
  service: pg.Pool
  dbUrl: string
  close(): Promise<void>
}

let stack: Promise<Stack> | undefined

/** One stack per test file, one database per call. */
export async function openDatabase(): Promise<TestDatabase> {
  stack ??= startStack({ ephemeral: true })
  const database: ClonedDatabase = await (await stack).cloneDatabase()
  const admin = new pg.Pool({ connectionString: database.adminDbUrl, max: 4 })
  const service = new pg.Pool({ connectionString: database.dbUrl, max: 60, options: '-c role=service_role' })
  // Connections that still close when the stack stops emit an error. A query that fails still rejects.
  for (const pool of [admin, service]) pool.on('error', () => {})
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
export async function closeStack(): Promise<void> {
  await (await stack)?.stop()
  stack = undefined
}

export type Json = Record<string, unknown>

/** Calls a function by its argument names, as PostgREST does. */
export async function call<Result = Json>(pool: pg.Pool, name: string, args: Json = {}): Promise<Result> {
  const names = Object.keys(args)
  const list = names.map((key, index) => `${key} => $${index + 1}`).join(', ')
  const values = names.map((key) => (isJson(args[key]) ? JSON.stringify(args[key]) : args[key]))
  const { rows } = await pool.query<{ result: Result }>(`select public.${name}(${list}) as result`, values)
  return (rows[0] as { result: Result }).result
}

const isJson = (value: unknown) => typeof value === 'object' && value !== null

/** Asserts that a call fails with one of the documented codes, and gives its details. */
export async function refusal(promise: Promise<unknown>, code: string): Promise<Json> {
  const error = await promise.then(
    () => expect.fail(`expected ${code}, but the call succeeded`),
    (reason: pg.DatabaseError) => reason,
  )
  expect(error.message).toBe(code)
  expect(error.code).toMatch(/^PT[45]\d\d$/)
  return JSON.parse(error.detail ?? '{}') as Json
}

/** Asserts INVALID_INPUT, and gives the paths of its issues. */
export async function invalidPaths(promise: Promise<unknown>): Promise<string[]> {
  const { issues } = (await refusal(promise, 'INVALID_INPUT')) as { issues: { path: string; message: string }[] }
  return issues.map(({ path }) => path)
}

/** Who signs up; by default with a confirmed address of their own. */
export interface NewUser {
  id?: string
  email?: string
  confirmed?: boolean
}

/** Signs a user up as the auth server does. The trigger opens the account; a confirmed user gets 50 credits. */
export async function signUp(database: TestDatabase, user: NewUser = {}): Promise<string> {
  const { id = crypto.randomUUID(), email = `${crypto.randomUUID()}@example.test`, confirmed = true } = user
  await database.admin.query(
    `insert into auth.users (id, email, email_confirmed_at) values ($1, $2, case when $3 then now() end)`,
    [id, email, confirmed],
  )
  return id
}

/** A user with exactly these credits. */
export async function userWith(database: TestDatabase, credits: number): Promise<string> {
  const userId = await signUp(database)
  if (credits !== 50) {
    await call(database.service, 'credits_adjust', {
      p_account_id: userId,
      p_transaction_id: crypto.randomUUID(),
      p_amount: credits - 50,
      p_reason: 'test',
    })
  }
  return userId
}

/** Reserves and gives the id of the reservation. */
export async function reserve(database: TestDatabase, userId: string, amount: number | string, rest: Json = {}) {
  const id = crypto.randomUUID()
  await call(database.service, 'credits_reserve', {
    p_account_id: userId,
    p_reservation_id: id,
    p_amount: amount,
    ...rest,
  })
  return id
}

/** Reserves an amount and settles it at once. */
export async function spend(database: TestDatabase, userId: string, amount: number): Promise<string> {
  const id = await reserve(database, userId, amount)
  await call(database.service, 'credits_settle', {
    p_account_id: userId,
    p_reservation_id: id,
    p_charge: { amount: String(amount) },
  })
  return id
}

/**
 * Lets time pass for an account. The clock is the database's, so everything that lies in the future or the past of the
 * account is moved towards the past instead.
 */
export async function advance(database: TestDatabase, userId: string, interval: string): Promise<void> {
  await database.admin.query(
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

export interface BalanceJson {
  available: string
  planCredits: string
  addOnCredits: string
  debt: string
  reserved: string
  status: string
  planId: string
  version: number
}

export const balanceOf = (database: TestDatabase, userId: string) =>
  call<BalanceJson>(database.service, 'credits_get_balance', { p_account_id: userId })

/** All transactions of an account, newest first. */
export async function ledgerOf(database: TestDatabase, userId: string): Promise<Json[]> {
  const page = await call<{ data: Json[] }>(database.service, 'credits_get_history', {
    p_account_id: userId,
    p_limit: 200,
  })
  return page.data
}
