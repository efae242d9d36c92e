import type { Drift, Reconciliation, ReportedCall } from '../core/reports/cost-comparison.ts'
import type { ProfitReport } from '../core/reports/profit.ts'
import type { SpendReconciliation } from '../core/reports/spend-comparison.ts'
import type { WhatIfReport } from '../core/reports/what-if.ts'
import type { MarginScope, StoredCharge } from '../store/types.ts'

/** The part of `Credits` that shows cost, margin and provider ids: for operators. */
export interface CreditsReports {
  /**
   * Every charge of a period with what it cost, oldest first, read page by page. For operators: it shows cost, margin
   * and provider ids. A charge that is being written while its moment is read may be missing: end a period in the past.
   */
  charges(input?: ChargesInput): AsyncGenerator<StoredCharge, void, undefined>
  /**
   * Revenue, cost and profit on actuals, in total and by model, feature, plan and day.
   *
   * @example
   * ```ts
   * const { total, by } = await credits.report({ from: '2026-11-01T00:00:00Z', to: '2026-12-01T00:00:00Z' })
   * ```
   */
  report(input?: PeriodInput): Promise<ProfitReport>
  /**
   * Replays a period under other margins or prices, next to the actuals. A margin that is named replaces the one of its
   * scope and target for the whole period; what it does not decide stays as it was charged.
   *
   * @example
   * ```ts
   * const { actual, hypothetical } = await credits.whatIf({ from, to, margins: [{ scope: 'default', marginPercent: '40' }] })
   * ```
   */
  whatIf(input: WhatIfInput): Promise<WhatIfReport>
  /** Cost computed from our rates against the cost that was reported, by model and day, furthest apart first. */
  drift(input?: DriftInput): Promise<DriftReport>
  /** A provider's cost export against the ledger, call by call, naming what only one side has. Keeps both in memory. */
  reconcileCosts(input: ReconcileCostsInput): Promise<Reconciliation>
  /** The gateway's spend report by model (`getSpendReport({ groupBy: 'model' })`) against the ledger. */
  reconcileSpend(input: ReconcileSpendInput): Promise<SpendReconciliation>
}

/** A period of the ledger. */
export interface PeriodInput {
  /** ISO time, inclusive. Default: the beginning. */
  from?: string | undefined
  /** ISO time, exclusive. Default: now. */
  to?: string | undefined
  /** Refuse a period with more charges than this with `INVALID_INPUT`. Default: no limit. */
  maxCharges?: number | undefined
}

/** Arguments of `charges`. */
export interface ChargesInput extends PeriodInput {
  /** Price snapshots too. */
  details?: boolean | undefined
}

/** Arguments of `whatIf`. */
export interface WhatIfInput extends PeriodInput {
  /** Margins to charge with instead; `target` is left out for the default, a null percentage removes an override. */
  margins?: readonly { scope: MarginScope; target?: string | undefined; marginPercent: string | null }[] | undefined
  /** Prices to use instead: these, by model, or those in force now. */
  rates?: 'current' | readonly { modelId: string; pricing: Readonly<Record<string, unknown>> }[] | undefined
}

/** Arguments of `drift`. */
export interface DriftInput extends PeriodInput {
  /** A drift beyond it, up or down, is an alert. Default `"5"`. */
  thresholdPercent?: string | undefined
}

/** Result of `drift`. */
export interface DriftReport {
  rows: Drift[]
  /** How many rows are beyond the threshold. */
  alerts: number
  /** Calls of which only one of the two figures is known. */
  notCompared: number
}

/** Arguments of `reconcileCosts`. */
export interface ReconcileCostsInput extends PeriodInput {
  /** Lines of the export; amounts of USD as decimal strings, exponents too. */
  reported: Iterable<ReportedCall> | AsyncIterable<ReportedCall>
}

/** Arguments of `reconcileSpend`. */
export interface ReconcileSpendInput extends PeriodInput {
  /** What `gateway.getSpendReport({ startDate, endDate, groupBy: 'model' })` answered, for the same days (UTC). */
  spend: {
    results: readonly {
      model?: string | undefined
      totalCost: number
      marketCost?: number | undefined
      requestCount?: number | undefined
    }[]
  }
}
