import { CreditError } from '../errors.ts'
import { mul } from '../money.ts'
import { type ChargeFlag, type ChargeUnit, type UnitPrices, unitPrices } from './charge.ts'
import {
  type GatewayPricing,
  parsePricing,
  type ServiceTierPrices,
  type TokenPrices,
  type TokenTier,
} from './schema.ts'

/** A rate: a row of `credit_rates`, an entry of the gateway's `/v1/models`, or a bare price object. */
export type RateInput =
  | {
      readonly id?: string
      readonly modelId?: string
      readonly type?: string
      readonly pricing: Readonly<Record<string, unknown>> | null
      readonly known?: boolean
    }
  | Readonly<Record<string, unknown>>

/** Token prices that hold for a whole request whose input has at least `min` tokens. */
export interface Band {
  min: number
  input: string
  cacheRead: string
  cacheWrite: string
  cacheWrite1h: string
  /** null: the feed has no price for output. */
  output: string | null
  /** The five text lines, ready to multiply. */
  prices: UnitPrices
  cacheReadAssumed: boolean
  cacheWriteAssumed: boolean
  cacheTierMissing: boolean
  /** Above a threshold for which this service tier or mode documents no price. */
  undocumented: boolean
}

/** What a pricing object comes to once it is checked; made once per rate object. */
export interface CompiledRate {
  modelId: string | null
  type: string | null
  pricing: GatewayPricing
  unknownKeys: string[]
  /** What the model is billed by; `tokens` may carry searches and images on top. */
  kind: 'tokens' | 'characters' | 'transcription' | 'video' | 'image' | 'session'
  /** Plain usage of it takes the five text lines and nothing else. */
  plain: boolean
  /** Flags of every charge at this rate. */
  flags: readonly ChargeFlag[]
  base: readonly Band[]
  /** Output is not billed by design: embeddings, reranking, decisions. */
  inputOnly: boolean
}

const INPUT_ONLY_TYPES = new Set(['embedding', 'reranking', 'decision', 'evaluation'])
const COMPILED = new WeakMap<object, CompiledRate>()

/** Refusal: what has no price is never free. */
export function unknownModel(modelId: string | null, reason: string): CreditError {
  return new CreditError({ code: 'UNKNOWN_MODEL', details: { model: modelId ?? undefined, reason } })
}

function kindOf(pricing: GatewayPricing): CompiledRate['kind'] {
  // A specialised price wins over `input`: speech repeats its character price there, transcription and some
  // image models carry a placeholder.
  if (pricing.speech_input_character_cost !== undefined) return 'characters'
  if (pricing.transcription_duration_cost_per_second !== undefined) return 'transcription'
  if (pricing.video_duration_pricing !== undefined || pricing.video_token_pricing !== undefined) return 'video'
  const perImage = pricing.image !== undefined || pricing.image_dimension_quality_pricing !== undefined
  if (perImage && pricing.output === undefined) return 'image'
  if (
    pricing.realtime_session_duration_cost_per_second !== undefined ||
    pricing.realtime_client_message_cost !== undefined
  ) {
    return 'session'
  }
  return 'tokens'
}

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

/**
 * Cuts tiered prices into bands of total input tokens. The tier is chosen by the whole request's input and holds
 * for every dimension, output included: providers re-price the entire request, not its part above the threshold.
 */
export function bandsOf(
  source: TokenPrices | ServiceTierPrices,
  context: { oneHourFactor: boolean; thresholds?: readonly number[] },
): Band[] {
  const long = (source as ServiceTierPrices).long_context
  const tiered = source as TokenPrices
  const own = edgesOf(tiered, long ? [long.threshold] : [])
  const thresholds = own.length === 1 ? (context.thresholds ?? []) : []
  const bands: Band[] = []
  for (const min of [...own, ...thresholds]) {
    const above = long !== undefined && min >= long.threshold
    const input = above ? long.input : tierPrice(tiered.input_tiers, min, tiered.input)
    if (input === undefined) continue
    const cacheRead = above
      ? long.input_cache_read
      : tierPrice(tiered.input_cache_read_tiers, min, tiered.input_cache_read)
    const cacheWrite = above
      ? long.input_cache_write
      : tierPrice(tiered.input_cache_write_tiers, min, tiered.input_cache_write)
    const output = (above ? long.output : tierPrice(tiered.output_tiers, min, tiered.output)) ?? null
    const write = cacheWrite ?? input
    // The feed has no 1-hour price. Anthropic, the only vendor that writes for an hour, takes twice the input price.
    const write1h = context.oneHourFactor ? mul(input, '2') : write
    const lines: Array<readonly [ChargeUnit, string]> = [
      ['input', input],
      ['cache_read', cacheRead ?? input],
      ['cache_write', write],
      ['cache_write_1h', write1h],
    ]
    if (output !== null) lines.push(['output', output])
    bands.push({
      min,
      input,
      cacheRead: cacheRead ?? input,
      cacheWrite: write,
      cacheWrite1h: write1h,
      output,
      prices: unitPrices(lines),
      cacheReadAssumed: cacheRead === undefined,
      cacheWriteAssumed: cacheWrite === undefined,
      cacheTierMissing: !above && min > 0 && tiered.input_tiers !== undefined && !tiered.input_cache_read_tiers,
      undocumented: min > 0 && own.length === 1,
    })
  }
  return bands
}

/** The band of a request with this many input tokens. */
export function bandFor(bands: readonly Band[], total: number): Band | undefined {
  let index = bands.length - 1
  while (index > 0 && total < (bands[index] as Band).min) index--
  return bands[index]
}

function isRow(rate: Readonly<Record<string, unknown>>): boolean {
  return 'pricing' in rate
}

/**
 * Checks and prepares a rate; remembered per object, so hand in the same object again and do not change it.
 * @throws CreditError `UNKNOWN_MODEL` when the rate says that no price is known, `INVALID_INPUT` when it is malformed
 */
export function compileRate(rate: RateInput): CompiledRate {
  if (typeof rate !== 'object' || rate === null) throw unknownModel(null, 'no rate')
  const known = COMPILED.get(rate)
  if (known !== undefined) return known
  const row = rate as Readonly<Record<string, unknown>>
  const whole = isRow(row)
  const id = whole ? (row.modelId ?? row.id) : undefined
  const modelId = typeof id === 'string' ? id : null
  const type = whole && typeof row.type === 'string' ? row.type : null
  const raw = whole ? row.pricing : row
  if (raw === null || raw === undefined || row.known === false) throw unknownModel(modelId, 'no price is known')
  const { pricing, unknownKeys } = parsePricing(raw)
  const kind = kindOf(pricing)
  const base = bandsOf(pricing, { oneHourFactor: modelId === null || modelId.startsWith('anthropic/') })
  const compiled: CompiledRate = {
    modelId,
    type,
    pricing,
    unknownKeys,
    kind,
    plain:
      kind === 'tokens' &&
      pricing.peak_pricing === undefined &&
      pricing.audio_input_token_cost === undefined &&
      pricing.audio_output_token_cost === undefined,
    flags: [
      ...(pricing.varies_by_provider === true ? (['provider_price_varies'] as const) : []),
      ...(unknownKeys.length > 0 ? (['price_dimension_unknown'] as const) : []),
    ],
    base,
    inputOnly: pricing.output === undefined && type !== null && INPUT_ONLY_TYPES.has(type),
  }
  if (kind === 'tokens' && base.length === 0) throw unknownModel(modelId, 'no price is known')
  COMPILED.set(rate, compiled)
  return compiled
}
