import { CreditError } from '../../core/errors.ts'
import { compare, max } from '../../core/money.ts'
import { estimateCharge, maxAffordableOutputTokens } from '../../core/pricing/estimate.ts'
import type { Usage } from '../../core/pricing/usage.ts'
import type { CallPricing } from '../../credits/types.ts'
import type { BoundInput } from './bound.ts'

/** What is priced: a bound with a limit of its output. */
export interface BoundToPrice {
  inputTokens: number
  usage: Usage | undefined
  cacheWrite: 'none' | '1h'
}

/**
 * The prices a call may be billed at: those of the model that was asked for, and those of the fallback models of the
 * gateway. A fallback without a known price is left out: it is billed at the price of the model that was asked for.
 *
 * @throws CreditError `CONFIG_INVALID` and what else `findPricing` throws, but not `UNKNOWN_MODEL`
 */
export async function possiblePricings({ params, context, pricing }: BoundInput): Promise<CallPricing[]> {
  const { gateway } = (params.providerOptions ?? {}) as { gateway?: { models?: unknown } }
  const pricings = [pricing]
  if (!Array.isArray(gateway?.models)) return pricings
  const { credits, feature, userId } = context
  for (const model of gateway.models as readonly unknown[]) {
    if (typeof model !== 'string') continue
    try {
      pricings.push(await credits.findPricing({ model, feature, userId }))
    } catch (error) {
      if (!isUnknownModel(error)) throw error
    }
  }
  return pricings
}

/**
 * The most that a bound can cost, in credits: at the dearest of the prices it may be billed at.
 *
 * @throws CreditError `UNKNOWN_MODEL` when no price is known and no ceiling is configured
 */
export function creditsOfBound(pricings: readonly CallPricing[], bound: BoundToPrice, maxOutputTokens: number): string {
  return pricings.map((pricing) => creditsAt(pricing, bound, maxOutputTokens)).reduce(max)
}

function creditsAt({ rate, marginPercent, ceilingCredits }: CallPricing, bound: BoundToPrice, maxOutputTokens: number) {
  if (rate === null) return required(ceilingCredits)
  try {
    return estimateCharge({ ...bound, rate, marginPercent, maxOutputTokens }).credits
  } catch (error) {
    if (ceilingCredits === null || !isUnknownModel(error)) throw error
    return ceilingCredits
  }
}

/** The output tokens that an amount pays for at every price the call may be billed at; 0 when not even the input. */
export function outputTokensOf(pricings: readonly CallPricing[], bound: BoundToPrice, credits: string): number {
  return Math.min(...pricings.map((pricing) => outputTokensAt(pricing, bound, credits)))
}

function outputTokensAt({ rate, marginPercent, ceilingCredits }: CallPricing, bound: BoundToPrice, credits: string) {
  // The ceiling does not depend on the output.
  const atCeiling = () => (compare(credits, required(ceilingCredits)) >= 0 ? Number.MAX_SAFE_INTEGER : 0)
  if (rate === null) return atCeiling()
  try {
    return maxAffordableOutputTokens({ ...bound, rate, marginPercent, credits })
  } catch (error) {
    if (ceilingCredits === null || !isUnknownModel(error)) throw error
    return atCeiling()
  }
}

function required(ceilingCredits: string | null): string {
  if (ceilingCredits === null) throw new CreditError({ code: 'UNKNOWN_MODEL' })
  return ceilingCredits
}

function isUnknownModel(error: unknown): boolean {
  return CreditError.isInstance(error) && error.code === 'UNKNOWN_MODEL'
}

/** The smallest of the models' own output limits; undefined when none is known. */
export function modelOutputLimit(pricings: readonly CallPricing[]): number | undefined {
  const limits = pricings.flatMap(({ rate }) => rate?.maxOutputTokens ?? [])
  return limits.length === 0 ? undefined : Math.min(...limits)
}
