import { CreditError } from '../errors.ts'
import { type Band, bandsOf } from './bands.ts'
import type { ChargeFlag } from './flags.ts'
import { type GatewayPricing, parsePricing } from './schema.ts'

/** A rate: a row of `credit_rates`, an entry of the gateway's `/v1/models`, or a bare price object. */
export type RateInput =
  | {
      readonly id?: string
      readonly modelId?: string
      readonly type?: string
      readonly pricing: Readonly<Record<string, unknown>> | null
      readonly known?: boolean
      /** Flags of every charge at this rate, see `selectRate`. */
      readonly flags?: readonly ChargeFlag[]
    }
  | Readonly<Record<string, unknown>>

/** What a pricing object comes to once it is checked; made once per rate object. */
export interface CompiledRate {
  modelId: string | null
  type: string | null
  pricing: GatewayPricing
  unknownKeys: string[]
  /** What the model is billed by; `tokens` may carry searches and images on top. */
  kind: 'tokens' | 'characters' | 'transcription' | 'video' | 'image' | 'session'
  /** Flags of every charge at this rate. */
  flags: readonly ChargeFlag[]
  base: readonly Band[]
  /** A 1-hour cache write costs twice the input. */
  oneHourFactor: boolean
  /** Output is not billed by design: embeddings, reranking, decisions. */
  inputOnly: boolean
}

const INPUT_ONLY_TYPES = new Set(['embedding', 'reranking', 'decision', 'evaluation'])
const COMPILED = new WeakMap<object, CompiledRate>()

/** Refusal: what has no price is never free. */
export function unknownModel(modelId: string | null, reason: string): CreditError {
  const message = `No price for ${modelId ?? 'this model'}: ${reason}. Set one with \`credits rates set\`.`
  return new CreditError({ code: 'UNKNOWN_MODEL', message, details: { model: modelId ?? undefined, reason } })
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
  // No list says what a 1-hour cache write costs. Anthropic, the only vendor that writes for an hour, takes twice the
  // input price; a bare price object may be Anthropic's.
  const oneHourFactor = modelId === null || /anthropic|claude/.test(modelId)
  const base = bandsOf(pricing, { oneHourFactor })
  const compiled: CompiledRate = {
    modelId,
    type,
    pricing,
    unknownKeys,
    kind,
    flags: [
      ...(whole && Array.isArray(row.flags) ? (row.flags as ChargeFlag[]) : []),
      ...(pricing.varies_by_provider === true ? (['provider_price_varies'] as const) : []),
      ...(unknownKeys.length > 0 ? (['price_dimension_unknown'] as const) : []),
    ],
    base,
    oneHourFactor,
    inputOnly: pricing.output === undefined && type !== null && INPUT_ONLY_TYPES.has(type),
  }
  if (kind === 'tokens' && base.length === 0) throw unknownModel(modelId, 'no price is known')
  COMPILED.set(rate, compiled)
  return compiled
}
