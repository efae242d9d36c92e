import { Decimal } from 'decimal.js'
import * as z from 'zod'
import { invalidInput, invalidIssues } from './errors.ts'

export { invalidInput } from './errors.ts'

/** Decimal places of a credit amount: `numeric(20,6)` in the database. */
export const CREDIT_PLACES = 6
/** Decimal places of a USD amount: `numeric(24,12)` in the database. */
export const USD_PLACES = 12
/** Most places that a decimal string may have. A unit price needs more of them than an amount. */
export const MAX_PLACES = 40
/** The smallest amount of credits that the ledger can write. */
export const SMALLEST_CREDIT = '0.000001'

/**
 * The numbers that this package calculates with: a decimal.js constructor of its own, so that neither an app's
 * settings nor ours reach the other. 200 digits are more than a product of two of the longest strings has, so sums
 * and products are exact. Only `div` rounds. Internal: public functions take and give decimal strings.
 */
export const Exact = Decimal.clone({
  defaults: true,
  precision: 200,
  rounding: Decimal.ROUND_HALF_UP,
  toExpNeg: -9e15,
  toExpPos: 9e15,
})
export type Exact = Decimal

// One spelling per number: ASCII digits, no exponent, no sign but '-', no leading zeros. Systems that compare the
// strings then agree with systems that compare the numbers.
const DECIMAL = /^-?(?:0|[1-9][0-9]{0,27})(?:\.[0-9]{1,40})?$/
const CREDITS = /^-?(?:0|[1-9][0-9]{0,13})(?:\.[0-9]{1,6})?$/
const USD = /^-?(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,12})?$/
const PERCENT = /^-?(?:0|[1-9][0-9]{0,4})(?:\.[0-9]{1,4})?$/

/** How a value with too many places loses them. `up` is towards plus infinity, so an upper bound stays one. */
export type RoundingMode = 'half-up' | 'up' | 'down'

const ROUNDING = {
  'half-up': Decimal.ROUND_HALF_UP,
  up: Decimal.ROUND_CEIL,
  down: Decimal.ROUND_FLOOR,
} as const satisfies Record<RoundingMode, Decimal.Rounding>

/**
 * Reads a plain decimal string.
 * @throws CreditError `INVALID_INPUT` when the text is not one
 */
export function parseDecimal(text: string, path = 'amount'): Exact {
  if (typeof text !== 'string' || !DECIMAL.test(text)) throw invalidInput(path, 'not a plain decimal string')
  return new Exact(text)
}

/** The canonical decimal string of a number: no exponent, no needless zeros, never "-0". */
export function writeDecimal(value: Exact): string {
  return value.isZero() ? '0' : value.toFixed()
}

/** The canonical form of a plain decimal string: `"1.500000"` -> `"1.5"`, `"-0"` -> `"0"`. */
export function canonical(text: string, path?: string): string {
  return writeDecimal(parseDecimal(text, path))
}

/**
 * Exact sum of two decimal strings.
 * @example add('0.1', '0.2') // '0.3'
 */
export function add(a: string, b: string): string {
  return writeDecimal(parseDecimal(a).plus(parseDecimal(b)))
}

/** Exact difference of two decimal strings. */
export function sub(a: string, b: string): string {
  return writeDecimal(parseDecimal(a).minus(parseDecimal(b)))
}

/** Exact product of two decimal strings. */
export function mul(a: string, b: string): string {
  return writeDecimal(parseDecimal(a).times(parseDecimal(b)))
}

/** Exact sum of decimal strings. The sum of none is `"0"`. */
export function sum(values: Iterable<string>): string {
  let total = new Exact(0)
  for (const value of values) total = total.plus(parseDecimal(value))
  return writeDecimal(total)
}

/** -1, 0 or 1, as `Array.prototype.sort` wants it. */
export function compare(a: string, b: string): -1 | 0 | 1 {
  return parseDecimal(a).comparedTo(parseDecimal(b)) as -1 | 0 | 1
}

/** The smaller of two decimal strings, in canonical form. */
export function min(a: string, b: string): string {
  return canonical(compare(a, b) <= 0 ? a : b)
}

/** The larger of two decimal strings, in canonical form. */
export function max(a: string, b: string): string {
  return canonical(compare(a, b) >= 0 ? a : b)
}

/** Whether the amount is zero, in any spelling. */
export function isZero(value: string): boolean {
  return parseDecimal(value).isZero()
}

/** A decimal string with at most `places` places. */
export function round(value: string, places: number, mode: RoundingMode = 'half-up'): string {
  return writeDecimal(roundDecimal(parseDecimal(value), places, mode))
}

/** {@link round} for a number. */
export function roundDecimal(value: Exact, places: number, mode: RoundingMode): Exact {
  return value.toDecimalPlaces(places, ROUNDING[mode])
}

function decimalSchema(pattern: RegExp, issue: string) {
  return z.string({ error: 'must be a decimal string' }).regex(pattern, { error: issue, abort: true })
}

