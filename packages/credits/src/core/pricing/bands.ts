import { Exact, isZero, min, mul, roundDecimal, writeDecimal } from '../money.ts'
import type { ServiceTierPrices, TokenPrices, TokenTier } from './schema.ts'

/** `own`: the list has the price. */
export type CachePriceFrom = 'own' | 'base' | 'input'

/** Token prices that apply to a whole request whose input has at least `min` tokens. */
export interface Band {
  min: number
  input: string
  cacheRead: string
  cacheWrite: string
  cacheWrite1h: string
  /** null: there is no price for output. */
  output: string | null
  /** Where a cache price is from that the set does not have: the base prices, or fresh input. */
  cacheReadFrom: CachePriceFrom
  cacheWriteFrom: CachePriceFrom
  cacheTierMissing: boolean
  /** Above a threshold for which this service tier or mode documents no price. */
  undocumented: boolean
}

/** Places of a price that is derived from others. */
const MAX_PRICE_PLACES = 18

/** What {@link bandsOf} needs to know besides the prices. */
interface BandContext {
  /** A 1-hour cache write costs twice the input, else what any cache write costs. */
  oneHourFactor: boolean
  /** The bands of the base prices: they give the thresholds and cache prices that this set does not document. */
  base?: readonly Band[]
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

type CachePrices = Pick<Band, 'cacheRead' | 'cacheWrite' | 'cacheReadFrom' | 'cacheWriteFrom'>

/**
 * Cache prices that a service tier or mode does not document. Reads: the base price, but no more than the tier's own
 * input, because a cache never makes a call dearer. Writes: the tier's input times the base's ratio of the two.
 */
function cachePrices(
  set: { input: string } & Partial<Record<'cacheRead' | 'cacheWrite', string | undefined>>,
  base: Band | undefined,
): CachePrices {
  const { input } = set
  const prices: CachePrices = { cacheRead: input, cacheWrite: input, cacheReadFrom: 'input', cacheWriteFrom: 'input' }
  if (set.cacheRead !== undefined) Object.assign(prices, { cacheRead: set.cacheRead, cacheReadFrom: 'own' })
  else if (base?.cacheReadFrom === 'own') {
    Object.assign(prices, { cacheRead: min(base.cacheRead, input), cacheReadFrom: 'base' })
  }
  if (set.cacheWrite !== undefined) Object.assign(prices, { cacheWrite: set.cacheWrite, cacheWriteFrom: 'own' })
  else if (base?.cacheWriteFrom === 'own' && !isZero(base.input)) {
    const cacheWrite = scaled({ price: input, by: base.cacheWrite, over: base.input })
    Object.assign(prices, { cacheWrite, cacheWriteFrom: 'base' })
  }
  return prices
}

/** `price * by / over`, with as many places as a price may have. */
function scaled({ price, by, over }: { price: string; by: string; over: string }): string {
  return writeDecimal(roundDecimal(new Exact(price).times(by).div(over), MAX_PRICE_PLACES, 'half-up'))
}

/**
 * Cuts tiered prices into bands of total input tokens. The tier is chosen by the whole request's input and applies
 * to every dimension, output included: providers price the entire request again, not its part above the threshold.
 */
export function bandsOf(source: TokenPrices | ServiceTierPrices, context: BandContext): Band[] {
  const long = (source as ServiceTierPrices).long_context
  const tiered = source as TokenPrices
  const own = edgesOf(tiered, long ? [long.threshold] : [])
  const { base = [] } = context
  // The base's thresholds too: cache prices may come from there.
  const edges = new Set([...own, ...base.map((band) => band.min)])
  return [...edges]
    .sort((a, b) => a - b)
    .flatMap((from) => {
      const { input, cacheRead, cacheWrite, output } = pricesAt(tiered, long, from)
      if (input === undefined) return []
      const cache = cachePrices({ input, cacheRead, cacheWrite }, bandFor(base, from))
      const above = long !== undefined && from >= long.threshold
      return {
        min: from,
        input,
        ...cache,
        cacheWrite1h: context.oneHourFactor ? mul(input, '2') : cache.cacheWrite,
        output: output ?? null,
        cacheTierMissing: !above && from > 0 && tiered.input_tiers !== undefined && !tiered.input_cache_read_tiers,
        undocumented: from > 0 && own.length === 1,
      }
    })
}

/** The band of a request with this many input tokens. */
export function bandFor(bands: readonly Band[], total: number): Band | undefined {
  return bands.findLast((band) => total >= band.min) ?? bands[0]
}
