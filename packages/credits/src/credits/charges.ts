import { calculateCredits } from '../core/calculate.ts'
import type { Charge } from '../core/charge.ts'
import { CreditError } from '../core/errors.ts'
import { estimateCharge } from '../core/estimate.ts'
import { add, creditsOfUsd, divideRounded, fromUnits, toUnits, USD_PLACES } from '../core/money.ts'
import { normalizeUsage, type UsageInput } from '../core/normalize-usage.ts'
import type { EstimateResult, EstimateUsage, PriceInput } from '../credits-types.ts'
import type { ChargeRecord, Metadata, RateRow } from '../store/port.ts'
import type { CallPricing } from './prices.ts'

const PERCENT_PLACES = 4
/** Clamp of a call to a model of which nothing is known. */
const UNKNOWN_OUTPUT_TOKENS = 4096

/** What a price is made of besides the rows: everything of `price` but the scope. */
export type PricedCall = Pick<
  PriceInput,
  'model' | 'servedModel' | 'feature' | 'reported' | 'estimated' | 'generationId' | 'provider' | 'metadata'
> & { usage: UsageInput }

/**
 * Prices one provider call. The gateway's own figure wins over ours, and both are kept, so that drift between
 * rates and bills can be reported. An unknown price is refused unless the gateway said what the call cost.
 */
export function chargeRecord(call: PricedCall, pricing: CallPricing): ChargeRecord {
  const { usage } = normalizeUsage(call.usage)
  const { rate, margin, marginPercent, ceilingCredits } = pricing
  const { reported } = call
  const computed =
    rate === undefined
      ? null
      : computedCharge(call, rate, marginPercent, reported !== undefined || ceilingCredits !== undefined)
  return {
    ...amountsOf(call, computed, pricing),
    marginPercent,
    computedCostUsd: computed?.costUsd ?? null,
    reportedCostUsd: reported?.costUsd ?? null,
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
  if (computed !== null)
    return { amount: computed.credits, costUsd: computed.costUsd, costSource: estimated ? 'estimate' : 'rate' }
  if (ceilingCredits === undefined) throw unknownModel(model)
  return { amount: ceilingCredits, costUsd: costOfCredits(ceilingCredits, marginPercent), costSource: 'estimate' }
}

/** The cost that a margin turns into these credits, to the last place of the ledger. */
function costOfCredits(credits: string, marginPercent: string): string {
  const places = USD_PLACES + PERCENT_PLACES
  const factor = toUnits(add('100', marginPercent), PERCENT_PLACES)
  return fromUnits(divideRounded(toUnits(credits, places), factor, 'half-up'), USD_PLACES)
}

/** Null when there is no price for what was used, which is only bearable if something else says what it cost. */
function computedCharge(call: PricedCall, rate: RateRow, marginPercent: string, bearable: boolean): Charge | null {
  try {
    return calculateCredits(call.usage, { rate, marginPercent })
  } catch (error) {
    if (bearable && CreditError.isInstance(error) && error.code === 'UNKNOWN_MODEL') return null
    throw error
  }
}

function unknownModel(model: string): CreditError {
  return new CreditError({ code: 'UNKNOWN_MODEL', details: { model } })
}

/** The upper bound of a call, priced with these rows; the ceiling where they have no price for it. */
export function estimateWith(model: string, call: EstimateUsage, pricing: CallPricing): EstimateResult {
  const { rate, margin, marginPercent, ceilingCredits } = pricing
  try {
    if (rate === undefined) throw unknownModel(model)
    const { credits, costUsd, maxOutputTokens } = estimateCharge({ ...call, rate, marginPercent })
    return { amount: credits, costUsd, maxOutputTokens, rateId: rate.id, marginId: margin.id, marginPercent }
  } catch (error) {
    if (ceilingCredits === undefined || !CreditError.isInstance(error) || error.code !== 'UNKNOWN_MODEL') throw error
    const costUsd = costOfCredits(ceilingCredits, marginPercent)
    const maxOutputTokens = call.maxOutputTokens ?? UNKNOWN_OUTPUT_TOKENS
    return { amount: ceilingCredits, costUsd, maxOutputTokens, rateId: null, marginId: margin.id, marginPercent }
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
