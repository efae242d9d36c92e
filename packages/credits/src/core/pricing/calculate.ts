import { creditsPerUsd, mul } from '../money.ts'
import type { Band } from './bands.ts'
import { type Charge, type ChargePricing, chargeFrom, type PricedUsage, type PriceLine } from './charge.ts'
import { type CompiledRate, compileRate, type RateInput, unknownModel } from './compile.ts'
import type { ChargeFlag } from './flags.ts'
import { imagePrice, mediaLines } from './media.ts'
import { completed } from './missing-side.ts'
import { normalizeUsage, type UsageInput, usageMissing } from './normalize-usage.ts'
import { type TokenLines, tokenLines } from './tokens.ts'
import { quantityOf } from './units.ts'
import type { Usage } from './usage.ts'

/** What {@link calculateCredits} prices with. */
export interface PriceOptions {
  /**
   * A rate row, an entry of the gateway's model list, or a bare price object. It is checked once per object, so pass
   * the same object again and do not change it.
   */
  rate: RateInput
  /** Margin on the cost in percent, a decimal string: `'60'`. */
  marginPercent: string
}

function snapshotOf(
  rate: CompiledRate,
  lines: readonly PriceLine[],
  marginPercent: string,
  tokens: TokenLines | undefined,
): ChargePricing {
  return {
    version: 1,
    unitPricesUsd: Object.fromEntries(lines),
    marginPercent,
    usdPerCredit: '0.01',
    places: 6,
    basis: {
      modelId: rate.modelId,
      tierFrom: tokens?.band?.min ?? 0,
      serviceTier: tokens?.set.serviceTier ?? null,
      region: tokens?.set.region ?? null,
      fast: tokens?.set.fast ?? false,
      factor: tokens?.factor ?? '1',
    },
  }
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

function searchLines(rate: CompiledRate, usage: Usage, flags: ChargeFlag[]): PriceLine[] {
  const lines: PriceLine[] = []
  const { web_search: web, maps_search: maps } = rate.pricing
  // Searches are priced per thousand.
  if (web !== undefined && usage.webSearches) lines.push(['web_search', mul(web, '0.001')])
  else if (usage.webSearches) flags.push('web_search_price_missing')
  if (maps !== undefined && usage.mapsSearches) lines.push(['maps_search', mul(maps, '0.001')])
  else if (usage.mapsSearches) flags.push('maps_search_price_missing')
  return lines
}

/** Images that a language model drew: by the piece, on top of its text tokens. */
function drawnImages(rate: CompiledRate, usage: Usage, flags: ChargeFlag[]): PriceLine[] {
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

function countsSomething(usage: Usage): boolean {
  return Object.values(usage).some((value) => typeof value === 'number' && value > 0)
}

/** Finds the prices of everything that a usage counts. */
function pricedUsage(
  rate: CompiledRate,
  usage: Usage,
  marginPercent: string,
  assumed: readonly ChargeFlag[],
): PricedUsage {
  const flags = [...assumed, ...rate.flags]
  const lines = mediaLines(rate, usage, flags)
  let tokens: TokenLines | undefined
  // Placeholders in `input` must not bill a model that is billed by the second, the character or the piece.
  if (rate.kind === 'tokens' || (rate.kind === 'session' && rate.base.length > 0)) {
    tokens = tokenLines(rate, usage, flags)
    if (tokens.band === undefined) throw unknownModel(rate.modelId, 'no price for tokens')
    lines.push(...tokens.lines, ...drawnImages(rate, usage, flags))
    if (rate.kind === 'tokens') flagText(rate, tokens.band, usage, flags)
  } else if (lines.length === 0) {
    throw usageMissing(usage)
  }
  lines.push(...searchLines(rate, usage, flags))
  if (countsSomething(usage) && !lines.some(([unit]) => quantityOf(unit, usage) > 0)) {
    throw unknownModel(rate.modelId, 'no price for what was counted')
  }
  return { lines, usage, pricing: snapshotOf(rate, lines, marginPercent, tokens), flags }
}

/**
 * Prices one provider call exactly: tokens with caches and whole-request tiers, service tiers, fast, regional,
 * peak, batch, searches, embeddings, images, video, speech, transcription and realtime. Pure: no clock, no I/O.
 *
 * Price every step of a tool loop by itself and add the charges: a sum of steps may cross a tier that no single
 * request crossed.
 *
 * A side that was not reported is estimated, see `MISSING_OUTPUT_TOKENS`: the charge is marked `estimated`, and its
 * `usage` contains the estimate.
 *
 * @throws CreditError `USAGE_MISSING` when the usage has no count that is known, `UNKNOWN_MODEL` when there is no price
 *   for what was used (never free), `INVALID_INPUT` with the path for a malformed usage, price or margin
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
  return chargeFrom(pricedUsage(rate, completed(rate, counted, flags), marginPercent, flags))
}
