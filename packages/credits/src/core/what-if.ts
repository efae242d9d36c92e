import { calculateCredits } from './calculate.ts'
import { CreditError } from './errors.ts'
import { type EffectiveMargin, selectMargin } from './margins.ts'
import { add, creditsOfUsd, mul, sub } from './money.ts'
import type { UsageInput } from './normalize-usage.ts'
import { type EffectiveRate, selectRate } from './rates.ts'

/** A usage transaction of the ledger, as an operator's report needs it. */
export interface ChargedRow {
  /** Credits charged, positive. */
  amount: string
  costUsd: string
  marginPercent: string | null
  model: string | null
  feature: string | null
  planId: string | null
  usage: UsageInput | null
  /** ISO 8601. */
  createdAt: string
}

/** What to change; what is left out stays as it was charged. */
export interface WhatIf {
  /** Margins to charge with instead, chosen per row as for a live call at the row's time. */
  margins?: readonly EffectiveMargin[] | undefined
  /** Rates to price the usage with instead. */
  rates?: readonly (EffectiveRate & { readonly pricing: Readonly<Record<string, unknown>> | null })[] | undefined
  aliases?: Readonly<Record<string, string>> | undefined
}

/** Money over a group of calls. A credit is USD 0.01 of revenue. */
export interface ProfitTotals {
  calls: number
  credits: string
  revenueUsd: string
  costUsd: string
  profitUsd: string
}

export type ProfitGroup = 'model' | 'feature' | 'plan' | 'day'

/** Totals, and the same by model, feature, plan and day (UTC). */
export interface ProfitReport {
  total: ProfitTotals
  by: Record<ProfitGroup, Record<string, ProfitTotals>>
}

/** Actuals beside what they would have been. */
export interface WhatIfReport {
  actual: ProfitReport
  hypothetical: ProfitReport
  /** Rows kept as charged, because they have no usage, no margin, or no price under the other rates. */
  unchanged: number
}

interface Money {
  credits: string
  costUsd: string
}

const NONE = '(none)'

function emptyReport(): ProfitReport {
  return { total: totals(), by: { model: {}, feature: {}, plan: {}, day: {} } }
}

function totals(): ProfitTotals {
  return { calls: 0, credits: '0', revenueUsd: '0', costUsd: '0', profitUsd: '0' }
}

function count(into: ProfitTotals, { credits, costUsd }: Money): void {
  into.calls++
  into.credits = add(into.credits, credits)
  into.costUsd = add(into.costUsd, costUsd)
  into.revenueUsd = mul(into.credits, '0.01')
  into.profitUsd = sub(into.revenueUsd, into.costUsd)
}

function record(report: ProfitReport, row: ChargedRow, money: Money): void {
  count(report.total, money)
  const keys: Record<ProfitGroup, string> = {
    model: row.model ?? NONE,
    feature: row.feature ?? NONE,
    plan: row.planId ?? NONE,
    day: new Date(row.createdAt).toISOString().slice(0, 10),
  }
  for (const group of ['model', 'feature', 'plan', 'day'] as const) {
    const groups = report.by[group]
    const key = keys[group]
    if (!Object.hasOwn(groups, key)) groups[key] = totals()
    count(groups[key] as ProfitTotals, money)
  }
}

/**
 * Revenue, cost and profit on actuals.
 * @example profitReport(rows).by.model['anthropic/claude-sonnet-4.5']?.profitUsd
 */
export function profitReport(rows: Iterable<ChargedRow>): ProfitReport {
  const report = emptyReport()
  for (const row of rows) record(report, row, { credits: row.amount, costUsd: row.costUsd })
  return report
}

function cost(row: ChargedRow, marginPercent: string, change: WhatIf): string | null {
  if (change.rates === undefined) return row.costUsd
  if (row.usage === null || row.model === null) return null
  const { rates, aliases = {} } = change
  const rate = selectRate({ rates, aliases, asOf: row.createdAt }, { modelId: row.model })
  if (!rate?.known) return null
  try {
    return calculateCredits(row.usage, { rate, marginPercent }).costUsd
  } catch (error) {
    if (CreditError.isInstance(error) && error.code === 'UNKNOWN_MODEL') return null
    throw error
  }
}

function reprice(row: ChargedRow, change: WhatIf): Money | null {
  const { model: modelId, feature, planId, createdAt: asOf } = row
  const margin = change.margins && selectMargin({ margins: change.margins, asOf }, { modelId, feature, planId })
  const marginPercent = margin?.marginPercent ?? row.marginPercent
  if (marginPercent === null) return null
  const costUsd = cost(row, marginPercent, change)
  return costUsd === null ? null : { costUsd, credits: creditsOfUsd({ costUsd, marginPercent }).credits }
}

/**
 * Replays charged calls under other margins, other rates, or both, and sets the result beside the actuals.
 * @example whatIf(rows, { margins: [{ scope: 'default', target: '', marginPercent: '40', version: 1, effectiveFrom: '2026-01-01T00:00:00Z' }] })
 */
export function whatIf(rows: Iterable<ChargedRow>, change: WhatIf): WhatIfReport {
  const report: WhatIfReport = { actual: emptyReport(), hypothetical: emptyReport(), unchanged: 0 }
  for (const row of rows) {
    const actual = { credits: row.amount, costUsd: row.costUsd }
    const repriced = reprice(row, change)
    if (repriced === null) report.unchanged++
    record(report.actual, row, actual)
    record(report.hypothetical, row, repriced ?? actual)
  }
  return report
}
