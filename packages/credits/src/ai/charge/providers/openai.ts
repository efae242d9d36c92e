import type { Usage } from '../../../core/pricing/usage.ts'
import { blockOf, countOf, type Fields, fieldsOf, type ReadProvider, textOf } from './reading.ts'

/** OpenAI, Azure, and everything that answers in the shape of OpenAI's chat completions. */
export const readOpenAI: ReadProvider = ({ raw, metadata }) => {
  const input = details(raw, 'prompt_tokens_details', 'input_tokens_details', 'input_token_details')
  const output = details(raw, 'completion_tokens_details', 'output_tokens_details', 'output_token_details')
  const served = blockOf(metadata, 'openai', 'azure')
  const usage: Usage = {
    ...audioUsage(input, output),
    ...cachedUsage(raw, input),
  }
  const tier = textOf(served?.serviceTier) ?? textOf(raw.service_tier)
  if (tier !== undefined) usage.serviceTier = tier
  return Object.keys(usage).length === 0 ? undefined : { usage }
}

function details(raw: Fields, ...names: readonly string[]): Fields {
  return fieldsOf(names.map((name) => raw[name]).find((value) => typeof value === 'object' && value !== null))
}

/** Audio that came from a cache is billed as a cache read, so it is no fresh audio. */
function audioUsage(input: Fields, output: Fields): Usage {
  const audioInput = countOf(input.audio_tokens)
  const cachedAudio = countOf(fieldsOf(input.cached_tokens_details).audio_tokens) ?? 0
  const audioOutput = countOf(output.audio_tokens)
  return {
    ...(audioInput !== undefined && audioInput > 0 && { audioInputTokens: Math.max(0, audioInput - cachedAudio) }),
    ...(audioOutput !== undefined && audioOutput > 0 && { audioOutputTokens: audioOutput }),
  }
}

/** Cached tokens under the names of DeepSeek and Moonshot, which packages other than their own do not read. */
function cachedUsage(raw: Fields, input: Fields): Usage {
  if (countOf(input.cached_tokens) !== undefined) return {}
  const cached = countOf(raw.prompt_cache_hit_tokens) ?? countOf(raw.cached_tokens)
  return cached === undefined || cached === 0 ? {} : { cacheReadTokens: cached }
}
