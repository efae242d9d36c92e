import { parseOrThrow } from '../core/money.ts'
import { normalizeUsage, readUsage } from '../core/pricing/normalize-usage.ts'
import type { ChargeRecord, CreditStore, MarginRow } from '../store/port.ts'
import { chargeRecord, estimateWith } from './charges.ts'
import { decodeCursor, encodeCursor } from './cursor.ts'
import { inputs } from './inputs.ts'
import { priced } from './priced.ts'
import type { Prices } from './prices.ts'
import type { PricingCache } from './pricing-cache.ts'
import type {
  CallPricing,
  Credits,
  EstimateInput,
  EstimateResult,
  FindPricingInput,
  Margins,
  PriceInput,
} from './types.ts'

type Rates = Pick<
  Credits,
  | 'price'
  | 'estimate'
  | 'pricing'
  | 'findPricing'
  | 'getMargins'
  | 'setMargin'
  | 'removeMargin'
  | 'getMarginAudit'
  | 'getRateHistory'
>

/** Prices and margins. */
export function rates(store: CreditStore, cache: PricingCache, prices: Prices): Rates {
  return {
    price: (input) => price(prices, input),
    estimate: (input) => estimate(prices, input),
    pricing: async () => cache.current(),
    findPricing: (input) => findPricing(prices, input),
    getMargins: async () => overview(await store.getPricing()),
    async setMargin(input) {
      const margin = parseOrThrow(inputs.setMargin, input)
      const row = await store.setMargin({ ...margin, target: margin.target ?? '' })
      cache.clear()
      return row
    },
    async removeMargin(input) {
      const row = await store.setMargin({ ...parseOrThrow(inputs.removeMargin, input), marginPercent: null })
      cache.clear()
      return row
    },
    async getRateHistory(input) {
      const { model: modelId, limit } = parseOrThrow(inputs.rateHistory, input)
      return store.getRateHistory({ modelId, limit })
    },
    async getMarginAudit(input = {}) {
      const { limit, cursor } = parseOrThrow(inputs.page, input)
      const before = cursor === undefined ? undefined : decodeCursor(cursor, 'margin-audit')
      const { data, nextBefore } = await store.getMarginAudit(before === undefined ? { limit } : { limit, before })
      return { data, nextCursor: nextBefore === null ? null : encodeCursor(nextBefore, 'margin-audit') }
    },
  }
}

async function price(prices: Prices, input: PriceInput): Promise<ChargeRecord> {
  const { rateId, marginId, planId, userId, ...call } = parseOrThrow(inputs.price, input)
  const { model, feature, reported } = call
  const frozen = rateId !== undefined && marginId !== undefined
  const rows = frozen
    ? await prices.frozen(rateId, marginId)
    : // A rate is not needed when the gateway said what the call cost.
      await prices.find({ model, feature, planId, userId }, reported !== undefined)
  // A reported cost is charged even where the usage is lost.
  const { usage } = reported === undefined ? normalizeUsage(call.usage) : readUsage(call.usage)
  return priced(chargeRecord({ ...call, usage }, rows))
}

async function findPricing(prices: Prices, input: FindPricingInput): Promise<CallPricing> {
  const { rateId, marginId, ...scope } = parseOrThrow(inputs.findPricing, input)
  const frozen = rateId !== undefined && marginId !== undefined
  const { rate, ceilingCredits, margin, marginPercent } = frozen
    ? await prices.frozen(rateId, marginId)
    : await prices.find(scope)
  return { rate: rate ?? null, margin, marginPercent, ceilingCredits: ceilingCredits ?? null }
}

async function estimate(prices: Prices, input: EstimateInput): Promise<EstimateResult> {
  const { model, feature, planId, userId, ...call } = parseOrThrow(inputs.estimate, input)
  return estimateWith(model, call, await prices.find({ model, feature, planId, userId }))
}

function overview({ margins, asOf }: { margins: MarginRow[]; asOf: string }): Margins {
  const now = Date.parse(asOf)
  const inForce = margins.filter((row) => Date.parse(row.effectiveFrom) <= now)
  return {
    default: inForce.find((row) => row.scope === 'default') ?? null,
    // A row without a percentage says that the override was removed.
    overrides: inForce.filter((row) => row.scope !== 'default' && row.marginPercent !== null),
    scheduled: margins.filter((row) => Date.parse(row.effectiveFrom) > now),
    asOf,
  }
}
