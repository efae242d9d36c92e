import { add, Exact, isZero, MAX_PLACES, round, USD_PLACES, writeDecimal } from '../money.ts'
import type { ChargeFlag } from './flags.ts'

/** What the gateway said about a call, with costs as exact decimal strings of USD. */
export interface GatewayCosts {
  /** What was debited for inference; `"0"` on free credits and BYOK while `marketCostUsd` is not. */
  costUsd: string | null
  /** The list price of the call. */
  marketCostUsd: string | null
  surchargeCostUsd: string | null
  /** Cost and surcharges together. */
  gatewayCostUsd: string | null
  generationId: string | null
  /** The gateway id of the model that answered, after fallbacks; null when not said. */
  servedModelId: string | null
  finalProvider: string | null
  /** The successful attempt went over the app's own provider key. */
  byok: boolean
  /** Cost fields that were there but are no amount; they count as absent. */
  invalid: string[]
}

const EXPONENT = /^[+-]?[0-9]{1,28}(?:\.[0-9]{0,40})?(?:e[+-]?[0-9]{1,3})?$/i
const MAX_COST = new Exact(10).pow(12)

/**
 * Reads an amount as programs print it, exponents included (`"1e-7"`, `1.2E-5`), exactly.
 * @returns null for anything that is no finite, non-negative amount below 10^12 or finer than 10^-40
 * @example exactAmount('1e-7') // '0.0000001'
 */
export function exactAmount(value: unknown): string | null {
  if (typeof value !== 'string' && typeof value !== 'number') return null
  // The shortest text that reads back as the number: what the JSON said.
  const text = String(value)
  if (!EXPONENT.test(text)) return null
  const amount = new Exact(text)
  if (amount.isZero()) return '0'
  if (amount.isNegative() || amount.gte(MAX_COST) || amount.decimalPlaces() > MAX_PLACES) return null
  return writeDecimal(amount)
}

function record(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null
}

function list(value: unknown): ReadonlyArray<Readonly<Record<string, unknown>>> {
  return Array.isArray(value) ? value.map(record).filter((entry) => entry !== undefined) : []
}

/** Who served the call: a failed BYOK attempt falls back to the gateway's own key, and that one is billed. */
function routingOf(routing: Readonly<Record<string, unknown>> | undefined) {
  const models = list(routing?.modelAttempts)
  const served = models.findLast(
    (attempt) => attempt.success === true || list(attempt.providerAttempts).some(succeeded),
  )
  const attempts = [...list(routing?.attempts), ...list(served?.providerAttempts)]
  const last = attempts.findLast(succeeded) ?? attempts.at(-1)
  return {
    servedModelId: text(served?.canonicalSlug) ?? text(served?.modelId) ?? text(routing?.canonicalSlug),
    finalProvider: text(routing?.finalProvider) ?? text(last?.provider) ?? text(routing?.resolvedProvider),
    byok: last?.credentialType === 'byok',
  }
}

function succeeded(attempt: Readonly<Record<string, unknown>>): boolean {
  return attempt.success === true
}

/**
 * Reads `providerMetadata.gateway` of a result, or a generation record of `getGenerationInfo`. Never throws: a
 * malformed cost counts as absent and is named in `invalid`, because the call has been made and must be settled.
 *
 * @returns null when there is no gateway block
 * @example readGatewayCosts(result.providerMetadata)?.marketCostUsd
 */
export function readGatewayCosts(metadata: unknown): GatewayCosts | null {
  const whole = record(metadata)
  const gateway =
    record(whole?.gateway) ?? (whole && ('generationId' in whole || 'totalCost' in whole) ? whole : undefined)
  if (gateway === undefined) return null
  const invalid: string[] = []
  const cost = (key: string): string | null => {
    const value = gateway[key]
    if (value === undefined || value === null) return null
    const amount = exactAmount(value)
    if (amount === null) invalid.push(key)
    return amount
  }
  const routing = routingOf(record(gateway.routing))
  return {
    costUsd: cost('cost') ?? cost('totalCost'),
    marketCostUsd: cost('marketCost'),
    surchargeCostUsd: cost('surchargeCost'),
    gatewayCostUsd: cost('gatewayCost'),
    generationId: text(gateway.generationId) ?? text(gateway.id),
    servedModelId: routing.servedModelId,
    finalProvider: routing.finalProvider,
    byok: routing.byok || gateway.isByok === true,
    invalid,
  }
}

/** What a BYOK call costs the user: the market price as any other call, or nothing. */
export type ByokRule = 'charge' | 'free'

/**
 * Whether the gateway's surcharges (zero data retention, say) are part of a call's cost. They are billed to the app
 * on top of the inference.
 */
export type SurchargeRule = 'charge' | 'free'

/** The reported cost to charge from, as `credits.price({ reported })` takes it. */
export interface ReportedCost {
  /** At most 12 places; a finer figure is rounded up to the last place, so that it never becomes nothing. */
  costUsd: string
  source: 'market-cost' | 'gateway-cost'
  /** `surcharge_included` where a surcharge is part of it. */
  flags: ChargeFlag[]
}

/** What {@link chooseReportedCost} chooses from. */
export interface ReportedCostChoice {
  costs: GatewayCosts | null
  /** Whether the call can be priced from a rate instead. */
  hasRate: boolean
  /** Default `charge`. */
  byok?: ByokRule | undefined
  /** Default `charge`. */
  surcharges?: SurchargeRule | undefined
}

/**
 * Chooses the figure to charge from: a market cost above zero, else a cost above zero, and the surcharge on top. A
 * reported `"0"` alone says "free credits" or "BYOK" as often as "free", so it only counts when there is no rate to
 * compute from.
 *
 * @returns null when the rate, or else an estimate, has to say
 * @example chooseReportedCost({ costs, hasRate: true }) ?? undefined
 */
export function chooseReportedCost(input: ReportedCostChoice): ReportedCost | null {
  const { costs, hasRate, byok = 'charge', surcharges = 'charge' } = input
  if (costs === null) return null
  const extra = surcharges === 'charge' ? (costs.surchargeCostUsd ?? '0') : '0'
  const withSurcharge = (costUsd: string, source: ReportedCost['source']): ReportedCost => ({
    costUsd: round(add(costUsd, extra), USD_PLACES, 'up'),
    source,
    flags: isZero(extra) ? [] : ['surcharge_included'],
  })
  if (costs.byok && byok === 'free') return withSurcharge('0', 'gateway-cost')
  const { marketCostUsd: market, costUsd: cost } = costs
  if (market !== null && !isZero(market)) return withSurcharge(market, 'market-cost')
  if (cost !== null && !isZero(cost)) return withSurcharge(cost, 'gateway-cost')
  return hasRate || market === null ? null : withSurcharge('0', 'market-cost')
}
