import type pg from 'pg'
import { expect } from 'vitest'
import { signUp, type TestDatabase } from './database.ts'

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

/** A user with exactly these credits. */
export async function userWith(database: TestDatabase, credits: number): Promise<string> {
  const userId = await signUp(database.admin)
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

const uuid = () => crypto.randomUUID()

/** The SQL functions with fresh ids: a test names only what matters to it. */
export function operations(database: () => TestDatabase) {
  const run = <Result = Json>(name: string, args: Json) => call<Result>(database().service, `credits_${name}`, args)
  return {
    run,
    settle: (userId: string, id: string, amount?: string, rest: Json = {}) =>
      run('settle', {
        p_account_id: userId,
        p_reservation_id: id,
        ...(amount === undefined ? {} : { p_charge: { amount } }),
        ...rest,
      }),
    capture: (userId: string, id: string, amount: string, rest: Json = {}) =>
      run('capture', {
        p_account_id: userId,
        p_reservation_id: id,
        p_capture_id: uuid(),
        p_charge: { amount },
        ...rest,
      }),
    extend: (userId: string, id: string, amount: number, rest: Json = {}) =>
      run('extend', { p_account_id: userId, p_reservation_id: id, p_extension_id: uuid(), p_amount: amount, ...rest }),
    release: (userId: string, id: string) => run('release', { p_account_id: userId, p_reservation_id: id }),
    reservation: (userId: string, id: string) => run('get_reservation', { p_account_id: userId, p_reservation_id: id }),
    grant: (userId: string, amount: number, rest: Json = {}) =>
      run('grant', {
        p_account_id: userId,
        p_transaction_id: uuid(),
        p_amount: amount,
        p_source: 'purchase',
        p_bucket: 'add-on',
        ...rest,
      }),
    refund: (userId: string, originalId: string, amount?: number, rest: Json = {}) =>
      run('refund', {
        p_account_id: userId,
        p_transaction_id: uuid(),
        p_original_id: originalId,
        p_reason: 'late',
        ...(amount === undefined ? {} : { p_amount: amount }),
        ...rest,
      }),
  }
}
