import { round, USD_PLACES } from '../../core/money.ts'
import { calculateCredits } from '../../core/pricing/calculate.ts'
import { estimateCharge } from '../../core/pricing/estimate.ts'
import {
  chooseReportedCost,
  exactAmount,
  type GatewayCosts,
  type ReportedCost,
} from '../../core/pricing/gateway-costs.ts'
import { acceptReportedCost } from '../../core/pricing/reported-cost.ts'
import type { Usage } from '../../core/pricing/usage.ts'
import type { CallPricing, PriceInput } from '../../credits/types.ts'
import type { CallOutcome, PricedCall } from '../types.ts'
import type { ProviderReading } from './providers/index.ts'

/** A reported cost, if one was reported and is believed. */
export interface BelievedCost {
  reported: PriceInput['reported']
  flags: string[]
}

/** What a reported cost is compared with. */
interface PricedUsage {
  usage: Usage
  pricing: CallPricing
}

/**
 * The cost that something other than the rate reports: the gateway, then the provider, then the app's own
 * `reportedCost`. A figure beyond the bound of `acceptReportedCost` is refused and flagged, so that one wrong counter
 * cannot empty an account.
 */
export function believedCost(
  call: PricedCall,
  outcome: CallOutcome,
  reading: ProviderReading,
  costs: GatewayCosts | null,
  priced: PricedUsage,
): BelievedCost {
  const { byok, surcharges } = call.context
  const reported =
    chooseReportedCost({ costs, hasRate: true, byok, surcharges }) ??
    fromProvider(reading.costUsd) ??
    fromProvider(costFromApp(call, outcome))
  if (reported === undefined) return { reported: undefined, flags: [] }
  const { costUsd, source } = reported
  const { accepted, flags } = acceptReportedCost({ reported: costUsd, ...expectedCosts(call, priced) })
  if (!accepted) return { reported: undefined, flags }
  return { reported: { costUsd, source }, flags: [...reported.flags, ...flags] }
}

function fromProvider(costUsd: string | undefined): ReportedCost | undefined {
  if (costUsd === undefined) return undefined
  return { costUsd: round(costUsd, USD_PLACES, 'up'), source: 'gateway-cost', flags: [] }
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

/** The cost by rate and usage, and the cost that was reserved for. */
function expectedCosts({ estimate }: PricedCall, { usage, pricing }: PricedUsage) {
  const { rate, marginPercent } = pricing
  if (rate === null) return {}
  const { inputTokens, likelyOutputTokens: maxOutputTokens, usage: beforehand } = estimate
  const bound = { rate, marginPercent, inputTokens, maxOutputTokens, usage: beforehand }
  return {
    computed: unlessUnpriced(() => calculateCredits(usage, { rate, marginPercent }).costUsd),
    bound: unlessUnpriced(() => estimateCharge(bound).costUsd),
  }
}

/** A rate without a price for a usage cannot judge it. */
function unlessUnpriced(cost: () => string): string | undefined {
  try {
    return cost()
  } catch {
    return undefined
  }
}
