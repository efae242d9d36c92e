import { CreditError } from '../../core/errors.ts'
import { compare, creditsSchema, invalidInput, isZero, parseOrThrow, signedCreditsSchema } from '../../core/money.ts'
import type { Metadata } from '../types.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const METADATA_BYTES = 4096
const MOST_CREDITS = '1000000000000'
const MOST_TTL_SECONDS = 86_400

/** @throws CreditError `INVALID_INPUT` unless it is a UUID */
export function requireUuid(path: string, value: string): string {
  if (typeof value !== 'string' || !UUID.test(value)) throw invalidInput(path, 'expected a UUID')
  return value
}

/** An amount that may be zero, in canonical form. @throws CreditError `INVALID_INPUT` */
export function requireAmount(path: string, value: string): string {
  return requireBounded(path, parseOrThrow(creditsSchema, value, path))
}

/** An amount above zero, in canonical form. @throws CreditError `INVALID_INPUT` */
export function requirePositive(path: string, value: string): string {
  const amount = requireAmount(path, value)
  if (isZero(amount)) throw invalidInput(path, 'must be above zero')
  return amount
}

/** An amount of either sign but not zero, in canonical form. @throws CreditError `INVALID_INPUT` */
export function requireSigned(path: string, value: string): string {
  const amount = parseOrThrow(signedCreditsSchema, value, path)
  if (isZero(amount)) throw invalidInput(path, 'must not be zero')
  requireBounded(path, amount.replace('-', ''))
  return amount
}

function requireBounded(path: string, amount: string): string {
  if (compare(amount, MOST_CREDITS) > 0) throw invalidInput(path, `must be at most ${MOST_CREDITS}`)
  return amount
}

/** A life in milliseconds. @throws CreditError `INVALID_INPUT` */
export function requireTtl(seconds: number): number {
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > MOST_TTL_SECONDS) {
    throw invalidInput('ttlSeconds', `must be whole seconds from 1 to ${MOST_TTL_SECONDS}`)
  }
  return seconds * 1000
}

/** @throws CreditError `INVALID_INPUT` unless it is a whole number of rows in range */
export function requireLimit(limit: number, most: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > most) throw invalidInput('limit', `must be 1 to ${most}`)
}

/** A copy, so that later changes by the caller do not reach the store. @throws CreditError `INVALID_INPUT` */
export function copyMetadata(metadata: Metadata = {}): Metadata {
  const text = JSON.stringify(metadata)
  if (text.length > METADATA_BYTES) throw invalidInput('metadata', 'must be at most 4 kB of JSON')
  return JSON.parse(text) as Metadata
}

/** Parameters as one text: equal for equal parameters, in any order of keys, with or without undefined ones. */
export function parametersText(parameters: object): string {
  return JSON.stringify(parameters, (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  )
}

/** The id was used with other parameters. */
export function mismatch(id: string): CreditError {
  return new CreditError({ code: 'IDEMPOTENCY_MISMATCH', details: { id } })
}
