import { compare, mul } from '../money.ts'
import type { PriceLine } from './charge.ts'
import { type CompiledRate, unknownModel } from './compile.ts'
import type { ChargeFlag } from './flags.ts'
import type { GatewayPricing, VideoTokenPrice } from './schema.ts'
import type { ChargeUnit } from './units.ts'
import type { Usage } from './usage.ts'

type Value = string | boolean

/** A row of a price table: the dimensions it is for, and its price. */
interface Row {
  dimensions: ReadonlyMap<string, Value>
  cost: string
}

const LONG_SIDE = new Map([
  ['512', '512'],
  ['1024', '1k'],
  ['2048', '2k'],
  ['4096', '4k'],
])
const SHORT_SIDE = new Map([
  ['1440', '2k'],
  ['2160', '4k'],
])

/** The ways to name a size or resolution: "1920x1080" is also "1080p", "2048x2048" is also "2k". */
function namesOf(value: Value): readonly Value[] {
  if (typeof value === 'boolean') return [value]
  const name = value.toLowerCase()
  const names = [name]
  const match = /^([0-9]{2,5})[x*]([0-9]{2,5})$/.exec(name)
  if (match) {
    const sides = [Number(match[1]), Number(match[2])]
    const short = String(Math.min(...sides))
    names.push(`${short}p`)
    const alias = LONG_SIDE.get(String(Math.max(...sides))) ?? SHORT_SIDE.get(short)
    if (alias !== undefined) names.push(alias)
  }
  if (name === '2160p') names.push('4k')
  if (name === '4k') names.push('2160p')
  return names
}

function rowsOf<Entry extends object>(entries: readonly Entry[], keys: readonly string[], cost: keyof Entry): Row[] {
  return entries.map((entry) => {
    const dimensions = new Map<string, Value>()
    for (const key of keys) {
      const value = (entry as Record<string, Value | undefined>)[key]
      // "default" is the feed's word for a row that is for any size.
      if (value !== undefined && value !== 'default') dimensions.set(key, value)
    }
    return { dimensions, cost: entry[cost] as string }
  })
}

function highest(rows: readonly Row[]): string | undefined {
  return rows.map((row) => row.cost).reduce<string | undefined>((a, b) => (a && compare(a, b) >= 0 ? a : b), undefined)
}

/** @param open whether a row fits that names a dimension of which nothing is known */
function fits(row: Row, usage: ReadonlyMap<string, Value>, open: boolean): boolean {
  return [...row.dimensions].every(([key, wanted]) => {
    const actual = usage.get(key)
    if (actual === undefined) return open
    const names = namesOf(actual)
    return namesOf(wanted).some((name) => names.includes(name))
  })
}

/**
 * The most specific row that fits what is known; else the default; else, when the usage leaves a dimension open, the
 * dearest row that it may have been, flagged. A usage that contradicts every row has no price.
 */
function match(
  rows: readonly Row[],
  usage: ReadonlyMap<string, Value>,
  fallback: string | undefined,
  flags: ChargeFlag[],
) {
  const exact = rows.filter((row) => fits(row, usage, false))
  const specificity = Math.max(0, ...exact.map((row) => row.dimensions.size))
  if (exact.length > 0 && (specificity > 0 || fallback === undefined)) {
    const best = exact.filter((row) => row.dimensions.size === specificity)
    const cost = highest(best)
    if (best.some((row) => row.cost !== cost)) flags.push('highest_price_assumed')
    return cost
  }
  if (fallback !== undefined) return fallback
  const cost = highest(rows.filter((row) => fits(row, usage, true)))
  if (cost !== undefined) flags.push('highest_price_assumed')
  return cost
}

function dimensionsOf(entries: Readonly<Record<string, Value | undefined>>): ReadonlyMap<string, Value> {
  return new Map(Object.entries(entries).filter((entry): entry is [string, Value] => entry[1] !== undefined))
}

function imageRows(pricing: GatewayPricing): Row[] {
  return rowsOf(pricing.image_dimension_quality_pricing ?? [], ['size', 'quality', 'style', 'operation'], 'cost')
}

function imageDimensions({ size, quality, style, operation }: Usage): ReadonlyMap<string, Value> {
  return dimensionsOf({ size, quality, style, operation })
}

/** Price of one image of this size, quality, style and operation; undefined when the model has none. */
export function imagePrice(pricing: GatewayPricing, usage: Usage, flags: ChargeFlag[]): string | undefined {
  return match(imageRows(pricing), imageDimensions(usage), pricing.image, flags)
}

