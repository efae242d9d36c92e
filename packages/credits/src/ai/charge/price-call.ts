import { CreditError } from '../../core/errors.ts'
import { add } from '../../core/money.ts'
import { calculateCredits } from '../../core/pricing/calculate.ts'
import { type GatewayCosts, readGatewayCosts } from '../../core/pricing/gateway-costs.ts'
import { boundedRawUsage } from '../../core/pricing/raw-usage.ts'
import { isPlainObject, isStorableJson, isStorableText } from '../../core/pricing/storable.ts'
import type { Usage } from '../../core/pricing/usage.ts'
import type { CallPricing, PriceInput } from '../../credits/types.ts'
import type { ChargeRecord, Metadata } from '../../store/port.ts'
import { looseParams, pricedPerPicture } from '../estimate/bound.ts'
import { askedUsage } from '../estimate/language.ts'
import type { CallOutcome, PricedCall } from '../types.ts'
import { type CountedUsage, countedUsage } from './counted-usage.ts'
import { fieldsOf, type ProviderReading, readProvider } from './providers/index.ts'
import { believedCost } from './reported-cost.ts'

/**
 * Prices one provider call: from the cost that the gateway or the provider reports, else from the rate and the usage,
 * with what is missing estimated from what was seen. A fallback model that answered is priced as itself.
 *
 * @throws CreditError `UNKNOWN_MODEL`, when the model has no price for what was used
 */
export async function priceCall(call: PricedCall, outcome: CallOutcome): Promise<ChargeRecord> {
  const costs = readGatewayCosts(outcome.providerMetadata)
  const reading = readReading(call, outcome)
  const servedModel = shortText(costs?.servedModelId) ?? reading.servedModel
  const served =
    servedModel === undefined || servedModel === call.model ? undefined : await findServed(call, servedModel)
  const pricing = served ?? call.estimate.pricing
  const counted = countedUsage(call, outcome, reading, pricing)
  try {
    return await priceCounted({ call, outcome, reading, costs, servedModel, served, pricing, counted })
  } catch (error) {
    // What cannot be priced as it was reported is priced as it was seen.
    if (!CreditError.isInstance(error) || !NOT_PRICED.has(error.code)) throw error
    const usage = call.estimate.likelyUsage(outcome.seen)
    const estimate = { usage, estimated: true, flags: [...counted.flags, 'usage_estimated'] }
    return priceCounted({ call, outcome, reading, costs, servedModel, served, pricing, counted: estimate })
  }
}

const NOT_PRICED: ReadonlySet<string> = new Set(['UNKNOWN_MODEL', 'INVALID_INPUT', 'USAGE_MISSING'])

/** The id under which the gateway keeps its record of a call. */
export function generationIdOf(providerMetadata: unknown): string | undefined {
  return providerMetadata === undefined ? undefined : (readGatewayCosts(providerMetadata)?.generationId ?? undefined)
}

interface Pricing {
  call: PricedCall
  outcome: CallOutcome
  reading: ProviderReading
  costs: GatewayCosts | null
  servedModel: string | undefined
  /** The pricing of the model that answered, when it is another one and has a price. */
  served: CallPricing | undefined
  pricing: CallPricing
  counted: CountedUsage
}

function readReading(call: PricedCall, { providerMetadata, usage, seen }: CallOutcome): ProviderReading {
  const { inputTokens, outputTokens, raw } = fieldsOf(usage)
  return readProvider(
    {
      model: call.model,
      providerOptions: looseParams(call.params).providerOptions,
      // Image, speech and transcription models hand through the provider's own object.
      raw: fieldsOf(raw ?? usage),
      metadata: fieldsOf(providerMetadata),
      inputTokens: totalOf(inputTokens),
      outputTokens: totalOf(outputTokens),
      pricedPerPicture: pricedPerPicture(call.estimate.pricing),
      seen,
    },
    call.context.byok ?? 'charge',
  )
}

function totalOf(tokens: unknown): number | undefined {
  const total = typeof tokens === 'number' ? tokens : fieldsOf(tokens).total
  return typeof total === 'number' ? total : undefined
}

