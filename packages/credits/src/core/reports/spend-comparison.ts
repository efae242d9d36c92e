import { add, compare, sub } from '../money.ts'
import { percentOf } from './cost-comparison.ts'

/** One line of a provider's bill or of the gateway's spend report: everything that a model cost. */
export interface ReportedSpend {
  readonly model: string
  readonly costUsd: string
  /** Undefined: the report does not count. */
  readonly calls?: number | undefined
}

/** A charge of the ledger. */
export interface LedgerSpend {
  readonly model: string | null
  readonly servedModel: string | null
  readonly costUsd: string
}

/** One model on both sides. */
export interface ModelSpend {
  model: string
  ledgerUsd: string
  reportedUsd: string
  ledgerCalls: number
  /** null: the report does not count. */
  reportedCalls: number | null
  /** (reported - ledger) / ledger in percent, to 4 places; null where the ledger has nothing. */
  differencePercent: string | null
}

/** What agrees, what differs, and what only one side has. Models by name. */
export interface SpendComparison {
  matched: number
  differing: ModelSpend[]
  /** Billed by the provider, not in the ledger. */
  missingInLedger: ModelSpend[]
  /** Charged, not on the provider's bill. */
  missingInReport: ModelSpend[]
}

/** Adds calls up one by one, so that a long period need not be in memory. */
export interface SpendTally {
  add(call: LedgerSpend): void
  report(): SpendComparison
}

/**
 * Sets what models cost by a bill against the ledger, for bills that do not name single calls.
 *
 * @param reported lines of one model are added up
 * @param toleranceUsd bills are added up in floats; so much is no difference
 * @example const tally = spendTally([{ model: 'openai/gpt-5', costUsd: '1.25' }])
 */
export function spendTally(reported: Iterable<ReportedSpend>, toleranceUsd = '0.000001'): SpendTally {
  const models = new Map<string, ModelSpend>()
  const of = (model: string): ModelSpend => {
    const known = models.get(model)
    if (known !== undefined) return known
    const made = {
      model,
      ledgerUsd: '0',
      reportedUsd: '0',
      ledgerCalls: 0,
      reportedCalls: null,
      differencePercent: '0',
    }
    models.set(model, made)
    return made
  }
  const billed = new Set<string>()
  for (const { model, costUsd, calls } of reported) {
    const line = of(model)
    billed.add(model)
    line.reportedUsd = add(line.reportedUsd, costUsd)
    if (calls !== undefined) line.reportedCalls = (line.reportedCalls ?? 0) + calls
  }
  return {
    add({ model, servedModel, costUsd }) {
      // A bill names the model that answered.
      const line = of(servedModel ?? model ?? '(none)')
      line.ledgerUsd = add(line.ledgerUsd, costUsd)
      line.ledgerCalls++
    },
    report() {
      const result: SpendComparison = { matched: 0, differing: [], missingInLedger: [], missingInReport: [] }
      for (const line of models.values()) {
        line.differencePercent = percentOf(line.ledgerUsd, line.reportedUsd)
        const sameCalls = line.reportedCalls === null || line.reportedCalls === line.ledgerCalls
        const difference = sub(line.reportedUsd, line.ledgerUsd).replace('-', '')
        if (line.ledgerCalls === 0) result.missingInLedger.push(line)
        else if (!billed.has(line.model)) result.missingInReport.push(line)
        else if (sameCalls && compare(difference, toleranceUsd) <= 0) result.matched++
        else result.differing.push(line)
      }
      return result
    },
  }
}
