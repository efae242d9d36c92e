import { CreditError } from '../core/errors.ts'
import { creditsOfUsd, usdOfCredits } from '../core/money.ts'
import { calculateCredits } from '../core/pricing/calculate.ts'
import type { Charge } from '../core/pricing/charge.ts'
import { DEFAULT_MAX_OUTPUT_TOKENS, estimateCharge } from '../core/pricing/estimate.ts'
import { readUsage } from '../core/pricing/normalize-usage.ts'
import { boundedRawUsage } from '../core/pricing/raw-usage.ts'
import type { ChargeRecord, Metadata, RateRow } from '../store/types.ts'
import { isCode } from './errors.ts'
import type { CallPricing, EstimateResult, EstimateUsage, PriceInput } from './types.ts'

/** What a charge is made from besides its rate and margin. */
type PricedCall = Omit<PriceInput, 'planId' | 'userId' | 'rateId' | 'marginId' | 'pricing'>

/**
 * Prices one provider call. The gateway's own figure wins over the computed one, and both are kept, so that a drift
 * between rates and bills can be reported. An unknown price is refused unless the gateway said what the call cost.
 *
 * @throws CreditError `UNKNOWN_MODEL`, `USAGE_MISSING`, `INVALID_INPUT`
 */
export function chargeRecord(call: PricedCall, pricing: CallPricing): ChargeRecord {
  const { rate, margin, marginPercent } = pricing
  const computed = rate === null ? null : computeCharge(call, rate, pricing)
  // With the counts that were estimated for it, so that the charge can be computed again from its own row.
  const usage = computed?.usage ?? readUsage(call.usage).usage
  const flags = [...new Set([...(computed?.flags ?? []), ...(call.reported?.flags ?? []), ...(call.flags ?? [])])]
  return {
    ...amountsOf(call, computed, pricing),
    marginPercent,
    computedCostUsd: computed?.costUsd ?? null,
    reportedCostUsd: call.reported?.costUsd ?? null,
    model: call.model,
    servedModel: call.servedModel ?? null,
    feature: call.feature ?? null,
    usage,
    inputTokens: usage.inputTokens ?? usage.tokens ?? null,
    outputTokens: usage.outputTokens ?? null,
    rateId: rate?.id ?? null,
    marginId: margin.id,
    pricing: computed === null ? null : (computed.pricing as unknown as Metadata),
    generationId: call.generationId ?? null,
    provider: call.provider ?? null,
    flags,
    rawUsage: rawUsageOf(call, flags),
    metadata: call.metadata ?? {},
  }
}

/** The figure that counts: the reported cost, else the computed one, else the ceiling. */
function amountsOf(
  { model, reported, estimated }: PricedCall,
  computed: Charge | null,
  { marginPercent, ceilingCredits }: CallPricing,
): Pick<ChargeRecord, 'amount' | 'costUsd' | 'costSource'> {
  if (reported !== undefined) {
    const { costUsd, source } = reported
    const amount = creditsOfUsd({ costUsd, marginPercent }).credits
    return { amount, costUsd, costSource: estimated ? 'estimate' : source }
  }
  if (computed !== null) {
    const costSource = estimated || computed.estimated ? 'estimate' : 'rate'
    return { amount: computed.credits, costUsd: computed.costUsd, costSource }
  }
  if (ceilingCredits === null) throw unknownModel(model)
  const costUsd = usdOfCredits({ credits: ceilingCredits, marginPercent })
  return { amount: ceilingCredits, costUsd, costSource: 'estimate' }
}

/** Null when the rate has no price for the usage, which is allowed only if another figure can be charged. */
function computeCharge(
  { usage, reported }: PricedCall,
  rate: RateRow,
  { marginPercent, ceilingCredits }: CallPricing,
): Charge | null {
  try {
    return calculateCredits(usage, { rate, marginPercent })
  } catch (error) {
    if (reported !== undefined && isCode(error, 'UNKNOWN_MODEL', 'USAGE_MISSING')) return null
    if (ceilingCredits !== null && isCode(error, 'UNKNOWN_MODEL')) return null
    throw error
  }
}

/** What was reported, where its price had to assume something about it. */
function rawUsageOf({ usage, rawUsage }: PricedCall, flags: readonly string[]): Metadata | null {
  if (rawUsage !== undefined && rawUsage !== null) return boundedRawUsage(rawUsage)
  if (!flags.some((flag) => flag.startsWith('usage_'))) return null
  return boundedRawUsage((usage as { raw?: unknown }).raw ?? usage)
}

function unknownModel(model: string): CreditError {
  return new CreditError({ code: 'UNKNOWN_MODEL', details: { model } })
}

/**
 * The upper bound of a call; the ceiling where no price is known for it.
 *
 * @throws CreditError `UNKNOWN_MODEL`, `INVALID_INPUT`
 */
export function estimateOf(model: string, call: EstimateUsage, pricing: CallPricing): EstimateResult {
  const { rate, margin, marginPercent, ceilingCredits } = pricing
  const marginId = margin.id
  try {
    if (rate === null) throw unknownModel(model)
    const { credits, costUsd, maxOutputTokens } = estimateCharge({ ...call, rate, marginPercent })
    return { amount: credits, costUsd, maxOutputTokens, rateId: rate.id, marginId, marginPercent }
  } catch (error) {
    if (ceilingCredits === null || !isCode(error, 'UNKNOWN_MODEL')) throw error
    const maxOutputTokens = call.maxOutputTokens ?? DEFAULT_MAX_OUTPUT_TOKENS
    const costUsd = usdOfCredits({ credits: ceilingCredits, marginPercent })
    return { amount: ceilingCredits, costUsd, maxOutputTokens, rateId: null, marginId, marginPercent }
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
    flags: [],
    rawUsage: null,
    metadata: input.metadata ?? {},
  }
}
