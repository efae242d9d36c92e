import { mul } from '../money.ts'
import { type Band, bandFor, bandsOf } from './bands.ts'
import type { PriceLine } from './charge.ts'
import type { CompiledRate } from './compile.ts'
import type { ChargeFlag } from './flags.ts'
import type { PeakPricing, ServiceTierPrices, TokenPrices } from './schema.ts'
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

/** Base, region, fast mode or service tier: the prices that the request was served from. */
export function tokenSetFor(rate: CompiledRate, usage: Pick<Usage, 'region' | 'fast' | 'serviceTier'>): TokenSet {
  const { pricing } = rate
  const { fast = false } = usage
  const region = (usage.region ?? '').toLowerCase()
  const asked = (usage.serviceTier ?? '').toLowerCase()
  const tier = asked === 'batch' ? '' : asked
  const flags: ChargeFlag[] = []
  let source: TokenPrices | ServiceTierPrices = pricing
  const regional = own(pricing.regional, region)
  if (regional !== undefined) source = regional
  else if (!ANYWHERE.has(region)) flags.push('region_price_missing')

  const service = own(pricing.service_tiers, tier)
  if (service !== undefined) {
    source = service
    if (regional !== undefined) flags.push('service_tier_region_undocumented')
  } else {
    if (!STANDARD_TIERS.has(tier)) flags.push('service_tier_price_missing')
    if (fast) {
      const regionalFast = regional?.fast
      source = regionalFast ?? pricing.fast ?? source
      if (regionalFast === undefined && (regional !== undefined || pricing.fast === undefined)) {
        flags.push('fast_price_missing')
      }
    }
  }
  const oneHourFactor = rate.modelId === null || rate.modelId.startsWith('anthropic/')
  return {
    bands: bandsOf(source, { oneHourFactor, thresholds: rate.base.slice(1).map((band) => band.min) }),
    flags,
    serviceTier: service === undefined ? null : tier,
    region: regional === undefined ? null : region,
    fast: fast && service === undefined,
  }
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

/** Peak multiplier times batch discount. The feed has no batch price; the gateway documents half price. */
export function tokenFactor(rate: CompiledRate, usage: Usage, flags: ChargeFlag[]): string {
  const peak = peakFactor(rate.pricing.peak_pricing, usage.startedAt, flags)
  if (usage.batch !== true && usage.serviceTier?.toLowerCase() !== 'batch') return peak
  flags.push('batch_factor_assumed')
  return mul(peak, '0.5')
}

/** Total input tokens by which the tier is chosen. */
export function inputTotal(usage: Usage): number {
  return usage.inputTokens ?? usage.tokens ?? usage.audioInputTokens ?? 0
}

/** Says what the chosen prices had to assume for this usage. */
export function flagBand(band: Band, usage: Usage, flags: ChargeFlag[]): void {
  if (band.undocumented) flags.push('long_context_undocumented')
  if ((usage.cacheReadTokens ?? 0) > 0) {
    if (band.cacheReadAssumed) flags.push('cache_read_price_missing')
    else if (band.cacheTierMissing) flags.push('cache_tier_missing')
  }
  if ((usage.cacheWriteTokens ?? 0) > 0 && band.cacheWriteAssumed) flags.push('cache_write_price_missing')
  if ((usage.cacheWrite1hTokens ?? 0) > 0) flags.push('cache_write_1h_price_assumed')
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
