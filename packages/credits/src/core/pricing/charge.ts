import { creditsOfCost, Exact, invalidInput, parseDecimal, roundDecimal, USD_PLACES, writeDecimal } from '../money.ts'
import type { ChargeFlag } from './flags.ts'
import { readUsage, type UsageInput } from './normalize-usage.ts'
import { type ChargeUnit, quantityOf } from './units.ts'
import type { Usage } from './usage.ts'

export type { ChargeFlag } from './flags.ts'
export type { ChargeUnit } from './units.ts'

/** One line of a charge: `costUsd` is exactly `quantity * unitPriceUsd`. */
export interface ChargeItem {
  unit: ChargeUnit
  quantity: string
  /** Price of one unit, after tier, region, peak and batch. */
  unitPriceUsd: string
  costUsd: string
}

/** How the unit prices were found; for people, not needed to recompute. */
export type ChargeBasis = {
  modelId: string | null
  /** The whole-request tier starts at this many input tokens. */
  tierFrom: number
  serviceTier: string | null
  region: string | null
  fast: boolean
  /** Product of the peak multiplier and the batch factor. */
  factor: string
}

/** The prices, margin and rules behind a charge: with the usage they give the same amount again. */
export type ChargePricing = {
  version: 1
  unitPricesUsd: Readonly<Partial<Record<ChargeUnit, string>>>
  marginPercent: string
  usdPerCredit: '0.01'
  places: 6
  basis: Readonly<ChargeBasis>
}

/** The itemised result of pricing one usage. All amounts are decimal strings. */
export interface Charge {
  /** What to charge: rounded half up to 6 places; a cost above zero is at least `"0.000001"`. */
  credits: string
  /** Sum of the items; flagged `cost_rounded` in the rare case that it has more than 12 places. */
  costUsd: string
  /** `costUsd * (100 + marginPercent)` with all its digits. */
  exactCredits: string
  marginPercent: string
  items: ChargeItem[]
  pricing: ChargePricing
  /** What was billed: the usage as it was understood, estimated counts included. With `pricing` it recomputes. */
  usage: Usage
  /** A count was estimated, see the flag `usage_estimated`. */
  estimated: boolean
  flags: ChargeFlag[]
  rounding: 'none' | 'half-up' | 'up' | 'minimum'
}

/** A unit and its price in USD. */
export type PriceLine = readonly [ChargeUnit, string]

/** What a usage is priced with, and what the charge will say of it. */
export interface PricedUsage {
  lines: readonly PriceLine[]
  usage: Usage
  pricing: ChargePricing
  flags: ChargeFlag[]
}

/** Seconds are the one fractional quantity. They are counted to the microsecond. */
const SECOND_PLACES = 6

function quantity(unit: ChargeUnit, usage: Usage): Exact {
  return roundDecimal(new Exact(quantityOf(unit, usage)), SECOND_PLACES, 'half-up')
}

/** The charge of a priced usage, itemised and rounded. This is the only place where a cost is made. */
export function chargeFrom({ lines, usage, pricing, flags }: PricedUsage): Charge {
  const items: ChargeItem[] = []
  let cost = new Exact(0)
  for (const [unit, price] of lines) {
    const counted = quantity(unit, usage)
    if (counted.isZero()) continue
    const itemCost = parseDecimal(price, `unitPricesUsd.${unit}`).times(counted)
    cost = cost.plus(itemCost)
    items.push({
      unit,
      quantity: writeDecimal(counted),
      unitPriceUsd: price,
      costUsd: writeDecimal(itemCost),
    })
  }
  const { marginPercent } = pricing
  const { credits, exactCredits, rounding } = creditsOfCost(cost, marginPercent, 'half-up')
  const stored = roundDecimal(cost, USD_PLACES, 'half-up')
  if (!stored.equals(cost)) flags.push('cost_rounded')
  return {
    credits,
    costUsd: writeDecimal(stored),
    exactCredits,
    marginPercent,
    items,
    pricing,
    usage,
    estimated: flags.includes('usage_estimated'),
    flags: [...new Set(flags)],
    rounding,
  }
}

/**
 * Computes a charge again from what the ledger keeps: the usage and the charge's own `pricing` snapshot.
 * No rate, no tier rule and no clock is consulted, so the answer is the same in ten years.
 *
 * @throws CreditError `INVALID_INPUT` when the snapshot is not one of this library's
 * @example recomputeCharge({ usage, pricing: charge.pricing }).credits === charge.credits
 */
export function recomputeCharge(input: { usage: UsageInput; pricing: unknown }): Charge {
  const pricing = input.pricing as ChargePricing | null
  if (typeof pricing !== 'object' || pricing === null || pricing.version !== 1 || !pricing.unitPricesUsd) {
    throw invalidInput('pricing', 'not a price snapshot of version 1')
  }
  const { usage, flags } = readUsage(input.usage)
  const lines = Object.entries(pricing.unitPricesUsd) as PriceLine[]
  return chargeFrom({ lines, usage, pricing, flags })
}
