import { normalizeUsage, type UsageInput } from '../../core/pricing/normalize-usage.ts'
import type { Usage } from '../../core/pricing/usage.ts'
import { looseParams, pricedPerPicture } from '../estimate/bound.ts'
import { providerTools } from '../estimate/language.ts'
import type { CallOutcome, PricedCall } from '../types.ts'
import type { ProviderReading } from './providers/index.ts'
import { reportedCounts } from './reported-usage.ts'

/** The usage that a call is charged for, and how it was found. */
export interface CountedUsage {
  usage: Usage
  /** At least one count that the price needs was estimated. */
  estimated: boolean
  flags: string[]
}

/** A context window where the rate names none: twice the largest known. */
const UNKNOWN_CONTEXT_WINDOW = 4_000_000
/** An output where the rate names no limit. */
const UNKNOWN_OUTPUT_LIMIT = 1_000_000
/** Counters of providers may be this much above a documented limit. */
const TOLERANCE = 1.25
/** A provider that runs its own tools calls its model up to this often within one call. */
const PROVIDER_STEPS = 10
/** A reported output below this share of what was seen is not believed. */
const BELIEVED_SHARE = 0.25
/** Fewer tokens than this are too few to tell a wrong count from a wrong estimate. */
const TELLING_TOKENS = 100

/** Any of these makes a usage known. */
const COUNTS = ['inputTokens', 'outputTokens', 'tokens', 'images', 'seconds', 'characters', 'videoTokens'] as const

/**
 * The usage that the provider reported, with what it left out: a count that is missing, zero where output was seen,
 * far below what was seen, or beyond what the model can process, is replaced by an estimate and flagged.
 */
export function countedUsage(call: PricedCall, outcome: CallOutcome, reading: ProviderReading): CountedUsage {
  const flags: string[] = []
  const reported = readCounts(call, outcome, flags)
  const likely = call.estimate.likelyUsage(outcome.seen)
  if (reported === undefined) {
    if (outcome.usage !== undefined && outcome.usage !== null) flags.push('usage_missing')
    // What a provider says beyond its counts still holds: its searches, its tier.
    return {
      usage: { ...likely, ...beyondCounts(reading.usage) },
      estimated: true,
      flags: [...flags, 'usage_estimated'],
    }
  }
  const usage: Usage = { ...reported, ...reading.usage }
  const completed = complete(call, outcome, usage, likely, flags)
  return { usage: completed, estimated: flags.some((flag) => flag.endsWith('_estimated')), flags }
}

/** The reported counts in flat form; undefined when there is none. NaN and negative counts are not counts. */
function readCounts(call: PricedCall, outcome: CallOutcome, flags: string[]): Usage | undefined {
  const counts = reportedCounts(call, outcome)
  if (counts === undefined) return undefined
  try {
    const { usage, flags: assumed } = normalizeUsage(counts as UsageInput)
    flags.push(...assumed)
    return COUNTS.some((key) => usage[key] !== undefined) ? usage : undefined
  } catch {
    flags.push('usage_invalid')
    return undefined
  }
}

function beyondCounts({ webSearches, mapsSearches, serviceTier, fast, region }: Usage = {}): Usage {
  return Object.fromEntries(
    Object.entries({ webSearches, mapsSearches, serviceTier, fast, region }).filter(([, value]) => value !== undefined),
  )
}

function complete(call: PricedCall, outcome: CallOutcome, reported: Usage, likely: Usage, flags: string[]): Usage {
  const { seen } = outcome
  const usage = withReasoning(reported, flags)
  if (seen.searches > 0) usage.webSearches ??= seen.searches
  switch (call.modality) {
    case 'language':
      if (pricedPerPicture(call.estimate.pricing) && seen.files > 0) usage.images ??= seen.files
      return completeOutput(call, outcome, completeInput(call, usage, likely, flags), likely, flags)
    case 'embedding':
      return usage.tokens || usage.inputTokens ? usage : replaced(usage, 'tokens', likely.tokens, flags)
    case 'image':
      return usage.outputTokens || pricedPerPicture(call.estimate.pricing)
        ? usage
        : withPictureTokens(usage, likely, flags)
    default:
      return usage
  }
}

