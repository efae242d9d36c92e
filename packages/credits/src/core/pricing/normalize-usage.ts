import { CreditError } from '../errors.ts'
import { invalidInput } from '../money.ts'
import type { ChargeFlag } from './flags.ts'
import { boundedRawUsage } from './raw-usage.ts'
import type { Usage } from './usage.ts'
import { hasCount, isUsageField, type MutableUsage, setField } from './usage-fields.ts'
import { readSpellings } from './usage-spellings.ts'

type Fields = Readonly<Record<string, unknown>>
type Counts = Readonly<Record<string, number | null | undefined>>

/**
 * The usage objects of the AI SDK, as far as they are read here. Written structurally, so that this package
 * neither imports the SDK nor breaks when it adds a field.
 */
export interface SdkUsage {
  inputTokens?: number | null | undefined | Counts
  outputTokens?: number | null | undefined | Counts
  inputTokenDetails?: Counts | null | undefined
  outputTokenDetails?: Counts | null | undefined
  totalTokens?: number | null | undefined
  /** Embeddings. NaN when the provider reported nothing. */
  tokens?: number | null | undefined
  /** The provider's own object. Only Anthropic's own says which cache writes are for an hour. */
  raw?: unknown
}

/** Usage objects as providers and older SDKs write them. Their details are read as well, see `readSpellings`. */
export interface ProviderUsage {
  prompt_tokens?: number | null | undefined
  completion_tokens?: number | null | undefined
  input_tokens?: number | null | undefined
  output_tokens?: number | null | undefined
  total_tokens?: number | null | undefined
  promptTokens?: number | null | undefined
  completionTokens?: number | null | undefined
  promptTokenCount?: number | null | undefined
  candidatesTokenCount?: number | null | undefined
  totalTokenCount?: number | null | undefined
}

/**
 * What {@link normalizeUsage} accepts: our flat usage, any usage object of the AI SDK (flat fields may be added to
 * it), or the usage object of a provider.
 */
export type UsageInput = Usage | SdkUsage | (Omit<Usage, keyof SdkUsage> & SdkUsage) | ProviderUsage

/** Usage with its parts made consistent, and what was assumed for it. */
export interface NormalizedUsage {
  usage: Usage
  flags: ChargeFlag[]
}

function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined
}

/** Reads our own names. A count under one of them that is an object belongs to another spelling. */
function readFlat(
  source: Fields,
  skipInput: boolean,
  invalid: 'refuse' | 'drop',
): { usage: MutableUsage; ok: boolean } {
  const usage: MutableUsage = {}
  let ok = true
  for (const key in source) {
    const value = source[key]
    if (!isUsageField(key) || (typeof value === 'object' && value !== null)) continue
    // The SDK's word for "the embedding provider reported no usage".
    if (key === 'tokens' && Number.isNaN(value)) continue
    if (key === 'inputTokens' && skipInput) continue
    ok = setField(usage, key, value, invalid) && ok
  }
  return { usage, ok }
}

/** Derives a side from the total of both, or takes the total for the tokens of an embedding. */
function readTotal(usage: MutableUsage, total: unknown, flags: ChargeFlag[]): void {
  if (typeof total !== 'number' || !Number.isSafeInteger(total) || total <= 0) return
  const { inputTokens, outputTokens, reasoningTokens = 0 } = usage
  if (inputTokens !== undefined && outputTokens !== undefined) {
    // xAI does not count reasoning as output.
    if (reasoningTokens > 0 && inputTokens + outputTokens + reasoningTokens === total) {
      usage.outputTokens = outputTokens + reasoningTokens
    }
    return
  }
  if (inputTokens === undefined && outputTokens === undefined) {
    if (!hasCount(usage)) usage.tokens = total
    return
  }
  const other = Math.max(0, total - (inputTokens ?? outputTokens ?? 0))
  if (inputTokens === undefined) usage.inputTokens = other
  else usage.outputTokens = other
  if (other > 0) flags.push('usage_estimated')
}

/** Parts that do not fit into their total: charged as reported, never dropped, and flagged. */
function makeConsistent(usage: MutableUsage, flags: ChargeFlag[]): void {
  const { inputTokens, outputTokens, audioInputTokens, audioOutputTokens, reasoningTokens } = usage
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
    let total = outputTokens
    if (reasoningTokens !== undefined && reasoningTokens > total) total += reasoningTokens
    if (audioOutputTokens !== undefined && audioOutputTokens > total) total += audioOutputTokens
    if (total !== outputTokens) consistent = false
    usage.outputTokens = total
  }
  if ((usage.cacheWrite1hTokens ?? 0) > (usage.cacheWriteTokens ?? 0)) {
    usage.cacheWriteTokens = usage.cacheWrite1hTokens
    consistent = false
  }
  const audioRead = Math.min(usage.cacheReadTokens ?? 0, audioInputTokens ?? 0)
  if ((usage.cacheReadAudioTokens ?? 0) > audioRead) {
    usage.cacheReadAudioTokens = audioRead
    consistent = false
  }
  if (!consistent) flags.push('usage_inconsistent')
}

/**
 * {@link normalizeUsage} for a usage that may count nothing, and for one that a charge has been made of already.
 * @param invalid `drop` treats a malformed count as absent and flags it
 * @throws CreditError `INVALID_INPUT` for what is no object, and for a malformed count unless it is dropped
 */
export function readUsage(input: unknown, invalid: 'refuse' | 'drop' = 'refuse'): NormalizedUsage {
  const source = fieldsOf(input)
  if (source === undefined) throw invalidInput('usage', 'must be an object')
  const flags: ChargeFlag[] = []
  const spelt = readSpellings(source)
  let { usage, ok } = readFlat(source, spelt.replacesInput, invalid)
  for (const [key, value] of spelt.fields) ok = setField(usage, key, value, invalid) && ok
  readTotal(usage, spelt.total, flags)
  const raw = fieldsOf(source.raw)
  if (raw !== undefined) {
    // What the SDK has read counts more than our reading of the same object, so a fault in it is no fault.
    for (const [key, value] of readSpellings(raw).fields) setField(usage, key, value, 'drop')
  }
  if (!ok) flags.push('usage_invalid')
  makeConsistent(usage, flags)
  return { usage, flags }
}

/** The error of a usage that counts nothing. */
export function usageMissing(usage: unknown): CreditError {
  return new CreditError({ code: 'USAGE_MISSING', details: { usage: boundedRawUsage(usage) ?? undefined } })
}

/**
 * Brings any usage object to the flat form, checks every count, and flags what does not add up.
 * Reads {@link Usage} itself, `LanguageModelUsage` (`inputTokenDetails`), `LanguageModelV4Usage`
 * (`{ total, noCache, ... }`), `{ tokens }` of embeddings, image usage, and the objects of providers:
 * `prompt_tokens`, `input_tokens`, `promptTokens`, `promptTokenCount` and their kin, with cached, audio and reasoning
 * details. A side that is missing is derived from the total where that is known. Unknown fields are left out.
 *
 * @throws CreditError `USAGE_MISSING` when no count is known, `INVALID_INPUT` with the field's path for a negative,
 *   fractional, non-finite or absurd count
 * @example normalizeUsage({ prompt_tokens: 12, completion_tokens: 3 }).usage.inputTokens // 12
 */
export function normalizeUsage(input: UsageInput): NormalizedUsage {
  const normalized = readUsage(input)
  if (!hasCount(normalized.usage)) throw usageMissing(input)
  return normalized
}
