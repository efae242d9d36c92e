import { completeUsage } from '../../core/pricing/complete-usage.ts'
import { readUsage } from '../../core/pricing/normalize-usage.ts'
import type { Usage } from '../../core/pricing/usage.ts'
import { hasCount } from '../../core/pricing/usage-fields.ts'
import type { CallPricing } from '../../credits/types.ts'
import { looseParams, pricedPerPicture } from '../estimate/bound.ts'
import { providerTools } from '../estimate/language.ts'
import { PICTURE_TOKENS } from '../estimate/tokens.ts'
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
/** Output of an aborted answer whose output was not seen. */
const LIKELY_OUTPUT_TOKENS = 4_096
/** A provider that runs its own tools calls its model up to this often within one call. */
const PROVIDER_STEPS = 10

/**
 * The usage that the provider reported, with what it left out. A count that is missing, zero where output was seen, far
 * below what was seen, or beyond what the model can process, is replaced by an estimate and flagged.
 *
 * @param pricing of the model that answered
 */
export function countedUsage(
  call: PricedCall,
  outcome: CallOutcome,
  reading: ProviderReading,
  { rate }: Pick<CallPricing, 'rate'> = call.estimate.pricing,
): CountedUsage {
  const flags: string[] = []
  const reported = readCounts(call, outcome, flags)
  if (reported === undefined) {
    const likely = { ...call.estimate.likelyUsage(outcome.seen), ...unseenOutput(call, outcome) }
    // Searches and tier are kept: the provider reports them apart from its counts.
    return {
      usage: { ...likely, ...beyondCounts(reading.usage) },
      estimated: true,
      flags: [...flags, 'usage_estimated'],
    }
  }
  const believed = withoutAbsurdCounts(call, { ...reported, ...reading.usage }, rate, flags)
  const usage = complete(call, outcome, believed, flags)
  return { usage, estimated: flags.includes('usage_estimated'), flags: [...new Set(flags)] }
}

/** Of a whole answer that was aborted nothing is seen, though the provider has worked on it. */
function unseenOutput({ delivery, modality, estimate }: PricedCall, { aborted, seen }: CallOutcome): Usage {
  if (!aborted || delivery !== 'whole' || modality !== 'language' || !seen.empty) return {}
  return { outputTokens: Math.min(estimate.likelyOutputTokens, LIKELY_OUTPUT_TOKENS) }
}

/** The reported counts in flat form; undefined when there is none. NaN and negative counts are not counts. */
function readCounts(call: PricedCall, outcome: CallOutcome, flags: string[]): Usage | undefined {
  const counts = reportedCounts(call, outcome)
  if (counts === undefined) return undefined
  const { usage, flags: assumed } = readUsage(counts, 'drop')
  flags.push(...assumed)
  return hasCount(usage) ? usage : undefined
}

function beyondCounts({ webSearches, mapsSearches, serviceTier, fast, region }: Usage = {}): Usage {
  return Object.fromEntries(
    Object.entries({ webSearches, mapsSearches, serviceTier, fast, region }).filter(([, value]) => value !== undefined),
  )
}

/** Counts beyond what the model can process are no counts. */
function withoutAbsurdCounts(
  { estimate, modality, params }: PricedCall,
  usage: Usage,
  rate: CallPricing['rate'],
  flags: string[],
): Usage {
  if (modality !== 'language') return usage
  const steps = providerTools(looseParams(params)).size > 0 ? PROVIDER_STEPS : 1
  const mostInput = Math.max((rate?.contextWindow ?? UNKNOWN_CONTEXT_WINDOW) * steps, estimate.inputTokens) * TOLERANCE
  const mostOutput = (rate?.maxOutputTokens ?? UNKNOWN_OUTPUT_LIMIT) * TOLERANCE
  const { inputTokens, cacheReadTokens, cacheWriteTokens, audioInputTokens } = usage
  const { outputTokens, audioOutputTokens } = usage
  const input = [inputTokens, cacheReadTokens, cacheWriteTokens, audioInputTokens].some(
    (count = 0) => count > mostInput,
  )
  const output = [outputTokens, audioOutputTokens].some((count = 0) => count > mostOutput)
  if (input || output) flags.push('usage_invalid')
  return { ...usage, ...(input && NO_INPUT), ...(output && NO_OUTPUT) }
}

const NO_INPUT: Usage = {
  inputTokens: undefined,
  cacheReadTokens: undefined,
  cacheReadAudioTokens: undefined,
  cacheWriteTokens: undefined,
  cacheWrite1hTokens: undefined,
  audioInputTokens: undefined,
}
const NO_OUTPUT: Usage = { outputTokens: undefined, audioOutputTokens: undefined, reasoningTokens: undefined }

function complete(call: PricedCall, outcome: CallOutcome, reported: Usage, flags: string[]): Usage {
  const { seen } = outcome
  const likely = call.estimate.likelyUsage(seen)
  const perPicture = pricedPerPicture(call.estimate.pricing)
  switch (call.modality) {
    case 'language': {
      const usage = completeText(outcome, reported, { likely, perPicture }, flags)
      return {
        ...usage,
        ...(seen.searches > 0 && { webSearches: usage.webSearches ?? seen.searches }),
        ...(perPicture && seen.files > 0 && { images: usage.images ?? seen.files }),
      }
    }
    case 'embedding':
      return reported.tokens || reported.inputTokens ? reported : estimated(reported, { tokens: likely.tokens }, flags)
    case 'image':
      return reported.outputTokens || perPicture ? reported : withPictureTokens(reported, likely, flags)
    default:
      return reported
  }
}

/** Files are guesses, and so is the size of a prompt with files: neither contradicts a count that was reported. */
function completeText(
  { seen }: CallOutcome,
  reported: Usage,
  { likely, perPicture }: { likely: Usage; perPicture: boolean },
  flags: string[],
): Usage {
  const completed = completeUsage(reported, {
    inputFileTokens: likely.inputTokens,
    textTokens: seen.tokens,
    fileTokens: perPicture ? 0 : seen.files * PICTURE_TOKENS,
  })
  flags.push(...completed.flags)
  return completed.usage
}

/** Pictures that are billed by tokens which the provider did not count. */
function withPictureTokens(reported: Usage, likely: Usage, flags: string[]): Usage {
  const perPicture = Math.ceil((likely.outputTokens ?? 0) / Math.max(1, likely.images ?? 1))
  return estimated(
    reported,
    {
      inputTokens: reported.inputTokens || likely.inputTokens,
      outputTokens: perPicture * (reported.images ?? 1),
    },
    flags,
  )
}

function estimated(reported: Usage, counts: Usage, flags: string[]): Usage {
  flags.push('usage_estimated')
  return { ...reported, ...counts }
}
