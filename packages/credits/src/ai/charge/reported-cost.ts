import { add, compare, isZero, max, mul, round, USD_PLACES } from '../../core/money.ts'
import { calculateCredits } from '../../core/pricing/calculate.ts'
import { estimateCharge } from '../../core/pricing/estimate.ts'
import {
  chooseReportedCost,
  exactAmount,
  type GatewayCosts,
  type ReportedCost,
} from '../../core/pricing/gateway-costs.ts'
import type { Usage } from '../../core/pricing/usage.ts'
import type { CallPricing } from '../../credits/types.ts'
import type { CallOutcome, PricedCall } from '../types.ts'
import type { ProviderReading } from './providers/index.ts'

/** A reported cost may be this many times what the rate makes of the usage. Providers differ by less. */
const BELIEVED_FACTOR = '10'
/** Costs below this are believed without a comparison: small usages have fees that no rate knows. */
const BELIEVED_USD = '0.05'
/** The most that is believed of a model without a rate. */
const BELIEVED_WITHOUT_RATE_USD = '20'
/** Where a model's output limit is not known. */
const LARGE_OUTPUT = 32_768

/** A reported cost, if one was reported and is believed. */
export interface BelievedCost {
  reported: ReportedCost | undefined
  flags: string[]
}

/**
 * The cost that somebody other than the rate reports: the gateway, then the provider, then the app's own
 * `reportedCost`. It is believed up to ten times the cost by the rate, or up to the upper bound of the call. A higher
 * figure is refused and flagged, so that one wrong counter cannot empty an account.
 */
export function believedCost(
  call: PricedCall,
  outcome: CallOutcome,
  reading: ProviderReading,
  costs: GatewayCosts | null,
  priced: { usage: Usage; pricing: CallPricing },
): BelievedCost {
  const reported =
    chooseReportedCost({ costs, hasRate: true, byok: call.context.byok }) ??
    fromProvider(reading.costUsd) ??
    fromProvider(costFromApp(call, outcome))
  if (reported === undefined) return { reported: undefined, flags: [] }
  if (isZero(reported.costUsd)) return { reported, flags: [] }
  const most = mostBelieved(call, priced)
  if (compare(reported.costUsd, most) <= 0) return { reported, flags: [] }
  return { reported: undefined, flags: ['reported_cost_refused'] }
}

function fromProvider(costUsd: string | undefined): ReportedCost | undefined {
  return costUsd === undefined ? undefined : { costUsd: round(costUsd, USD_PLACES, 'up'), source: 'gateway-cost' }
}

function costFromApp({ context }: PricedCall, { result }: CallOutcome): string | undefined {
  try {
    const amount = exactAmount(context.reportedCost?.(result))
    return amount === null || amount === '0' ? undefined : amount
  } catch {
    // A hook that fails says nothing about the cost.
    return undefined
  }
}

function mostBelieved({ estimate }: PricedCall, { usage, pricing }: { usage: Usage; pricing: CallPricing }): string {
  const { rate, marginPercent } = pricing
  if (rate === null) return BELIEVED_WITHOUT_RATE_USD
  const bounds = [BELIEVED_USD]
  for (const cost of [
    () => calculateCredits(usage, { rate, marginPercent }).costUsd,
    () =>
      estimateCharge({
        rate,
        marginPercent,
        inputTokens: estimate.inputTokens,
        maxOutputTokens: estimate.outputLimit ?? LARGE_OUTPUT,
        usage: estimate.usage,
      }).costUsd,
  ]) {
    try {
      bounds.push(cost())
    } catch {
      // The rate has no price for this usage, so it cannot judge it.
    }
  }
  const [floor = '0', computed = '0', bound = '0'] = bounds
  return bounds.length === 1
    ? BELIEVED_WITHOUT_RATE_USD
    : max(add(floor, '0'), max(mul(computed, BELIEVED_FACTOR), bound))
}
