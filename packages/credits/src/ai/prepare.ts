import { type Soon, soon } from '../core/soon.ts'
import { type CreditsContext, rateIdOf } from './context.ts'
import { demandOf } from './demand.ts'
import { meter } from './meter.ts'
import type { Operation } from './operation.ts'
import { callParamsOf } from './options.ts'
import { quoteFor } from './quote.ts'
import type { Run, RunPlan } from './run.ts'
import type { AnyModel, FunctionKind } from './sdk.ts'
import { observe } from './telemetry.ts'
import { hasTools, steer } from './text-options.ts'

type Options = Readonly<Record<string, unknown>>

/** One call of a function or agent: what it is, who pays, what it was given. */
export interface WrappedCall {
  kind: FunctionKind
  context: CreditsContext
  options: Options
}

/** What can be told of a call's course from its options. */
export function planOf({ kind, options }: WrappedCall, owns: boolean): RunPlan {
  const { maxRetries, streamRetries } = options
  return {
    owns,
    streams: kind.delivery === 'stream',
    single: !kind.loops || !hasTools(options),
    retriesStreams: streamRetries !== undefined,
    maxRetries: kind.unrepeated ? 0 : typeof maxRetries === 'number' ? maxRetries : 2,
  }
}

/** Holds for the first provider call. @throws CreditError as `credits.reserve` does, at once or later */
export function reserve(operation: Operation, model: AnyModel, call: WrappedCall): Soon<unknown> {
  const { kind, context, options } = call
  const rate = rateIdOf(context, model)
  const demand = soon(callParamsOf(kind.modality, options), (params) => demandOf(context, kind.modality, rate, params))
  return soon(
    soon(demand, (known) => quoteFor(operation, rate, known)),
    (quote) => operation.open(quote),
  )
}

/** The options to go on with: the model metered, the loop steered, the telemetry told. */
export function prepare({ kind, options }: WrappedCall, run: Run, model: AnyModel): Options {
  const wrap = (inner: AnyModel) => meter(inner, () => run, true)
  const prepared: Record<string, unknown> = { ...options, model: wrap(model) }
  if (kind.modality === 'language') steer(prepared, { run, kind, wrap })
  observe(prepared, run.operation)
  return prepared
}
