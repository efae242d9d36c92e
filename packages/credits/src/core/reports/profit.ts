import { Exact, parseDecimal, writeDecimal } from '../money.ts'
import { percentOf } from './cost-comparison.ts'

/** What a report groups a charged call by. */
export interface ReportKeys {
  readonly model: string | null
  readonly feature: string | null
  readonly planId: string | null
  /** ISO 8601. */
  readonly createdAt: string
}

/** What one call brought in and cost. */
export interface CallMoney {
  /** Credits taken, positive. */
  readonly amount: string
  /** Credits that could not be taken. Default `'0'`. */
  readonly uncollected?: string | undefined
  /** Credits of `amount` that were given back. Default `'0'`. */
  readonly refunded?: string | undefined
  readonly costUsd: string
}

/** Money over a group of calls. A credit is USD 0.01 of revenue. */
export interface ProfitTotals {
  calls: number
  /** Credits taken and kept. */
  credits: string
  /** Credits given back; not in `credits`. */
  refunded: string
  /** Credits that could not be taken; not in `credits`. */
  uncollected: string
  revenueUsd: string
  costUsd: string
  profitUsd: string
  /** Profit in percent of the cost, to 4 places: the margin that was really made. Null where nothing was paid for. */
  profitPercent: string | null
}

/** What a report is broken down by. */
export type ProfitGroup = 'model' | 'feature' | 'plan' | 'day'

/** Totals, and the same by model, feature, plan and day (UTC). Calls without one are under `(none)`. */
export interface ProfitReport {
  total: ProfitTotals
  by: Record<ProfitGroup, Record<string, ProfitTotals>>
}

/** Adds calls up one by one, so that a long period need not be in memory. */
export interface ProfitTally {
  add(keys: ReportKeys, money: CallMoney): void
  report(): ProfitReport
}

interface Sums {
  calls: number
  taken: Exact
  refunded: Exact
  uncollected: Exact
  cost: Exact
}

const NONE = '(none)'
const USD_PER_CREDIT = '0.01'

/**
 * Adds up revenue, cost and profit on actuals.
 * @example
 * const tally = profitTally()
 * for (const row of rows) tally.add(row, row)
 * tally.report().by.model['anthropic/claude-sonnet-4.5']?.profitUsd
 */
export function profitTally(): ProfitTally {
  const total = nothing()
  const by: Record<ProfitGroup, Map<string, Sums>> = {
    model: new Map(),
    feature: new Map(),
    plan: new Map(),
    day: new Map(),
  }
  return {
    add({ model, feature, planId, createdAt }, money) {
      const call = sumsOf(money)
      count(total, call)
      count(groupOf(by.model, model), call)
      count(groupOf(by.feature, feature), call)
      count(groupOf(by.plan, planId), call)
      count(groupOf(by.day, dayOf(createdAt)), call)
    },
    report: () => ({
      total: totalsOf(total),
      by: { model: written(by.model), feature: written(by.feature), plan: written(by.plan), day: written(by.day) },
    }),
  }
}

/** The day of a time, UTC. */
export function dayOf(time: string): string {
  return time.endsWith('Z') ? time.slice(0, 10) : new Date(time).toISOString().slice(0, 10)
}

function nothing(): Sums {
  const zero = new Exact(0)
  return { calls: 0, taken: zero, refunded: zero, uncollected: zero, cost: zero }
}

function sumsOf({ amount, refunded = '0', uncollected = '0', costUsd }: CallMoney): Sums {
  return {
    calls: 1,
    taken: parseDecimal(amount),
    refunded: parseDecimal(refunded, 'refunded'),
    uncollected: parseDecimal(uncollected, 'uncollected'),
    cost: parseDecimal(costUsd, 'costUsd'),
  }
}

function count(into: Sums, call: Sums): void {
  into.calls += call.calls
  into.taken = into.taken.plus(call.taken)
  into.refunded = into.refunded.plus(call.refunded)
  into.uncollected = into.uncollected.plus(call.uncollected)
  into.cost = into.cost.plus(call.cost)
}

function groupOf(groups: Map<string, Sums>, key: string | null): Sums {
  const name = key ?? NONE
  const known = groups.get(name)
  if (known !== undefined) return known
  const made = nothing()
  groups.set(name, made)
  return made
}

function written(groups: ReadonlyMap<string, Sums>): Record<string, ProfitTotals> {
  return Object.fromEntries([...groups].map(([key, sums]) => [key, totalsOf(sums)]))
}

function totalsOf({ calls, taken, refunded, uncollected, cost }: Sums): ProfitTotals {
  const kept = taken.minus(refunded)
  const revenue = kept.times(USD_PER_CREDIT)
  const [costUsd, revenueUsd] = [writeDecimal(cost), writeDecimal(revenue)]
  return {
    calls,
    credits: writeDecimal(kept),
    refunded: writeDecimal(refunded),
    uncollected: writeDecimal(uncollected),
    revenueUsd,
    costUsd,
    profitUsd: writeDecimal(revenue.minus(cost)),
    profitPercent: percentOf(costUsd, revenueUsd),
  }
}
