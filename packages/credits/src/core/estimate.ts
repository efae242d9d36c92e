import { calculateCredits } from './calculate.ts'
import { type Band, type CompiledRate, compileRate, type RateInput, unknownModel } from './compile-rate.ts'
import { imagePrice } from './media-prices.ts'
import { add, creditsOfUsd, creditsPerUsd, invalidInput, isZero, max, mul, placesOf, toUnits } from './money.ts'
import { type TokenSet, tokenSetFor } from './token-prices.ts'
import type { Usage } from './usage.ts'

/** What a call may output when neither the caller nor the rate says. Clamp the call to it, or the hold is no bound. */
export const DEFAULT_MAX_OUTPUT_TOKENS = 4096

const MAX_TOKENS = 1_000_000_000_000

/** What is known of a call before it is made. */
export interface EstimateOptions {
  rate: RateInput
  marginPercent: string
  /** Upper bound of the input, see `boundInputTokens`. Default 0. */
  inputTokens?: number | undefined
  /** The call's clamp. Default: the rate's own limit, else {@link DEFAULT_MAX_OUTPUT_TOKENS}. */
  maxOutputTokens?: number | undefined
  /**
   * Everything else that can be counted beforehand: images with size and quality, characters, seconds, searches,
   * requested tier, region and fast mode, start time, batch.
   */
  usage?: Usage | undefined
  /** The dearest cache write that the prompt asks for. Default `'1h'`: nothing is ruled out. */
  cacheWrite?: 'none' | '5m' | '1h' | undefined
}

/** An upper bound of a charge. */
export interface Estimate {
  /** Credits to hold, rounded up at the sixth place. */
  credits: string
  costUsd: string
  inputTokens: number
  /** Clamp the call to this. */
  maxOutputTokens: number
}

function tokens(value: number | undefined, path: string): number | undefined {
  if (value === undefined) return undefined
  if (!Number.isSafeInteger(value) || value < 0 || value > MAX_TOKENS) {
    throw invalidInput(path, 'must be a whole number from 0 to 10^12')
  }
  return value
}

/** Region, fast mode and tier are wishes: each may be served, and billed, or not, whatever becomes of the others. */
function possibleSets(rate: CompiledRate, { region, fast, serviceTier }: Usage): ReadonlySet<TokenSet> {
  const sets = new Set<TokenSet>()
  for (const inRegion of [undefined, region]) {
    for (const isFast of [undefined, fast]) {
      for (const tier of [undefined, serviceTier]) {
        sets.add(tokenSetFor(rate, { region: inRegion, fast: isFast, serviceTier: tier }))
      }
    }
  }
  return sets
}

/** The dearest a token of input can be in this band: it may be fresh, read from a cache or written to one. */
function inputPrice(band: Band, rate: CompiledRate, cacheWrite: EstimateOptions['cacheWrite']): string {
  let price = max(band.input, band.cacheRead)
  if (cacheWrite !== 'none') price = max(price, band.cacheWrite)
  if (cacheWrite === '1h') price = max(price, band.cacheWrite1h)
  const audio = rate.pricing.audio_input_token_cost
  return audio === undefined ? price : max(price, audio)
}

function outputPrice(band: Band, rate: CompiledRate): string {
  const audio = rate.pricing.audio_output_token_cost
  return audio === undefined ? (band.output ?? '0') : max(band.output ?? '0', audio)
}

/** A band with the dearest prices that a token may have in it. */
interface PricedBand {
  min: number
  /** The next band begins here. */
  end: number
  input: string
  output: string
}

// Most calls say nothing beforehand that would change a price: those of a rate are compared once.
const PLAIN_BANDS = new WeakMap<CompiledRate, Map<string, PricedBand[]>>()

function bandsOf(rate: CompiledRate, { usage, cacheWrite = '1h' }: EstimateOptions): PricedBand[] {
  if (usage !== undefined) return pricedBands(rate, usage, cacheWrite)
  const plain = PLAIN_BANDS.get(rate) ?? new Map<string, PricedBand[]>()
  const bands = plain.get(cacheWrite) ?? pricedBands(rate, {}, cacheWrite)
  PLAIN_BANDS.set(rate, plain.set(cacheWrite, bands))
  return bands
}

/** Once per set of prices that the call may be billed from. */
function pricedBands(rate: CompiledRate, usage: Usage, cacheWrite: EstimateOptions['cacheWrite']): PricedBand[] {
  const peak = rate.pricing.peak_pricing
  // Peak hours may begin between estimate and call, and holidays are not known: hold for the peak.
  const peakFactor = peak === undefined || peak.multiplier < 1 ? '1' : String(peak.multiplier)
  const factor = usage.batch === true ? mul(peakFactor, '0.5') : peakFactor
  return [...possibleSets(rate, usage)].flatMap(({ bands }) =>
    bands.map((band, index) => ({
      min: band.min,
      end: bands[index + 1]?.min ?? Number.POSITIVE_INFINITY,
      input: mul(inputPrice(band, rate, cacheWrite), factor),
      output: mul(outputPrice(band, rate), factor),
    })),
  )
}

