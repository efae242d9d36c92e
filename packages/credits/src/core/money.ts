import * as z from 'zod'
import { invalidInput } from './errors.ts'

export { invalidInput } from './errors.ts'

/** Decimal places of a credit amount: `numeric(20,6)` in the database. */
export const CREDIT_PLACES = 6
/** Decimal places of a USD amount: `numeric(24,12)` in the database. */
export const USD_PLACES = 12
/** Most places any decimal string may have here; a model's unit price needs more than an amount does. */
export const MAX_PLACES = 40

// ASCII digits only, no exponent, no sign but '-', no leading zeros: one spelling per number, so that two
// systems that compare the strings agree with two that compare the numbers.
const DECIMAL = /^-?(?:0|[1-9][0-9]{0,27})(?:\.[0-9]{1,40})?$/
const CREDITS = /^-?(?:0|[1-9][0-9]{0,13})(?:\.[0-9]{1,6})?$/
const USD = /^-?(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,12})?$/
const PERCENT = /^-?(?:0|[1-9][0-9]{0,4})(?:\.[0-9]{1,4})?$/

/** How a value that has too many places loses them. `up` is towards plus infinity: an upper bound stays one. */
export type RoundingMode = 'half-up' | 'up' | 'down'

const POWERS: bigint[] = [1n]

/** 10 ** exponent, remembered. */
export function powerOfTen(exponent: number): bigint {
  for (let next = POWERS.length; next <= exponent; next++) POWERS.push((POWERS[next - 1] ?? 1n) * 10n)
  return POWERS[exponent] ?? 1n
}

/** 10 ** n for every n where a double is exact. */
const SMALL_POWERS = Array.from({ length: 16 }, (_, exponent) => 10 ** exponent)

/**
 * {@link toUnits} for what most amounts are: not negative, and an integer that a double holds exactly. Reading the
 * digits one by one costs a fifth of matching, slicing and parsing them.
 * @returns undefined for everything else, whether it is long or wrong
 */
function smallUnits(text: string, places: number): number | undefined {
  const { length } = text
  if (length === 0 || length > 17) return undefined
  let units = 0
  let point = -1
  for (let index = 0; index < length; index++) {
    const digit = text.charCodeAt(index) - 48
    if (digit >= 0 && digit <= 9) units = units * 10 + digit
    else if (digit === -2 && point === -1 && index > 0) point = index
    else return undefined
  }
  const whole = point === -1 ? length : point
  if (whole > 1 && text.charCodeAt(0) === 48) return undefined
  const fraction = point === -1 ? 0 : length - point - 1
  const power = fraction === 0 && point !== -1 ? undefined : SMALL_POWERS[places - fraction]
  if (power === undefined) return undefined
  const scaled = units * power
  return scaled <= Number.MAX_SAFE_INTEGER ? scaled : undefined
}

/**
 * Reads a plain decimal string as an integer count of 10^-places.
 * @throws CreditError `INVALID_INPUT` when the text is no plain decimal or has more places than asked for
 */
export function toUnits(text: string, places: number, path = 'amount'): bigint {
  const small = typeof text === 'string' ? smallUnits(text, places) : undefined
  if (small !== undefined) return BigInt(small)
  if (typeof text !== 'string' || !DECIMAL.test(text)) throw invalidInput(path, 'not a plain decimal string')
  const dot = text.indexOf('.')
  if (dot === -1) return BigInt(text) * powerOfTen(places)
  const fraction = text.length - dot - 1
  if (fraction > places) {
    // Zeros beyond the last place change nothing: Postgres prints numeric(20,6) with all of them.
    const kept = text.replace(/0+$/, '')
    const left = kept.length - dot - 1
    if (left > places) throw invalidInput(path, `more than ${places} decimal places`)
    return BigInt(kept.slice(0, dot) + kept.slice(dot + 1)) * powerOfTen(places - left)
  }
  return BigInt(text.slice(0, dot) + text.slice(dot + 1)) * powerOfTen(places - fraction)
}

/** The canonical decimal string of an integer count of 10^-places: no exponent, no needless zeros, never "-0". */
export function fromUnits(units: bigint, places: number): string {
  if (units === 0n) return '0'
  if (units < 0n) return `-${fromUnits(-units, places)}`
  if (places === 0) return units.toString()
  const digits = units.toString().padStart(places + 1, '0')
  const point = digits.length - places
  let end = digits.length
  while (end > point && digits.charCodeAt(end - 1) === 48) end--
  return end === point ? digits.slice(0, point) : `${digits.slice(0, point)}.${digits.slice(point, end)}`
}

/** Integer division with one of the three rounding modes; `half-up` rounds a tie away from zero. */
export function divideRounded(dividend: bigint, divisor: bigint, mode: RoundingMode): bigint {
  const quotient = dividend / divisor
  const rest = dividend - quotient * divisor
  if (rest === 0n) return quotient
  const negative = dividend < 0n
  if (mode === 'up') return negative ? quotient : quotient + 1n
  if (mode === 'down') return negative ? quotient - 1n : quotient
  const twice = (negative ? -rest : rest) * 2n
  if (twice < divisor) return quotient
  return negative ? quotient - 1n : quotient + 1n
}

