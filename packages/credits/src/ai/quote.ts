import { mul, round } from '../core/money.ts'
import { type Soon, soon } from '../core/soon.ts'
import type { Desk, DeskRows } from '../credits/desk.ts'
import type { EstimateUsage } from '../credits/types.ts'
import type { CreditsContext } from './context.ts'
import type { Demand } from './demand.ts'

/** Credits as an integer count of millionths: what arithmetic is done in between the strings of the borders. */
export type Micros = bigint

/** Reads a decimal string of credits. */
export function micros(credits: string): Micros {
  return BigInt(mul(credits, '1000000'))
}

/** Writes a decimal string of credits. */
export function creditsOf(amount: Micros): string {
  return round(mul(String(amount), '0.000001'), 6)
}

/** The larger of two amounts. */
export function larger(a: Micros, b: Micros): Micros {
  return a > b ? a : b
}

/** The smaller of two amounts. */
export function smaller(a: Micros, b: Micros): Micros {
  return a < b ? a : b
}

/** The most a call can cost, and the least it must be able to. */
export interface Quote {
  /** Rate id of the model. */
  model: string
  demand: Demand
  /** For `maxOutputTokens`. */
  full: Micros
  maxOutputTokens: number
  /** For `minOutputTokens`: with less than this the call is refused. */
  least: Micros
  minOutputTokens: number
  /** The provider keeps to `maxOutputTokens` unasked, because it is what the call says or the model's own limit. */
  kept: boolean
  /** The rate and margin it was computed with, where they are known here. */
  rows: DeskRows
}

/** Whether the quote of an earlier demand covers this one, so that it need not be priced again. */
export function covers(quote: Quote, model: string, demand: Demand): boolean {
  if (quote.model !== model) return false
  const { inputTokens, maxOutputTokens, usage, cacheWrite, extent } = quote.demand
  // An input that is still to come has no size of its own: it goes as far as what is held for, and then asks for more.
  if (demand.inflow !== undefined) return extent !== undefined
  return (
    demand.inputTokens <= inputTokens &&
    demand.maxOutputTokens === maxOutputTokens &&
    demand.usage === undefined &&
    usage === undefined &&
    (cacheWrite === '1h' || demand.cacheWrite === 'none')
  )
}

/** Answers shorter than this are not worth paying the prompt for. */
const MIN_OUTPUT_TOKENS = 64

/** Who pays, and where prices and books are asked for. */
export interface Payer {
  context: CreditsContext
  desk: Desk
}

/**
 * Prices a demand at its bound.
 * @throws CreditError `UNKNOWN_MODEL` when there is no price; at once or later
 */
export function quoteFor(payer: Payer, model: string, demand: Demand): Soon<Quote> {
  return soon(payer.desk.rows(payer.context, model), (rows) => quoteWith(payer, model, demand, rows))
}

function quoteWith({ context, desk }: Payer, model: string, demand: Demand, rows: DeskRows): Soon<Quote> {
  const { clampable, usage, leastUsage = usage } = demand
  const wanted = demand.maxOutputTokens ?? context.maxOutputTokens
  return soon(
    desk.bound(context, model, callOf(demand, wanted, usage), rows),
    ({ micros: full, maxOutputTokens, limited }) => {
      const kept = demand.maxOutputTokens !== undefined || limited
      const minOutputTokens = clampable
        ? Math.min(maxOutputTokens, context.minOutputTokens ?? MIN_OUTPUT_TOKENS)
        : maxOutputTokens
      const quote = { model, demand, full, maxOutputTokens, least: full, minOutputTokens, kept, rows }
      if (minOutputTokens === maxOutputTokens && leastUsage === usage) return quote
      const least = desk.bound(context, model, callOf(demand, minOutputTokens, leastUsage), rows)
      return soon(least, (bound) => {
        quote.least = bound.micros
        return quote
      })
    },
  )
}

function callOf(demand: Demand, maxOutputTokens: number | undefined, usage: Demand['usage']): EstimateUsage {
  const { inputTokens, cacheWrite } = demand
  return { inputTokens, maxOutputTokens, usage, cacheWrite }
}

/**
 * The output tokens that an amount pays for. The cost is convex in the output, so a straight line between two of
 * its points is never below it: the answer is affordable, and exact within one tier.
 */
export function affordable(quote: Quote, amount: Micros): number {
  const { full, least, maxOutputTokens, minOutputTokens } = quote
  if (amount >= full) return maxOutputTokens
  if (amount <= least || full === least) return minOutputTokens
  return minOutputTokens + Number((BigInt(maxOutputTokens - minOutputTokens) * (amount - least)) / (full - least))
}
