import { invalidInput } from '../../core/money.ts'

/**
 * Credits as whole millionths. The memory store does its own arithmetic, apart from `core/` and from SQL, so
 * that the contract suite compares two independent implementations.
 */
export type Micros = bigint

const AMOUNT = /^(-?)(\d{1,14})(?:\.(\d{1,6}))?$/
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const METADATA_BYTES = 4096
/** The largest amount of one operation: 10^12 credits. */
const MOST = 10n ** 18n

/** Reads an amount; `least` is the smallest that is allowed, in millionths. */
export function micros(field: string, text: string, least: Micros | null = 1n): Micros {
  const value = short(text) ?? long(field, text)
  if (least !== null && value < least)
    throw invalidInput(field, least > 0n ? 'must be above zero' : 'must not be negative')
  return value
}

/** At most nine digits before the point: in millionths a whole number that a double holds, so digits just add up. */
function short(text: string): Micros | undefined {
  if (typeof text !== 'string') return undefined
  let units = 0
  let places = -1
  for (let index = 0; index < text.length; index++) {
    const digit = text.charCodeAt(index) - 48
    if (digit >= 0 && digit <= 9 && places < 6) {
      units = units * 10 + digit
      if (places >= 0) places++
    } else if (digit === -2 && places === -1 && index > 0 && index <= 9) places = 0
    else return undefined
  }
  if (places === 0 || text === '' || (places === -1 && text.length > 9)) return undefined
  return BigInt(units * 10 ** (6 - Math.max(places, 0)))
}

function long(field: string, text: string): Micros {
  const match = typeof text === 'string' ? AMOUNT.exec(text) : null
  if (match === null) throw invalidInput(field, 'expected a decimal string with at most 14 digits and 6 places')
  const size = BigInt((match[2] ?? '') + (match[3] ?? '').padEnd(6, '0'))
  if (size > MOST) throw invalidInput(field, 'must be at most 1000000000000')
  return match[1] === '-' ? -size : size
}

// Within an operation the same amounts are written again and again: what is held, what is left.
let recent = 0n
let recentText = '0'
let older = 0n
let olderText = '0'

/** The canonical decimal string: no exponent, no trailing zeros, never "-0". */
export function decimal(value: Micros): string {
  if (value === 0n) return '0'
  if (value < 0n) return `-${decimal(-value)}`
  if (value === recent) return recentText
  const text = value === older ? olderText : written(value)
  older = recent
  olderText = recentText
  recent = value
  recentText = text
  return text
}

function written(value: Micros): string {
  const digits = value.toString()
  const point = digits.length - 6
  let end = digits.length
  while (end > point && digits.charCodeAt(end - 1) === 48) end--
  if (point <= 0) return `0.${'000000'.slice(0, -point)}${digits.slice(0, end)}`
  return end === point ? digits.slice(0, point) : `${digits.slice(0, point)}.${digits.slice(point, end)}`
}

export function least(a: Micros, b: Micros): Micros {
  return a < b ? a : b
}

export function atLeastZero(value: Micros): Micros {
  return value > 0n ? value : 0n
}

export function requireUuid(field: string, value: string): string {
  if (typeof value !== 'string' || !UUID.test(value)) throw invalidInput(field, 'expected a UUID')
  return value
}

/** A copy that later changes by the caller cannot reach; refuses what Postgres would refuse. */
export function ownMetadata(metadata: Readonly<Record<string, unknown>> | undefined): Record<string, unknown> {
  if (metadata === undefined || Object.keys(metadata).length === 0) return {}
  const text = JSON.stringify(metadata)
  if (text.length > METADATA_BYTES) throw invalidInput('metadata', 'must be at most 4 kB of JSON')
  return JSON.parse(text) as Record<string, unknown>
}
