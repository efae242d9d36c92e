import { mul, parseOrThrow } from '../core/money.ts'
import type { Usage } from '../core/pricing/usage.ts'
import { slot } from '../core/slot.ts'
import { type Soon, soon } from '../core/soon.ts'
import type { ChargeRecord, SettleResult } from '../store/port.ts'
import { boundWith, type CallBound, chargeRecord } from './charges.ts'
import { inputs } from './inputs.ts'
import { priced } from './priced.ts'
import type { CallPricing } from './prices.ts'
import { close, hold, type SpendContext } from './spend.ts'
import type { Credits, EstimateUsage, PriceInput, PricingScope, ReserveInput, ReserveResult } from './types.ts'

/** Who makes a call, and for what: it decides the margin. */
export interface Caller {
  userId: string
  feature?: string | undefined
}

/** An upper bound of a call. */
export type DeskBound = Pick<CallBound, 'micros' | 'maxOutputTokens' | 'limited'>

/** Rate and margin of a call, looked up once and handed in again; undefined where somebody else does the pricing. */
export type DeskRows = CallPricing | undefined

/** A call to price, with its usage normalised. */
export interface DeskPrice extends Omit<PriceInput, 'usage' | 'planId' | 'userId'>, Caller {
  usage: Usage
}

/**
 * The use cases of a wrapped call. What `ai/` hands in was computed there, or is the same for a thousand calls, so
 * it is not parsed again for each of them, amounts that are calculated with are integers, and what is known already is
 * not waited for. The public methods do the same with everything checked.
 */
export interface Desk {
  /** @throws CreditError as `estimate` does, at once or later */
  rows(caller: Caller, model: string): Soon<DeskRows>
  /** @throws CreditError as `estimate` does, at once or later */
  bound(caller: Caller, model: string, call: EstimateUsage, rows: DeskRows): Soon<DeskBound>
  /** @throws CreditError as `price` does, at once or later */
  price(input: DeskPrice, rows: DeskRows): Soon<ChargeRecord>
  /** @throws CreditError as `reserve` does, at once or later */
  reserve(input: ReserveInput & { amount: string }, rows: DeskRows): Promise<ReserveResult>
  settle(reservationId: string, charge: ChargeRecord | undefined): Promise<SettleResult>
}

const METHODS = ['reserve', 'estimate', 'pricing', 'price', 'settle'] as const

interface Owned {
  desk: Desk
  methods: Pick<Credits, (typeof METHODS)[number]>
}
const desks = slot<Owned>()

/** Gives the use cases of `createCredits` their desk. */
export function withDesk(credits: Credits, context: SpendContext): Credits {
  const { reserve, estimate, pricing, price, settle } = credits
  desks.set(credits, { desk: ownDesk(context), methods: { reserve, estimate, pricing, price, settle } })
  return credits
}

/**
 * The desk of some use cases. Whoever replaced one of the methods, or made all of them, wants to be asked: then every
 * step goes through the public methods.
 */
export function deskOf(credits: Credits): Desk {
  const own = desks.get(credits)
  if (own !== undefined && METHODS.every((name) => credits[name] === own.methods[name])) return own.desk
  return publicDesk(credits)
}

// Async, so that whatever thenable a replaced method returns is a promise here.
function publicDesk(credits: Credits): Desk {
  return {
    rows: () => undefined,
    async bound({ userId, feature }, model, call) {
      const { amount, maxOutputTokens, rateId } = await credits.estimate({ model, feature, userId, ...call })
      const limited =
        call.maxOutputTokens === undefined &&
        rateId !== null &&
        (await credits.pricing()).find({ model, feature }).rate.maxOutputTokens !== null
      return { micros: BigInt(mul(amount, '1000000')), maxOutputTokens, limited }
    },
    price: async (input) => credits.price(input),
    reserve: async (input) => credits.reserve(input),
    settle: async (reservationId, charge) => credits.settle({ reservationId, charge }),
  }
}

function ownDesk(context: SpendContext): Desk {
  const { prices } = context
  const idOf = checked(PLAIN_ID, (userId) => parseOrThrow(inputs.id, userId, 'userId'))
  const modelOf = checked(PLAIN_TEXT, (model) => parseOrThrow(inputs.label, model, 'model'))
  const labelOf = checked(PLAIN_TEXT, (feature) => parseOrThrow(inputs.label, feature, 'feature'))
  const scopeOf = ({ userId, feature }: Caller, model: string): PricingScope => ({
    model: modelOf(model),
    feature: feature === undefined ? undefined : labelOf(feature),
    userId: idOf(userId),
  })
  return {
    rows: (caller, model) => prices.find(scopeOf(caller, model)),
    bound: (caller, model, call, rows) =>
      soon(rows ?? prices.find(scopeOf(caller, model)), (found) => boundWith(model, call, found)),
    price(input, rows) {
      const { model, rateId, marginId, reported } = input
      const scope = scopeOf(input, model)
      const frozen = rateId !== undefined && marginId !== undefined
      // A rate is not needed when the gateway said what the call cost.
      const found = rows ?? (frozen ? prices.frozen(rateId, marginId) : prices.find(scope, reported !== undefined))
      return soon(found, (late) => priced(chargeRecord(input, late)))
    },
    reserve(input, rows) {
      const { feature, metadata, ttlSeconds } = input
      if (feature !== undefined) labelOf(feature)
      const order = { ...input, userId: idOf(input.userId) }
      const terms = metadata !== undefined || ttlSeconds !== undefined
      if (terms) Object.assign(order, parseOrThrow(inputs.terms, { metadata, ttlSeconds }))
      return hold(context, order, rows)
    },
    settle: (reservationId, charge) => close(context, reservationId, charge),
  }
}

// Surely right as they are. Everything else is left to the schema, which refuses it or brings it into form.
const PLAIN_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const PLAIN_TEXT = /^[\x20-\x7e]{1,255}$/

/** A look at a text, but not at the same one again and again. */
function checked(plain: RegExp, parse: (text: string) => string): (text: string) => string {
  let known: string | undefined
  return (text) => {
    if (text === known) return text
    if (typeof text !== 'string' || !plain.test(text)) return parse(text)
    known = text
    return text
  }
}
