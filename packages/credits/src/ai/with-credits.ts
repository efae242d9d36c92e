import type { CreditsContext } from './context.ts'
import { rateIdOf } from './context.ts'
import { demandOf } from './demand.ts'
import { meter, meteredOf } from './meter.ts'
import { Operation } from './operation.ts'
import { callParamsOf } from './options.ts'
import { quoteFor } from './quote.ts'
import { remember } from './receipt.ts'
import { Run } from './run.ts'
import { enclosing, inside } from './scope.ts'
import { type AnyModel, type FunctionKind, kindOf, resolveModel } from './sdk.ts'
import { traced } from './spans.ts'
import { observed } from './telemetry.ts'
import { hasTools, steered } from './text-options.ts'

type Options = Readonly<Record<string, unknown>>
type CallFunction = (options: Options, ...rest: unknown[]) => unknown

/** Marks a wrapped function: wrapping it again replaces who pays, it does not charge twice. */
const WRAPPED = Symbol.for('layers.credits.wrapped')

/**
 * Wraps a call function of the AI SDK: credits are reserved before the provider is called, charged step by step,
 * and settled exactly once, whatever happens. The wrapped function takes the same options and gives the same result;
 * a function that answered at once, `streamText`, now has to be awaited, so that too few credits are an error before
 * anything is streamed.
 *
 * Calls nested in its tools share its reservation. Wrapping a wrapped function again replaces the context.
 *
 * @param fn `generateText`, `streamText`, `generateObject`, `streamObject`, `embed`, `embedMany`, `generateImage`,
 *   `transcribe`, `generateSpeech`, `rerank`, the experimental video, decision and extraction functions; or a function
 *   of your own that takes `{ model }` and returns a promise. For agents see `withCreditsAgent`.
 * @throws CreditError from the wrapped function: `INSUFFICIENT_CREDITS` (402), `UNKNOWN_MODEL`, `ACCOUNT_NOT_FOUND`,
 *   `ACCOUNT_FROZEN`, `STORE_UNAVAILABLE` and others of `reserve`, all before the provider is called;
 *   `PROVIDER_UNAVAILABLE` when the provider asks the operator for payment
 * @example
 * ```ts
 * const { text } = await withCredits(generateText, { credits, userId, feature: 'summary' })({ model, prompt })
 * const result = await withCredits(streamText, { credits, userId, feature: 'chat' })({ model, messages })
 * ```
 */
export function withCredits<Arguments extends unknown[], Result>(
  fn: (...args: Arguments) => Result,
  context: CreditsContext,
): (...args: Arguments) => Promise<Awaited<Result>> {
  const bare = ((fn as { [WRAPPED]?: typeof fn })[WRAPPED] ?? fn) as typeof fn
  const kind = kindOf(bare)
  const wrapped = async (...args: Arguments): Promise<Awaited<Result>> => {
    const [options, ...rest] = args
    const call: WrappedCall = { kind, context, options: (options ?? {}) as Options }
    return (await metered(call, (prepared) => (bare as unknown as CallFunction)(prepared, ...rest))) as Awaited<Result>
  }
  return Object.assign(wrapped, { [WRAPPED]: bare })
}

interface WrappedCall {
  kind: FunctionKind
  context: CreditsContext
  options: Options
}

/** Runs one call: joins the operation it is nested in, or opens one of its own. */
async function metered(call: WrappedCall, invoke: (options: Options) => unknown): Promise<unknown> {
  const { kind, context, options } = call
  const model = resolveModel(options.model, kind.modality)
  // Nothing to meter: the SDK reports the mistake. Metered for one call already: an enclosing wrapper pays.
  if (model === undefined || meteredOf(model)?.bound) return invoke(options)
  const parent = enclosing(context)
  const operation = parent ?? new Operation(context)
  const run = runFor(operation, parent === undefined, call)
  if (parent === undefined) {
    await reserve(operation, model, call)
    traced(operation)
  }
  const prepared = prepare(call, run, model)
  return kind.delivery === 'stream' ? streaming(run, () => invoke(prepared)) : answering(run, () => invoke(prepared))
}

function runFor(operation: Operation, owns: boolean, { kind, options }: WrappedCall): Run {
  const { maxRetries, streamRetries } = options
  return new Run(operation, {
    owns,
    streams: kind.delivery === 'stream',
    single: !kind.loops || !hasTools(options),
    retriesStreams: streamRetries !== undefined,
    maxRetries: typeof maxRetries === 'number' ? maxRetries : 2,
  })
}

async function reserve(operation: Operation, model: AnyModel, { kind, context, options }: WrappedCall): Promise<void> {
  const rate = rateIdOf(context, model)
  const params = await callParamsOf(kind.modality, options)
  await operation.open(await quoteFor(context, rate, demandOf(context, kind.modality, rate, params)))
}

function prepare(call: WrappedCall, run: Run, model: AnyModel): Options {
  const { kind, options } = call
  const wrap = (inner: AnyModel) => meter(inner, () => run, true)
  const prepared = { ...options, model: wrap(model) }
  const steeredOptions = kind.modality === 'language' ? steered(prepared, { run, kind, wrap }) : prepared
  return observed(steeredOptions, run.operation)
}

/** A function that answers with a promise is over with it, but for provider calls that outlive a rejection. */
async function answering(run: Run, invoke: () => unknown): Promise<unknown> {
  const { operation } = run
  try {
    const result = await inside(operation, invoke)
    remember(result, operation)
    return result
  } finally {
    if (run.plan.owns) await operation.end()
  }
}

/** A stream is over when its run says so; one that nobody reads, when it has been idle. */
async function streaming(run: Run, invoke: () => unknown): Promise<unknown> {
  const { operation } = run
  if (run.plan.owns) operation.idle.watch()
  try {
    const result = await inside(operation, invoke)
    remember(result, operation)
    if (run.plan.owns) operation.idle.start()
    return result
  } catch (error) {
    if (run.plan.owns) await operation.end()
    throw error
  }
}
