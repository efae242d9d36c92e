import { boundInputTokens } from '../core/pricing/input-bound.ts'
import { type Soon, soon } from '../core/soon.ts'
import { rateIdOf } from './context.ts'
import { demandOf } from './demand.ts'
import { callParamsOf } from './options.ts'
import { quoteFor } from './quote.ts'
import type { Run } from './run.ts'
import { type AnyModel, type FunctionKind, resolveModel } from './sdk.ts'

type Options = Readonly<Record<string, unknown>>
type Callback = (event: unknown) => unknown

/** What {@link steer} works with. */
export interface Steering {
  run: Run
  kind: Pick<FunctionKind, 'delivery' | 'loops' | 'lean'>
  wrap: (model: AnyModel) => AnyModel
}

/** Whether the options let a model call tools: only then can there be a second step. */
export function hasTools({ tools }: Options): boolean {
  return typeof tools === 'object' && tools !== null && Object.keys(tools).length > 0
}

/**
 * Adds to the options of a text function what credits need in between: models that `prepareStep` swaps in are metered,
 * the loop stops when the next step cannot be paid, and the end of a stream is noticed. What the app passed is called
 * as before, under its old or its new name.
 */
export function steer(options: Record<string, unknown>, steering: Steering): void {
  const { run, kind, wrap } = steering
  const { prepareStep, stopWhen } = options
  if (typeof prepareStep === 'function') options.prepareStep = metersSteps(prepareStep as Callback, wrap)
  if (kind.loops && stopWhen !== undefined && hasTools(options)) options.stopWhen = stopsInTime(options, run)
  if (kind.loops && kind.delivery === 'stream' && run.plan.owns) Object.assign(options, endings(options, steering))
}

function metersSteps(prepareStep: Callback, wrap: Steering['wrap']): Callback {
  return async (event) => {
    const settings = (await prepareStep(event)) as { model?: unknown } | undefined
    const model = settings?.model === undefined ? undefined : resolveModel(settings.model, 'language')
    return model === undefined ? settings : { ...settings, model: wrap(model) }
  }
}

interface Step {
  response?: { messages?: unknown }
}
type StopCondition = (event: { steps: Step[] }) => unknown

/** The app's own conditions, and if none of them is met, whether the next step can be paid. */
function stopsInTime(options: Options, run: Run): StopCondition {
  const conditions = [options.stopWhen].flat() as StopCondition[]
  const base = stepBound(options, run)
  return async (event) => {
    const met = await Promise.all(conditions.map((condition) => condition(event)))
    if (met.some(Boolean)) return true
    return !(await canAdvance(event.steps, await base(), options, run))
  }
}

/** The bound of the first step's input, computed when it is first needed. */
function stepBound(options: Options, run: Run): () => Soon<number> {
  let bound: Soon<number> | undefined
  const { context } = run.operation
  return () => {
    bound ??= soon(callParamsOf('language', options), (params) => demandOf(context, 'language', '', params).inputTokens)
    return bound
  }
}

async function canAdvance(steps: Step[], base: number, options: Options, run: Run): Promise<boolean> {
  const { operation } = run
  const { context } = operation
  const model = resolveModel(options.model, 'language')
  if (model === undefined) return true
  const rate = rateIdOf(context, model)
  // Every step sends again what the steps before it added.
  const added = steps.map(({ response }) =>
    boundInputTokens({ prompt: response?.messages ?? [] }, { ...context.inputBound, countText: context.countTokens }),
  )
  const demand = demandOf(context, 'language', rate, { ...options, prompt: [], tools: undefined })
  const inputTokens = added.reduce((sum, tokens) => sum + tokens, base)
  return operation.advance(await quoteFor(operation, rate, { ...demand, inputTokens }))
}

/** Callbacks that tell the end of a stream. Chained before the app's: a failing one must not hide the end. */
function endings(options: Options, { run, kind }: Steering): Options {
  const end = () => run.operation.end()
  const single = run.plan.single && !run.plan.retriesStreams
  const added: Record<string, Callback> = { onStepError: chained(end, options.onStepError) }
  // The low-memory variant keeps all content once it has one of these; a single call is over without them.
  if (kind.lean && single) return added
  added.onAbort = chained(end, options.onAbort)
  if (!single) added.onEnd = chained(end, options.onEnd ?? options.onFinish)
  return added
}

/** Calls the first, whatever the second does. */
export function chained(first: () => Soon<void>, second: unknown): Callback {
  return async (event) => {
    await first()
    if (typeof second === 'function') await (second as Callback)(event)
  }
}
