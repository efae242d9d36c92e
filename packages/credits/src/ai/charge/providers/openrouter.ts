import { add } from '../../../core/money.ts'
import type { ByokRule } from '../../../core/pricing/gateway-costs.ts'
import { blockOf, costOf, fieldsOf, type ReadProvider } from './reading.ts'

/**
 * OpenRouter reports the cost, its plugins included. Over the app's own key that cost is only a fee, and the provider's
 * cost is reported next to it.
 */
export function openRouterReader(byok: ByokRule): ReadProvider {
  return ({ raw, metadata }) => {
    const usage = fieldsOf(blockOf(metadata, 'openrouter')?.usage)
    const fee = costOf(usage.cost) ?? costOf(raw.cost)
    const upstream =
      costOf(fieldsOf(usage.costDetails).upstreamInferenceCost) ??
      costOf(fieldsOf(raw.cost_details).upstream_inference_cost)
    const ownKey = upstream !== undefined && (raw.is_byok === true || fee === undefined)
    const costUsd = ownKey && byok === 'charge' ? add(fee ?? '0', upstream) : fee
    return costUsd === undefined ? undefined : { costUsd }
  }
}
