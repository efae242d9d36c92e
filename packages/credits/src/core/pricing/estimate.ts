import {
  add,
  creditsOfCost,
  creditsPerUsd,
  Exact,
  invalidInput,
  max,
  mul,
  parseDecimal,
  writeDecimal,
} from '../money.ts'
import type { Band } from './bands.ts'
import { calculateCredits, type PriceOptions } from './calculate.ts'
import { type CompiledRate, compileRate, unknownModel } from './compile.ts'
import { highestImagePrice, imageTokens } from './media.ts'
import { aliasOf, halvesBatch, type TokenSet, tokenSetFor } from './tokens.ts'
import type { Usage } from './usage.ts'

/**
 * What a call may output when neither the caller nor the rate says. The call must be clamped to it, or the
 * reservation is no bound.
 */
export const DEFAULT_MAX_OUTPUT_TOKENS = 4096

/** Pictures that a language model with a price for them may draw in one call, where the caller does not say. */
const PICTURES_DRAWN = 1

const MAX_TOKENS = 1_000_000_000_000

type CacheWrite = 'none' | '5m' | '1h'

/** What is known of a call before it is made. */
export interface CallBeforehand {
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
  cacheWrite?: CacheWrite | undefined
}

/** What {@link estimateCharge} works with. */
export interface EstimateOptions extends CallBeforehand, PriceOptions {}

/** An upper bound of a charge. */
export interface Estimate {
  /** Credits to reserve, rounded up at the sixth place. */
  credits: string
  costUsd: string
  inputTokens: number
  /** Clamp the call to this. */
  maxOutputTokens: number
  /** Where `maxOutputTokens` is from. The provider keeps to `call` and `model` by itself, not to `default`. */
  maxOutputTokensFrom: 'call' | 'model' | 'default'
}

function tokens(value: number | undefined, path: string): number | undefined {
  if (value === undefined) return undefined
  if (!Number.isSafeInteger(value) || value < 0 || value > MAX_TOKENS) {
    throw invalidInput(path, 'must be a whole number from 0 to 10^12')
  }
  return value
}

/** Region, fast mode and tier are wishes: each may be served and billed, or not, independently of the others. */
function possibleSets(rate: CompiledRate, { region, fast, serviceTier, batch }: Usage): TokenSet[] {
  const sets: TokenSet[] = []
  for (const servedRegion of new Set([undefined, region])) {
    for (const servedFast of new Set([false, fast === true])) {
      for (const servedTier of new Set([undefined, serviceTier, aliasOf(serviceTier)])) {
        sets.push(tokenSetFor(rate, { region: servedRegion, fast: servedFast, serviceTier: servedTier, batch }))
      }
    }
  }
  return sets
}

