import {
  add,
  CREDIT_PLACES,
  creditsPerUsd,
  fromUnits,
  invalidInput,
  max,
  microsOfUnits,
  mul,
  placesOf,
  powerOfTen,
  toUnits,
} from '../money.ts'
import { calculateTotals, type PriceOptions } from './calculate.ts'
import type { CostUnits } from './charge.ts'
import { type Band, type CompiledRate, compileRate, unknownModel } from './compile-rate.ts'
import { imagePrice } from './media-prices.ts'
import { normalizeUsage } from './normalize-usage.ts'
import { type TokenSet, tokenSetFor } from './token-prices.ts'
import type { Usage } from './usage.ts'

/** What a call may output when neither the caller nor the rate says. Clamp the call to it, or the hold is no bound. */
export const DEFAULT_MAX_OUTPUT_TOKENS = 4096

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

/** A band with the dearest prices that a token may have in it, as integers. */
interface PricedBand {
  min: number
  /** The next band begins here. */
  end: number
  input: bigint
  output: bigint
}

/** All bands that a call may be billed from, at one scale: a bound is integer multiplication and addition. */
interface Bounds {
  bands: PricedBand[]
  places: number
}

// Most calls say nothing beforehand that would change a price: those of a rate are compared once.
const PLAIN_BOUNDS = new WeakMap<CompiledRate, Map<CacheWrite, Bounds>>()

function boundsOf(rate: CompiledRate, { usage, cacheWrite = '1h' }: CallBeforehand): Bounds {
  if (usage !== undefined) return pricedBounds(rate, usage, cacheWrite)
  const plain = PLAIN_BOUNDS.get(rate) ?? new Map<CacheWrite, Bounds>()
  const known = plain.get(cacheWrite)
  if (known !== undefined) return known
  const bounds = pricedBounds(rate, {}, cacheWrite)
  PLAIN_BOUNDS.set(rate, plain.set(cacheWrite, bounds))
  return bounds
}

/** Once per set of prices that the call may be billed from. */
function pricedBounds(rate: CompiledRate, usage: Usage, cacheWrite: CacheWrite): Bounds {
  if (rate.base.length === 0 || (rate.kind !== 'tokens' && rate.kind !== 'session')) return { bands: [], places: 0 }
  const peak = rate.pricing.peak_pricing
  // Peak hours may begin between estimate and call, and holidays are not known: hold for the peak.
  const peakFactor = peak === undefined || peak.multiplier < 1 ? '1' : String(peak.multiplier)
  const factor = usage.batch === true ? mul(peakFactor, '0.5') : peakFactor
  const texts = [...possibleSets(rate, usage)].flatMap(({ bands }) =>
    bands.map((band, index) => ({
      min: band.min,
      end: bands[index + 1]?.min ?? Number.POSITIVE_INFINITY,
      input: mul(inputPrice(band, rate, cacheWrite), factor),
      output: mul(outputPrice(band, rate), factor),
    })),
  )
  const places = texts.reduce((most, { input, output }) => Math.max(most, placesOf(input), placesOf(output)), 0)
  const bands = texts.map(({ min, end, input, output }) => ({
    min,
    end,
    input: toUnits(input, places),
    output: toUnits(output, places),
  }))
  return { bands, places }
}

/** The input of a request that falls into this band, priced. */
function inputUnits({ input, end }: PricedBand, inputTokens: number): bigint {
  return input * BigInt(Math.min(inputTokens, end - 1))
}

/** What is priced by the piece, second, character or search on top of, or instead of, tokens. */
function extrasUsd(rate: CompiledRate, usage: Usage | undefined, options: PriceOptions): string {
  if (usage === undefined) return '0'
  if (rate.kind !== 'tokens') return calculateTotals(normalizeUsage(usage).usage, options).costUsd
  const { web_search: web = '0', maps_search: maps = '0' } = rate.pricing
  let total = add(
    mul(mul(web, '0.001'), String(tokens(usage.webSearches, 'usage.webSearches') ?? 0)),
    mul(mul(maps, '0.001'), String(tokens(usage.mapsSearches, 'usage.mapsSearches') ?? 0)),
  )
  const images = tokens(usage.images, 'usage.images') ?? 0
  if (images > 0) total = add(total, mul(imagePrice(rate.pricing, usage, []) ?? '0', String(images)))
  return total
}

