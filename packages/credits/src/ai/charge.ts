import { CreditError } from '../core/errors.ts'
import { chooseReportedCost, type GatewayCosts, readGatewayCosts } from '../core/gateway-costs.ts'
import { normalizeUsage, type UsageInput } from '../core/normalize-usage.ts'
import type { Usage } from '../core/usage.ts'
import type { PriceInput } from '../credits-types.ts'
import type { ChargeRecord, Metadata } from '../store/port.ts'
import type { CreditsContext } from './context.ts'
import { type Demand, serviceTierOf } from './demand.ts'

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
  frozen: { rateId: string; marginId: string } | undefined
  /** Requested tier and the like. */
  providerOptions: unknown
  /** 1, 2, 3 ... within the operation: ties the ledger to the provider's own journal. */
  attempt: number
  startedAt: string
}

/**
 * Prices a call: from the gateway's market cost, else its cost, else rate and usage, else an estimate of the usage,
 * marked as such. The model that served is the one that is priced.
 */
export async function chargeOf(context: CreditsContext, call: ChargedCall, outcome: Outcome): Promise<ChargeRecord> {
  const costs = readGatewayCosts(outcome.providerMetadata)
  const reported = chooseReportedCost({ costs, hasRate: true, byok: context.byok }) ?? undefined
  const counted = usable(outcome.usage)
  const usage = counted ?? call.demand.likely(outcome.outputTokens)
  const tier = servedTier(outcome.providerMetadata) ?? serviceTierOf(call.providerOptions)
  const input: PriceInput = {
    model: call.model,
    feature: context.feature,
    userId: context.userId,
    usage: { ...usage, startedAt: call.startedAt, ...(tier !== undefined && { serviceTier: tier }) } as UsageInput,
    reported,
    estimated: counted === undefined && reported === undefined,
    generationId: shortText(outcome.generationId ?? costs?.generationId),
    provider: storable(outcome.providerMetadata),
    metadata: { attempt: call.attempt },
  }
  return priceServed(context, call, input, costs?.servedModelId ?? undefined)
}

async function priceServed(
  context: CreditsContext,
  call: ChargedCall,
  input: PriceInput,
  servedModel: string | undefined,
): Promise<ChargeRecord> {
  if (servedModel === undefined || servedModel === call.model) return priceAsked(context, call, input)
  try {
    const charge = await context.credits.price({ ...input, model: servedModel })
    // The ceiling for models without a price is the last resort.
    if (charge.rateId === null && input.reported === undefined)
      return priceAsked(context, call, { ...input, servedModel })
    return { ...charge, model: call.model, servedModel }
  } catch (error) {
    if (!isCode(error, 'UNKNOWN_MODEL')) throw error
    // A fallback without a price of its own: what was asked for has one, and the books say who served.
    return priceAsked(context, call, { ...input, servedModel })
  }
}

async function priceAsked(context: CreditsContext, call: ChargedCall, input: PriceInput): Promise<ChargeRecord> {
  try {
    return await context.credits.price({ ...input, ...call.frozen })
  } catch (error) {
    // Metadata that cannot be stored must not lose the charge.
    if (!isCode(error, 'INVALID_INPUT') || input.provider === undefined) throw error
    return context.credits.price({ ...input, ...call.frozen, provider: undefined })
  }
}

function isCode(error: unknown, code: CreditError['code']): boolean {
  return CreditError.isInstance(error) && error.code === code
}

/** The provider's usage if it counts anything that can be priced. NaN, negative counts and empty objects do not. */
function usable(usage: UsageInput | undefined): UsageInput | undefined {
  if (typeof usage !== 'object' || usage === null) return undefined
  try {
    const { usage: counted } = normalizeUsage(usage)
    return COUNTS.some((key) => counted[key] !== undefined) ? usage : undefined
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

/** The tier that served the call, where the provider says so. */
function servedTier(providerMetadata: unknown): string | undefined {
  return serviceTierOf(providerMetadata)
}

function shortText(value: string | null | undefined): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= 255 ? value : undefined
}

const MOST_BYTES = 32_768

/** The gateway's own block, if it fits; without one, nothing: other providers' metadata can hold whole images. */
function storable(providerMetadata: unknown): Metadata | undefined {
  const gateway = (providerMetadata as { gateway?: unknown } | null | undefined)?.gateway
  if (typeof gateway !== 'object' || gateway === null) return undefined
  return (JSON.stringify(gateway) ?? '').length <= MOST_BYTES ? (gateway as Metadata) : undefined
}

/** The id under which the gateway keeps its record of a call. */
export function generationIdOf(providerMetadata: unknown): string | undefined {
  const costs: GatewayCosts | null = providerMetadata === undefined ? null : readGatewayCosts(providerMetadata)
  return costs?.generationId ?? undefined
}
