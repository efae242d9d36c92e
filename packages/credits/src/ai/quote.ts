import { fromUnits, toUnits } from '../core/money.ts'
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

/**
 * Prices a demand at its bound.
 * @throws CreditError `UNKNOWN_MODEL` when there is no price
 */
export async function quoteFor(context: CreditsContext, model: string, demand: Demand): Promise<Quote> {
  const { inputTokens, usage, cacheWrite } = demand
  const scope = { model, feature: context.feature, userId: context.userId, inputTokens, cacheWrite }
  const wanted = demand.maxOutputTokens ?? context.maxOutputTokens
  const full = await context.credits.estimate({ ...scope, maxOutputTokens: wanted, usage })
  const { maxOutputTokens } = full
  const kept =
    demand.maxOutputTokens !== undefined ||
    (wanted === undefined && full.rateId !== null && (await hasLimit(context, model)))
  const quote = { model, demand, full: micros(full.amount), maxOutputTokens, kept }
  const minOutputTokens = demand.clampable
    ? Math.min(maxOutputTokens, context.minOutputTokens ?? MIN_OUTPUT_TOKENS)
    : maxOutputTokens
  if (minOutputTokens === maxOutputTokens && demand.leastUsage === undefined) {
    return { ...quote, least: quote.full, minOutputTokens }
  }
  const { amount } = await context.credits.estimate({
    ...scope,
    maxOutputTokens: minOutputTokens,
    usage: demand.leastUsage ?? usage,
  })
  return { ...quote, least: micros(amount), minOutputTokens }
}

/** The rate knows the model's own output limit, so the estimate was made for that. */
async function hasLimit(context: CreditsContext, model: string): Promise<boolean> {
  const pricing = await context.credits.pricing()
  return pricing.find({ model, feature: context.feature }).rate.maxOutputTokens !== null
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
