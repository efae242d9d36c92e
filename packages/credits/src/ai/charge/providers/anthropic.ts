import type { Usage } from '../../../core/pricing/usage.ts'
import { countOf, type Fields, listOf, type ProviderReading, type ReadProvider, textOf } from './reading.ts'

/**
 * Anthropic's Messages API: direct, on Vertex, and on Bedrock in Anthropic's own shape. Caches and searches are read
 * with the usage.
 */
export const readAnthropic: ReadProvider = ({ model, raw }) => {
  const isAnthropic = 'cache_creation_input_tokens' in raw || 'server_tool_use' in raw || 'iterations' in raw
  if (!isAnthropic && !('speed' in raw) && !('inference_geo' in raw)) return undefined
  const usage: Usage = {}
  const tier = textOf(raw.service_tier)
  if (tier !== undefined) usage.serviceTier = tier
  const speed = textOf(raw.speed)
  if (speed !== undefined) usage.fast = speed === 'fast'
  const region = textOf(raw.inference_geo)
  if (region !== undefined && region !== 'not_available') usage.region = region
  return { usage, ...iterationsOf(model, raw) }
}

/** Advisors and fallbacks are other models, billed at their own prices. */
function iterationsOf(model: string, raw: Fields): Omit<ProviderReading, 'usage'> {
  const iterations = listOf(raw.iterations)
  const advice = iterations.filter(({ type }) => type === 'advisor_message')
  const served = iterations.findLast(({ type }) => type === 'fallback_message')?.model
  return {
    ...(typeof served === 'string' && { servedModel: rateIdLike(model, served) }),
    ...(advice.length > 0 && {
      otherModels: advice.map((iteration) => ({
        model: typeof iteration.model === 'string' ? rateIdLike(model, iteration.model) : model,
        usage: usageOfIteration(iteration),
      })),
    }),
  }
}

function usageOfIteration(iteration: Fields): Usage {
  const cacheReadTokens = countOf(iteration.cache_read_input_tokens) ?? 0
  const cacheWriteTokens = countOf(iteration.cache_creation_input_tokens) ?? 0
  return {
    inputTokens: (countOf(iteration.input_tokens) ?? 0) + cacheReadTokens + cacheWriteTokens,
    outputTokens: countOf(iteration.output_tokens) ?? 0,
    cacheReadTokens,
    cacheWriteTokens,
  }
}

/** Another model of the same provider: its id with the prefix of the rate that was asked for. */
function rateIdLike(model: string, other: string): string {
  const slash = model.indexOf('/')
  return slash < 0 || other.includes('/') ? other : `${model.slice(0, slash)}/${other}`
}
