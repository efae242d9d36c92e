import { toMicros } from '../time.ts'

/** A row that is in force from a time until the next row of the same key. */
interface Effective {
  readonly effectiveFrom: string
  readonly version?: number
}

interface Timed<Row> {
  row: Row
  from: number
}

/** Rows by key, the one that wins first. Rows are append-only: a row ends when the next one begins. */
type Index<Row> = ReadonlyMap<string, readonly Timed<Row>[]>

const INDEXES = new WeakMap<readonly unknown[], Index<unknown>>()

/**
 * Indexes the rows of a snapshot, once per array: a lookup must cost a call nothing.
 * The array is not to be changed afterwards.
 */
function indexOf<Row extends Effective>(rows: readonly Row[], keyOf: (row: Row) => string): Index<Row> {
  const known = INDEXES.get(rows) as Index<Row> | undefined
  if (known !== undefined) return known
  const index = new Map<string, Timed<Row>[]>()
  for (const row of rows) {
    const key = keyOf(row)
    const list = index.get(key) ?? []
    list.push({ row, from: toMicros(row.effectiveFrom, 'effectiveFrom') })
    index.set(key, list)
  }
  for (const list of index.values()) {
    // Margins have versions, and the latest decision that has come into force counts, as in the database.
    list.sort((a, b) => (b.row.version ?? 0) - (a.row.version ?? 0) || b.from - a.from)
  }
  INDEXES.set(rows, index)
  return index
}

/** The row of a key in force at a time (in microseconds). */
export function inForce<Row extends Effective>(
  rows: readonly Row[],
  keyOf: (row: Row) => string,
  key: string,
  at: number,
): Row | null {
  return (
    indexOf(rows, keyOf)
      .get(key)
      ?.find(({ from }) => from <= at)?.row ?? null
  )
}
