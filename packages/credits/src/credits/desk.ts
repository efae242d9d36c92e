import { mul } from '../core/money.ts'
import type { Usage } from '../core/pricing/usage.ts'
import type { ChargeRecord, SettleResult } from '../store/types.ts'
import type { CallPricing, Credits, EstimateUsage, PriceInput, ReserveInput, ReserveResult } from './types.ts'

/** Who makes a call, and for what: it decides the margin. */
export interface Caller {
  userId: string
  feature?: string | undefined
}

/** An upper bound of a call: credits in millionths. */
export interface DeskBound {
  micros: bigint
  maxOutputTokens: number
  /** The limit is the model's own, so the provider keeps to it unasked. */
  limited: boolean
}

/** Rate and margin of a call; undefined where the operation looks them up. */
export type DeskRows = CallPricing | undefined

/** A call to price, with its usage normalised. */
export interface DeskPrice extends Omit<PriceInput, 'usage' | 'planId' | 'userId'>, Caller {
  usage: Usage
}

/** The operations of `Credits` in the form in which `ai/` calls them. */
export interface Desk {
  rows(caller: Caller, model: string): DeskRows
  bound(caller: Caller, model: string, call: EstimateUsage, rows: DeskRows): Promise<DeskBound>
  price(input: DeskPrice, rows: DeskRows): Promise<ChargeRecord>
  reserve(input: ReserveInput & { amount: string }, rows: DeskRows): Promise<ReserveResult>
  settle(userId: string, reservationId: string, charge: ChargeRecord | undefined): Promise<SettleResult>
}

/** The operations of these `Credits` for `ai/`. */
export function deskOf(credits: Credits): Desk {
  return {
    rows: () => undefined,
    async bound({ userId, feature }, model, call) {
      const scope = { model, feature, userId }
      const { amount, maxOutputTokens } = await credits.estimate({ ...scope, ...call })
      const { rate } = await credits.findPricing(scope)
      const limited = call.maxOutputTokens === undefined && rate !== null && rate.maxOutputTokens !== null
      return { micros: BigInt(mul(amount, '1000000')), maxOutputTokens, limited }
    },
    price: async (input) => credits.price(input),
    reserve: async (input) => credits.reserve(input),
    settle: async (userId, reservationId, charge) => credits.settle({ userId, reservationId, charge }),
  }
}
