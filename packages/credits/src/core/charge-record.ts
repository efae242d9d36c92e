import type { Usage } from './pricing/usage.ts'

/** JSON that a caller attaches to an operation; at most 4 kB. */
export type Metadata = Readonly<Record<string, unknown>>

/** Where the cost of a provider call came from, most trusted first. */
export type CostSource = 'market-cost' | 'gateway-cost' | 'rate' | 'estimate' | 'manual'

/**
 * What one provider call cost: stored whole in the ledger, so that anyone can recompute the amount.
 * Users see the amount and the token counts; the rest only admins.
 */
export interface ChargeRecord {
  /** Credits to charge. */
  amount: string
  costUsd: string
  marginPercent: string | null
  costSource: CostSource
  /** The other figure where two are known: cost computed from the rate, and cost the gateway reported. */
  computedCostUsd: string | null
  reportedCostUsd: string | null
  model: string | null
  /** The model that answered, when it is not the one that was asked. */
  servedModel: string | null
  feature: string | null
  usage: Usage | null
  inputTokens: number | null
  outputTokens: number | null
  rateId: string | null
  marginId: string | null
  /** Unit prices, tier and factors used: `calculateCredits(usage, pricing)` gives the amount again. */
  pricing: Metadata | null
  generationId: string | null
  /** The gateway's own metadata, whole. */
  provider: Metadata | null
  /** What had to be assumed to price the usage, for example `reasoning_missing`. */
  flags: readonly string[]
  /** What the provider reported, where it was not fully understood; at most 4 kB. */
  rawUsage: Metadata | null
  metadata: Metadata
}
