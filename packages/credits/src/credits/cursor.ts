import { invalidInput } from '../core/money.ts'

/**
 * An opaque cursor: base64url of `1.<position>.<check>`. The check binds it to the listing it came from, so a
 * cursor that was changed, or used with other filters, is refused instead of showing a wrong page. It is no
 * secret: a position in one's own list gives nothing away.
 */
export function encodeCursor(position: number, listing: string): string {
  const text = btoa(`1.${position}.${check(position, listing)}`)
  return text.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}

/** @throws CreditError `INVALID_INPUT` (path `cursor`) */
export function decodeCursor(cursor: string, listing: string): number {
  const match = /^1\.([1-9]\d{0,15})\.[0-9a-z]+$/.exec(decoded(cursor))
  const position = Number(match?.[1])
  // Encoding it again catches every other spelling of the same position.
  if (!Number.isSafeInteger(position) || encodeCursor(position, listing) !== cursor) {
    throw invalidInput('cursor', 'not a cursor of this listing')
  }
  return position
}

function decoded(cursor: string): string {
  try {
    return atob(cursor.replaceAll('-', '+').replaceAll('_', '/'))
  } catch {
    return ''
  }
}

/** FNV-1a, 32 bits: enough to notice a mistake. */
function check(position: number, listing: string): string {
  let hash = 0x811c9dc5
  for (const character of `${position} ${listing}`) {
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193)
  }
  return (hash >>> 0).toString(36)
}