interface Slope {
  inputUsd: string
  perOutputToken: string
}

/** Cost as input + output * price, once per band that the request may fall into. */
function slopesOf(rate: CompiledRate, options: EstimateOptions, inputTokens: number): Slope[] {
  const slopes: Slope[] = []
  for (const { min, end, input, output } of bandsOf(rate, options)) {
    if (min > inputTokens) continue
    slopes.push({ inputUsd: mul(input, String(Math.min(inputTokens, end - 1))), perOutputToken: output })
  }
  return slopes
}

/** What is priced by the piece, second, character or search on top of, or instead of, tokens. */
function extrasUsd(rate: CompiledRate, options: EstimateOptions): string {
  const { usage } = options
  if (usage === undefined) return '0'
  if (rate.kind !== 'tokens') return calculateCredits(usage, options).costUsd
  const { web_search: web = '0', maps_search: maps = '0' } = rate.pricing
  let total = add(
    mul(mul(web, '0.001'), String(tokens(usage.webSearches, 'usage.webSearches') ?? 0)),
    mul(mul(maps, '0.001'), String(tokens(usage.mapsSearches, 'usage.mapsSearches') ?? 0)),
  )
  const images = tokens(usage.images, 'usage.images') ?? 0
  if (images > 0) total = add(total, mul(imagePrice(rate.pricing, usage, []) ?? '0', String(images)))
  return total
}

interface Prepared {
  slopes: Slope[]
  extras: string
  inputTokens: number
  limit: number | undefined
}

function prepare(options: EstimateOptions): Prepared {
  const rate = compileRate(options.rate)
  const inputTokens = tokens(options.inputTokens, 'inputTokens') ?? 0
  const limit = (options.rate as { maxOutputTokens?: unknown }).maxOutputTokens
  const slopes =
    rate.base.length > 0 && (rate.kind === 'tokens' || rate.kind === 'session')
      ? slopesOf(rate, options, inputTokens)
      : []
  const extras = extrasUsd(rate, options)
  if (slopes.length === 0 && isZero(extras) && options.usage === undefined) {
    throw unknownModel(rate.modelId, 'this model is not billed by tokens: say how much')
  }
  return { slopes, extras, inputTokens, limit: typeof limit === 'number' ? limit : undefined }
}

/**
 * The most a call can cost, within its clamp: the dearest tier it may reach, cache writes at their dearest, peak
 * hours, and standard prices where a cheaper tier is only asked for.
 *
 * @throws CreditError `UNKNOWN_MODEL`, `INVALID_INPUT`
 * @example estimateCharge({ rate, marginPercent: '60', inputTokens: 2000, maxOutputTokens: 1000 }).credits
 */
export function estimateCharge(options: EstimateOptions): Estimate {
  const { slopes, extras, inputTokens, limit } = prepare(options)
  const maxOutputTokens = tokens(options.maxOutputTokens, 'maxOutputTokens') ?? limit ?? DEFAULT_MAX_OUTPUT_TOKENS
  const costs = slopes.map((slope) => add(slope.inputUsd, mul(slope.perOutputToken, String(maxOutputTokens))))
  const costUsd = add(
    costs.reduce((a, b) => max(a, b), '0'),
    extras,
  )
  const { credits } = creditsOfUsd({ costUsd, marginPercent: options.marginPercent, mode: 'up' })
  return { credits, costUsd, inputTokens, maxOutputTokens }
}

/**
 * The largest output clamp whose estimate still fits into an amount of credits; 0 when not even the input does.
 * @param options as for {@link estimateCharge}, with the `credits` there are
 * @example maxAffordableOutputTokens({ rate, marginPercent: '60', inputTokens: 2000, credits: '5' })
 */
export function maxAffordableOutputTokens(options: EstimateOptions & { credits: string }): number {
  const { slopes, extras } = prepare(options)
  const perUsd = creditsPerUsd(options.marginPercent)
  let most = BigInt(MAX_TOKENS)
  for (const { inputUsd, perOutputToken } of slopes) {
    const fixed = add(inputUsd, extras)
    // Everything in units of 10^-scale credits: exact, so the bound is tight to the token.
    const scale = Math.max(placesOf(fixed), placesOf(perOutputToken)) + 10
    const left = toUnits(options.credits, scale, 'credits') - toUnits(fixed, scale - 4) * perUsd
    if (left < 0n) return 0
    const price = toUnits(perOutputToken, scale - 4) * perUsd
    if (price > 0n && left / price < most) most = left / price
  }
  return Number(most)
}
