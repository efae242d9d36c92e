import { toMicros } from '../time.ts'
import { unknownModel } from './compile.ts'
import { inForce } from './in-force.ts'

/** The parts of a rate row that choosing one reads. */
export interface EffectiveRate {
  readonly modelId: string
  readonly known: boolean
  readonly effectiveFrom: string
}

const keyOf = (rate: EffectiveRate): string => rate.modelId

const MAX_ALIAS_STEPS = 5

/**
 * The rate of a model in force at a time: its own row if that has a price, else the row of the id that it was
 * renamed to, else its own row without a price.
 *
 * @returns null when there is no row at all
 * @example selectRate(snapshot, { modelId: 'xai/grok-4.20-reasoning' })?.modelId // 'spacexai/grok-4.20-reasoning'
 */
export function selectRate<Rate extends EffectiveRate>(
  snapshot: {
    readonly rates: readonly Rate[]
    readonly aliases: Readonly<Record<string, string>>
    readonly asOf: string
  },
  query: { modelId: string; at?: string | undefined },
): Rate | null {
  const at = toMicros(query.at ?? snapshot.asOf)
  let unpriced: Rate | null = null
  let id: string | undefined = query.modelId
  // Bounded: two aliases that name each other must not hang a call.
  for (let step = 0; id !== undefined && step <= MAX_ALIAS_STEPS; step++) {
    const rate: Rate | null = inForce(snapshot.rates, keyOf, id, at)
    if (rate?.known) return rate
    unpriced ??= rate
    id = Object.hasOwn(snapshot.aliases, id) ? snapshot.aliases[id] : undefined
  }
  return unpriced
}

/**
 * {@link selectRate} that refuses a model without a price.
 * @throws CreditError `UNKNOWN_MODEL`
 */
export function requireRate<Rate extends EffectiveRate>(
  snapshot: {
    readonly rates: readonly Rate[]
    readonly aliases: Readonly<Record<string, string>>
    readonly asOf: string
  },
  query: { modelId: string; at?: string | undefined },
): Rate {
  const rate = selectRate(snapshot, query)
  if (rate === null) throw unknownModel(query.modelId, 'no such model in the rates')
  if (!rate.known) throw unknownModel(query.modelId, 'no price is known')
  return rate
}
