import { CreditError, type CreditErrorCode } from '../core/errors.ts'
import { creditsOfUsd, mul, usdOfCredits } from '../core/money.ts'
import { calculateCredits } from '../core/pricing/calculate.ts'
import type { Charge } from '../core/pricing/charge.ts'
import { estimateCharge } from '../core/pricing/estimate.ts'
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

type Totals = Pick<Charge, 'credits' | 'costUsd' | 'pricing' | 'usage' | 'estimated'>

/**
 * Prices one provider call. The gateway's own figure wins over ours, and both are kept, so that drift between
 * rates and bills can be reported. An unknown price is refused unless the gateway said what the call cost.
 */
export function chargeRecord(call: PricedCall, pricing: CallPricing): ChargeRecord {
  const { rate, margin, marginPercent, ceilingCredits } = pricing
  const { reported } = call
  const totals =
    rate === undefined
      ? null
      : computed(call, rate, marginPercent, reported !== undefined || ceilingCredits !== undefined)
  const { amount, costUsd, costSource } = amountsOf(call, totals, pricing)
  // With the counts that were estimated for it, so that the charge can be computed again from its own row.
  const usage = totals?.usage ?? call.usage
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
    return {
      amount: totals.credits,
      costUsd: totals.costUsd,
      costSource: estimated || totals.estimated ? 'estimate' : 'rate',
    }
  if (ceilingCredits === undefined) throw unknownModel(model)
  const costUsd = usdOfCredits({ credits: ceilingCredits, marginPercent })
  return { amount: ceilingCredits, costUsd, costSource: 'estimate' }
}

const NOT_PRICED = new Set<CreditErrorCode>(['UNKNOWN_MODEL', 'USAGE_MISSING'])

/** Null when there is no price for what was used, which is only bearable if something else says what it cost. */
function computed(call: PricedCall, rate: RateRow, marginPercent: string, bearable: boolean): Totals | null {
  try {
    return calculateCredits(call.usage, { rate, marginPercent })
  } catch (error) {
    if (bearable && CreditError.isInstance(error) && NOT_PRICED.has(error.code)) return null
    throw error
  }
}

function unknownModel(model: string): CreditError {
  return new CreditError({ code: 'UNKNOWN_MODEL', details: { model } })
}

/** {@link EstimateResult} before the ids of the rows are added. */
export interface CallBound {
  credits: string
  /** Millionths of a credit. */
  micros: bigint
  costUsd: string
  maxOutputTokens: number
  /** The clamp is the rate's own limit, so the provider keeps to it unasked. */
  limited: boolean
  /** No price is known, and this is the ceiling. */
  ceiling?: true
}

/** The upper bound of a call, priced with these rows; the ceiling where they have no price for it. */
export function boundWith(model: string, call: EstimateUsage, pricing: CallPricing): CallBound {
  const { rate, marginPercent, ceilingCredits } = pricing
  try {
    if (rate === undefined) throw unknownModel(model)
    const { credits, costUsd, maxOutputTokens, maxOutputTokensFrom } = estimateCharge({ ...call, rate, marginPercent })
    const limited = maxOutputTokensFrom === 'model'
    return { credits, micros: microsOf(credits), costUsd, maxOutputTokens, limited }
  } catch (error) {
    if (ceilingCredits === undefined || !CreditError.isInstance(error) || error.code !== 'UNKNOWN_MODEL') throw error
    const maxOutputTokens = call.maxOutputTokens ?? UNKNOWN_OUTPUT_TOKENS
    const costUsd = usdOfCredits({ credits: ceilingCredits, marginPercent })
    const micros = microsOf(ceilingCredits)
    return { credits: ceilingCredits, micros, costUsd, maxOutputTokens, limited: false, ceiling: true }
  }
}

function microsOf(credits: string): bigint {
  return BigInt(mul(credits, '1000000'))
}

/** {@link boundWith} as text. */
export function estimateWith(model: string, call: EstimateUsage, pricing: CallPricing): EstimateResult {
  const { credits, costUsd, maxOutputTokens, ceiling } = boundWith(model, call, pricing)
  return {
    amount: credits,
    costUsd,
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
