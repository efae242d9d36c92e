import { invalidInput } from '../money.ts'
import type { Usage } from './usage.ts'

/**
 * The usage objects of the AI SDK, as far as they are read here. Written structurally, so that this package
 * neither imports the SDK nor breaks when it adds a field.
 */
export interface SdkUsage {
  inputTokens?: number | null | undefined | Readonly<Record<string, number | null | undefined>>
  outputTokens?: number | null | undefined | Readonly<Record<string, number | null | undefined>>
  inputTokenDetails?: Readonly<Record<string, number | null | undefined>> | null | undefined
  outputTokenDetails?: Readonly<Record<string, number | null | undefined>> | null | undefined
  /** Embeddings; the SDK says NaN when the provider reported nothing. */
  tokens?: number | null | undefined
  /** The provider's own object: the 1-hour part of Anthropic's cache writes is only there. */
  raw?: unknown
}

/** What {@link normalizeUsage} accepts: our flat usage, or any usage object of the AI SDK (flat fields may be added to it). */
export type UsageInput = Usage | SdkUsage | (Omit<Usage, keyof SdkUsage> & SdkUsage)

/** Usage with its parts made consistent, and what had to be assumed for it. */
export interface NormalizedUsage {
  usage: Usage
  flags: string[]
}

// Bounds what a hostile or broken counter can cost; the largest context windows are a million times smaller.
const MAX_COUNT = 1_000_000_000_000

const COUNTS = [
  'inputTokens',
  'cacheReadTokens',
  'cacheWriteTokens',
  'cacheWrite1hTokens',
  'outputTokens',
  'reasoningTokens',
  'webSearches',
  'mapsSearches',
  'tokens',
  'images',
  'videoTokens',
  'characters',
  'audioInputTokens',
  'audioOutputTokens',
  'messages',
] as const satisfies readonly (keyof Usage)[]

const TEXTS = [
  'size',
  'quality',
  'style',
  'operation',
  'resolution',
  'mode',
  'serviceTier',
  'region',
  'startedAt',
] as const satisfies readonly (keyof Usage)[]

const SWITCHES = ['audio', 'voiceControl', 'videoInput', 'fast', 'batch'] as const satisfies readonly (keyof Usage)[]

const KIND = new Map<string, 'count' | 'seconds' | 'text' | 'switch'>([
  ...COUNTS.map((key) => [key, 'count'] as const),
  ['seconds', 'seconds'] as const,
  ...TEXTS.map((key) => [key, 'text'] as const),
  ...SWITCHES.map((key) => [key, 'switch'] as const),
])

function check(key: string, value: unknown): void {
  const kind = KIND.get(key)
  const path = `usage.${key}`
  if (kind === 'count') {
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > MAX_COUNT) {
      throw invalidInput(path, 'must be a whole number from 0 to 10^12')
    }
  } else if (kind === 'seconds') {
    if (typeof value !== 'number' || !(value >= 0 && value <= 1_000_000_000)) {
      throw invalidInput(path, 'must be a number of seconds from 0 to 10^9')
    }
  } else if (kind === 'text') {
    if (typeof value !== 'string' || value.length > 200) throw invalidInput(path, 'must be a short string')
    if (key === 'startedAt' && Number.isNaN(Date.parse(value))) throw invalidInput(path, 'must be an ISO 8601 time')
  } else if (typeof value !== 'boolean') {
    throw invalidInput(path, 'must be true or false')
  }
}

type Mutable = { -readonly [Key in keyof Usage]: Usage[Key] } & Record<string, unknown>

function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
}

function take(target: Mutable, key: keyof Usage, value: unknown): void {
  if (value === undefined || value === null || target[key] !== undefined) return
  check(key, value)
  ;(target as Record<string, unknown>)[key] = value
}