/** The canonical form of a plain decimal string: `"1.500000"` -> `"1.5"`, `"-0"` -> `"0"`. */
export function canonical(text: string, path?: string): string {
  const places = placesOf(text)
  return fromUnits(toUnits(text, places, path), places)
}

/** Digits after the point, as written. */
export function placesOf(text: string): number {
  const dot = text.indexOf('.')
  return dot === -1 ? 0 : text.length - dot - 1
}

/**
 * Exact sum of two decimal strings.
 * @example add('0.1', '0.2') // '0.3'
 */
export function add(a: string, b: string): string {
  const places = Math.max(placesOf(a), placesOf(b))
  return fromUnits(toUnits(a, places) + toUnits(b, places), places)
}

/** Exact difference of two decimal strings. */
export function sub(a: string, b: string): string {
  const places = Math.max(placesOf(a), placesOf(b))
  return fromUnits(toUnits(a, places) - toUnits(b, places), places)
}

/** Exact product of two decimal strings. */
export function mul(a: string, b: string): string {
  return fromUnits(toUnits(a, placesOf(a)) * toUnits(b, placesOf(b)), placesOf(a) + placesOf(b))
}

/** Exact sum of decimal strings; of none it is `"0"`. */
export function sum(values: Iterable<string>): string {
  let total = '0'
  for (const value of values) total = add(total, value)
  return total
}

/** The same amount with the other sign. */
export function negate(value: string): string {
  return sub('0', value)
}

/** -1, 0 or 1, as `Array.prototype.sort` wants it. */
export function compare(a: string, b: string): -1 | 0 | 1 {
  const places = Math.max(placesOf(a), placesOf(b))
  const left = toUnits(a, places)
  const right = toUnits(b, places)
  return left < right ? -1 : left > right ? 1 : 0
}

/** The smaller of two decimal strings, in canonical form. */
export function min(a: string, b: string): string {
  return canonical(compare(a, b) <= 0 ? a : b)
}

/** The larger of two decimal strings, in canonical form. */
export function max(a: string, b: string): string {
  return canonical(compare(a, b) >= 0 ? a : b)
}

/** Whether the amount is nought, however it is spelt. */
export function isZero(value: string): boolean {
  return compare(value, '0') === 0
}

/** A decimal string with at most `places` places. */
export function round(value: string, places: number, mode: RoundingMode = 'half-up'): string {
  const have = placesOf(value)
  const units = toUnits(value, have)
  if (have <= places) return fromUnits(units, have)
  return fromUnits(divideRounded(units, powerOfTen(have - places), mode), places)
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
 * Parses with a zod schema and turns its first issue into `INVALID_INPUT` with the path.
 * @example parseOrThrow(creditsSchema, body.amount, 'amount')
 */
export function parseOrThrow<Output>(schema: z.ZodType<Output>, value: unknown, path = ''): Output {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw invalidInput(joinPath(path, issue?.path ?? []), issue?.message ?? 'invalid')
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

const MARGINS = new Map<string, bigint>()

/** 100 + margin, in units of 10^-4; the factor between USD and credits, because a credit costs USD 0.01. */
export function creditsPerUsd(marginPercent: string): bigint {
  const known = MARGINS.get(marginPercent)
  if (known !== undefined) return known
  const factor = toUnits(parseOrThrow(percentSchema, marginPercent, 'marginPercent'), 4) + 1_000_000n
  if (MARGINS.size < 1000) MARGINS.set(marginPercent, factor)
  return factor
}

/**
 * {@link creditsOfUsd} for a cost that is already an integer count of 10^-places USD, in millionths of a credit.
 * A cost above zero comes to at least one of them.
 */
export function microsOfUnits(
  costUnits: bigint,
  places: number,
  marginPercent: string,
  mode: 'half-up' | 'up',
): bigint {
  const exact = costUnits * creditsPerUsd(marginPercent)
  if (exact === 0n) return 0n
  const micros = roundedMicros(exact, places + 4, mode)
  return micros === 0n ? 1n : micros
}

function roundedMicros(exact: bigint, places: number, mode: 'half-up' | 'up'): bigint {
  if (places <= CREDIT_PLACES) return exact * powerOfTen(CREDIT_PLACES - places)
  return divideRounded(exact, powerOfTen(places - CREDIT_PLACES), mode)
}

/** {@link creditsOfUsd} for a cost that is already an integer count of 10^-places USD. */
export function creditsOfUnits(
  costUnits: bigint,
  places: number,
  marginPercent: string,
  mode: 'half-up' | 'up',
): CreditsOfCost {
  const exact = costUnits * creditsPerUsd(marginPercent)
  const exactPlaces = places + 4
  const exactCredits = fromUnits(exact, exactPlaces)
  if (exact === 0n) return { credits: '0', exactCredits, rounding: 'none' }
  const micros = roundedMicros(exact, exactPlaces, mode)
  if (micros === 0n) return { credits: '0.000001', exactCredits, rounding: 'minimum' }
  const credits = fromUnits(micros, CREDIT_PLACES)
  return { credits, exactCredits, rounding: credits === exactCredits ? 'none' : mode }
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
  const places = typeof costUsd === 'string' ? placesOf(costUsd) : 0
  const units = toUnits(costUsd, places, 'costUsd')
  if (units < 0n) throw invalidInput('costUsd', 'must not be negative')
  return creditsOfUnits(units, places, marginPercent, mode)
}
