import { affordable, type Micros, type Quote } from './quote.ts'

/** The funds of one provider call. */
export interface Funds {
  /** 1, 2, 3 ... within the operation. */
  attempt: number
  quote: Quote
  /** The part of the hold that is meant for this call. */
  allowance: Micros
  /** Output tokens that the allowance pays for. */
  maxOutputTokens: number
  /** The clamp has to be sent along: the provider would not keep to it unasked. */
  clamped: boolean
  /** The clamp is below what the call would allow, because the user cannot pay for more. */
  short: boolean
  /** The call is over, and its allowance given back. */
  spent: boolean
}

/** What an allowance is good for. */
export function fundsOf(quote: Quote, attempt: number, allowance: Micros): Funds {
  const maxOutputTokens = affordable(quote, allowance)
  const short = maxOutputTokens < quote.maxOutputTokens
  const clamped = quote.demand.clampable && (!quote.kept || short)
  return { attempt, quote, allowance, maxOutputTokens, clamped, short, spent: false }
}

/** How much of an input that is still to come an allowance is good for. Its cost grows in a straight line. */
export function extentOf({ quote, allowance }: Funds): number {
  const { most, least } = quote.demand.extent ?? { most: 0, least: 0 }
  if (allowance >= quote.full || quote.full === quote.least) return most
  return least + (most - least) * (Number(allowance - quote.least) / Number(quote.full - quote.least))
}
