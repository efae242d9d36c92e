import { CreditError } from '../core/errors.ts'
import { chooseReportedCost, readGatewayCosts } from '../core/pricing/gateway-costs.ts'
import { normalizeUsage, type UsageInput } from '../core/pricing/normalize-usage.ts'
import { isPlainObject, isStorableJson, isStorableText } from '../core/pricing/storable.ts'
import type { Usage } from '../core/pricing/usage.ts'
import type { Soon } from '../core/soon.ts'
import type { DeskPrice } from '../credits/desk.ts'
import type { ChargeRecord, Metadata } from '../store/port.ts'
import { type Demand, serviceTierOf } from './demand.ts'
import type { Operation } from './operation.ts'
import type { Payer } from './quote.ts'

/** What is known of a provider call when it is over. */
export interface Outcome {
  /** The provider's count; undefined: lost. */
  usage: UsageInput | undefined
  /** Output tokens seen, for the estimate when the count was lost. */
  outputTokens: number
  /** All metadata that came with the result or the last part. */
  providerMetadata: unknown
  /** Known from the first part on, where the metadata with the cost comes with the last. */
  generationId: string | undefined
}

/** The call whose charge is made. */
export interface ChargedCall {
  model: string
  demand: Demand
  /** Rows frozen by the reservation, when it is for the same model. */
  frozen: ReturnType<Operation['frozenFor']>
  /** Requested tier and the like. */
  providerOptions: unknown
  /** 1, 2, 3 ... within the operation: ties the ledger to the provider's own journal. */
  attempt: number
  startedAt: string
}

/**
 * Prices a call: from the gateway's market cost, else its cost, else rate and usage, else an estimate of the usage,
 * marked as such. The model that served is the one that is priced.
 * @throws CreditError as `price` does, at once or later
 */
export function chargeOf(payer: Payer, call: ChargedCall, outcome: Outcome): Soon<ChargeRecord> {
  const { byok, feature, userId } = payer.context
  const { providerMetadata } = outcome
  const costs = readGatewayCosts(providerMetadata)
  const reported = chooseReportedCost({ costs, hasRate: true, byok }) ?? undefined
  const counted = usable(outcome.usage)
  const usage = counted ?? normalizeUsage(call.demand.likely(outcome.outputTokens)).usage
  usage.startedAt = call.startedAt
  // The tier that served the call, where the provider says so.
  const tier = serviceTierOf(providerMetadata) ?? serviceTierOf(call.providerOptions)
  if (tier !== undefined) usage.serviceTier = tier
  const input: DeskPrice = {
    model: call.model,
    feature,
    userId,
    usage,
    rateId: undefined,
    marginId: undefined,
    servedModel: undefined,
    reported,
    estimated: counted === undefined && reported === undefined,
    generationId: shortText(outcome.generationId ?? costs?.generationId),
    provider: storable(providerMetadata),
    metadata: { attempt: call.attempt },
  }
  const servedModel = shortText(costs?.servedModelId)
  return servedModel === undefined || servedModel === call.model
    ? priceAsked(payer, call, input)
    : priceServed(payer, call, input, servedModel)
}

async function priceServed(
  payer: Payer,
  call: ChargedCall,
  input: DeskPrice,
  servedModel: string,
): Promise<ChargeRecord> {
  let charge: ChargeRecord | undefined
  try {
    charge = await payer.desk.price({ ...input, model: servedModel }, undefined)
  } catch (error) {
    if (!isCode(error, 'UNKNOWN_MODEL')) throw error
  }
  // A fallback without a price of its own, but for the ceiling, which is the last resort: what was asked for has one,
  // and the books say who served.
  if (charge === undefined || (charge.rateId === null && input.reported === undefined)) {
    return priceAsked(payer, call, { ...input, servedModel })
  }
  return { ...charge, model: call.model, servedModel }
}

function priceAsked({ desk }: Payer, { frozen }: ChargedCall, input: DeskPrice): Soon<ChargeRecord> {
  if (frozen === undefined) return desk.price(input, undefined)
  input.rateId = frozen.rateId
  input.marginId = frozen.marginId
  return desk.price(input, frozen.rows)
}

function isCode(error: unknown, code: CreditError['code']): boolean {
  return CreditError.isInstance(error) && error.code === code
}

/** The provider's usage if it counts anything that can be priced. NaN, negative counts and empty objects do not. */
function usable(usage: UsageInput | undefined): Usage | undefined {
  if (typeof usage !== 'object' || usage === null) return undefined
  try {
    const { usage: counted } = normalizeUsage(usage)
    return COUNTS.some((key) => counted[key] !== undefined) ? counted : undefined
  } catch {
    return undefined
  }
}

const COUNTS = [
  'inputTokens',
  'outputTokens',
  'tokens',
  'images',
  'seconds',
  'characters',
  'videoTokens',
] as const satisfies readonly (keyof Usage)[]

/** What the books take; anything else must not lose the charge. */
function shortText(value: string | null | undefined): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= 255 && isStorableText(value) ? value : undefined
}

const MOST_BYTES = 32_768

/** The gateway's own block, if it fits; without one, nothing: other providers' metadata can hold whole images. */
function storable(providerMetadata: unknown): Metadata | undefined {
  const gateway = (providerMetadata as { gateway?: unknown } | null | undefined)?.gateway
  return isPlainObject(gateway) && isStorableJson(gateway, MOST_BYTES) ? gateway : undefined
}

/** The id under which the gateway keeps its record of a call. */
export function generationIdOf(providerMetadata: unknown): string | undefined {
  return providerMetadata === undefined ? undefined : (readGatewayCosts(providerMetadata)?.generationId ?? undefined)
}