/** The price of a fallback that answered; undefined when it has none of its own, or when the store is away. */
async function findServed({ context }: PricedCall, model: string): Promise<CallPricing | undefined> {
  const { credits, feature, userId } = context
  try {
    const pricing = await credits.findPricing({ model, feature, userId })
    // The ceiling is the last resort: the model that was asked for has a price.
    return pricing.rate === null ? undefined : pricing
  } catch (error) {
    // The provider has been called, so the call is charged at the price of the model that was asked for.
    if (!CreditError.isInstance(error) || error.code !== 'UNKNOWN_MODEL') {
      credits.onError(error, { operation: 'pricing', userId })
    }
    return undefined
  }
}

async function priceCounted(input: Pricing): Promise<ChargeRecord> {
  const { call, outcome, reading, costs, served, pricing, counted } = input
  const { context } = call
  const usage = withTerms(call, outcome, counted.usage)
  const believed = believedCost(call, outcome, reading, costs, { usage, pricing })
  const flags = [...counted.flags, ...believed.flags]
  const reported = believed.reported ?? (await withOtherModels(input, usage, flags))
  const servedModel = input.servedModel === call.model ? undefined : input.servedModel
  const charge = await context.credits.price({
    model: served === undefined ? call.model : (servedModel as string),
    feature: context.feature,
    userId: context.userId,
    usage,
    pricing,
    servedModel: served === undefined ? servedModel : undefined,
    reported,
    estimated: counted.estimated && believed.reported === undefined,
    generationId: shortText(outcome.generationId ?? costs?.generationId),
    provider: storableMetadata(outcome.providerMetadata),
    metadata: { attempt: call.attempt },
  })
  flags.push(...priceFlags(usage, pricing))
  return {
    ...charge,
    ...(served !== undefined && { model: call.model, servedModel: servedModel ?? null }),
    flags: [...new Set(flags)],
    rawUsage: flags.length === 0 ? null : boundedRawUsage(rawUsageOf(outcome)),
  }
}

/** Start, tier, region and speed: as served where the provider says so, else as asked for. */
function withTerms(call: PricedCall, { providerMetadata }: CallOutcome, usage: Usage): Usage {
  const { serviceTier } = askedUsage({ providerOptions: providerMetadata })
  return {
    ...askedUsage(looseParams(call.params)),
    ...(serviceTier !== undefined && { serviceTier }),
    ...usage,
    startedAt: call.startedAt,
  }
}

/** Other models in the same answer, at their own prices: the sum counts as a reported cost. */
async function withOtherModels(
  { call, reading, pricing }: Pricing,
  usage: Usage,
  flags: string[],
): Promise<PriceInput['reported']> {
  const { otherModels = [] } = reading
  const { rate, marginPercent } = pricing
  if (otherModels.length === 0 || rate === null) return undefined
  let costUsd = calculateCredits(usage, { rate, marginPercent }).costUsd
  for (const other of otherModels) {
    const found = (await findServed(call, other.model)) ?? pricing
    costUsd = add(costUsd, calculateCredits(other.usage, { rate: found.rate ?? rate, marginPercent }).costUsd)
  }
  flags.push('other_models_included')
  return { costUsd, source: 'gateway-cost' }
}

/** What the rate had to assume. */
function priceFlags(usage: Usage, { rate, marginPercent }: CallPricing): string[] {
  if (rate === null) return []
  try {
    return calculateCredits(usage, { rate, marginPercent }).flags
  } catch {
    return ['rate_has_no_price']
  }
}

/** What the ledger takes. Anything else must not lose the charge. */
function shortText(value: string | null | undefined): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= 255 && isStorableText(value) ? value : undefined
}

const MAX_METADATA_BYTES = 32_768

/** The gateway's own block, if it fits. The metadata of other providers can carry whole pictures. */
function storableMetadata(providerMetadata: unknown): Metadata | undefined {
  const { gateway } = fieldsOf(providerMetadata)
  return isPlainObject(gateway) && isStorableJson(gateway, MAX_METADATA_BYTES) ? gateway : undefined
}

/** The provider's own object where the SDK hands it on, else the SDK's. */
function rawUsageOf({ usage }: CallOutcome): unknown {
  return fieldsOf(usage).raw ?? usage
}
