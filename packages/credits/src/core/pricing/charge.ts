import {
  creditsOfUnits,
  divideRounded,
  fromUnits,
  invalidInput,
  placesOf,
  powerOfTen,
  toUnits,
  USD_PLACES,
} from '../money.ts'
import { normalizeUsage, type UsageInput } from './normalize-usage.ts'
import type { Usage } from './usage.ts'

/** What one line of a charge counts. `input` leaves out cached tokens; the `text_` units leave out audio as well. */
export type ChargeUnit =
  | 'input'
  | 'cache_read'
  | 'cache_write'
  | 'cache_write_1h'
  | 'output'
  | 'text_input'
  | 'text_output'
  | 'audio_input'
  | 'audio_output'
  | 'web_search'
  | 'maps_search'
  | 'image'
  | 'video_second'
  | 'video_token'
  | 'character'
  | 'transcription_second'
  | 'session_second'
  | 'message'

/** Something a charge had to assume, so that nothing is assumed in silence. */
export type ChargeFlag =
  /** A count that the price needs was not reported; it is not billed. */
  | 'usage_missing'
  /** Parts exceed their total (cached above input, say); each part is billed as reported. */
  | 'usage_inconsistent'
  /** No price for cache reads / writes: billed as fresh input. */
  | 'cache_read_price_missing'
  | 'cache_write_price_missing'
  /** The list has no price for 1-hour cache writes: twice the input price, as Anthropic bills them. */
  | 'cache_write_1h_price_assumed'
  /** Input has a higher tier here, cache reads do not: billed at their base price. */
  | 'cache_tier_missing'
  /** Above a threshold for which the served tier or mode documents no price: its normal price. */
  | 'long_context_undocumented'
  /** The model has no price for the region, fast mode or service tier that was served: the base price. */
  | 'region_price_missing'
  | 'fast_price_missing'
  | 'service_tier_price_missing'
  /** A service tier in a pinned region: the tier's price, without the region's surcharge. */
  | 'service_tier_region_undocumented'
  /** Batch: half price, as the gateway documents for most models; the list has no batch price. */
  | 'batch_factor_assumed'
  /** The model has peak hours, but the usage does not say when the call began: no peak. */
  | 'peak_time_missing'
  /** The peak window has a holiday calendar, which is not known here: taken for a working day. */
  | 'holiday_calendar_ignored'
  /** The listed price is one provider's; others differ. */
  | 'provider_price_varies'
  /** The price list has a dimension that this version does not know: it is not billed. */
  | 'price_dimension_unknown'
  /** Input-only by its type (embedding, decision): output is not billed. */
  | 'output_price_missing'
  /** Counted, but without a price: not billed beside what is. */
  | 'web_search_price_missing'
  | 'maps_search_price_missing'
  | 'image_price_missing'
  | 'audio_price_missing'
  /** Images by the piece and output tokens are both billed; whether providers do is not documented. */
  | 'image_tokens_undocumented'
  /** Text and audio tokens have different prices, but the usage does not tell them apart: the text price. */
  | 'audio_split_missing'
  /** The usage leaves the row of the price table open: the dearest that fits. */
  | 'highest_price_assumed'
  /** The cost has more than 12 decimal places; credits were computed from all of them. */
  | 'cost_rounded'

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
  flags: ChargeFlag[]
  rounding: 'none' | 'half-up' | 'up' | 'minimum'
}

/** Unit prices brought to one scale, so that a charge is integer multiplication and addition. */
export interface UnitPrices {
  units: readonly ChargeUnit[]
  texts: readonly string[]
  prices: readonly bigint[]
  places: number
}

/** Brings prices to their common scale. */
export function unitPrices(lines: ReadonlyArray<readonly [ChargeUnit, string]>): UnitPrices {
  const places = lines.reduce((most, [, text]) => Math.max(most, placesOf(text)), 0)
  return {
    units: lines.map(([unit]) => unit),
    texts: lines.map(([, text]) => text),
    prices: lines.map(([unit, text]) => toUnits(text, places, `unitPricesUsd.${unit}`)),
    places,
  }
}

function freshTokens(usage: Usage): number {
  const total = usage.inputTokens ?? usage.tokens ?? usage.audioInputTokens ?? 0
  return Math.max(0, total - (usage.cacheReadTokens ?? 0) - (usage.cacheWriteTokens ?? 0))
}

