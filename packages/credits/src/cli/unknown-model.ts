import { CreditError } from '../core/errors.ts'
import type { Credits } from '../credits/types.ts'
import type { PricingSnapshot } from '../store/types.ts'
import { nearest } from './flags.ts'

/** The error about a model without a rate, with the models that it may have been meant to be. */
export function unknownModel(model: string, snapshot: Pick<PricingSnapshot, 'rates' | 'aliases'>): CreditError {
  const known = [...new Set(snapshot.rates.map(({ modelId }) => modelId)), ...Object.keys(snapshot.aliases)]
  const name = model.split('/').at(-1) ?? model
  // `claude-sonnet-4-5` of a provider is `anthropic/claude-sonnet-4.5` of the gateway.
  const plain = (id: string) => id.replace(/[.-]/g, '-').replace(/-\d{8}$/, '')
  const sameName = known.filter((id) => plain(id.split('/').at(-1) ?? id) === plain(name))
  const guesses = [...new Set([...sameName, ...nearest(model, known)])].slice(0, 3)
  const hint = guesses.length === 0 ? 'Add its price with `credits rates set`' : `Did you mean ${guesses.join(', ')}?`
  return new CreditError({
    code: 'UNKNOWN_MODEL',
    message: `There is no rate of ${model}. ${hint}`,
    details: { model },
  })
}

/** The result of `work`, or its error about an unknown model with suggestions. */
export async function suggesting<Result>(credits: Credits, model: string, work: Promise<Result>): Promise<Result> {
  try {
    return await work
  } catch (error) {
    if (!CreditError.isInstance(error) || error.code !== 'UNKNOWN_MODEL') throw error
    throw unknownModel(model, (await credits.pricing()).snapshot)
  }
}
