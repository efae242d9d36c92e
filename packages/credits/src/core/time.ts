import { invalidInput } from './money.ts'

const TIME =
  /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.([0-9]{1,9}))?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})$/

/**
 * Microseconds since the epoch. `Date` stops at milliseconds, but the database stamps rows to the microsecond, and
 * two margins a few microseconds apart are still one after the other.
 * @throws CreditError `INVALID_INPUT` unless the text is an ISO 8601 time with a zone
 */
export function toMicros(time: string, path = 'at'): number {
  const match = typeof time === 'string' ? TIME.exec(time) : null
  const milliseconds = match === null ? Number.NaN : Date.parse(time)
  if (Number.isNaN(milliseconds)) throw invalidInput(path, 'must be an ISO 8601 time with a zone')
  return milliseconds * 1000 + Number((match?.[1] ?? '').padEnd(6, '0').slice(3, 6))
}

// Writing a date costs a microsecond, and within a second only three digits of it change.
const SLOTS = 64
const seconds = new Float64Array(SLOTS).fill(Number.NaN)
const beginnings: string[] = []

/**
 * `new Date(time).toISOString()`, for times that lie close together.
 * @param time whole milliseconds since 1970
 * @param end for more digits than a `Date` knows of
 */
export function isoTime(time: number, end = 'Z'): string {
  const second = Math.floor(time / 1000)
  const slot = second & (SLOTS - 1)
  if (seconds[slot] !== second) {
    beginnings[slot] = new Date(time).toISOString().slice(0, -4)
    seconds[slot] = second
  }
  const milliseconds = time - second * 1000
  const zeros = milliseconds < 10 ? '00' : milliseconds < 100 ? '0' : ''
  const rest = `${zeros}${milliseconds}${end}`
  return beginnings[slot] + rest
}
