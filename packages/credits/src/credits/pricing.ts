import { CreditError } from '../core/errors.ts'
import { invalidInput, parseOrThrow } from '../core/money.ts'
import { selectMargin } from '../core/pricing/margins.ts'
import type { UsageInput } from '../core/pricing/normalize-usage.ts'
import { frozenRate, requireRate } from '../core/pricing/rates.ts'
import type { CreditStore, ReservationKey } from '../store/port.ts'
import type { ChargeRecord, MarginRow, Metadata, RateRow, Reservation, ReservationResult } from '../store/types.ts'
import { chargeRecord, estimateOf, manualCharge } from './charge-records.ts'
import type { UseCaseContext } from './context.ts'
import { isCode } from './errors.ts'
import { inputs } from './inputs.ts'
import type { CachedPricing, PricingCache } from './pricing-cache.ts'
import type { CallPricing, Credits, FindPricingInput, PriceInput, PricingScope } from './types.ts'

const MOST_REMEMBERED = 10_000
const PLAN_LIFE_MS = 60_000

/** Which rate and margin price a call. The one lookup for reserve, capture, settle, price, estimate and `findPricing`. */
export interface PricingLookup {
  /**
   * The frozen rows when `rateId` and `marginId` are given, else those in force.
   *
   * @throws CreditError `UNKNOWN_MODEL` without a price, unless there is a ceiling or `costKnown`; `NOT_FOUND` for ids
   */
  find(scope: FindPricingInput, options?: { costKnown?: boolean }): Promise<CallPricing>
  /** The charge that a capture or settle asks for; undefined when it asks for none. */
  chargeFor(key: ReservationKey, choice: ChargeChoice): Promise<ChargeRecord | undefined>
  /** Keeps what prices the charges of this reservation, so that they need no round trip of their own. */
  remember(reservation: ReservationResult): void
  remove(reservationId: string): void
}

/** A charge as `capture` and `settle` are given it. */
interface ChargeChoice {
  amount?: string | undefined
  usage?: UsageInput | undefined
  charge?: ChargeRecord | undefined
  model?: string | undefined
  feature?: string | undefined
  metadata?: Metadata | undefined
}

type ReservationPricing = Pick<Reservation, 'userId' | 'feature' | 'model' | 'rateId' | 'marginId'>

/** What {@link pricingLookup} works with. */
interface LookupOptions {
  storeOf: () => CreditStore
  cache: PricingCache
  ceilingCredits: string | undefined
}

