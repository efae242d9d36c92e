import { fromUnits, toUnits } from '../core/money.ts'
import { type Soon, soon } from '../core/soon.ts'
import type { Desk, DeskBound } from '../credits/desk.ts'
import type { EstimateUsage } from '../credits-types.ts'
import type { CreditsContext } from './context.ts'
import type { Demand } from './demand.ts'

/** Credits as an integer count of millionths: what arithmetic is done in between the strings of the borders. */
export type Micros = bigint

/** Reads a decimal string of credits. */
export function micros(credits: string): Micros {
  return toUnits(credits, 6)
}

/** Writes a decimal string of credits. */
export function creditsOf(amount: Micros): string {
  return fromUnits(amount, 6)
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
  rows: DeskBound['rows']
}

/** The quote of an earlier demand that covers this one, so that it need not be priced again. */
export function covering(quote: Quote | undefined, model: string, demand: Demand): Quote | undefined {
  if (quote === undefined || quote.model !== model) return undefined
  const { inputTokens, maxOutputTokens, usage, cacheWrite } = quote.demand
  const covers =
    demand.inputTokens <= inputTokens &&
    demand.maxOutputTokens === maxOutputTokens &&
    demand.usage === undefined &&
    usage === undefined &&
    (cacheWrite === '1h' || demand.cacheWrite === 'none')
  return covers ? { ...quote, demand } : undefined
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
export function quoteFor({ context, desk }: Payer, model: string, demand: Demand): Soon<Quote> {
  const wanted = demand.maxOutputTokens ?? context.maxOutputTokens
  return soon(desk.bound(context, model, usageOf(demand, wanted, demand.usage)), (full) => {
    const { maxOutputTokens, rows } = full
    const kept = demand.maxOutputTokens !== undefined || full.limited
    const minOutputTokens = demand.clampable
      ? Math.min(maxOutputTokens, context.minOutputTokens ?? MIN_OUTPUT_TOKENS)
      : maxOutputTokens
    const quote = { model, demand, full: full.micros, maxOutputTokens, least: full.micros, minOutputTokens, kept, rows }
    if (minOutputTokens === maxOutputTokens && demand.leastUsage === undefined) return quote
    const least = desk.bound(context, model, usageOf(demand, minOutputTokens, demand.leastUsage ?? demand.usage), rows)
    return soon(least, ({ micros: amount }) => {
      quote.least = amount
      return quote
    })
  })
}

function usageOf(demand: Demand, maxOutputTokens: number | undefined, usage: EstimateUsage['usage']): EstimateUsage {
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
