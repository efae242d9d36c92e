import { add } from '../../../core/money.ts'
import type { ByokRule } from '../../../core/pricing/gateway-costs.ts'
import type { Usage } from '../../../core/pricing/usage.ts'
import { blockOf, costOf, countOf, fieldsOf, type ProviderReading, type ReadProvider } from './reading.ts'

/** Mistral: audio is billed by its tokens. */
export const readMistral: ReadProvider = ({ raw }) => {
  if (!('prompt_audio_seconds' in raw)) return undefined
  const details = fieldsOf(raw.prompt_tokens_details ?? raw.prompt_token_details)
  const audio = countOf(details.audio_tokens)
  return audio === undefined || audio === 0 ? undefined : { usage: { audioInputTokens: audio } }
}

/** Cohere bills other counts than it generates: its own system text is free. */
export const readCohere: ReadProvider = ({ raw }) => {
  const billed = fieldsOf(raw.billed_units)
  const usage: Usage = {}
  const inputTokens = countOf(billed.input_tokens)
  const outputTokens = countOf(billed.output_tokens)
  if (inputTokens !== undefined) usage.inputTokens = inputTokens
  if (outputTokens !== undefined) usage.outputTokens = outputTokens
  return Object.keys(usage).length === 0 ? undefined : { usage }
}

/** Perplexity reports the whole cost, its fee per request included. */
export const readPerplexity: ReadProvider = ({ raw, metadata }) => {
  const block = blockOf(metadata, 'perplexity')
  const cost = costOf(fieldsOf(block?.cost).totalCost) ?? costOf(fieldsOf(raw.cost).total_cost)
  const searches = countOf(fieldsOf(block?.usage).numSearchQueries) ?? countOf(raw.num_search_queries)
  if (cost === undefined && searches === undefined) return undefined
  return {
    ...(cost !== undefined && { costUsd: cost }),
    ...(searches !== undefined && { usage: { webSearches: searches } }),
  }
}

/** OpenRouter reports the cost, plugins included. Over the app's own key it is a fee, and the provider's cost is beside it. */
export function openRouterReader(byok: ByokRule): ReadProvider {
  return ({ raw, metadata }): ProviderReading | undefined => {
    const block = fieldsOf(blockOf(metadata, 'openrouter')?.usage)
    const fee = costOf(block.cost) ?? ('cost' in raw && !('cost_in_usd_ticks' in raw) ? costOf(raw.cost) : undefined)
    const upstream =
      costOf(fieldsOf(block.costDetails).upstreamInferenceCost) ??
      costOf(fieldsOf(raw.cost_details).upstream_inference_cost)
    const ownKey = upstream !== undefined && (raw.is_byok === true || fee === undefined)
    const cost = ownKey && byok === 'charge' ? add(fee ?? '0', upstream) : fee
    return cost === undefined ? undefined : { costUsd: cost }
  }
}
