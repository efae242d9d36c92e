import { CreditError } from '../errors.ts'
import { compare, creditsOfUsd, min, sub } from '../money.ts'
import { calculateCredits } from '../pricing/calculate.ts'
import { type EffectiveMargin, selectMargin } from '../pricing/margins.ts'
import type { UsageInput } from '../pricing/normalize-usage.ts'
import { type EffectiveRate, selectRate } from '../pricing/rates.ts'
import { type CallMoney, type ProfitReport, profitTally, type ReportKeys } from './profit.ts'

/** A usage transaction of the ledger, as an operator's report needs it. */
export interface ChargedRow extends ReportKeys, CallMoney {
  readonly marginPercent: string | null
  readonly usage: UsageInput | null
}

/** What to change; what is left out stays as it was charged. */
export interface WhatIf {
  /** Margins to charge with instead, chosen per row as for a live call at the row's time. */
  margins?: readonly EffectiveMargin[] | undefined
  /** Margins that stay. Where one of them takes precedence over `margins`, the row keeps what it was charged with. */
  kept?: readonly EffectiveMargin[] | undefined
  /** Rates to price the usage with instead. */
  rates?: readonly (EffectiveRate & { readonly pricing: Readonly<Record<string, unknown>> | null })[] | undefined
  aliases?: Readonly<Record<string, string>> | undefined
}

/** Actuals, and what they would have been. */
export interface WhatIfReport {
  actual: ProfitReport
  hypothetical: ProfitReport
  /** Rows without a margin, or whose cost stays as it was for want of usage or of a price under the other rates. */
  unchanged: number
}

/** Replays calls one by one, so that a long period need not be in memory. */
export interface WhatIfTally {
  add(row: ChargedRow): void
  report(): WhatIfReport
}

/**
 * Replays charged calls under other margins, other rates, or both, and compares the result with the actuals.
 * @example
 * const effectiveFrom = '2026-01-01T00:00:00Z'
 * const margin = { scope: 'default', target: '', marginPercent: '40', version: 1, effectiveFrom }
 * const tally = whatIfTally({ margins: [margin] })
 * for (const row of rows) tally.add(row)
 * tally.report().hypothetical.total.profitUsd
 */
export function whatIfTally(change: WhatIf): WhatIfTally {
  const actual = profitTally()
  const hypothetical = profitTally()
  const marginOf = marginChooser(change)
  let unchanged = 0
  return {
    add(row) {
      actual.add(row, row)
      const marginPercent = marginOf(row)
      const costUsd = costOf(row, change)
      if (marginPercent === null || costUsd === null) unchanged++
      hypothetical.add(row, marginPercent === null ? row : replayed(row, costUsd ?? row.costUsd, marginPercent))
    },
    report: () => ({ actual: actual.report(), hypothetical: hypothetical.report(), unchanged }),
  }
}

/** The margin of a row under the change; null where it has none. */
function marginChooser({ margins, kept = [] }: WhatIf): (row: ChargedRow) => string | null {
  if (margins === undefined) return (row) => row.marginPercent
  const changed = new Set(margins)
  const keys = new Set(margins.map(({ scope, target }) => `${scope}:${target}`))
  const all = [...kept.filter(({ scope, target }) => !keys.has(`${scope}:${target}`)), ...margins]
  return (row) => {
    if (row.marginPercent === null) return null
    const { model: modelId, feature, planId, createdAt: asOf } = row
    const margin = selectMargin({ margins: all, asOf }, { modelId, feature, planId })
    return margin !== null && changed.has(margin) ? margin.marginPercent : row.marginPercent
  }
}

/** The cost of a row under the other rates; null where it cannot be replayed. */
function costOf(row: ChargedRow, { rates, aliases = {} }: WhatIf): string | null {
  if (rates === undefined) return row.costUsd
  if (row.usage === null || row.model === null) return null
  const rate = selectRate({ rates, aliases, asOf: row.createdAt }, { modelId: row.model })
  if (!rate?.known) return null
  try {
    return calculateCredits(row.usage, { rate, marginPercent: '0' }).costUsd
  } catch (error) {
    if (CreditError.isInstance(error) && error.code === 'UNKNOWN_MODEL') return null
    throw error
  }
}

/**
 * The same call with another price. Where credits had run out, there are no more of them in the replay; what was given
 * back whole is given back whole again, what was given back in part never exceeds the new price.
 */
function replayed(row: ChargedRow, costUsd: string, marginPercent: string): CallMoney {
  const { amount, uncollected = '0', refunded = '0' } = row
  const { credits } = creditsOfUsd({ costUsd, marginPercent })
  const taken = compare(uncollected, '0') > 0 ? min(credits, amount) : credits
  const back = compare(refunded, amount) === 0 ? taken : min(refunded, taken)
  return { amount: taken, uncollected: sub(credits, taken), refunded: back, costUsd }
}
