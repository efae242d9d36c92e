import { Decimal as BaseDecimal } from 'decimal.js'
import type { Pricing } from './catalogue.ts'

// A constructor of its own: another module must not change the precision of these sums.
const Decimal = BaseDecimal.clone({ precision: 60 })
type Amount = InstanceType<typeof Decimal>

/** Counted units of one call. */
export interface Units {
  /** All input tokens, cached ones included. */
  inputTokens?: number
  cacheReadTokens?: number
  cacheWriteTokens?: number
  /** All output tokens, reasoning included. */
  outputTokens?: number
  webSearches?: number
  images?: { count: number; size: string | undefined; quality: string | undefined }
  characters?: number
  audioSeconds?: number
  video?: { seconds: number; resolution: string | undefined; audio: boolean | undefined }
}

/** What a call cost, exact decimal strings in USD. */
export interface Cost {
  total: string
  input: string
  output: string
}

/** What the price depends on in addition to the units. */
export interface PriceChoice {
  serviceTier?: string | undefined
}

/** The exact cost of a call, or undefined when the list has no price for one of its units. */
export function costOf(pricing: Pricing, units: Units, choice: PriceChoice = {}): Cost | undefined {
  const input = inputCost(pricing, units, choice)
  const output = outputCost(pricing, units, choice)
  if (input === undefined || output === undefined) return undefined
  return { total: input.plus(output).toFixed(), input: input.toFixed(), output: output.toFixed() }
}

function inputCost(pricing: Pricing, units: Units, choice: PriceChoice): Amount | undefined {
  if (units.characters !== undefined && pricing.speech_input_character_cost !== undefined) {
    return times(units.characters, pricing.speech_input_character_cost)
  }
  // A placeholder token price stands next to the real one of these models; only the real one counts.
  if (units.audioSeconds !== undefined && pricing.transcription_duration_cost_per_second !== undefined) {
    return times(units.audioSeconds, pricing.transcription_duration_cost_per_second)
  }
  if (units.images && imagePrice(pricing, units.images) !== undefined) return new Decimal(0)
  if (units.video) return new Decimal(0)
  const total = units.inputTokens ?? 0
  const read = units.cacheReadTokens ?? 0
  const write = units.cacheWriteTokens ?? 0
  const rate = (name: string) => tokenPrice(pricing, name, total, choice)
  const plain = rate('input')
  if (plain === undefined) return total > 0 || Object.keys(pricing).length === 0 ? undefined : new Decimal(0)
  const search = units.webSearches ? times(units.webSearches, pricing.web_search)?.div(1000) : new Decimal(0)
  if (search === undefined) return undefined
  return plain
    .times(total - read - write)
    .plus((rate('input_cache_read') ?? plain).times(read))
    .plus((rate('input_cache_write') ?? plain).times(write))
    .plus(search)
}

function outputCost(pricing: Pricing, units: Units, choice: PriceChoice): Amount | undefined {
  if (units.images) {
    const price = imagePrice(pricing, units.images)
    if (price !== undefined) return times(units.images.count, price)
  }
  if (units.video) return videoCost(pricing, units.video)
  const tokens = units.outputTokens ?? 0
  if (tokens === 0) return new Decimal(0)
  return tokenPrice(pricing, 'output', units.inputTokens ?? 0, choice)?.times(tokens)
}

/** Tiers apply to the whole request by its input tokens: `min` inclusive, `max` exclusive. */
function tokenPrice(pricing: Pricing, name: string, inputTokens: number, choice: PriceChoice): Amount | undefined {
  const tiers = choice.serviceTier ? (pricing.service_tiers as Record<string, Pricing> | undefined) : undefined
  const rates = { ...pricing, ...(choice.serviceTier ? tiers?.[choice.serviceTier] : undefined) }
  const table = rates[`${name}_tiers`] as { cost: string; min?: number; max?: number }[] | undefined
  const tier = table?.find(({ min = 0, max = Number.POSITIVE_INFINITY }) => inputTokens >= min && inputTokens < max)
  return decimal(tier?.cost ?? rates[name])
}

interface ImageRow {
  size?: string
  quality?: string
  cost: string
}

function imagePrice(pricing: Pricing, images: NonNullable<Units['images']>): string | undefined {
  const rows = (pricing.image_dimension_quality_pricing ?? []) as ImageRow[]
  const fits = (wanted: string | undefined, given: string | undefined) => wanted === undefined || wanted === given
  const sized = rows.filter((row) => fits(row.size, images.size) && fits(row.quality, images.quality))
  const best = sized.sort((a, b) => Object.keys(b).length - Object.keys(a).length)[0]
  const fallback = rows.find((row) => row.size === 'default')
  return best?.cost ?? (pricing.image as string | undefined) ?? fallback?.cost ?? rows[0]?.cost
}

interface VideoRow {
  resolution?: string
  audio?: boolean
  cost_per_second: string
}

function videoCost(pricing: Pricing, video: NonNullable<Units['video']>): Amount | undefined {
  const rows = (pricing.video_duration_pricing ?? []) as VideoRow[]
  const fits = rows.filter((row) => row.resolution === undefined || row.resolution === video.resolution)
  const row = fits.find((candidate) => candidate.audio === video.audio) ?? fits[0] ?? rows[0]
  return times(video.seconds, row?.cost_per_second)
}

function times(count: number, price: unknown): Amount | undefined {
  return decimal(price)?.times(count)
}

function decimal(price: unknown): Amount | undefined {
  return typeof price === 'string' ? new Decimal(price) : undefined
}

/** Adds exact decimal strings. */
export function sum(amounts: readonly string[]): string {
  return amounts.reduce((total, amount) => total.plus(amount), new Decimal(0)).toFixed()
}

/** `a - b`, exact. */
export function subtract(a: string, b: string): string {
  return new Decimal(a).minus(b).toFixed()
}