/** How many of a unit a usage holds. */
export function quantityOf(unit: ChargeUnit, usage: Usage): number {
  switch (unit) {
    case 'input':
      return freshTokens(usage)
    case 'cache_read':
      return usage.cacheReadTokens ?? 0
    case 'cache_write':
      return (usage.cacheWriteTokens ?? 0) - (usage.cacheWrite1hTokens ?? 0)
    case 'cache_write_1h':
      return usage.cacheWrite1hTokens ?? 0
    case 'output':
      return usage.outputTokens ?? usage.audioOutputTokens ?? 0
    case 'text_input':
      return Math.max(0, freshTokens(usage) - (usage.audioInputTokens ?? 0))
    case 'text_output':
      return Math.max(0, (usage.outputTokens ?? 0) - (usage.audioOutputTokens ?? 0))
    case 'audio_input':
      return usage.audioInputTokens ?? 0
    case 'audio_output':
      return usage.audioOutputTokens ?? 0
    case 'web_search':
      return usage.webSearches ?? 0
    case 'maps_search':
      return usage.mapsSearches ?? 0
    case 'image':
      return usage.images ?? 0
    case 'video_token':
      return usage.videoTokens ?? 0
    case 'character':
      return usage.characters ?? 0
    case 'message':
      return usage.messages ?? 0
    case 'video_second':
    case 'transcription_second':
    case 'session_second':
      return usage.seconds ?? 0
    default:
      throw invalidInput(`unitPricesUsd.${String(unit)}`, 'unknown unit')
  }
}

const SECOND_PLACES = 6

/** What a usage is priced with, and what the charge will say of it. */
export interface PricedUsage {
  prices: UnitPrices
  usage: Usage
  marginPercent: string
  pricing: ChargePricing
  flags: ChargeFlag[]
}

/** An exact cost in USD: an integer count of 10^-places. */
export interface CostUnits {
  units: bigint
  places: number
}

/**
 * Multiplies and adds up: the only place where a cost is made.
 * @param items takes the lines of the charge, where somebody wants to see them
 */
export function costOf(at: UnitPrices, usage: Usage, items?: ChargeItem[]): CostUnits {
  const { units, texts, prices } = at
  // Seconds are the one fractional quantity; counted to the microsecond, still as an integer.
  const fractional = usage.seconds !== undefined && !Number.isInteger(usage.seconds)
  const places = at.places + (fractional ? SECOND_PLACES : 0)
  let total = 0n
  for (let index = 0; index < units.length; index++) {
    const unit = units[index] as ChargeUnit
    const amount = quantityOf(unit, usage)
    if (amount === 0) continue
    const count = fractional ? toUnits(amount.toFixed(SECOND_PLACES), SECOND_PLACES) : BigInt(amount)
    const cost = (prices[index] as bigint) * count
    total += cost
    items?.push({
      unit,
      quantity: fractional ? fromUnits(count, SECOND_PLACES) : String(amount),
      unitPriceUsd: texts[index] as string,
      costUsd: fromUnits(cost, places),
    })
  }
  return { units: total, places }
}

/** A cost as the ledger keeps it: rounded in the rare case that it has more than 12 places. */
export function usdOf({ units, places }: CostUnits): { costUsd: string; rounded: boolean } {
  const exact = fromUnits(units, places)
  if (placesOf(exact) <= USD_PLACES) return { costUsd: exact, rounded: false }
  const kept = divideRounded(units, powerOfTen(places - USD_PLACES), 'half-up')
  return { costUsd: fromUnits(kept, USD_PLACES), rounded: true }
}

/** The charge of a priced usage, itemised and rounded. */
export function chargeFrom({ prices, usage, marginPercent, pricing, flags }: PricedUsage): Charge {
  const items: ChargeItem[] = []
  const cost = costOf(prices, usage, items)
  const { credits, exactCredits, rounding } = creditsOfUnits(cost.units, cost.places, marginPercent, 'half-up')
  const { costUsd, rounded } = usdOf(cost)
  if (rounded) flags.push('cost_rounded')
  return { credits, costUsd, exactCredits, marginPercent, items, pricing, flags, rounding }
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
  const { usage, flags } = normalizeUsage(input.usage)
  const lines = Object.entries(pricing.unitPricesUsd) as Array<[ChargeUnit, string]>
  return chargeFrom({
    prices: unitPrices(lines),
    usage,
    marginPercent: pricing.marginPercent,
    pricing,
    flags: flags as ChargeFlag[],
  })
}