/** Reasoning that exceeds the output was counted beside it. */
function withReasoning(usage: Usage, flags: string[]): Usage {
  const { outputTokens, reasoningTokens } = usage
  if (outputTokens === undefined || reasoningTokens === undefined || reasoningTokens <= outputTokens)
    return { ...usage }
  if (!flags.includes('usage_inconsistent')) flags.push('usage_inconsistent')
  return { ...usage, outputTokens: outputTokens + reasoningTokens }
}

/** Pictures that are billed by tokens which the provider did not count. */
function withPictureTokens(usage: Usage, likely: Usage, flags: string[]): Usage {
  const perPicture = Math.ceil((likely.outputTokens ?? 0) / Math.max(1, likely.images ?? 1))
  const counted = replaced(usage, 'outputTokens', perPicture * (usage.images ?? 1), flags)
  return counted.inputTokens ? counted : replaced(counted, 'inputTokens', likely.inputTokens, flags)
}

const NO_INPUT_PARTS: Usage = {
  cacheReadTokens: undefined,
  cacheWriteTokens: undefined,
  cacheWrite1hTokens: undefined,
  audioInputTokens: undefined,
}

function completeInput({ estimate, params }: PricedCall, usage: Usage, likely: Usage, flags: string[]): Usage {
  if (!usage.inputTokens) return replaced(usage, 'inputTokens', likely.inputTokens, flags)
  const window = estimate.pricing.rate?.contextWindow ?? UNKNOWN_CONTEXT_WINDOW
  const steps = providerTools(looseParams(params)).size > 0 ? PROVIDER_STEPS : 1
  const most = Math.max(window * steps, estimate.inputTokens) * TOLERANCE
  const parts = [usage.inputTokens, usage.cacheReadTokens, usage.cacheWriteTokens, usage.audioInputTokens]
  if (parts.every((part = 0) => part <= most)) return usage
  flags.push('usage_implausible')
  return replaced({ ...usage, ...NO_INPUT_PARTS }, 'inputTokens', likely.inputTokens, flags)
}

function completeOutput(
  { estimate }: PricedCall,
  { seen }: CallOutcome,
  usage: Usage,
  likely: Usage,
  flags: string[],
): Usage {
  const { outputTokens, audioOutputTokens = 0 } = usage
  const expected = likely.outputTokens ?? 0
  if (outputTokens === undefined) return replaced(usage, 'outputTokens', expected, flags)
  const most = Math.max(estimate.pricing.rate?.maxOutputTokens ?? UNKNOWN_OUTPUT_LIMIT, expected) * TOLERANCE
  if (Math.max(outputTokens, audioOutputTokens) > most) {
    flags.push('usage_implausible')
    return replaced(
      { ...usage, audioOutputTokens: undefined, reasoningTokens: undefined },
      'outputTokens',
      expected,
      flags,
    )
  }
  const missing = outputTokens === 0 && !seen.empty && expected > 0
  const tooFew = expected >= TELLING_TOKENS && outputTokens < expected * BELIEVED_SHARE
  return missing || tooFew ? replaced(usage, 'outputTokens', expected, flags) : usage
}

type Count = 'inputTokens' | 'outputTokens' | 'tokens'
const ESTIMATED: Readonly<Record<Count, string>> = {
  inputTokens: 'input_tokens_estimated',
  outputTokens: 'output_tokens_estimated',
  tokens: 'tokens_estimated',
}

function replaced(usage: Usage, count: Count, value: number | undefined, flags: string[]): Usage {
  if (value === undefined || usage[count] === value) return usage
  flags.push(ESTIMATED[count])
  return { ...usage, [count]: value }
}
