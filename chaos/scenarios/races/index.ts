import type pg from 'pg'
import type { CreditStore } from '../../../packages/credits/src/store/port.ts'
import type { Field } from '../../runner/test-database.ts'
import { type Answer, micros } from '../../workload/operations.ts'
import type { Random } from '../../workload/random.ts'

/** What a race is made of. */
export interface RaceParts {
  field: Field
  store: CreditStore
  /** The same connections as the store's, for functions that the port does not have. */
  pool: pg.Pool
  random: Random
  /** How many call at once. */
  callers: number
}

/** Calls that are fired at once, and what must come of them whatever their order. */
export interface ReadyRace {
  call: (index: number) => Promise<Answer<unknown>>
  /** Says what went wrong; undefined when all is well. */
  judge(answers: readonly Answer<unknown>[]): string | undefined | Promise<string | undefined>
}

/** A race by the function that it tries to break. */
export interface Race {
  name: string
  /** The table that decides, where it is none of the ledger's. */
  at?: string
  prepare(parts: RaceParts): Promise<ReadyRace>
}

/** What those got that were not refused. */
export const oks = (answers: readonly Answer<unknown>[]): unknown[] =>
  answers.flatMap((answer) => (answer.ok ? [answer.value] : []))

/** How many of them did it, rather than being told that it was done. */
export const fresh = (answers: readonly Answer<unknown>[]): number =>
  oks(answers).filter((value) => (value as { replayed: boolean }).replayed === false).length

/** Exactly so many succeed; all the others are refused with the code. */
export function exactly(wanted: number, code: string): ReadyRace['judge'] {
  return (answers) => {
    const granted = oks(answers).length
    const other = answers.filter((answer) => !answer.ok && answer.code !== code)
    if (granted === wanted && other.length === 0) return undefined
    return `${granted} of ${answers.length} succeeded, ${wanted} should have; other refusals: ${other.map((answer) => (answer as { code: string }).code)}`
  }
}

/** Everybody gets the same result, and it happened once. */
export const onlyOnce: ReadyRace['judge'] = (answers) => {
  const times = fresh(answers)
  if (times === 1 && oks(answers).length === answers.length) return undefined
  const codes = answers.flatMap((answer) => (answer.ok ? [] : [answer.code]))
  return `happened ${times} times; refusals: ${codes}`
}

/** A reservation to race about. */
export const hold = async ({ store, random }: RaceParts, userId: string, amount: string): Promise<string> => {
  const reservationId = random.uuid()
  await store.reserve({ reservationId, userId, amount, ttlSeconds: 300 })
  return reservationId
}

/** Amounts added, in millionths. */
export const sum = (values: readonly string[]): bigint => values.reduce((total, value) => total + micros(value), 0n)

/** A user whose signup trigger did not run, in a field where the signup grant is 50. */
export async function missedSignup({ field, random }: Pick<RaceParts, 'field' | 'random'>): Promise<string> {
  await field.admin.query('update public.credit_settings set signup_credits = 50')
  const client = await field.admin.connect()
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

/** Moves every open reservation of an account into the past, as if its time had passed. */
export async function letExpire(field: Field, userId: string): Promise<void> {
  const client = await field.admin.connect()
  try {
    await client.query('begin')
    // The account last, as everybody does: the attack must not bring a deadlock of its own.
    await client.query(
      `update public.credit_reservations set expires_at = clock_timestamp() - interval '1 second'
       where id in (select id from public.credit_reservations where account_id = $1 and state = 'active' order by id for update)`,
      [userId],
    )
    await client.query(
      `update public.credit_balances set next_due_at = clock_timestamp() - interval '1 second',
         swept_until = least(swept_until, clock_timestamp() - interval '1 minute') where account_id = $1`,
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
