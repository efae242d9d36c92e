import { unknownModel } from './compile.ts'
import { type EffectiveRate, findRate, type RateQuery, type RateSnapshot } from './find-rate.ts'
import type { ChargeFlag } from './flags.ts'

export type { EffectiveRate, RateSnapshot } from './find-rate.ts'

const FLAGGED = new WeakMap<object, Map<string, object>>()

/** The row with the flags that every charge at it has. The same object for the same row, so that it is checked once. */
function flagged<Rate extends EffectiveRate>(rate: Rate, flags: readonly ChargeFlag[]): Rate {
  if (flags.length === 0) return rate
  const made = FLAGGED.get(rate) ?? new Map<string, object>()
  FLAGGED.set(rate, made)
  const key = flags.join()
  const known = made.get(key) ?? { ...rate, flags }
  made.set(key, known)
  return known as Rate
}

/**
 * The rate of a model in force at a time, see {@link findRate} for the ways its id may be spelt. A row that was taken
 * under an assumption carries the flag in `flags`, and so does every charge that is calculated with it.
 *
 * @returns null when there is no row at all; a row without a price when there is no other
 * @example selectRate(snapshot, { modelId: 'xai/grok-4.20-reasoning' })?.modelId // 'spacexai/grok-4.20-reasoning'
 */
export function selectRate<Rate extends EffectiveRate>(snapshot: RateSnapshot<Rate>, query: RateQuery): Rate | null {
  const found = findRate(snapshot, query)
  return found === null ? null : flagged(found.rate, found.flags)
}

/**
 * A row that was found before and kept by its id, with the flags it had then: `gateway_price` follows from the model
 * that was asked for and the id of the row.
 *
 * @example frozenRate(rate, { modelId: 'openai:gpt-5', aliases: snapshot.aliases })
 */
export function frozenRate<Rate extends EffectiveRate>(
  rate: Rate,
  { modelId, aliases }: { modelId: string; aliases: RateSnapshot<Rate>['aliases'] },
): Rate {
  return selectRate({ rates: [rate], aliases, asOf: rate.effectiveFrom }, { modelId }) ?? rate
}

/**
 * {@link selectRate} that refuses a model without a price.
 * @throws CreditError `UNKNOWN_MODEL`
 */
export function requireRate<Rate extends EffectiveRate>(snapshot: RateSnapshot<Rate>, query: RateQuery): Rate {
  const rate = selectRate(snapshot, query)
  if (rate === null) throw unknownModel(query.modelId, 'no such model in the rates')
  if (!rate.known) throw unknownModel(query.modelId, 'no price is known')
  return rate
}
