import { CREDIT_PLACES, creditsPerUsd, fromUnits, microsOfUnits, mul } from '../money.ts'
import {
  type Charge,
  type ChargeFlag,
  type ChargePricing,
  type ChargeUnit,
  chargeFrom,
  costOf,
  type PricedUsage,
  quantityOf,
  type UnitPrices,
  unitPrices,
  usdOf,
} from './charge.ts'
import { type Band, bandFor, type CompiledRate, compileRate, type RateInput, unknownModel } from './compile-rate.ts'
import { imagePrice, mediaLines } from './media-prices.ts'
import { normalizeUsage, type UsageInput } from './normalize-usage.ts'
import { flagBand, inputTotal, type TokenSet, tokenLines } from './token-prices.ts'
import type { Usage } from './usage.ts'

/** What {@link calculateCredits} prices with. */
export interface PriceOptions {
  /** A rate row, an entry of the gateway's model list, or a bare price object. Hand in the same object again: it is prepared once. */
  rate: RateInput
  /** Margin on the cost in percent, a decimal string: `'60'`. */
  marginPercent: string
}

type Line = readonly [ChargeUnit, string]

const PLAIN_SNAPSHOTS = new WeakMap<Band, Map<string, ChargePricing>>()

function snapshotOf(
  rate: CompiledRate,
  prices: UnitPrices,
  marginPercent: string,
  basis: { tierFrom: number; set?: TokenSet | undefined; factor?: string | undefined },
): ChargePricing {
  const unitPricesUsd: Partial<Record<ChargeUnit, string>> = {}
  prices.units.forEach((unit, index) => {
    unitPricesUsd[unit] = prices.texts[index] as string
  })
  return {
    version: 1,
    unitPricesUsd,
    marginPercent,
    usdPerCredit: '0.01',
    places: 6,
    basis: {
      modelId: rate.modelId,
      tierFrom: basis.tierFrom,
      serviceTier: basis.set?.serviceTier ?? null,
      region: basis.set?.region ?? null,
      fast: basis.set?.fast ?? false,
      factor: basis.factor ?? '1',
    },
  }
}

function plainSnapshot(rate: CompiledRate, band: Band, marginPercent: string): ChargePricing {
  let snapshots = PLAIN_SNAPSHOTS.get(band)
  if (snapshots === undefined) {
    snapshots = new Map()
    PLAIN_SNAPSHOTS.set(band, snapshots)
  }
  let snapshot = snapshots.get(marginPercent)
  if (snapshot === undefined) {
    snapshot = snapshotOf(rate, band.prices, marginPercent, { tierFrom: band.min })
    if (snapshots.size < 100) snapshots.set(marginPercent, snapshot)
  }
  return snapshot
}

function isPlain(usage: Usage): boolean {
  return (
    usage.serviceTier === undefined &&
    usage.region === undefined &&
    usage.fast !== true &&
    usage.batch !== true &&
    usage.webSearches === undefined &&
    usage.mapsSearches === undefined &&
    usage.images === undefined &&
    usage.seconds === undefined &&
    usage.characters === undefined &&
    usage.videoTokens === undefined &&
    usage.messages === undefined &&
    usage.audioInputTokens === undefined &&
    usage.audioOutputTokens === undefined
  )
}

function flagText(rate: CompiledRate, band: Band, usage: Usage, flags: ChargeFlag[]): void {
  const input = usage.inputTokens ?? usage.tokens ?? usage.audioInputTokens
  const output = usage.outputTokens ?? usage.audioOutputTokens
  if (input === undefined || (output === undefined && band.output !== null)) flags.push('usage_missing')
  if (band.output === null && (output ?? 0) > 0) {
    if (!rate.inputOnly) throw unknownModel(rate.modelId, 'no price for output tokens')
    flags.push('output_price_missing')
  }
}

function searchLines(rate: CompiledRate, usage: Usage, flags: ChargeFlag[]): Line[] {
  const lines: Line[] = []
  const { web_search: web, maps_search: maps } = rate.pricing
  // Searches are priced per thousand.
  if (web !== undefined && usage.webSearches) lines.push(['web_search', mul(web, '0.001')])
  else if (usage.webSearches) flags.push('web_search_price_missing')
  if (maps !== undefined && usage.mapsSearches) lines.push(['maps_search', mul(maps, '0.001')])
  else if (usage.mapsSearches) flags.push('maps_search_price_missing')
  return lines
}

