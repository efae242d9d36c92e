import { type ClonedDatabase, type Stack, startStack } from '@layers/local-stack'
import pg from 'pg'
import { expect } from 'vitest'

/** A database with the migrations applied, and the two ways into it that the tests need. */
export interface Ground {
  /** Superuser: what the code under test never sees. */
  admin: pg.Pool
  /** The role of a server with the secret key. */
  service: pg.Pool
  dbUrl: string
  close(): Promise<void>
}

let stack: Promise<Stack> | undefined

/** One stack per test file, one database per ground. */
export async function openGround(): Promise<Ground> {
  stack ??= startStack({ ephemeral: true })
  const database: ClonedDatabase = await (await stack).cloneDatabase()
  const admin = new pg.Pool({ connectionString: database.adminDbUrl, max: 4 })
  const service = new pg.Pool({ connectionString: database.dbUrl, max: 60, options: '-c role=service_role' })
  // Connections that are still closing when the stack stops; a query that fails still rejects.
  for (const pool of [admin, service]) pool.on('error', () => {})
  return {
    admin,
    service,
    dbUrl: database.dbUrl,
    // The database itself goes with the stack.
    async close() {
      await Promise.all([admin.end(), service.end()])
    },
  }
}

/** Stops this file's stack. */
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
  const { rows } = await pool.query<{ result: string }>(`select public.${name}(${list})::text as result`, values)
  return JSON.parse((rows[0] as { result: string }).result, trimmed) as Result
}

/** Amounts have all the places of their columns; a test says what it means. */
const trimmed = (_: string, value: unknown) =>
  typeof value === 'string' && /^-?\d+\.\d+$/.test(value) ? value.replace(/\.?0+$/, '') : value

const isJson = (value: unknown) => typeof value === 'object' && value !== null

/** Asserts that a call fails with one of our codes and gives its details. */
export async function refusal(promise: Promise<unknown>, code: string): Promise<Json> {
  const error = await promise.then(
    () => expect.fail(`expected ${code}, but the call succeeded`),
    (reason: pg.DatabaseError) => reason,
  )
  expect(error.message).toBe(code)
  expect(error.code).toMatch(/^PT[45]\d\d$/)
  return JSON.parse(error.detail ?? '{}') as Json
}

/** Signs somebody up as the auth server does; the trigger opens the account with 50 credits. */
export async function signUp(ground: Ground, email = `${crypto.randomUUID()}@example.test`, id = crypto.randomUUID()) {
  await ground.admin.query(`insert into auth.users (id, email) values ($1, $2)`, [id, email])
  return id
}

/** A user with exactly these credits. */
export async function userWith(ground: Ground, credits: number): Promise<string> {
  const userId = await signUp(ground)
  if (credits !== 50) {
    await call(ground.service, 'credits_adjust', {
      p_transaction_id: crypto.randomUUID(),
      p_user_id: userId,
      p_amount: credits - 50,
      p_reason: 'test',
    })
  }
  return userId
}

/** Reserves and gives the reservation's id. */
export async function reserve(ground: Ground, userId: string, amount: number | string, rest: Json = {}) {
  const id = crypto.randomUUID()
  await call(ground.service, 'credits_reserve', { p_reservation_id: id, p_user_id: userId, p_amount: amount, ...rest })
  return id
}

/** Lets time pass for an account: whatever waits is moved towards now, because the clock is the database's. */
export async function letTimePass(ground: Ground, userId: string, interval: string): Promise<void> {
  await ground.admin.query(
    `with lots as (update public.credit_lots set expires_at = expires_at - $2::interval where account_id = $1),
     reservations as (update public.credit_reservations set expires_at = expires_at - $2::interval where account_id = $1)
     update public.credit_balances
     set next_due_at = next_due_at - $2::interval, swept_until = swept_until - $2::interval,
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

export const balanceOf = (ground: Ground, userId: string) =>
  call<BalanceJson>(ground.service, 'credits_get_balance', { p_user_id: userId })
