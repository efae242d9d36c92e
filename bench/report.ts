import { cpus, totalmem } from 'node:os'

/** One measured ratio. */
export interface BenchRow {
  what: string
  /** What the ratio is of, in words. */
  of: string
  ratio: number
  /** The goal: at least, or at most. */
  goal?: { atLeast?: number; atMost?: number }
  /** The two absolute figures; they differ from machine to machine, the ratio much less. */
  measured: string
  /** Why it falls short, where it does and the cause is known. */
  cause?: string
}

/** What a benchmark gives. */
export interface BenchReport {
  name: string
  rows: BenchRow[]
  /** Settings that matter, and what was left out. */
  notes: string[]
}

/** Options that every benchmark takes. */
export interface BenchOptions {
  /** `100k`, `1m`, `10m`, `100m`: how large the large ledger is. */
  rows?: string | undefined
}

/** The machine, in a line. */
export function machine(): string {
  const list = cpus()
  const gigabytes = Math.round(totalmem() / 2 ** 30)
  return `${list.length} x ${list[0]?.model.trim()}, ${gigabytes} GB, Node ${process.versions.node}`
}

/** Whether a row reaches its goal; a row without a goal does. */
export function reached({ ratio, goal = {} }: BenchRow): boolean {
  return ratio >= (goal.atLeast ?? 0) && ratio <= (goal.atMost ?? Number.POSITIVE_INFINITY)
}

/** The report as lines of text. */
export function render({ name, rows, notes }: BenchReport): string {
  const lines = rows.flatMap((row) => {
    const { atLeast, atMost } = row.goal ?? {}
    const goal = [atLeast && `>= ${short(atLeast)}`, atMost && `<= ${short(atMost)}`].filter(Boolean).join(', ')
    const verdict = goal === '' ? '      ' : reached(row) ? 'ok    ' : 'short '
    const head = `${verdict}${row.ratio.toFixed(2).padStart(6)} of ${row.of}  ${row.what}${goal && `  (goal ${goal})`}`
    const cause = row.cause && !reached(row) ? [`              cause: ${row.cause}`] : []
    return [head, `              ${row.measured}`, ...cause]
  })
  return [`${name} · ${machine()}`, ...lines, ...notes.map((note) => `  ${note}`)].join('\n')
}

/** A computed goal without the digits that say nothing. */
function short(goal: number): number {
  return Number(goal.toFixed(3))
}

/** The middle of some figures. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const [low, high] = [sorted[middle - 1] ?? 0, sorted[middle] ?? 0]
  return sorted.length % 2 ? high : (low + high) / 2
}
