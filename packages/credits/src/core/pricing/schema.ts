import * as z from 'zod'
import { compare, Exact, joinPath, MAX_PLACES, parseOrThrow, writeDecimal } from '../money.ts'

// The feed writes prices as plain decimals. "1e-7" is what a JavaScript number becomes when it is printed, so it
// is read as well, exactly. Longer exponents are no prices.
const PRICE = /^(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,18})?(?:e-[0-9]{1,2})?$/i

/** `"1.2e-7"` -> `"0.00000012"`, exactly. What is finer than a decimal string may be stays as it is, and is refused. */
function expand(text: string): string {
  const amount = new Exact(text)
  return amount.decimalPlaces() > MAX_PLACES ? text : writeDecimal(amount)
}

/** A price up to `most` USD per unit; more is a misplaced decimal point, not a price. */
function price(most: string) {
  return z
    .string({ error: 'must be a decimal string' })
    .regex(PRICE, { error: 'must be a plain, non-negative decimal string', abort: true })
    .overwrite(expand)
    .refine((text) => !text.includes('e') && compare(text, most) <= 0, {
      error: `must be at most ${most} USD per unit`,
    })
}

const perToken = price('1')
const perUnit = price('10000')
const perThousand = price('100000')
const perMillion = price('1000000')
const minute = z.int().min(0).max(1440)
const count = z.int().min(0).max(1_000_000_000_000)
const label = z.string().min(1).max(100)

const tier = z
  .looseObject({ cost: perToken, min: count.optional(), max: count.optional() })
  .refine((row) => row.max === undefined || row.max > (row.min ?? 0), { error: 'max must be above min', path: ['max'] })
const tiers = z.array(tier).max(50)

const tokenPrices = {
  input: perToken.optional(),
  output: perToken.optional(),
  input_cache_read: perToken.optional(),
  input_cache_write: perToken.optional(),
}
const tieredPrices = {
  ...tokenPrices,
  input_tiers: tiers.optional(),
  output_tiers: tiers.optional(),
  input_cache_read_tiers: tiers.optional(),
  input_cache_write_tiers: tiers.optional(),
}
const tokenSet = z.looseObject(tieredPrices)
const serviceTier = z.looseObject({
  ...tokenPrices,
  long_context: z.looseObject({ ...tokenPrices, threshold: count }).optional(),
})
const perMillionTokens = z.looseObject({ cost_per_million_tokens: perMillion })
const videoTokenTier = z.looseObject({
  resolution: label.optional(),
  no_video_input: perMillionTokens.optional(),
  with_video_input: perMillionTokens.optional(),
})

/** The AI Gateway's `pricing` object, as its `/v1/models` list delivers it; unknown keys pass and are reported. */
const gatewayPricing = z.looseObject({
  ...tieredPrices,
  service_tiers: z.record(label, serviceTier).optional(),
  fast: tokenSet.optional(),
  /** Prices of the batch endpoint. The gateway lists them as a model of their own, `<id>-batch`. */
  batch: tokenSet.optional(),
  regional: z.record(label, z.looseObject({ ...tieredPrices, fast: tokenSet.optional() })).optional(),
  peak_pricing: z
    .looseObject({
      multiplier: z.number().min(0.01).max(100),
      windows: z
        .array(
          z.looseObject({
            start_minute_utc: minute,
            end_minute_utc: minute,
            days_of_week: z.array(z.int().min(0).max(7)).optional(),
          }),
        )
        .max(100),
      holiday_calendar: label.optional(),
    })
    .optional(),
  varies_by_provider: z.boolean().optional(),
  web_search: perThousand.optional(),
  maps_search: perThousand.optional(),
  image: perUnit.optional(),
  image_dimension_quality_pricing: z
    .array(
      z.looseObject({
        size: label.optional(),
        quality: label.optional(),
        style: label.optional(),
        operation: label.optional(),
        cost: perUnit,
      }),
    )
    .max(500)
    .optional(),
  video_duration_pricing: z
    .array(
      z.looseObject({
        resolution: label.optional(),
        mode: label.optional(),
        audio: z.boolean().optional(),
        voice_control: z.boolean().optional(),
        cost_per_second: perUnit,
      }),
    )
    .max(500)
    .optional(),
  // Until mid-2026 the two prices stood here directly, without `tiers`.
  video_token_pricing: videoTokenTier
    .extend({ tiers: z.array(videoTokenTier).max(100).optional(), notes: z.string().optional() })
    .optional(),
  speech_input_character_cost: perUnit.optional(),
  transcription_duration_cost_per_second: perUnit.optional(),
  audio_input_token_cost: perToken.optional(),
  audio_output_token_cost: perToken.optional(),
  realtime_session_duration_cost_per_second: perUnit.optional(),
  realtime_client_message_cost: perUnit.optional(),
})

/** A model's prices in USD, decimal strings, in the AI Gateway's own shape. */
export type GatewayPricing = z.infer<typeof gatewayPricing>
/** The token prices that the base price, fast mode, a region and a service tier each have. */
export type TokenPrices = z.infer<typeof tokenSet>
export type TokenTier = z.infer<typeof tier>
export type ServiceTierPrices = z.infer<typeof serviceTier>
export type VideoTokenPrice = z.infer<typeof videoTokenTier>
export type PeakPricing = NonNullable<GatewayPricing['peak_pricing']>

/** A checked price object, and the keys in it that this version has no meaning for. */
export interface ParsedPricing {
  pricing: GatewayPricing
  /** Paths such as `service_tiers.flex.audio_input`; a new dimension in the feed shows up here first. */
  unknownKeys: string[]
}

/** Collects what the schema let pass: keys of loose objects that it does not name. */
function unknownIn(schema: unknown, value: unknown, path: readonly PropertyKey[], found: string[]): void {
  if (schema instanceof z.ZodOptional) unknownIn(schema.unwrap(), value, path, found)
  else if (schema instanceof z.ZodArray && Array.isArray(value)) {
    for (const [index, entry] of value.entries()) unknownIn(schema.element, entry, [...path, index], found)
  } else if (schema instanceof z.ZodRecord && typeof value === 'object' && value !== null) {
    for (const [key, entry] of Object.entries(value)) unknownIn(schema.valueType, entry, [...path, key], found)
  } else if (schema instanceof z.ZodObject && typeof value === 'object' && value !== null) {
    for (const [key, entry] of Object.entries(value)) {
      if (!Object.hasOwn(schema.shape, key)) found.push(joinPath('', [...path, key]))
      else unknownIn(schema.shape[key], entry, [...path, key], found)
    }
  }
}

/**
 * Checks a price object from the AI Gateway: every price a non-negative decimal string of a believable size.
 * Unknown keys are kept and reported. An empty object passes: it says that no price is known.
 *
 * @throws CreditError `INVALID_INPUT` with the path of the first fault, e.g. `pricing.input_tiers[1].cost`
 * @example parsePricing({ input: '0.000003', output: '0.000015', shiny: '1' }).unknownKeys // ['shiny']
 */
export function parsePricing(raw: unknown, path = 'pricing'): ParsedPricing {
  const pricing = parseOrThrow(gatewayPricing, raw, path)
  const unknownKeys: string[] = []
  unknownIn(gatewayPricing, pricing, [], unknownKeys)
  return { pricing, unknownKeys }
}