/** The highest price that one image may have. Undefined when the model has no price for images. */
export function highestImagePrice(pricing: GatewayPricing, usage: Usage): string | undefined {
  const dimensions = imageDimensions(usage)
  const rows = imageRows(pricing).filter((row) => fits(row, dimensions, true))
  if (pricing.image !== undefined) rows.push({ dimensions: new Map(), cost: pricing.image })
  return highest(rows)
}

function secondPrice(pricing: GatewayPricing, usage: Usage, flags: ChargeFlag[]): string | undefined {
  const rows = rowsOf(
    pricing.video_duration_pricing ?? [],
    ['resolution', 'mode', 'audio', 'voice_control'],
    'cost_per_second',
  )
  const { resolution, mode, audio, voiceControl } = usage
  return match(rows, dimensionsOf({ resolution, mode, audio, voice_control: voiceControl }), undefined, flags)
}

function videoTokenPrice(pricing: GatewayPricing, usage: Usage, flags: ChargeFlag[]): string | undefined {
  const table = pricing.video_token_pricing
  const entries: readonly VideoTokenPrice[] = table === undefined ? [] : (table.tiers ?? [table])
  const rows = entries.flatMap((entry) =>
    [
      { video_input: false, cost: entry.no_video_input?.cost_per_million_tokens },
      { video_input: true, cost: entry.with_video_input?.cost_per_million_tokens },
    ].flatMap(({ video_input, cost }) =>
      cost === undefined
        ? []
        : rowsOf([{ resolution: entry.resolution, video_input, cost }], ['resolution', 'video_input'], 'cost'),
    ),
  )
  const { resolution, videoInput } = usage
  const cost = match(rows, dimensionsOf({ resolution, video_input: videoInput }), undefined, flags)
  return cost === undefined ? undefined : mul(cost, '0.000001')
}

function videoLine(rate: CompiledRate, usage: Usage, flags: ChargeFlag[]): PriceLine[] {
  const { pricing, modelId } = rate
  const byToken = usage.videoTokens !== undefined && pricing.video_token_pricing !== undefined
  const bySecond = usage.seconds !== undefined && pricing.video_duration_pricing !== undefined
  if (!byToken && !bySecond) return []
  const unit = byToken ? 'video_token' : 'video_second'
  const price = byToken ? videoTokenPrice(pricing, usage, flags) : secondPrice(pricing, usage, flags)
  if (price === undefined) throw unknownModel(modelId, 'no price for this resolution and mode')
  return [[unit, price]]
}

/** The lines of a model that is billed by something else than tokens; none when the usage does not say how much. */
export function mediaLines(rate: CompiledRate, usage: Usage, flags: ChargeFlag[]): PriceLine[] {
  const { pricing } = rate
  const lines: PriceLine[] = []
  const put = (unit: ChargeUnit, price: string | undefined, quantity: number | undefined) => {
    if (price !== undefined && quantity !== undefined) lines.push([unit, price])
  }
  if (rate.kind === 'characters') put('character', pricing.speech_input_character_cost, usage.characters)
  if (rate.kind === 'transcription') {
    put('transcription_second', pricing.transcription_duration_cost_per_second, usage.seconds)
  }
  if (rate.kind === 'session') {
    put('session_second', pricing.realtime_session_duration_cost_per_second, usage.seconds)
    put('message', pricing.realtime_client_message_cost, usage.messages)
  }
  if (rate.kind === 'video') lines.push(...videoLine(rate, usage, flags))
  if (rate.kind === 'image' && usage.images !== undefined) {
    const price = imagePrice(pricing, usage, flags)
    if (price === undefined) throw unknownModel(rate.modelId, 'no price for this size and quality')
    lines.push(['image', price])
  }
  return lines
}

/** Output tokens of one drawn picture by quality: square, and upright or wide. Published for OpenAI's image models. */
const IMAGE_TOKENS: Readonly<Record<string, readonly [square: number, other: number]>> = {
  low: [272, 408],
  medium: [1_056, 1_584],
  high: [4_160, 6_240],
}
const SQUARE = /^([0-9]+)x\1$/

/**
 * Output tokens that the pictures of a usage come to where image tokens are billed, and none were reported. A size or
 * quality that is not known is the dearest.
 */
export function imageTokens({ images = 0, size = '', quality = '' }: Usage): number {
  const [square, other] = IMAGE_TOKENS[quality.toLowerCase()] ?? ([4_160, 6_240] as const)
  return images * (SQUARE.test(size) ? square : other)
}
