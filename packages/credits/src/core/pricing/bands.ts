import { mul } from '../money.ts'
import type { ServiceTierPrices, TokenPrices, TokenTier } from './schema.ts'

/** Token prices that apply to a whole request whose input has at least `min` tokens. */
export interface Band {
  min: number
  input: string
  cacheRead: string
  cacheWrite: string
  cacheWrite1h: string
  /** null: there is no price for output. */
  output: string | null
  cacheReadAssumed: boolean
  cacheWriteAssumed: boolean
  cacheTierMissing: boolean
  /** Above a threshold for which this service tier or mode documents no price. */
  undocumented: boolean
}

/** What {@link bandsOf} needs to know besides the prices. */
interface BandContext {
  /** The model is one of Anthropic's, or a bare price: a 1-hour cache write costs twice the input. */
  oneHourFactor: boolean
  /** Thresholds of the base prices, for a set that documents none. */
  thresholds?: readonly number[]
}

/** One price of a tiered set at a total: the tier that begins last wins. */
function tierPrice(tiers: readonly TokenTier[] | undefined, total: number, base: string | undefined) {
  let best: TokenTier | undefined
  for (const tier of tiers ?? []) {
    const from = tier.min ?? 0
    if (total >= from && total < (tier.max ?? Number.POSITIVE_INFINITY) && from >= (best?.min ?? 0)) best = tier
  }
  return best?.cost ?? base
}

function edgesOf(source: TokenPrices, extra: readonly number[]): number[] {
  const lists = [source.input_tiers, source.output_tiers, source.input_cache_read_tiers, source.input_cache_write_tiers]
  const edges = new Set([0, ...extra])
  for (const tier of lists.flatMap((list) => list ?? [])) {
    edges.add(tier.min ?? 0)
    if (tier.max !== undefined) edges.add(tier.max)
  }
  return [...edges].sort((a, b) => a - b)
}

interface PricesAt {
  input: string | undefined
  cacheRead: string | undefined
  cacheWrite: string | undefined
  output: string | undefined
}

function pricesAt(source: TokenPrices, long: ServiceTierPrices['long_context'], min: number): PricesAt {
  if (long !== undefined && min >= long.threshold) {
    const { input, output, input_cache_read: cacheRead, input_cache_write: cacheWrite } = long
    return { input, cacheRead, cacheWrite, output }
  }
  return {
    input: tierPrice(source.input_tiers, min, source.input),
    cacheRead: tierPrice(source.input_cache_read_tiers, min, source.input_cache_read),
    cacheWrite: tierPrice(source.input_cache_write_tiers, min, source.input_cache_write),
    output: tierPrice(source.output_tiers, min, source.output),
  }
}

/**
 * Cuts tiered prices into bands of total input tokens. The tier is chosen by the whole request's input and applies
 * to every dimension, output included: providers price the entire request again, not its part above the threshold.
 */
export function bandsOf(source: TokenPrices | ServiceTierPrices, context: BandContext): Band[] {
  const long = (source as ServiceTierPrices).long_context
  const tiered = source as TokenPrices
  const own = edgesOf(tiered, long ? [long.threshold] : [])
  const thresholds = own.length === 1 ? (context.thresholds ?? []) : []
  return [...own, ...thresholds].flatMap((min) => {
    const { input, cacheRead, cacheWrite, output } = pricesAt(tiered, long, min)
    if (input === undefined) return []
    const write = cacheWrite ?? input
    const above = long !== undefined && min >= long.threshold
    return {
      min,
      input,
      cacheRead: cacheRead ?? input,
      cacheWrite: write,
      // No list has a 1-hour price. Anthropic, the only vendor that writes for an hour, takes twice the input price.
      cacheWrite1h: context.oneHourFactor ? mul(input, '2') : write,
      output: output ?? null,
      cacheReadAssumed: cacheRead === undefined,
      cacheWriteAssumed: cacheWrite === undefined,
      cacheTierMissing: !above && min > 0 && tiered.input_tiers !== undefined && !tiered.input_cache_read_tiers,
      undocumented: min > 0 && own.length === 1,
    }
  })
}

/** The band of a request with this many input tokens. */
export function bandFor(bands: readonly Band[], total: number): Band | undefined {
  return bands.findLast((band) => total >= band.min) ?? bands[0]
}
