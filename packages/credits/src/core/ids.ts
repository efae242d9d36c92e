const VERSION_8 = 0x80
const VARIANT = 0x80
/** Offset and length of the account slot: the 12 bits after the version, as the hex digits 13 to 15 of an id. */
const ACCOUNT_BITS = 12

/** By account: a call makes several ids, and a digest is the most expensive part of each. */
const accountSlots = new Map<string, number>()
const MOST_ACCOUNTS = 10_000

/**
 * The first 12 bits of sha256 of an account id in lower case. Every id that this package makes carries them after the
 * version digit, so that a router can read from an id where its account lives.
 *
 * @example await accountSlot('00000000-0000-4000-8000-000000000000') // a number from 0 to 4095
 */
export async function accountSlot(accountId: string): Promise<number> {
  const known = accountSlots.get(accountId)
  if (known !== undefined) return known
  const computed = await digestOf(accountId)
  if (accountSlots.size >= MOST_ACCOUNTS) accountSlots.clear()
  accountSlots.set(accountId, computed)
  return computed
}

async function digestOf(accountId: string): Promise<number> {
  const digest = await sha256(new TextEncoder().encode(accountId.toLowerCase()))
  return (((digest[0] ?? 0) << 8) | (digest[1] ?? 0)) >> (16 - ACCOUNT_BITS)
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
  const time = now.toString(16).padStart(12, '0')
  const accountHex = (await accountSlot(accountId)).toString(16).padStart(3, '0')
  // The variant and the random part are those of a random UUID.
  return `${time.slice(0, 8)}-${time.slice(8)}-7${accountHex}-${crypto.randomUUID().slice(19)}`
}

/**
 * The same UUID for the same operation, account and key, always (version 8: SHA-256 of the three, with the
 * account slot). It makes an idempotency key the id of its operation. The parts are length-prefixed, so the keys
 * `'a', 'bc'` and `'ab', 'c'` differ.
 *
 * @example const reservationId = await uuidFor('reserve', userId, idempotencyKey)
 */
export async function uuidFor(operation: string, accountId: string, ...key: readonly string[]): Promise<string> {
  const encoder = new TextEncoder()
  const parts = [operation, accountId, ...key]
  const lengths = parts.map((part) => `${encoder.encode(part).length}:`)
  const digest = await sha256(encoder.encode([...lengths, ...parts].join('')))
  return format(stamp(digest.slice(0, 16), await accountSlot(accountId)))
}

function stamp(bytes: Uint8Array, accountBits: number): Uint8Array {
  bytes[6] = VERSION_8 | (accountBits >> 8)
  bytes[7] = accountBits & 0xff
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
