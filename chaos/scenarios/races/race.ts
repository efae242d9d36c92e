import type pg from 'pg'
import type { CreditStore } from '../../../packages/credits/src/store/port.ts'
import type { TestDatabase } from '../../runner/test-database.ts'
import { type Answer, millionths } from '../../workload/operations.ts'
import type { Random } from '../../workload/random.ts'

/** What a race works with. */
export interface RaceParts {
  database: TestDatabase
  store: CreditStore
  /** The same connections as those of the store, for functions that the port does not have. */
  pool: pg.Pool
  random: Random
  /** How many callers there are. */
  callers: number
}

/** Calls that are made at the same time, and what must come of them in any order. */
export interface PreparedRace {
  call: (index: number) => Promise<Answer<unknown>>
  /** Says what went wrong; undefined when nothing did. */
  findFault(answers: readonly Answer<unknown>[]): string | undefined | Promise<string | undefined>
}

/** A race for one function. */
export interface Race {
  name: string
  /** The table that decides, where it is not one of the ledger. */
  at?: string
  prepare(parts: RaceParts): Promise<PreparedRace>
}

/** The values of the calls that were not refused. */
export const valuesOf = (answers: readonly Answer<unknown>[]): unknown[] =>
  answers.flatMap((answer) => (answer.ok ? [answer.value] : []))

/** How many calls had an effect, as opposed to the answer of an earlier call. */
export const countFirst = (answers: readonly Answer<unknown>[]): number =>
  valuesOf(answers).filter((value) => (value as { replayed: boolean }).replayed === false).length

/** Exactly this number succeeds; all others are refused with the code. */
export function exactly(wanted: number, code: string): PreparedRace['findFault'] {
  return (answers) => {
    const succeeded = valuesOf(answers).length
    const other = answers.flatMap((answer) => (!answer.ok && answer.code !== code ? [answer.code] : []))
    if (succeeded === wanted && other.length === 0) return undefined
    return `${succeeded} of ${answers.length} succeeded, ${wanted} should have; other refusals: ${other}`
  }
}

/** Every call gets the same result, and it happened once. */
export const onlyOnce: PreparedRace['findFault'] = (answers) => {
  const times = countFirst(answers)
  if (times === 1 && valuesOf(answers).length === answers.length) return undefined
  const codes = answers.flatMap((answer) => (answer.ok ? [] : [answer.code]))
  return `it happened ${times} times; refusals: ${codes}`
}

/** A reservation to race for. */
export async function reserve(
  { store, random }: Pick<RaceParts, 'store' | 'random'>,
  userId: string,
  amount: string,
): Promise<{ userId: string; reservationId: string }> {
  const reservation = { userId, reservationId: random.uuid() }
  await store.reserve({ ...reservation, amount, ttlSeconds: 300 })
  return reservation
}

/** Amounts added, in millionths. */
export const sum = (values: readonly string[]): bigint => values.reduce((total, value) => total + millionths(value), 0n)

/** A user whose signup trigger did not run, in a database where the signup grant is 50. */
export async function missedSignup({ database, random }: Pick<RaceParts, 'database' | 'random'>): Promise<string> {
  await database.admin.query('update public.credit_settings set signup_credits = 50')
  const client = await database.admin.connect()
  const userId = random.uuid()
  try {
    await client.query(`set session_replication_role = replica`)
    await client.query(`insert into auth.users (id, email, email_confirmed_at) values ($1, $2, now())`, [
      userId,
      `${userId}@example.com`,
    ])
  } finally {
    await client.query(`set session_replication_role = origin`)
    client.release()
  }
  return userId
}

/** Moves every active reservation of an account into the past, as if its time had passed. */
export async function expireReservations(database: TestDatabase, userId: string): Promise<void> {
  const client = await database.admin.connect()
  try {
    await client.query('begin')
    // Reservations before the account, as in the functions, so that no deadlock comes from here.
    await client.query(
      `update public.credit_reservations set expires_at = clock_timestamp() - interval '1 second'
       where account_id = $1 and id in (
         select id from public.credit_reservations where account_id = $1 and state = 'active' order by id for update)`,
      [userId],
    )
    await client.query(
      `update public.credit_balances set next_due_at = clock_timestamp() - interval '1 second',
         expired_until = least(expired_until, clock_timestamp() - interval '1 minute') where account_id = $1`,
      [userId],
    )
    await client.query('commit')
  } catch (error) {
    await client.query('rollback').catch(() => undefined)
    throw error
  } finally {
    client.release()
  }
}
