import { compare, isZero, max, mul, parseDecimal } from '../money.ts'
import type { ChargeFlag } from './flags.ts'

/** How many times the call's own bound a reported cost may be. Providers of one model differ by a factor of 3.3. */
export const MAX_REPORTED_FACTOR = '10'
/** Up to this cost no figure is refused: fees per request and searches are no part of any bound. */
export const ALWAYS_ACCEPTED_USD = '0.05'
/** Most USD of a call about which nothing is known but what its provider reports. */
export const MAX_UNKNOWN_COST_USD = '100'
/** A reported cost below this share of the computed one is flagged. */
export const LOW_SHARE = '0.1'

/** A reported cost, and what it is compared with. All costs are USD, decimal strings. */
export interface ReportedCostCheck {
  /** What the provider says that the call cost. */
  reported: string
  /** Rate x usage; null or absent without a rate. */
  computed?: string | null | undefined
  /** The call's estimate: `estimateCharge(...).costUsd`; null or absent without one. */
  bound?: string | null | undefined
}

/** Whether to charge from a reported cost. */
export interface ReportedCostVerdict {
  accepted: boolean
  /** `reported_cost_refused`, or `reported_cost_low` for a cost that is accepted. */
  flags: ChargeFlag[]
}

/**
 * Decides whether a reported cost can be what the call cost. It is refused when it is more than 10 times
 * ({@link MAX_REPORTED_FACTOR}) the larger of the computed cost and the call's bound, and more than USD 0.05. Where
 * neither is known, up to USD 100 are accepted. A refused figure stays on record; the charge is then computed or
 * estimated.
 *
 * @throws CreditError `INVALID_INPUT` for a cost that is no plain decimal
 * @example acceptReportedCost({ reported: '1000', computed: '0.02', bound: '0.05' }).accepted // false
 */
export function acceptReportedCost({ reported, computed, bound }: ReportedCostCheck): ReportedCostVerdict {
  const negative = parseDecimal(reported, 'reported').isNegative() && !isZero(reported)
  const expected = max(computed ?? '0', bound ?? '0')
  const limit = isZero(expected) ? MAX_UNKNOWN_COST_USD : max(mul(expected, MAX_REPORTED_FACTOR), ALWAYS_ACCEPTED_USD)
  if (negative || compare(reported, limit) > 0) return { accepted: false, flags: ['reported_cost_refused'] }
  const low = computed != null && compare(reported, mul(computed, LOW_SHARE)) < 0
  return { accepted: true, flags: low ? ['reported_cost_low'] : [] }
}