/** Images that a language model drew: by the piece, on top of its text tokens. */
function drawnImages(rate: CompiledRate, usage: Usage, flags: ChargeFlag[]): Line[] {
  if (!usage.images) return []
  const price = imagePrice(rate.pricing, usage, flags)
  // Models priced by image tokens alone have no price per piece and need none.
  if (price === undefined) {
    if (rate.type !== 'image') flags.push('image_price_missing')
    return []
  }
  if (usage.outputTokens) flags.push('image_tokens_undocumented')
  return [['image', price]]
}

function pricedAnyhow(rate: CompiledRate, usage: Usage, marginPercent: string, flags: ChargeFlag[]): PricedUsage {
  const media = mediaLines(rate, usage, flags)
  const lines: Line[] = [...media]
  let tokens: ReturnType<typeof tokenLines> | undefined
  // Placeholders in `input` must not bill a model that is billed by the second, the character or the piece.
  if (rate.kind === 'tokens' || (rate.kind === 'session' && rate.base.length > 0)) {
    tokens = tokenLines(rate, usage, flags)
    if (tokens.band === undefined) throw unknownModel(rate.modelId, 'no price for tokens')
    lines.push(...tokens.lines, ...drawnImages(rate, usage, flags))
    if (rate.kind === 'tokens') flagText(rate, tokens.band, usage, flags)
  } else if (media.length === 0) {
    flags.push('usage_missing')
  }
  lines.push(...searchLines(rate, usage, flags))
  const prices = unitPrices(lines)
  const pricing = snapshotOf(rate, prices, marginPercent, {
    tierFrom: tokens?.band?.min ?? 0,
    set: tokens?.set,
    factor: tokens?.factor,
  })
  if (countsSomething(usage) && !prices.units.some((unit) => quantityOf(unit, usage) > 0)) {
    throw unknownModel(rate.modelId, 'no price for what was counted')
  }
  return { prices, usage, marginPercent, pricing, flags }
}

function countsSomething(usage: Usage): boolean {
  return Object.values(usage).some((value) => typeof value === 'number' && value > 0)
}

/** Finds the prices of a usage: the rate's own where nothing special was counted or served. */
function pricedUsage(
  rate: CompiledRate,
  usage: Usage,
  marginPercent: string,
  assumed: readonly string[] = [],
): PricedUsage {
  const flags = [...(assumed as ChargeFlag[]), ...rate.flags]
  if (!rate.plain || !isPlain(usage)) return pricedAnyhow(rate, usage, marginPercent, flags)
  const band = bandFor(rate.base, inputTotal(usage))
  if (band === undefined) throw unknownModel(rate.modelId, 'no price for tokens')
  flagBand(band, usage, flags)
  flagText(rate, band, usage, flags)
  return { prices: band.prices, usage, marginPercent, pricing: plainSnapshot(rate, band, marginPercent), flags }
}

/**
 * Prices one provider call exactly: tokens with caches and whole-request tiers, service tiers, fast, regional,
 * peak, batch, searches, embeddings, images, video, speech, transcription and realtime. Pure: no clock, no I/O.
 *
 * Price every step of a tool loop by itself and add the charges: a sum of steps may cross a tier that no single
 * request crossed.
 *
 * @throws CreditError `UNKNOWN_MODEL` when there is no price for what was used (never free),
 *   `INVALID_INPUT` with the path for a malformed usage, price or margin
 * @example
 * ```ts
 * const rate = { input: '0.000003', output: '0.000015' }
 * calculateCredits({ inputTokens: 2000, outputTokens: 1000 }, { rate, marginPercent: '60' }).credits // '3.36'
 * ```
 */
export function calculateCredits(usage: UsageInput, options: PriceOptions): Charge {
  const { marginPercent } = options
  creditsPerUsd(marginPercent)
  const rate = compileRate(options.rate)
  const { usage: counted, flags } = normalizeUsage(usage)
  return chargeFrom(pricedUsage(rate, counted, marginPercent, flags))
}

/**
 * {@link calculateCredits} for a usage that is normalised already, without the lines: what the ledger keeps.
 * @throws CreditError `UNKNOWN_MODEL` when there is no price for what was used
 */
export function calculateTotals(
  usage: Usage,
  { rate, marginPercent }: PriceOptions,
): Pick<Charge, 'credits' | 'costUsd' | 'pricing'> {
  const { prices, pricing } = pricedUsage(compileRate(rate), usage, marginPercent)
  const cost = costOf(prices, usage)
  const micros = microsOfUnits(cost.units, cost.places, marginPercent, 'half-up')
  return { credits: fromUnits(micros, CREDIT_PLACES), costUsd: usdOf(cost).costUsd, pricing }
}