export function pricingLookup({ storeOf, cache, ceilingCredits }: LookupOptions): PricingLookup {
  const reservations = new Map<string, ReservationPricing>()
  const plans = new Map<string, { planId: string; until: number }>()
  const ceiling = ceilingCredits ?? null

  async function planOf(userId: string): Promise<string> {
    const known = plans.get(userId)
    if (known !== undefined && known.until > Date.now()) return known.planId
    const { planId } = await storeOf().getBalance({ userId })
    rememberPlan(userId, planId)
    return planId
  }

  function rememberPlan(userId: string, planId: string): void {
    setBounded(plans, userId, { planId, until: Date.now() + PLAN_LIFE_MS })
  }

  /** The plan is looked up only where it decides: some margin depends on plans, and no narrower one applies. */
  async function withPlan(cached: CachedPricing, scope: PricingScope): Promise<PricingScope> {
    const { planId, userId } = scope
    const plansMatter = cached.snapshot.margins.some((row) => row.scope === 'plan')
    if (planId !== undefined || userId === undefined || !plansMatter) return scope
    const isNarrower = marginFor(cached, scope).margin.scope !== 'default'
    return isNarrower ? scope : { ...scope, planId: await planOf(userId) }
  }

  async function inForce(scope: PricingScope, costKnown: boolean): Promise<CallPricing> {
    const cached = await cache.current()
    const margin = marginFor(cached, await withPlan(cached, scope))
    return { rate: rateFor(cached, scope, costKnown || ceiling !== null), ...margin, ceilingCredits: ceiling }
  }

  async function find(scope: FindPricingInput, { costKnown = false } = {}): Promise<CallPricing> {
    const { model, rateId, marginId } = scope
    if (rateId === undefined || marginId === undefined) return inForce(scope, costKnown)
    const { margin, aliases, ...rows } = await cache.rows({ rateId, marginId })
    const rate = frozenRate(rows.rate, { modelId: model, aliases })
    return { rate, margin, marginPercent: percentOf(margin), ceilingCredits: ceiling }
  }

  /** The rows that the reservation froze; those in force when it froze none, or when another model was called. */
  async function findFor(reservation: ReservationPricing, model: string, feature: string | undefined) {
    const { rateId, marginId, userId } = reservation
    const isFrozen = model === reservation.model && rateId !== null && marginId !== null
    return find(isFrozen ? { model, rateId, marginId } : { model, feature, userId })
  }

  async function reservationFor(key: ReservationKey): Promise<ReservationPricing> {
    const known = reservations.get(key.reservationId)
    return known?.userId === key.userId ? known : storeOf().getReservation(key)
  }

  return {
    find,
    async chargeFor(key, choice) {
      const { amount, usage, charge, metadata } = choice
      if (charge !== undefined) return charge
      if (amount !== undefined) return manualCharge({ ...choice, amount })
      if (usage === undefined) return undefined
      const reservation = await reservationFor(key)
      const feature = choice.feature ?? reservation.feature ?? undefined
      const model = choice.model ?? reservation.model
      if (model === null) throw invalidInput('model', 'needed to price the usage: the reservation names none')
      return chargeRecord({ usage, model, feature, metadata }, await findFor(reservation, model, feature))
    },
    remember({ state, reservationId, userId, feature, model, rateId, marginId, balance }) {
      rememberPlan(userId, balance.planId)
      if (state === 'active') setBounded(reservations, reservationId, { userId, feature, model, rateId, marginId })
    },
    remove(reservationId) {
      reservations.delete(reservationId)
    },
  }
}

function rateFor({ snapshot, at }: CachedPricing, { model }: PricingScope, mayBeUnknown: boolean): RateRow | null {
  try {
    return requireRate(snapshot, { modelId: model, at })
  } catch (error) {
    if (mayBeUnknown && isCode(error, 'UNKNOWN_MODEL')) return null
    throw error
  }
}

function marginFor({ snapshot, at }: CachedPricing, { model, feature, planId }: PricingScope) {
  const margin = selectMargin(snapshot, { modelId: model, feature, planId, at })
  return { margin: margin as MarginRow, marginPercent: percentOf(margin) }
}

function percentOf(margin: MarginRow | null): string {
  if (margin === null || margin.marginPercent === null) {
    throw new CreditError({ code: 'CONFIG_INVALID', message: 'There is no default margin' })
  }
  return margin.marginPercent
}

/** The oldest entry leaves first: without it a charge costs a round trip, never a wrong price. */
function setBounded<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.set(key, value)
  const [oldest] = map.keys()
  if (map.size > MOST_REMEMBERED && oldest !== undefined) map.delete(oldest)
}

/** Prices without a reservation. */
export function pricing(context: UseCaseContext): Pick<Credits, 'price' | 'estimate' | 'pricing' | 'findPricing'> {
  return {
    price: (input) => price(context, input),
    async estimate(input) {
      const { model, feature, planId, userId, ...call } = parseOrThrow(inputs.estimate, input)
      return estimateOf(model, call, await context.pricing.find({ model, feature, planId, userId }))
    },
    async pricing() {
      const { snapshot } = await context.cache.current()
      return { snapshot }
    },
    findPricing: async (input) => context.pricing.find(parseOrThrow(inputs.findPricing, input)),
  }
}

async function price(context: UseCaseContext, input: PriceInput): Promise<ChargeRecord> {
  const { rateId, marginId, planId, userId, pricing, ...call } = parseOrThrow(inputs.price, input)
  if (pricing !== undefined) return chargeRecord(call, pricing)
  const { model, feature, reported } = call
  // A rate is not needed when the gateway said what the call cost.
  const options = { costKnown: reported !== undefined }
  return chargeRecord(call, await context.pricing.find({ model, feature, planId, userId, rateId, marginId }, options))
}
