/** Most bytes of a raw usage that a charge keeps. */
export const MAX_RAW_USAGE_BYTES = 4096

const MAX_DEPTH = 6
const MAX_ENTRIES = 50
const MAX_TEXT = 200
const TRUNCATED = '(truncated)'

type Json = string | number | boolean | null | Json[] | { [key: string]: Json }

function textOf(text: string): string {
  // Postgres stores neither NUL nor half a surrogate pair.
  return text.slice(0, MAX_TEXT).toWellFormed().replaceAll('\0', '')
}

/** A copy that JSON and Postgres can store, undefined for what they cannot. */
function copyOf(value: unknown, depth: number): Json | undefined {
  if (value === null || typeof value === 'boolean') return value
  if (typeof value === 'string') return textOf(value)
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (typeof value === 'bigint') return textOf(String(value))
  if (typeof value !== 'object') return undefined
  if (depth >= MAX_DEPTH) return TRUNCATED
  if (Array.isArray(value)) return value.slice(0, MAX_ENTRIES).map((entry) => copyOf(entry, depth + 1) ?? null)
  const copy: { [key: string]: Json } = {}
  for (const [key, entry] of Object.entries(value).slice(0, MAX_ENTRIES)) {
    const copied = copyOf(entry, depth + 1)
    if (copied !== undefined) copy[textOf(key)] = copied
  }
  return copy
}

function bytesOf(value: Json): number {
  return new TextEncoder().encode(JSON.stringify(value)).length
}

/**
 * What was reported as usage, cut to what a charge keeps: plain JSON of at most 4 kB. Numbers that JSON does not know
 * become strings. The largest fields give way first, and `(truncated)` stands for them. Never throws.
 *
 * @returns null for what is no object
 * @example boundedRawUsage({ prompt_tokens: Number.NaN }) // { prompt_tokens: 'NaN' }
 */
export function boundedRawUsage(
  raw: unknown,
  maxBytes: number = MAX_RAW_USAGE_BYTES,
): Readonly<Record<string, unknown>> | null {
  try {
    if (typeof raw !== 'object' || raw === null) return null
    const copied = copyOf(Array.isArray(raw) ? { usage: raw } : raw, 0) as { [key: string]: Json }
    const bySize = Object.entries(copied).sort(([, a], [, b]) => bytesOf(b) - bytesOf(a))
    for (const [key] of bySize) {
      if (bytesOf(copied) <= maxBytes) break
      copied[key] = TRUNCATED
    }
    return bytesOf(copied) <= maxBytes ? copied : { usage: TRUNCATED }
  } catch {
    // A getter of a hostile object threw.
    return null
  }
}
