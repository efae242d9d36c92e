const VERSION_8 = 0x80
const VARIANT = 0x80

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

// Asking the system for random bytes costs more than all the rest of an id, so they are drawn for many at once.
const POOL = new Uint8Array(4096)
const PER_ID = 10
let drawn = POOL.length

/** Where in the pool there are bytes for one more id. */
function draw(): number {
  if (drawn + PER_ID > POOL.length) {
    crypto.getRandomValues(POOL)
    drawn = 0
  }
  drawn += PER_ID
  return drawn - PER_ID
}

// All ids of a millisecond begin alike.
let beginning = ''
let beginningOf = -1

function begin(now: number): string {
  if (now !== beginningOf) {
    const hex = now.toString(16).padStart(12, '0')
    beginning = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7`
    beginningOf = now
  }
  return beginning
}

/**
 * A new time-ordered UUID (version 7, RFC 9562): what an operation gets when the caller gives no idempotency key.
 * Ordered by time, so that rows land next to each other in an index.
 * @param now milliseconds since the epoch; for tests
 */
export function uuidv7(now: number = Date.now()): string {
  const at = draw()
  const hex = (offset: number) => HEX[POOL[at + offset] as number] as string
  const variant = HEX[((POOL[at + 2] as number) & 0x3f) | VARIANT]
  // Pieces of up to twelve characters are joined by copying; a longer text would be a chain of all its pieces.
  const middle = `${hex(0)[0]}${hex(1)}-${variant}${hex(3)}-`
  const end = hex(4) + hex(5) + hex(6) + hex(7) + hex(8) + hex(9)
  return begin(now) + middle + end
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
