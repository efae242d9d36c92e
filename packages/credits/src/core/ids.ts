const VERSION_7 = 0x70
const VERSION_8 = 0x80
const VARIANT = 0x80
/** Offset and length of the account slot: the 12 bits after the version, as the hex digits 13 to 15 of an id. */
const SLOT_BITS = 12

/**
 * The first 12 bits of sha256 of an account id in lower case. Every id that this package makes carries them after the
 * version digit, so that a router can read from an id where its account lives.
 *
 * @example await accountSlot('00000000-0000-4000-8000-000000000000') // a number from 0 to 4095
 */
export async function accountSlot(accountId: string): Promise<number> {
  const digest = await sha256(new TextEncoder().encode(accountId.toLowerCase()))
  return (((digest[0] ?? 0) << 8) | (digest[1] ?? 0)) >> (16 - SLOT_BITS)
}

/**
 * A new time-ordered UUID (version 7, RFC 9562) with the account slot: what an operation gets when the caller gives no
 * idempotency key. Ordered by time, so that rows land next to each other in an index.
 *
 * @param input `now`: milliseconds since the epoch, for tests
 * @example const reservationId = await uuidv7({ accountId: userId })
 */
export async function uuidv7(input: { accountId: string; now?: number | undefined }): Promise<string> {
  const { accountId, now = Date.now() } = input
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  new DataView(bytes.buffer).setUint16(0, Math.floor(now / 2 ** 32))
  new DataView(bytes.buffer).setUint32(2, now % 2 ** 32)
  return format(stamp(bytes, VERSION_7, await accountSlot(accountId)))
}

/**
 * The same UUID for the same operation, account and key, always (version 8: SHA-256 of the three, with the account
 * slot). It turns an idempotency key into the id of its operation. The parts are length-prefixed, so the keys
 * `'a', 'bc'` and `'ab', 'c'` differ.
 *
 * @example const reservationId = await uuidFor('reserve', userId, idempotencyKey)
 */
export async function uuidFor(operation: string, accountId: string, ...key: readonly string[]): Promise<string> {
  const encoder = new TextEncoder()
  const parts = [operation, accountId, ...key]
  const lengths = parts.map((part) => `${encoder.encode(part).length}:`)
  const digest = await sha256(encoder.encode([...lengths, ...parts].join('')))
  return format(stamp(digest.slice(0, 16), VERSION_8, await accountSlot(accountId)))
}

function stamp(bytes: Uint8Array, version: number, slot: number): Uint8Array {
  bytes[6] = version | (slot >> 8)
  bytes[7] = slot & 0xff
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | VARIANT
  return bytes
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
}

function format(bytes: Uint8Array): string {
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
