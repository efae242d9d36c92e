import type { Usage } from '../../../core/pricing/usage.ts'
import { blockOf, countOf, type Fields, fieldsOf, type ReadProvider, textOf } from './reading.ts'

/**
 * OpenAI, Azure, and all that answer in the shape of OpenAI's chat completions: the tier that served, cached tokens.
 * Searches are counted by their tool calls. Audio and reasoning are read with the usage.
 */
export const readOpenAI: ReadProvider = ({ raw, metadata }) => {
  const served = blockOf(metadata, 'openai', 'azure')
  const serviceTier = textOf(served?.serviceTier) ?? textOf(raw.service_tier)
  const usage: Usage = { ...cachedUsage(raw), ...(serviceTier !== undefined && { serviceTier }) }
  return Object.keys(usage).length === 0 ? undefined : { usage }
}

/** The names of DeepSeek and Moonshot for cached tokens. Packages other than their own report zero instead. */
function cachedUsage(raw: Fields): Usage {
  if (countOf(fieldsOf(raw.prompt_tokens_details).cached_tokens) !== undefined) return {}
  const cacheReadTokens = countOf(raw.prompt_cache_hit_tokens) ?? countOf(raw.cached_tokens)
  return cacheReadTokens === undefined || cacheReadTokens === 0 ? {} : { cacheReadTokens }
}
