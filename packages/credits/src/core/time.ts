import { invalidInput } from './money.ts'

const TIME =
  /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.([0-9]{1,9}))?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})$/

/**
 * Microseconds since the epoch. `Date` stops at milliseconds. The database stamps rows to the microsecond, and two
 * margins a few microseconds apart are still one after the other.
 * @throws CreditError `INVALID_INPUT` unless the text is an ISO 8601 time with a zone
 */
export function toMicros(time: string, path = 'at'): number {
  const match = typeof time === 'string' ? TIME.exec(time) : null
  const milliseconds = match === null ? Number.NaN : Date.parse(time)
  if (Number.isNaN(milliseconds)) throw invalidInput(path, 'must be an ISO 8601 time with a zone')
  return milliseconds * 1000 + Number((match?.[1] ?? '').padEnd(6, '0').slice(3, 6))
}

/**
 * `new Date(time).toISOString()` with another end.
 * @param time whole milliseconds since 1970
 * @param end digits below the millisecond, and the zone
 */
export function isoTime(time: number, end = 'Z'): string {
  return new Date(time).toISOString().slice(0, -1) + end
}