/** The dearest price of an input token in this band. It may be fresh, read from a cache or written to one. */
function inputPrice(band: Band, rate: CompiledRate, cacheWrite: CacheWrite): string {
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

/** A band that the call may be billed from, with its input priced. */
interface BandCost {
  input: Exact
  /** Of one token. */
  output: Exact
}

/** One row per set of prices and band that the call may be billed from. */
function bandCosts(rate: CompiledRate, call: CallBeforehand, inputTokens: number): BandCost[] {
  if (rate.kind !== 'tokens' && rate.kind !== 'session') return []
  const { usage = {}, cacheWrite = '1h' } = call
  const peak = rate.pricing.peak_pricing
  // Peak hours may begin between estimate and call, and holidays are not known: the peak is reserved for.
  const peakFactor = peak === undefined || peak.multiplier < 1 ? '1' : String(peak.multiplier)
  const factor = halvesBatch(rate, { batch: usage.batch }) ? mul(peakFactor, '0.5') : peakFactor
  return possibleSets(rate, usage).flatMap(({ bands }) =>
    bands.flatMap((band, index) => {
      if (band.min > inputTokens) return []
      const end = bands[index + 1]?.min ?? Number.POSITIVE_INFINITY
      const input = new Exact(inputPrice(band, rate, cacheWrite)).times(factor).times(Math.min(inputTokens, end - 1))
      return { input, output: new Exact(outputPrice(band, rate)).times(factor) }
    }),
  )
}

/** What is priced by the piece, second, character or search on top of tokens, or instead of them. */
function extrasUsd(rate: CompiledRate, usage: Usage | undefined, options: PriceOptions): string {
  if (rate.kind !== 'tokens') return usage === undefined ? '0' : calculateCredits(usage, options).costUsd
  const { web_search: web = '0', maps_search: maps = '0' } = rate.pricing
  let total = add(
    mul(mul(web, '0.001'), String(tokens(usage?.webSearches, 'usage.webSearches') ?? 0)),
    mul(mul(maps, '0.001'), String(tokens(usage?.mapsSearches, 'usage.mapsSearches') ?? 0)),
  )
  const images = tokens(usage?.images, 'usage.images') ?? PICTURES_DRAWN
  if (images > 0) total = add(total, mul(highestImagePrice(rate.pricing, usage ?? {}) ?? '0', String(images)))
  return total
}

/** Everything of a call's bound but its output. */
interface Prepared {
  bands: BandCost[]
  extras: Exact
  inputTokens: number
  /** The model's own output limit. */
  limit: number | undefined
  /** What the pictures of an image model come to where it is billed by tokens. */
  drawnTokens: number | undefined
}

function prepare(call: CallBeforehand, options: PriceOptions): Prepared {
  const rate = compileRate(options.rate)
  const inputTokens = tokens(call.inputTokens, 'inputTokens') ?? 0
  const limit = (options.rate as { maxOutputTokens?: unknown }).maxOutputTokens
  const bands = bandCosts(rate, call, inputTokens)
  if (call.usage === undefined && bands.length === 0) {
    throw unknownModel(rate.modelId, 'this model is not billed by tokens: say how much')
  }
  return {
    bands,
    extras: new Exact(extrasUsd(rate, call.usage, options)),
    inputTokens,
    limit: typeof limit === 'number' ? limit : undefined,
    drawnTokens: rate.type === 'image' && call.usage?.images !== undefined ? imageTokens(call.usage) : undefined,
  }
}

function outputLimit(call: CallBeforehand, { limit, drawnTokens }: Prepared) {
  const asked = tokens(call.maxOutputTokens, 'maxOutputTokens') ?? drawnTokens
  if (asked !== undefined) return { maxOutputTokens: asked, maxOutputTokensFrom: 'call' } as const
  if (limit !== undefined) return { maxOutputTokens: limit, maxOutputTokensFrom: 'model' } as const
  return { maxOutputTokens: DEFAULT_MAX_OUTPUT_TOKENS, maxOutputTokensFrom: 'default' } as const
}

/**
 * The most a call can cost, within its clamp: the dearest tier it may reach, cache writes at their dearest, peak
 * hours, and standard prices where a cheaper tier is only asked for.
 *
 * @throws CreditError `UNKNOWN_MODEL`, `INVALID_INPUT`
 * @example estimateCharge({ rate, marginPercent: '60', inputTokens: 2000, maxOutputTokens: 1000 }).credits
 */
export function estimateCharge(options: EstimateOptions): Estimate {
  const prepared = prepare(options, options)
  const { bands, extras, inputTokens } = prepared
  const output = outputLimit(options, prepared)
  const costs = bands.map((band) => band.input.plus(band.output.times(output.maxOutputTokens)))
  const cost = Exact.max(0, ...costs).plus(extras)
  const { credits } = creditsOfCost(cost, options.marginPercent, 'up')
  return { credits, costUsd: writeDecimal(cost), inputTokens, ...output }
}

/**
 * The largest output clamp whose estimate still fits into an amount of credits; 0 when not even the input does.
 * @param options as for {@link estimateCharge}, and the `credits` available
 * @example maxAffordableOutputTokens({ rate, marginPercent: '60', inputTokens: 2000, credits: '5' })
 */
export function maxAffordableOutputTokens(options: EstimateOptions & { credits: string }): number {
  const { bands, extras } = prepare(options, options)
  const perUsd = creditsPerUsd(options.marginPercent)
  const credits = parseDecimal(options.credits, 'credits')
  let most = MAX_TOKENS
  for (const { input, output } of bands) {
    const left = credits.minus(input.plus(extras).times(perUsd))
    if (left.isNegative() && !left.isZero()) return 0
    const price = output.times(perUsd)
    if (!price.isZero()) most = Math.min(most, left.divToInt(price).toNumber())
  }
  return most
}
