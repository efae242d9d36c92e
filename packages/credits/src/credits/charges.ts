import { calculateCredits } from '../core/calculate.ts'
import type { Charge } from '../core/charge.ts'
import { CreditError } from '../core/errors.ts'
import { estimateCharge } from '../core/estimate.ts'
import { creditsOfUsd } from '../core/money.ts'
import { normalizeUsage, type UsageInput } from '../core/normalize-usage.ts'
import type { EstimateResult, EstimateUsage, FrozenPricing, PriceInput } from '../credits-types.ts'
import type { ChargeRecord, Metadata, RateRow } from '../store/port.ts'

/** What a price is made of besides the rows: everything of `price` but the scope. */
export type PricedCall = Pick<
  PriceInput,
  'model' | 'servedModel' | 'feature' | 'reported' | 'estimated' | 'generationId' | 'provider' | 'metadata'
> & { usage: UsageInput }

/**
 * Prices one provider call. The gateway's own figure wins over ours, and both are kept, so that drift between
 * rates and bills can be reported. An unknown price is refused unless the gateway said what the call cost.
 */
export function chargeRecord(
  call: PricedCall,
  pricing: Partial<FrozenPricing> & { marginPercent: string },
): ChargeRecord {
  const { usage } = normalizeUsage(call.usage)
  const { rate, margin, marginPercent } = pricing
  const computed = rate === undefined ? null : computedCharge(call, rate, marginPercent)
  const { reported } = call
  if (computed === null && reported === undefined) throw unknownModel(call.model)
  const source = call.estimated ? 'estimate' : (reported?.source ?? 'rate')
  const amount =
    reported === undefined ? computed?.credits : creditsOfUsd({ costUsd: reported.costUsd, marginPercent }).credits
  return {
    amount: amount ?? '0',
    costUsd: reported?.costUsd ?? computed?.costUsd ?? '0',
    marginPercent,
    costSource: source,
    computedCostUsd: computed?.costUsd ?? null,
    reportedCostUsd: reported?.costUsd ?? null,
    model: call.model,
    servedModel: call.servedModel ?? null,
    feature: call.feature ?? null,
    usage,
    inputTokens: usage.inputTokens ?? usage.tokens ?? null,
    outputTokens: usage.outputTokens ?? null,
    rateId: rate?.id ?? null,
    marginId: margin?.id ?? null,
    pricing: computed === null ? null : (computed.pricing as unknown as Metadata),
    generationId: call.generationId ?? null,
    provider: call.provider ?? null,
    metadata: call.metadata ?? {},
  }
}

/** Null when there is no price for what was used, which is only bearable if the gateway reported the cost. */
function computedCharge(call: PricedCall, rate: RateRow, marginPercent: string): Charge | null {
  try {
    return calculateCredits(call.usage, { rate, marginPercent })
  } catch (error) {
    if (call.reported !== undefined && CreditError.isInstance(error) && error.code === 'UNKNOWN_MODEL') return null
    throw error
  }
}

function unknownModel(model: string): CreditError {
  return new CreditError({ code: 'UNKNOWN_MODEL', details: { model } })
}

/** The upper bound of a call, priced with these rows. */
export function estimateWith(call: EstimateUsage, { rate, margin, marginPercent }: FrozenPricing): EstimateResult {
  const { credits, costUsd, maxOutputTokens } = estimateCharge({ ...call, rate, marginPercent })
  return { amount: credits, costUsd, maxOutputTokens, rateId: rate.id, marginId: margin.id, marginPercent }
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
