import { CreditError } from '../core/errors.ts'
import {
  CREDIT_PLACES,
  creditsOfUsd,
  creditsPerUsd,
  divideRounded,
  fromUnits,
  toUnits,
  USD_PLACES,
} from '../core/money.ts'
import { calculateTotals } from '../core/pricing/calculate.ts'
import type { CostUnits } from '../core/pricing/charge.ts'
import { type Bound, boundCharge } from '../core/pricing/estimate.ts'
import type { Usage } from '../core/pricing/usage.ts'
import type { ChargeRecord, Metadata, RateRow } from '../store/port.ts'
import type { CallPricing } from './prices.ts'
import type { EstimateResult, EstimateUsage, PriceInput } from './types.ts'

/** Clamp of a call to a model of which nothing is known. */
const UNKNOWN_OUTPUT_TOKENS = 4096

/** What a price is made of besides the rows: everything of `price` but the scope, with the usage normalised. */
export type PricedCall = Pick<
  PriceInput,
  'model' | 'servedModel' | 'feature' | 'reported' | 'estimated' | 'generationId' | 'provider' | 'metadata'
> & { usage: Usage }

type Totals = ReturnType<typeof calculateTotals>

/**
 * Prices one provider call. The gateway's own figure wins over ours, and both are kept, so that drift between
 * rates and bills can be reported. An unknown price is refused unless the gateway said what the call cost.
 */
export function chargeRecord(call: PricedCall, pricing: CallPricing): ChargeRecord {
  const { rate, margin, marginPercent, ceilingCredits } = pricing
  const { reported, usage } = call
  const totals =
    rate === undefined
      ? null
      : computed(call, rate, marginPercent, reported !== undefined || ceilingCredits !== undefined)
  const { amount, costUsd, costSource } = amountsOf(call, totals, pricing)
  return {
    amount,
    costUsd,
    costSource,
    marginPercent,
    computedCostUsd: totals?.costUsd ?? null,
    reportedCostUsd: reported?.costUsd ?? null,
    model: call.model,
    servedModel: call.servedModel ?? null,
    feature: call.feature ?? null,
    usage,
    inputTokens: usage.inputTokens ?? usage.tokens ?? null,
    outputTokens: usage.outputTokens ?? null,
    rateId: rate?.id ?? null,
    marginId: margin.id,
    pricing: totals === null ? null : (totals.pricing as unknown as Metadata),
    generationId: call.generationId ?? null,
    provider: call.provider ?? null,
    metadata: call.metadata ?? {},
  }
}

/** The figure that counts: the reported cost, else the computed one, else the ceiling. */
function amountsOf(
  { model, reported, estimated }: PricedCall,
  totals: Totals | null,
  { marginPercent, ceilingCredits }: CallPricing,
): Pick<ChargeRecord, 'amount' | 'costUsd' | 'costSource'> {
  if (reported !== undefined) {
    const { costUsd, source } = reported
    const amount = creditsOfUsd({ costUsd, marginPercent }).credits
    return { amount, costUsd, costSource: estimated ? 'estimate' : source }
  }
  if (totals !== null)
    return { amount: totals.credits, costUsd: totals.costUsd, costSource: estimated ? 'estimate' : 'rate' }
  if (ceilingCredits === undefined) throw unknownModel(model)
  const cost = costOfCredits(ceilingCredits, marginPercent)
  return { amount: ceilingCredits, costUsd: fromUnits(cost.units, cost.places), costSource: 'estimate' }
}

/** The cost that a margin turns into these credits, to the last place of the ledger. */
function costOfCredits(credits: string, marginPercent: string): CostUnits {
  const units = divideRounded(toUnits(credits, USD_PLACES + 4), creditsPerUsd(marginPercent), 'half-up')
  return { units, places: USD_PLACES }
}

/** Null when there is no price for what was used, which is only bearable if something else says what it cost. */
function computed(call: PricedCall, rate: RateRow, marginPercent: string, bearable: boolean): Totals | null {
  try {
    return calculateTotals(call.usage, { rate, marginPercent })
  } catch (error) {
    if (bearable && CreditError.isInstance(error) && error.code === 'UNKNOWN_MODEL') return null
    throw error
  }
}

function unknownModel(model: string): CreditError {
  return new CreditError({ code: 'UNKNOWN_MODEL', details: { model } })
}

/** An upper bound as integers: {@link EstimateResult} before it is written. */
export interface CallBound extends Omit<Bound, 'inputTokens'> {
  /** No price is known, and this is the ceiling. */
  ceiling?: true
}

/** The upper bound of a call, priced with these rows; the ceiling where they have no price for it. */
export function boundWith(model: string, call: EstimateUsage, pricing: CallPricing): CallBound {
  const { rate, marginPercent, ceilingCredits } = pricing
  try {
    if (rate === undefined) throw unknownModel(model)
    return boundCharge(call, { rate, marginPercent })
  } catch (error) {
    if (ceilingCredits === undefined || !CreditError.isInstance(error) || error.code !== 'UNKNOWN_MODEL') throw error
    const micros = toUnits(ceilingCredits, CREDIT_PLACES)
    const maxOutputTokens = call.maxOutputTokens ?? UNKNOWN_OUTPUT_TOKENS
    const cost = costOfCredits(ceilingCredits, marginPercent)
    return { ...cost, micros, maxOutputTokens, limited: false, ceiling: true }
  }
}

/** {@link boundWith} as text. */
export function estimateWith(model: string, call: EstimateUsage, pricing: CallPricing): EstimateResult {
  const { micros, units, places, maxOutputTokens, ceiling } = boundWith(model, call, pricing)
  return {
    amount: fromUnits(micros, CREDIT_PLACES),
    costUsd: fromUnits(units, places),
    maxOutputTokens,
    rateId: ceiling ? null : (pricing.rate?.id ?? null),
    marginId: pricing.margin.id,
    marginPercent: pricing.marginPercent,
  }
}

/** A charge whose amount the app decided itself: no cost is known. */
export function manualCharge(input: {
  amount: string
  model?: string | undefined
  feature?: string | undefined
  metadata?: Metadata | undefined
}): ChargeRecord {
  return {
    amount: input.amount,
    costUsd: '0',
    marginPercent: null,
    costSource: 'manual',
    computedCostUsd: null,
    reportedCostUsd: null,
    model: input.model ?? null,
    servedModel: null,
    feature: input.feature ?? null,
    usage: null,
    inputTokens: null,
    outputTokens: null,
    rateId: null,
    marginId: null,
    pricing: null,
    generationId: null,
    provider: null,
    metadata: input.metadata ?? {},
  }
}
