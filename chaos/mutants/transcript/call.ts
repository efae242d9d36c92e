import { createHash } from 'node:crypto'
import { chargeOf } from '../../workload/operations.ts'

/** The same name gives the same id in every run. */
export const id = (name: string): string => {
  const hex = createHash('sha256').update(name).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** A function and its arguments; `sql` runs a statement. */
export type Call = readonly [name: string, ...args: unknown[]]

export const A = id('account a')
/** For the edges of the input, which give an account too many credits for any refusal. */
export const RICH = id('account rich')
/** For the limits of what may be reserved. */
export const SMALL = id('account small')
/** For the edges of a balance. */
export const FULL = id('account full')
export const charge = (amount: string, more: object = {}): string => JSON.stringify(chargeOf(amount, more))
export const long = (length: number): string => 'x'.repeat(length)

/** Amounts at every edge of what is allowed. */
export const EDGES = [
  '0',
  '-1',
  '0.000001',
  '0.0000001',
  '1.0000001',
  'NaN',
  'Infinity',
  '-Infinity',
  '1000000000000',
  '1000000000000.000001',
]
export const TTL_EDGES = [-1, 0, 1, 86_400, 86_401]

export const reserve = (
  name: string,
  amount: string | null,
  minimum: string | null = null,
  ttl: number | null = 300,
  ...more: unknown[]
): Call => ['credits_reserve', A, id(name), amount, minimum, ttl, ...more]
export const grant = (
  name: string,
  amount: string | null,
  bucket: string | null = 'add-on',
  ...more: unknown[]
): Call => ['credits_grant', A, id(name), amount, 'promo', bucket, ...more]

export const sql = (text: string): Call => ['sql', text]
/** Sets a time that has passed. */
export const past = (table: string, column: string, where: string): Call =>
  sql(`update public.${table} set ${column} = clock_timestamp() - interval '1 second' where ${where}`)
/** Prolongs what would expire within a minute: on a slow machine it would have expired. */
export const prolong = (table: string): Call =>
  sql(
    `update public.${table} set expires_at = expires_at + interval '1 hour'
      where expires_at < now() + interval '1 minute'`,
  )
export const due = sql(
  `update public.credit_balances
    set next_due_at = clock_timestamp() - interval '1 second', expired_until = '-infinity' where account_id = '${A}'`,
)
/** As if the period of the account had begun this many months, and a day, earlier. */
export const monthsAgo = (account: string, months: number): Call[] => [
  sql(
    `update public.credit_balances
      set plan_anchor_at = plan_anchor_at - interval '${months} months 1 day',
      plan_period_ends_at = plan_period_ends_at - interval '${months} months 1 day',
      next_due_at = clock_timestamp() - interval '1 second' where account_id = '${account}'`,
  ),
  sql(
    `update public.credit_lots set expires_at = expires_at - interval '${months} months 1 day'
      where account_id = '${account}' and bucket = 'plan' and isfinite(expires_at)`,
  ),
]