/** Signed credits: a decimal string with at most 14 digits before and 6 after the point. Output is canonical. */
export const signedCreditsSchema = decimalSchema(
  CREDITS,
  'must be a plain decimal with at most 14 integer digits and 6 decimal places',
).overwrite((text) => canonical(text))

/** Credits that cannot be negative. */
export const creditsSchema = signedCreditsSchema.refine((text) => !text.startsWith('-'), {
  error: 'must not be negative',
})

/** A USD amount that cannot be negative: at most 12 digits before and 12 after the point. Output is canonical. */
export const usdSchema = decimalSchema(
  USD,
  'must be a plain decimal with at most 12 integer digits and 12 decimal places',
)
  .overwrite((text) => canonical(text))
  .refine((text) => !text.startsWith('-'), { error: 'must not be negative' })

/** A margin in percent of the cost: above -100, at most 10000, at most 4 places. Output is canonical. */
export const percentSchema = decimalSchema(PERCENT, 'must be a plain decimal with at most 4 decimal places')
  .overwrite((text) => canonical(text))
  .refine((text) => compare(text, '-100') > 0, { error: 'must be above -100' })
  .refine((text) => compare(text, '10000') <= 0, { error: 'must be at most 10000' })

/**
 * Parses with a zod schema and turns its issues into `INVALID_INPUT` with their paths.
 * @example parseOrThrow(creditsSchema, body.amount, 'amount')
 */
export function parseOrThrow<Output>(schema: z.ZodType<Output>, value: unknown, path = ''): Output {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw invalidIssues(
    result.error.issues.map((issue) => ({ path: joinPath(path, issue.path), message: issue.message })),
  )
}

/** `joinPath('pricing', ['input_tiers', 0, 'cost'])` -> `pricing.input_tiers[0].cost`. */
export function joinPath(root: string, keys: readonly PropertyKey[]): string {
  return keys.reduce<string>((path, key) => {
    if (typeof key === 'number') return `${path}[${key}]`
    return path === '' ? String(key) : `${path}.${String(key)}`
  }, root)
}

/** Credits that a cost comes to. */
export interface CreditsOfCost {
  /** Rounded to 6 places; a cost above zero comes to at least `"0.000001"`. */
  credits: string
  /** All digits. */
  exactCredits: string
  /** What became of the digits beyond the sixth: `minimum` means the charge was lifted to the smallest credit. */
  rounding: 'none' | 'half-up' | 'up' | 'minimum'
}

const HUNDRED = new Exact(100)

/**
 * 100 + margin: the factor between USD and credits, because a credit costs USD 0.01.
 * @throws CreditError `INVALID_INPUT` for a margin out of range
 */
export function creditsPerUsd(marginPercent: string): Exact {
  return HUNDRED.plus(parseOrThrow(percentSchema, marginPercent, 'marginPercent'))
}

/** {@link creditsOfUsd} for a number. */
export function creditsOfCost(cost: Exact, marginPercent: string, mode: 'half-up' | 'up'): CreditsOfCost {
  const exact = cost.times(creditsPerUsd(marginPercent))
  const exactCredits = writeDecimal(exact)
  if (exact.isZero()) return { credits: '0', exactCredits, rounding: 'none' }
  const rounded = roundDecimal(exact, CREDIT_PLACES, mode)
  if (rounded.isZero()) return { credits: SMALLEST_CREDIT, exactCredits, rounding: 'minimum' }
  return { credits: writeDecimal(rounded), exactCredits, rounding: rounded.equals(exact) ? 'none' : mode }
}

/**
 * Turns a cost into credits: `cost / 0.01 * (1 + margin / 100)`, which is exactly `cost * (100 + margin)`.
 * Rounded half up at the sixth place; `mode: 'up'` is for estimates.
 * @throws CreditError `INVALID_INPUT` for a cost or margin that is no plain decimal in range
 * @example creditsOfUsd({ costUsd: '0.021', marginPercent: '60' }).credits // '3.36'
 */
export function creditsOfUsd(input: {
  costUsd: string
  marginPercent: string
  mode?: 'half-up' | 'up' | undefined
}): CreditsOfCost {
  const { costUsd, marginPercent, mode = 'half-up' } = input
  const cost = parseDecimal(costUsd, 'costUsd')
  if (cost.isNegative() && !cost.isZero()) throw invalidInput('costUsd', 'must not be negative')
  return creditsOfCost(cost, marginPercent, mode)
}

/**
 * The cost that a margin turns into these credits, to the last place of the ledger: the inverse of
 * {@link creditsOfUsd}.
 * @throws CreditError `INVALID_INPUT` for credits or a margin that is no plain decimal in range
 * @example usdOfCredits({ credits: '3.36', marginPercent: '60' }) // '0.021'
 */
export function usdOfCredits(input: { credits: string; marginPercent: string }): string {
  const cost = parseDecimal(input.credits, 'credits').div(creditsPerUsd(input.marginPercent))
  return writeDecimal(roundDecimal(cost, USD_PLACES, 'half-up'))
}
