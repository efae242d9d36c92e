import type { CreditsContext } from './context.ts'
import { meter } from './meter.ts'
import { Operation } from './operation.ts'
import { Run } from './run.ts'
import { enclosing } from './scope.ts'
import type { AnyModel } from './sdk.ts'

/**
 * A model that pays for itself: each provider call has a reservation of its own, or a part in that of the wrapped
 * call it is made in. For models that are handed to code which cannot be wrapped.
 */
export function modelWithCredits<Model extends AnyModel>(model: Model, context: CreditsContext): Model {
  return meter(model, () => runFor(context), false) as Model
}

function runFor(context: CreditsContext): Run {
  const parent = enclosing(context)
  const plan = { single: true, retriesStreams: false, maxRetries: 0 }
  if (parent !== undefined) return new Run(parent, { ...plan, owns: false, streams: false })
  return new Run(new Operation(context), { ...plan, owns: true, streams: true })
}
