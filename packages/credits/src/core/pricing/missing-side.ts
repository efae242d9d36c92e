import type { CompiledRate } from './compile.ts'
import type { ChargeFlag } from './flags.ts'
import { imageTokens } from './media.ts'
import type { Usage } from './usage.ts'

/**
 * Most output tokens that are assumed where only the input was reported. A missing side is taken to be as large as the
 * reported one, the output at most this large.
 */
export const MISSING_OUTPUT_TOKENS = 4096

function inputOf(usage: Usage): number | undefined {
  return usage.inputTokens ?? usage.audioInputTokens
}

function outputOf(usage: Usage): number | undefined {
  return usage.outputTokens ?? usage.audioOutputTokens
}

/** Tokens of which only the sum is known: half of them are output, at most {@link MISSING_OUTPUT_TOKENS}. */
function splitTokens(usage: Usage, tokens: number): Usage {
  const outputTokens = Math.min(MISSING_OUTPUT_TOKENS, Math.ceil(tokens / 2))
  return { ...usage, tokens: undefined, inputTokens: tokens - outputTokens, outputTokens }
}

/** The usage with the side that is missing; undefined when none is. */
function withMissingSide(usage: Usage): Usage | undefined {
  const { cacheReadTokens = 0, cacheWriteTokens = 0, tokens } = usage
  const input = inputOf(usage)
  const output = outputOf(usage)
  if (input === undefined && output === undefined && tokens !== undefined) return splitTokens(usage, tokens)
  const cached = cacheReadTokens + cacheWriteTokens
  if (input === undefined && (output !== undefined || cached > 0)) {
    const inputTokens = Math.max(output ?? 0, cached)
    return { ...usage, inputTokens, outputTokens: output ?? Math.min(MISSING_OUTPUT_TOKENS, cached) }
  }
  if (input !== undefined && output === undefined) {
    return { ...usage, outputTokens: Math.min(MISSING_OUTPUT_TOKENS, input) }
  }
  return undefined
}

/**
 * Estimates the side of a usage that was not reported and is billed: never free, and flagged.
 * @param flags takes `usage_estimated`
 */
export function completed(rate: CompiledRate, usage: Usage, flags: ChargeFlag[]): Usage {
  const billsOutput =
    rate.base.some((band) => band.output !== null) || rate.pricing.audio_output_token_cost !== undefined
  if (rate.kind !== 'tokens' || !billsOutput || rate.inputOnly) return usage
  const drawn = rate.type === 'image' && outputOf(usage) === undefined ? imageTokens(usage) : 0
  const whole = drawn > 0 ? { ...usage, inputTokens: inputOf(usage) ?? 0, outputTokens: drawn } : withMissingSide(usage)
  if (whole === undefined) return usage
  flags.push('usage_estimated')
  return whole
}
