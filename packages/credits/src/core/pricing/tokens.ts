import { mul } from '../money.ts'
import { type Band, bandFor, bandsOf } from './bands.ts'
import type { PriceLine } from './charge.ts'
import type { CompiledRate } from './compile.ts'
import type { ChargeFlag } from './flags.ts'
import type { GatewayPricing, PeakPricing, ServiceTierPrices, TokenPrices } from './schema.ts'
import type { Usage } from './usage.ts'

/** Names for "no special tier" among the providers. */
const STANDARD_TIERS = new Set(['', 'auto', 'default', 'standard', 'standard_only', 'on_demand'])
const ANYWHERE = new Set(['', 'global', 'any'])

/** Which of the model's token price sets a request was served from. */
export interface TokenSet {
  bands: readonly Band[]
  flags: readonly ChargeFlag[]
  serviceTier: string | null
  region: string | null
  fast: boolean
}

function own<Value>(table: Readonly<Record<string, Value>> | undefined, key: string): Value | undefined {
  return table !== undefined && Object.hasOwn(table, key) ? table[key] : undefined
}

/**
 * Names of one and the same tier: OpenAI renamed `priority` to `fast`, and lists have one or the other. `fast` may also
 * stand in a block of its own. `priority` never means that block: Anthropic's priority tier is not its fast mode.
 */
function serviceTierOf(pricing: GatewayPricing, tier: string): TokenPrices | ServiceTierPrices | undefined {
  const direct = own(pricing.service_tiers, tier)
  if (direct !== undefined) return direct
  return own(pricing.service_tiers, aliasOf(tier) ?? '') ?? (tier === 'fast' ? pricing.fast : undefined)
}

/** The other name of a service tier. */
export function aliasOf(tier: string | undefined): string | undefined {
  const name = tier?.toLowerCase()
  return name === 'fast' ? 'priority' : name === 'priority' ? 'fast' : undefined
}

type Served = Pick<Usage, 'region' | 'fast' | 'serviceTier' | 'batch'>

/** Base, region, fast mode, service tier or batch: the prices that the request was served from. */
export function tokenSetFor(rate: CompiledRate, served: Served): TokenSet {
  const { pricing } = rate
  const region = (served.region ?? '').toLowerCase()
  const asked = (served.serviceTier ?? '').toLowerCase()
  const flags: ChargeFlag[] = []
  let source: TokenPrices | ServiceTierPrices = pricing
  const regional = own(pricing.regional, region)
  if (regional !== undefined) source = regional
  else if (!ANYWHERE.has(region)) flags.push('region_price_missing')

  const batch = isBatch(served) ? pricing.batch : undefined
  const service = batch ?? (asked === 'batch' ? undefined : serviceTierOf(pricing, asked))
  if (service !== undefined) {
    source = service
    if (regional !== undefined) flags.push('service_tier_region_undocumented')
  } else {
    if (asked !== 'batch' && !STANDARD_TIERS.has(asked)) flags.push('service_tier_price_missing')
    if (served.fast === true) {
      const regionalFast = regional?.fast
      source = regionalFast ?? pricing.fast ?? source
      if (regionalFast === undefined && (regional !== undefined || pricing.fast === undefined)) {
        flags.push('fast_price_missing')
      }
    }
  }
  return {
    bands: source === pricing ? rate.base : bandsOf(source, { oneHourFactor: rate.oneHourFactor, base: rate.base }),
    flags,
    serviceTier: service === undefined ? null : batch === undefined ? asked : 'batch',
    region: regional === undefined ? null : region,
    fast: served.fast === true && service === undefined,
  }
}

function isBatch({ batch, serviceTier }: Served): boolean {
  return batch === true || serviceTier?.toLowerCase() === 'batch'
}

function inWindow(window: PeakPricing['windows'][number], day: number, minute: number): boolean {
  const { start_minute_utc: start, end_minute_utc: end } = window
  const on = (weekday: number) => window.days_of_week?.some((entry) => entry % 7 === weekday) ?? true
  if (start < end) return minute >= start && minute < end && on(day)
  // Over midnight: the window belongs to the day on which it began.
  return (minute >= start && on(day)) || (minute < end && on((day + 6) % 7))
}

/** The peak multiplier at a time: `"1"` outside every window. */
export function peakFactor(peak: PeakPricing | undefined, startedAt: string | undefined, flags: ChargeFlag[]): string {
  if (peak === undefined) return '1'
  if (startedAt === undefined) {
    flags.push('peak_time_missing')
    return '1'
  }
  const time = new Date(startedAt)
  const minute = time.getUTCHours() * 60 + time.getUTCMinutes()
  if (!peak.windows.some((window) => inWindow(window, time.getUTCDay(), minute))) return '1'
  if (peak.holiday_calendar !== undefined) flags.push('holiday_calendar_ignored')
  return String(peak.multiplier)
}

