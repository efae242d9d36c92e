import { add, compare, parseDecimal, roundDecimal, writeDecimal } from '../money.ts'

/** A charge of which both figures are known. */
export interface DriftRow {
  readonly model: string | null
  readonly computedCostUsd: string | null
  readonly reportedCostUsd: string | null
  /** ISO 8601. */
  readonly createdAt: string
}

/** Computed against reported cost of one model on one day (UTC). */
export interface Drift {
  model: string
  day: string
  calls: number
  computedUsd: string
  reportedUsd: string
  /** (reported - computed) / computed in percent, to 4 places; null where only the computed cost is zero. */
  driftPercent: string | null
  /** Beyond the threshold, either way. */
  alert: boolean
}

/** How far one figure is from another, in percent of the first, to 4 places; null where only the first is zero. */
export function percentOf(computed: string, reported: string): string | null {
  const base = parseDecimal(computed)
  const other = parseDecimal(reported)
  if (base.isZero()) return other.isZero() ? '0' : null
  return writeDecimal(roundDecimal(other.minus(base).times(100).div(base), 4, 'half-up'))
}

/** Options of {@link driftTally}. */
export interface DriftOptions {
  /** A drift beyond it, up or down, is an alert; default `'5'`. */
  thresholdPercent?: string | undefined
}

/** Compares calls one by one, so that a long period need not be in memory. */
export interface DriftTally {
  add(row: DriftRow): void
  report(): Drift[]
}

/**
 * How far our rates are from what calls really cost, by model and day, furthest first. Rows that know only one of
 * the two figures say nothing about drift and are left out.
 *
 * @example
 * const tally = driftTally({ thresholdPercent: '5' })
 * for (const row of rows) tally.add(row)
 * tally.report().filter((drift) => drift.alert)
 */
export function driftTally({ thresholdPercent = '5' }: DriftOptions = {}): DriftTally {
  const groups = new Map<string, Drift>()
  return {
    add({ model, computedCostUsd, reportedCostUsd, createdAt }) {
      if (model === null || computedCostUsd === null || reportedCostUsd === null) return
      const day = new Date(createdAt).toISOString().slice(0, 10)
      const key = `${day} ${model}`
      const group = groups.get(key) ?? empty(model, day)
      group.calls++
      group.computedUsd = add(group.computedUsd, computedCostUsd)
      group.reportedUsd = add(group.reportedUsd, reportedCostUsd)
      groups.set(key, group)
    },
    report() {
      for (const group of groups.values()) {
        group.driftPercent = percentOf(group.computedUsd, group.reportedUsd)
        group.alert = group.driftPercent === null || compare(size(group), thresholdPercent) > 0
      }
      return [...groups.values()].sort((a, b) => compare(size(b), size(a)))
    },
  }
}

function empty(model: string, day: string): Drift {
  return { model, day, calls: 0, computedUsd: '0', reportedUsd: '0', driftPercent: '0', alert: false }
}

/** Without a computed cost the drift has no bound. */
function size({ driftPercent }: Drift): string {
  return driftPercent === null ? '1000000000000' : driftPercent.replace('-', '')
}

/** One line of a provider's cost export or of the gateway's generation records. */
export interface ReportedCall {
  readonly generationId: string
  readonly costUsd: string
}

/** A charge of the ledger that knows its generation. */
export interface LedgerCall {
  readonly transactionId: string
  readonly generationId: string | null
  readonly costUsd: string
}

/** What agrees, what differs, and what only one side has heard of. */
export interface Reconciliation {
  matched: number
  differing: { generationId: string; transactionIds: string[]; ledgerUsd: string; reportedUsd: string }[]
  /** Billed by the provider, not in the ledger. */
  missingInLedger: ReportedCall[]
  /** Charged, not on the provider's bill. */
  missingInReport: LedgerCall[]
}

/**
 * Sets a provider's cost export against the ledger, call by call.
 * @example reconcileCosts({ reported, ledger }).missingInLedger
 */
export function reconcileCosts(input: {
  reported: Iterable<ReportedCall>
  ledger: Iterable<LedgerCall>
}): Reconciliation {
  const calls = new Map<string, LedgerCall[]>()
  const result: Reconciliation = { matched: 0, differing: [], missingInLedger: [], missingInReport: [] }
  for (const call of input.ledger) {
    if (call.generationId === null) result.missingInReport.push(call)
    else calls.set(call.generationId, [...(calls.get(call.generationId) ?? []), call])
  }
  for (const line of input.reported) {
    const charged = calls.get(line.generationId)
    calls.delete(line.generationId)
    if (charged === undefined) {
      result.missingInLedger.push(line)
      continue
    }
    // Charged twice for one generation adds up to a difference, and so is found.
    const ledgerUsd = charged.reduce((total, call) => add(total, call.costUsd), '0')
    if (compare(ledgerUsd, line.costUsd) === 0) result.matched++
    else {
      const transactionIds = charged.map((call) => call.transactionId)
      result.differing.push({ generationId: line.generationId, transactionIds, ledgerUsd, reportedUsd: line.costUsd })
    }
  }
  result.missingInReport.push(...[...calls.values()].flat())
  return result
}