interface Prepared extends Bounds {
  extras: string
  inputTokens: number
  limit: number | undefined
}

function prepare(call: CallBeforehand, options: PriceOptions): Prepared {
  const rate = compileRate(options.rate)
  const inputTokens = tokens(call.inputTokens, 'inputTokens') ?? 0
  const limit = (options.rate as { maxOutputTokens?: unknown }).maxOutputTokens
  const { bands, places } = boundsOf(rate, call)
  const extras = extrasUsd(rate, call.usage, options)
  const lowest = bands[0]?.min ?? Number.POSITIVE_INFINITY
  if (call.usage === undefined && lowest > inputTokens) {
    throw unknownModel(rate.modelId, 'this model is not billed by tokens: say how much')
  }
  return { bands, places, extras, inputTokens, limit: typeof limit === 'number' ? limit : undefined }
}

/** {@link estimateCharge} as integers. */
export interface Bound extends CostUnits {
  /** Millionths of a credit, rounded up. */
  micros: bigint
  inputTokens: number
  maxOutputTokens: number
  /** The clamp is the rate's own limit, so the provider keeps to it unasked. */
  limited: boolean
}

/** {@link estimateCharge} for callers that go on calculating. */
export function boundCharge(call: CallBeforehand, options: PriceOptions): Bound {
  const prepared = prepare(call, options)
  const { bands, extras, inputTokens, limit } = prepared
  const asked = tokens(call.maxOutputTokens, 'maxOutputTokens')
  const maxOutputTokens = asked ?? limit ?? DEFAULT_MAX_OUTPUT_TOKENS
  let { places } = prepared
  let units = 0n
  for (const band of bands) {
    if (band.min > inputTokens) continue
    const cost = inputUnits(band, inputTokens) + band.output * BigInt(maxOutputTokens)
    if (cost > units) units = cost
  }
  if (extras !== '0') {
    places = Math.max(places, placesOf(extras))
    units = units * powerOfTen(places - prepared.places) + toUnits(extras, places)
  }
  const micros = microsOfUnits(units, places, options.marginPercent, 'up')
  const limited = asked === undefined && limit !== undefined
  return { units, places, micros, inputTokens, maxOutputTokens, limited }
}

/**
 * The most a call can cost, within its clamp: the dearest tier it may reach, cache writes at their dearest, peak
 * hours, and standard prices where a cheaper tier is only asked for.
 *
 * @throws CreditError `UNKNOWN_MODEL`, `INVALID_INPUT`
 * @example estimateCharge({ rate, marginPercent: '60', inputTokens: 2000, maxOutputTokens: 1000 }).credits
 */
export function estimateCharge(options: EstimateOptions): Estimate {
  const { units, places, micros, inputTokens, maxOutputTokens } = boundCharge(options, options)
  const credits = fromUnits(micros, CREDIT_PLACES)
  return { credits, costUsd: fromUnits(units, places), inputTokens, maxOutputTokens }
}

/**
 * The largest output clamp whose estimate still fits into an amount of credits; 0 when not even the input does.
 * @param options as for {@link estimateCharge}, with the `credits` there are
 * @example maxAffordableOutputTokens({ rate, marginPercent: '60', inputTokens: 2000, credits: '5' })
 */
export function maxAffordableOutputTokens(options: EstimateOptions & { credits: string }): number {
  const { bands, extras, inputTokens, places } = prepare(options, options)
  const perUsd = creditsPerUsd(options.marginPercent)
  const scale = Math.max(places, placesOf(extras))
  const fine = powerOfTen(scale - places)
  // Everything in units of 10^-(scale + 10) credits: exact, so the bound is tight to the token.
  const toCredits = perUsd * powerOfTen(6)
  const credits = toUnits(options.credits, scale + 10, 'credits')
  let most = BigInt(MAX_TOKENS)
  for (const band of bands) {
    if (band.min > inputTokens) continue
    const left = credits - (inputUnits(band, inputTokens) * fine + toUnits(extras, scale)) * toCredits
    if (left < 0n) return 0
    const price = band.output * fine * toCredits
    if (price > 0n && left / price < most) most = left / price
  }
  return Number(most)
}
