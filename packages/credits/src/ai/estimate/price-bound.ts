import { CreditError } from '../../core/errors.ts'
import { compare, max } from '../../core/money.ts'
import { boundCall, type CallBound } from '../../core/pricing/estimate.ts'
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

/** A bound with its input priced, at every price that the call may be billed at. */
export interface PricedBound {
  /** The most that the call can cost with so much output, in credits: at the dearest price. */
  creditsFor(outputTokens: number): string
  /** The output tokens that an amount pays for at every price; 0 when not even the input. */
  outputTokensFor(credits: string): number
}

/**
 * Prices the input of a bound.
 *
 * @throws CreditError `UNKNOWN_MODEL` when no price is known and no ceiling is configured
 */
export function priceBound(pricings: readonly CallPricing[], bound: BoundToPrice): PricedBound {
  const [first, ...others] = pricings.map((pricing) => priceAt(pricing, bound)) as [PricedBound, ...PricedBound[]]
  if (others.length === 0) return first
  const all = [first, ...others]
  return {
    creditsFor: (outputTokens) => all.map((priced) => priced.creditsFor(outputTokens)).reduce(max),
    outputTokensFor: (credits) => Math.min(...all.map((priced) => priced.outputTokensFor(credits))),
  }
}

function priceAt({ rate, marginPercent, ceilingCredits }: CallPricing, bound: BoundToPrice): PricedBound {
  if (rate === null) return atCeiling(ceilingCredits)
  let priced: CallBound
  try {
    priced = boundCall(bound, { rate, marginPercent })
  } catch (error) {
    if (!isUnknownModel(error) || ceilingCredits === null) throw error
    return atCeiling(ceilingCredits)
  }
  return {
    creditsFor: (outputTokens) => priced.estimate(outputTokens).credits,
    outputTokensFor: (credits) => priced.affordableOutputTokens(credits),
  }
}

/** The ceiling does not depend on the output. */
function atCeiling(ceilingCredits: string | null): PricedBound {
  if (ceilingCredits === null) throw new CreditError({ code: 'UNKNOWN_MODEL' })
  return {
    creditsFor: () => ceilingCredits,
    outputTokensFor: (credits) => (compare(credits, ceilingCredits) >= 0 ? Number.MAX_SAFE_INTEGER : 0),
  }
}

function isUnknownModel(error: unknown): boolean {
  return CreditError.isInstance(error) && error.code === 'UNKNOWN_MODEL'
}

/** The smallest of the models' own output limits; undefined when none is known. */
export function modelOutputLimit(pricings: readonly CallPricing[]): number | undefined {
  const limits = pricings.flatMap(({ rate }) => rate?.maxOutputTokens ?? [])
  return limits.length === 0 ? undefined : Math.min(...limits)
}