/**
 * Peak multiplier times batch discount. Where the list has no batch price, half the price: the gateway documents it
 * for most models. A row that is itself the batch price of a model is not halved again.
 */
export function tokenFactor(rate: CompiledRate, usage: Usage, flags: ChargeFlag[]): string {
  const peak = peakFactor(rate.pricing.peak_pricing, usage.startedAt, flags)
  if (!halvesBatch(rate, usage)) return peak
  flags.push('batch_factor_assumed')
  return mul(peak, '0.5')
}

/** Whether a call is a batch whose price is not listed. */
export function halvesBatch(rate: CompiledRate, usage: Usage): boolean {
  const listed = rate.pricing.batch !== undefined || rate.modelId?.endsWith('-batch') === true
  return isBatch(usage) && !listed
}

/** Total input tokens by which the tier is chosen. */
export function inputTotal(usage: Usage): number {
  return usage.inputTokens ?? usage.tokens ?? usage.audioInputTokens ?? 0
}

/** Says what the chosen prices had to assume for this usage. */
export function flagBand(band: Band, usage: Usage, flags: ChargeFlag[]): void {
  if (band.undocumented) flags.push('long_context_undocumented')
  if ((usage.cacheReadTokens ?? 0) > 0) {
    if (band.cacheReadFrom === 'input') flags.push('cache_read_price_missing')
    else if (band.cacheReadFrom === 'base') flags.push('cache_read_price_from_base')
    else if (band.cacheTierMissing) flags.push('cache_tier_missing')
  }
  if ((usage.cacheWriteTokens ?? 0) > 0) {
    if (band.cacheWriteFrom === 'input') flags.push('cache_write_price_missing')
    else if (band.cacheWriteFrom === 'base') flags.push('cache_write_price_from_base')
  }
  if ((usage.cacheWrite1hTokens ?? 0) > 0) flags.push('cache_write_1h_price_assumed')
}

/** Audio and cache reads together exceed the input, so some audio was read from the cache. */
function cachedAudioUnknown(usage: Usage): boolean {
  const { audioInputTokens = 0, cacheReadTokens = 0, cacheReadAudioTokens } = usage
  return cacheReadAudioTokens === undefined && audioInputTokens > 0 && cacheReadTokens > 0
}

function hasAudio(rate: CompiledRate, usage: Usage, flags: ChargeFlag[]): boolean {
  const { audio_input_token_cost: audioIn, audio_output_token_cost: audioOut } = rate.pricing
  const counted = usage.audioInputTokens !== undefined || usage.audioOutputTokens !== undefined
  if (audioIn === undefined && audioOut === undefined) {
    if ((usage.audioInputTokens ?? 0) + (usage.audioOutputTokens ?? 0) > 0) flags.push('audio_price_missing')
    return false
  }
  // Without the split all tokens go at the text price; where the two prices agree nothing was assumed.
  const { input, output } = rate.pricing
  const inputSplit =
    audioIn === undefined || audioIn === input || !usage.inputTokens || usage.audioInputTokens !== undefined
  const outputSplit =
    audioOut === undefined || audioOut === output || !usage.outputTokens || usage.audioOutputTokens !== undefined
  if (!(inputSplit && outputSplit)) flags.push('audio_split_missing')
  if (cachedAudioUnknown(usage)) flags.push('cached_audio_split_missing')
  return counted
}

/** What the tokens of a usage are priced with. */
export interface TokenLines {
  lines: readonly PriceLine[]
  set: TokenSet
  /** Undefined: the rate has no token prices. */
  band: Band | undefined
  /** Product of the peak multiplier and the batch factor. */
  factor: string
}

/** The token lines of any usage, with region, tier, peak, batch and audio taken into account. */
export function tokenLines(rate: CompiledRate, usage: Usage, flags: ChargeFlag[]): TokenLines {
  const set = tokenSetFor(rate, usage)
  flags.push(...set.flags)
  const band = bandFor(set.bands, inputTotal(usage))
  if (band === undefined) return { lines: [], set, band, factor: '1' }
  flagBand(band, usage, flags)
  const factor = tokenFactor(rate, usage, flags)
  const audio = hasAudio(rate, usage, flags)
  const { audio_input_token_cost: audioIn, audio_output_token_cost: audioOut } = rate.pricing
  const lines: PriceLine[] = [
    [audio && audioIn !== undefined ? 'text_input' : 'input', band.input],
    ['cache_read', band.cacheRead],
    ['cache_write', band.cacheWrite],
    ['cache_write_1h', band.cacheWrite1h],
  ]
  if (audio && audioIn !== undefined) lines.push(['audio_input', audioIn])
  const splitOutput = audio && audioOut !== undefined
  if (band.output !== null) lines.push([splitOutput ? 'text_output' : 'output', band.output])
  if (splitOutput) lines.push(['audio_output', audioOut])
  const priced = factor === '1' ? lines : lines.map(([unit, price]) => [unit, mul(price, factor)] as const)
  return { lines: priced, set, band, factor }
}
