import { CreditError } from '../core/errors.ts'
import { invalidInput } from '../core/money.ts'
import { normalizeUsage, type UsageInput } from '../core/pricing/normalize-usage.ts'
import { slot } from '../core/slot.ts'
import { type Soon, soon } from '../core/soon.ts'
import type { Balance, ChargeRecord, CreditStore, Metadata, RateRow, Reservation } from '../store/port.ts'
import { chargeRecord, manualCharge } from './charges.ts'
import type { PricingCache } from './pricing-cache.ts'
import type { FrozenPricing, Pricing, PricingScope } from './types.ts'

const MOST_REMEMBERED = 10_000
const PLAN_LIFE_MS = 60_000

type Remembered = Pick<Reservation, 'userId' | 'feature' | 'model' | 'rateId' | 'marginId'>

/** A charge as `capture` and `settle` are given it. */
interface ChargeChoice {
  amount?: string | undefined
  usage?: UsageInput | undefined
  charge?: ChargeRecord | undefined
  model?: string | undefined
  feature?: string | undefined
  metadata?: Metadata | undefined
}

/** What prices a call: without a rate, only a reported cost does, or the ceiling. */
export interface CallPricing extends Omit<FrozenPricing, 'rate'> {
  rate: RateRow | undefined
  /** Credits of a call that nobody can price, where the operator allows one. */
  ceilingCredits: string | undefined
}

/** Which rows price a call, without a round trip where one was made before. */
export interface Prices {
  /** The rows in force for a call. @throws CreditError `UNKNOWN_MODEL` without a price, unless there is a ceiling or the cost is known */
  find(scope: PricingScope, costKnown?: boolean): Soon<CallPricing>
  /** Two rows by id, whether or not they are still in force. */
  frozen(rateId: string, marginId: string): Promise<CallPricing>
  /** The charge that a capture or settle asks for; undefined when it asks for none. */
  chargeOf(reservationId: string, choice: ChargeChoice): Promise<ChargeRecord | undefined>
  /** Learn from an answer of the store what the next call needs to know. */
  learn(reservation: Reservation & { balance: Balance }): void
  forget(reservationId: string): void
}

// Asked for every call, and the same for all calls until the prices are read again.
const withPlans = slot<boolean>()

/** Whether some margin depends on a plan. */
function plansMatter(pricing: Pricing): boolean {
  const known = withPlans.get(pricing)
  if (known !== undefined) return known
  const matter = pricing.snapshot.margins.some((row) => row.scope === 'plan')
  withPlans.set(pricing, matter)
  return matter
}

export function prices(store: CreditStore, cache: PricingCache, ceilingCredits: string | undefined): Prices {
  const reservations = new Map<string, Remembered>()
  const plans = new Map<string, { planId: string; until: number }>()

  function learnPlan({ userId, planId }: Balance): void {
    bounded(plans, userId, { planId, until: Date.now() + PLAN_LIFE_MS })
  }

  /** Only asked for when some margin depends on a plan. */
  async function planOf(userId: string): Promise<string> {
    const known = plans.get(userId)
    if (known !== undefined && known.until > Date.now()) return known.planId
    const balance = await store.getBalance({ userId })
    learnPlan(balance)
    return balance.planId
  }

  /** The plan is looked up only where it decides: some margin depends on plans, and no narrower one applies. */
  function planFor(pricing: Pricing, { model, feature, planId, userId }: PricingScope): Soon<string | undefined> {
    if (planId !== undefined || userId === undefined || !plansMatter(pricing)) return planId
    return pricing.findMargin({ model, feature }).margin.scope === 'default' ? planOf(userId) : undefined
  }

  function find(scope: PricingScope, costKnown = false): Soon<CallPricing> {
    return soon(cache.current(), (pricing) =>
      soon(planFor(pricing, scope), (planId) =>
        rowsIn(pricing, planId === scope.planId ? scope : { ...scope, planId }, costKnown),
      ),
    )
  }

  function rowsIn(pricing: Pricing, scope: PricingScope, costKnown: boolean): CallPricing {
    try {
      const { rate, margin, marginPercent } = pricing.find(scope)
      return { rate, margin, marginPercent, ceilingCredits }
    } catch (error) {
      const bearable = ceilingCredits !== undefined || costKnown
      if (!bearable || !CreditError.isInstance(error) || error.code !== 'UNKNOWN_MODEL') throw error
      return { ...pricing.findMargin(scope), rate: undefined, ceilingCredits }
    }
  }

  async function frozen(rateId: string, marginId: string): Promise<CallPricing> {
    return { ...(await cache.frozen(rateId, marginId)), ceilingCredits }
  }

  /** The rows the reservation froze; those in force now when it froze none, or when another model was called. */
  async function rowsOf(reservation: Remembered, model: string, feature: string | undefined): Promise<CallPricing> {
    const { rateId, marginId, userId } = reservation
    if (model === reservation.model && rateId !== null && marginId !== null) return frozen(rateId, marginId)
    return find({ model, feature, userId })
  }

  return {
    find,
    frozen,
    async chargeOf(reservationId, choice) {
      const { amount, usage, charge } = choice
      if (charge !== undefined) return charge
      if (amount !== undefined) return manualCharge({ ...choice, amount })
      if (usage === undefined) return undefined
      const reservation = reservations.get(reservationId) ?? (await store.getReservation({ reservationId }))
      const feature = choice.feature ?? reservation.feature ?? undefined
      const model = choice.model ?? reservation.model
      if (model === null) throw invalidInput('model', 'needed to price the usage: the reservation names none')
      const rows = await rowsOf(reservation, model, feature)
      return chargeRecord({ usage: normalizeUsage(usage).usage, model, feature, metadata: choice.metadata }, rows)
    },
    learn(reservation) {
      learnPlan(reservation.balance)
      if (reservation.state !== 'active') return
      const { userId, feature, model, rateId, marginId } = reservation
      bounded(reservations, reservation.reservationId, { userId, feature, model, rateId, marginId })
    },
    forget(reservationId) {
      reservations.delete(reservationId)
    },
  }
}

/** The oldest entry leaves first: forgetting costs a round trip, never a wrong price. */
function bounded<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.set(key, value)
  if (map.size <= MOST_REMEMBERED) return
  const [oldest] = map.keys()
  if (oldest !== undefined) map.delete(oldest)
}
