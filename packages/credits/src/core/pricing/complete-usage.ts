import type { ChargeFlag } from './flags.ts'
import { readUsage } from './normalize-usage.ts'
import type { Usage } from './usage.ts'
import { hasCount, type MutableUsage } from './usage-fields.ts'

/** Tokens that were seen to go in and to come out of a provider call, counted from the outside. */
export interface SeenUsage {
  /** The prompt's text, tools and schema. */
  inputTextTokens?: number | undefined
  /** The prompt's files, as well as can be estimated. */
  inputFileTokens?: number | undefined
  /** Text that was generated. */
  textTokens?: number | undefined
  /** Reasoning that was generated and shown. */
  reasoningTokens?: number | undefined
  /** Arguments of tool calls. */
  toolInputTokens?: number | undefined
  /** Files that were generated: pictures, sound. */
  fileTokens?: number | undefined
}

/** The most that a call could have used. */
export interface UsageBound {
  inputTokens?: number | undefined
  outputTokens?: number | undefined
}

/** A usage that can be priced. */
export interface CompletedUsage {
  usage: Usage
  flags: ChargeFlag[]
  /** A count is from what was seen, not from the provider. */
  estimated: boolean
}

/**
 * A reported count below a third of what was seen is not believed. Counting from the outside is wrong by a factor of
 * two at most: letters of other scripts, streamed parts that are taken for tokens.
 */
export const BELIEVED_SHARE = 1 / 3
/** A small difference is no contradiction. */
const MIN_DIFFERENCE = 16

/** A side of a call as it was seen. Files are guesses: they never contradict a count that was reported. */
interface SeenSide {
  text: number
  files: number
}

const count = (value: number | undefined): number =>
  value !== undefined && Number.isFinite(value) && value > 0 ? Math.ceil(value) : 0

function seenSides(seen: SeenUsage): { input: SeenSide; output: SeenSide } {
  return {
    input: { text: count(seen.inputTextTokens), files: count(seen.inputFileTokens) },
    output: {
      text: count(seen.textTokens) + count(seen.reasoningTokens) + count(seen.toolInputTokens),
      files: count(seen.fileTokens),
    },
  }
}

/** Undefined where the reported count is believed. */
function correction(reported: number | undefined, { text, files }: SeenSide): number | undefined {
  const whole = text + files
  if (reported === undefined || reported === 0) return whole > 0 ? whole : undefined
  const contradicts = reported < text * BELIEVED_SHARE && text - reported >= MIN_DIFFERENCE
  return contradicts ? text : undefined
}

/** Counts that belong to calls that are not billed by text tokens: nothing is added to them. */
function countsOtherwise(usage: Usage): boolean {
  const { tokens, images, seconds, characters, videoTokens, messages } = usage
  return [tokens, images, seconds, characters, videoTokens, messages].some((value) => value !== undefined)
}

function cap(usage: MutableUsage, bound: UsageBound): boolean {
  let capped = false
  const limit = (key: keyof UsageBound & keyof Usage, parts: readonly (keyof MutableUsage)[]): void => {
    const [most, value] = [bound[key], usage[key]]
    if (most === undefined || value === undefined || value <= most) return
    capped = true
    const share = most / value
    usage[key] = most
    for (const part of parts) {
      const counted = usage[part]
      if (typeof counted === 'number') Object.assign(usage, { [part]: Math.floor(counted * share) })
    }
  }
  limit('inputTokens', [
    'cacheReadTokens',
    'cacheReadAudioTokens',
    'cacheWriteTokens',
    'cacheWrite1hTokens',
    'audioInputTokens',
  ])
  limit('outputTokens', ['reasoningTokens', 'audioOutputTokens'])
  return capped
}

/**
 * Completes what a provider reported with what was seen of the call. A count that is missing, that is zero where
 * something was seen, or that is below a third of the text that was seen ({@link BELIEVED_SHARE}) is taken from what
 * was seen, flagged `usage_estimated` and marked `estimated`. Counts that are NaN, negative or absurd count as missing.
 * Reasoning above its total is added to it. More than the call could have used is capped and flagged `usage_capped`.
 * Never throws, because the call has been made and must be charged.
 *
 * @param reported the provider's usage object in any spelling, or undefined when it was lost
 * @param seen what was counted from the outside
 * @param bound the most that the call could have used: what was sent as input bound and output limit, with reserve
 * @example
 * ```ts
 * completeUsage({ inputTokens: 120, outputTokens: 0 }, { textTokens: 2950 })
 * // { usage: { inputTokens: 120, outputTokens: 2950 }, flags: ['usage_estimated'], estimated: true }
 * ```
 */
export function completeUsage(reported: unknown, seen: SeenUsage, bound: UsageBound = {}): CompletedUsage {
  const { usage: read, flags } = readReported(reported)
  const usage: MutableUsage = { ...read }
  if (!countsOtherwise(usage)) {
    const { input, output } = seenSides(seen)
    const inputTokens = correction(usage.inputTokens, input)
    const outputTokens = correction(usage.outputTokens ?? usage.audioOutputTokens, output)
    if (inputTokens !== undefined) usage.inputTokens = inputTokens
    if (outputTokens !== undefined) usage.outputTokens = outputTokens
    if (inputTokens !== undefined || outputTokens !== undefined) flags.push('usage_estimated')
  }
  if (cap(usage, bound)) flags.push('usage_capped')
  return { usage, flags: [...new Set(flags)], estimated: flags.includes('usage_estimated') || !hasCount(usage) }
}

function readReported(reported: unknown): { usage: Usage; flags: ChargeFlag[] } {
  try {
    return readUsage(reported ?? {}, 'drop')
  } catch {
    return { usage: {}, flags: ['usage_invalid'] }
  }
}
