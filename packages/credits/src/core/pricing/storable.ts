/**
 * What Postgres can store. It refuses NUL and lone surrogates, in text and in jsonb, so they are refused before they
 * get there.
 */

/** Whether a text can be stored. */
export function isStorableText(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0')
}

/** Whether a value can be stored as JSON of this size. False for cycles, BigInts and nesting too deep to write. */
export function isStorableJson(value: unknown, mostBytes: number): boolean {
  try {
    const written = JSON.stringify(value)
    // A lone surrogate is written as \\ud8xx.
    return written.length <= mostBytes && !/\\u(?:0000|d[89a-f])/.test(written)
  } catch {
    return false
  }
}

/** Whether a value is an object of fields, of whichever realm: no array, no instance of a class. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.hasOwn(prototype as object, 'isPrototypeOf')
}
