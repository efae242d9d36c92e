const VERSION_7 = 0x70
const VERSION_8 = 0x80
const VARIANT = 0x80

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

// Asking the system for random bytes costs more than all the rest of an id, so they are drawn for many at once.
const POOL = new Uint8Array(4096)
let drawn = POOL.length

function randomBytes(count: number): Uint8Array {
  if (drawn + count > POOL.length) {
    crypto.getRandomValues(POOL)
    drawn = 0
  }
  drawn += count
  return POOL.slice(drawn - count, drawn)
}

function format(bytes: Uint8Array): string {
  let hex = ''
  for (const byte of bytes) hex += HEX[byte]
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`
}

function stamp(bytes: Uint8Array, version: number): Uint8Array {
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | version
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | VARIANT
  return bytes
}

/**
 * A new time-ordered UUID (version 7, RFC 9562): what an operation gets when the caller gives no idempotency key.
 * Ordered by time, so that rows land next to each other in an index.
 * @param now milliseconds since the epoch; for tests
 */
export function uuidv7(now: number = Date.now()): string {
  const bytes = randomBytes(16)
  for (let index = 5, rest = now; index >= 0; index--) {
    bytes[index] = rest % 256
    rest = Math.floor(rest / 256)
  }
  return format(stamp(bytes, VERSION_7))
}

/**
 * The same UUID for the same parts, always (version 8: SHA-256 of the parts). It turns an idempotency key into
 * the id of its operation. Parts are length-prefixed, so `('a', 'bc')` and `('ab', 'c')` differ.
 * @example const reservationId = await uuidFor('reserve', userId, idempotencyKey)
 */
export async function uuidFor(...parts: readonly string[]): Promise<string> {
  const encoder = new TextEncoder()
  const encoded = parts.map((part) => encoder.encode(part))
  const bytes = encoder.encode(encoded.map((part) => `${part.length}:`).join(''))
  const message = new Uint8Array(bytes.length + encoded.reduce((length, part) => length + part.length, 0))
  message.set(bytes)
  let offset = bytes.length
  for (const part of encoded) {
    message.set(part, offset)
    offset += part.length
  }
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', message))
  return format(stamp(digest.slice(0, 16), VERSION_8))
}