/** Reads what the flat fields do not say from the nested objects of the SDK and from the provider's raw usage. */
function takeNested(target: Mutable, input: Record<string, unknown>): void {
  const details = record(input.inputTokens) ?? record(input.inputTokenDetails)
  if (details) {
    take(target, 'inputTokens', details.total)
    take(target, 'cacheReadTokens', details.cacheRead ?? details.cacheReadTokens)
    take(target, 'cacheWriteTokens', details.cacheWrite ?? details.cacheWriteTokens)
    const fresh = details.noCache ?? details.noCacheTokens
    if (target.inputTokens === undefined && typeof fresh === 'number') {
      take(target, 'inputTokens', fresh + (target.cacheReadTokens ?? 0) + (target.cacheWriteTokens ?? 0))
    }
  }
  const output = record(input.outputTokens) ?? record(input.outputTokenDetails)
  if (output) {
    take(target, 'outputTokens', output.total)
    take(target, 'reasoningTokens', output.reasoning ?? output.reasoningTokens)
    const text = output.text ?? output.textTokens
    if (target.outputTokens === undefined && typeof text === 'number') {
      take(target, 'outputTokens', text + (target.reasoningTokens ?? 0))
    }
  }
  // AI SDK 5 and 6 named it so.
  take(target, 'cacheReadTokens', input.cachedInputTokens)
  // Streamed speech names it so.
  take(target, 'characters', input.inputCharacters)
  const raw = record(input.raw)
  take(target, 'cacheWrite1hTokens', record(raw?.cache_creation)?.ephemeral_1h_input_tokens)
  take(target, 'webSearches', record(raw?.server_tool_use)?.web_search_requests)
}

/** Parts that do not fit into their total: charged as reported, never dropped, and said so. */
function makeConsistent(usage: Mutable, flags: string[]): void {
  const { inputTokens, outputTokens, audioInputTokens, audioOutputTokens } = usage
  const cached = (usage.cacheReadTokens ?? 0) + (usage.cacheWriteTokens ?? 0)
  let consistent = true
  if (inputTokens !== undefined) {
    if (cached > inputTokens) consistent = false
    if (audioInputTokens !== undefined && audioInputTokens > inputTokens) {
      usage.inputTokens = inputTokens + audioInputTokens
      consistent = false
    }
  }
  if (outputTokens !== undefined) {
    if ((usage.reasoningTokens ?? 0) > outputTokens) consistent = false
    if (audioOutputTokens !== undefined && audioOutputTokens > outputTokens) {
      usage.outputTokens = outputTokens + audioOutputTokens
      consistent = false
    }
  }
  if ((usage.cacheWrite1hTokens ?? 0) > (usage.cacheWriteTokens ?? 0)) {
    usage.cacheWriteTokens = usage.cacheWrite1hTokens
    consistent = false
  }
  if (!consistent) flags.push('usage_inconsistent')
}

/**
 * Brings any usage object to the flat form, checks every count, and flags what does not add up.
 * Reads `LanguageModelUsage` (`inputTokenDetails`), `LanguageModelV4Usage` (`{ total, noCache, ... }`),
 * `{ tokens }` of embeddings, image usage, and {@link Usage} itself. Unknown fields are left out.
 *
 * @throws CreditError `INVALID_INPUT` with the field's path for a negative, fractional, non-finite or absurd count
 * @example normalizeUsage({ inputTokens: { total: 12, cacheRead: 4 }, outputTokens: { total: 3 } }).usage.cacheReadTokens // 4
 */
export function normalizeUsage(input: UsageInput): NormalizedUsage {
  const source = record(input)
  if (source === undefined || Array.isArray(input)) throw invalidInput('usage', 'must be an object')
  const usage: Mutable = {}
  for (const key in source) {
    const value = source[key]
    if (value === undefined || value === null || !KIND.has(key)) continue
    if (typeof value === 'object' && (key === 'inputTokens' || key === 'outputTokens')) continue
    // The SDK's word for "the embedding provider reported no usage".
    if (key === 'tokens' && Number.isNaN(value)) continue
    check(key, value)
    ;(usage as Record<string, unknown>)[key] = value
  }
  takeNested(usage, source)
  const flags: string[] = []
  makeConsistent(usage, flags)
  return { usage, flags }
}
