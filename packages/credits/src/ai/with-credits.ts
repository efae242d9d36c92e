import { CreditError } from '../core/errors.ts'
import { agentWithCredits, isAgent } from './agent.ts'
import type { CreditsContext } from './context.ts'
import { meteredOf } from './meter.ts'
import { modelWithCredits } from './model.ts'
import { Operation } from './operation.ts'
import { planOf, prepare, reserve, type WrappedCall } from './prepare.ts'
import { Run } from './run.ts'
import { conclude } from './run-function.ts'
import { enclosing } from './scope.ts'
import { type AnyModel, isModel, kindOf, resolveModel, whyUnseen } from './sdk.ts'

type Options = Readonly<Record<string, unknown>>
type CallFunction = (options: Options, ...rest: unknown[]) => unknown

/** Marks a wrapped function: wrapping it again replaces who pays, it does not charge twice. */
const WRAPPED = Symbol.for('layers.credits.wrapped')

/**
 * Wraps a call function of the AI SDK: credits are reserved before the provider is called, charged step by step,
 * and settled exactly once, whatever happens. The wrapped function takes the same options and gives the same result;
 * one that answered at once, as `streamText` does, now has to be awaited, so that too few credits are an error
 * before anything is streamed. Calls nested in its tools share its reservation. Wrapping a wrapped function again
 * replaces the context.
 *
 * @param fn `generateText`, `streamText`, `generateObject`, `streamObject`, `embed`, `embedMany`, `generateImage`,
 *   `transcribe`, `generateSpeech`, `rerank`, the experimental functions for video, decisions, extractions and for live
 *   speech, transcripts and translations; or a function of your own that takes `{ model }` and returns a promise
 * @throws CreditError `CONFIG_INVALID` for a function that costs money where no wrapper sees it (a batch)
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
): (...args: Arguments) => Promise<Awaited<Result>>
/**
 * Wraps an agent: its `generate` and `stream` are paid for as those functions are.
 * @throws CreditError `CONFIG_INVALID` for an agent whose settings cannot be reached
 * @example const { text } = await withCredits(agent, { credits, userId }).generate({ prompt })
 */
export function withCredits<Agent extends { generate: unknown; stream: unknown }>(
  agent: Agent,
  context: CreditsContext,
): Agent
/**
 * Wraps a model, of any modality: every provider call has a reservation of its own, or a part in that of the wrapped
 * call it is made in. For code that takes a model and cannot be wrapped itself.
 * @example const answer = await somebodyElsesAgent({ model: withCredits(gateway('openai/gpt-5'), { credits, userId }) })
 */
export function withCredits<Model extends AnyModel>(model: Model, context: CreditsContext): Model
export function withCredits(wrapped: unknown, context: CreditsContext): unknown {
  if (typeof wrapped === 'function') return functionWithCredits(wrapped as CallFunction, context)
  if (isModel(wrapped)) return modelWithCredits(wrapped, context)
  if (isAgent(wrapped)) return agentWithCredits(wrapped, context)
  throw new TypeError('withCredits: expected a call function, an agent or a model')
}

function functionWithCredits(fn: CallFunction & { [WRAPPED]?: CallFunction }, context: CreditsContext): CallFunction {
  const bare = fn[WRAPPED] ?? fn
  const unseen = whyUnseen(bare)
  if (unseen !== undefined) {
    throw new CreditError({ code: 'CONFIG_INVALID', message: `withCredits: ${bare.name}: ${unseen}` })
  }
  const kind = kindOf(bare)
  const wrapped: CallFunction = (options, ...rest) => {
    try {
      return runFunction({ kind, context, options: options ?? {} }, (prepared) => bare(prepared, ...rest))
    } catch (error) {
      return Promise.reject(error)
    }
  }
  return Object.assign(wrapped, { [WRAPPED]: bare })
}

/** Runs one call: joins the operation it is nested in, or opens one of its own. */
function runFunction(call: WrappedCall, invoke: (options: Options) => unknown): Promise<unknown> {
  const { kind, context, options } = call
  const model = resolveModel(options.model, kind.modality)
  // Nothing to meter: the SDK reports the mistake. Metered for one call already: an enclosing wrapper pays.
  if (model === undefined || meteredOf(model)?.bound) return Promise.resolve(invoke(options))
  const parent = enclosing(context)
  const operation = parent ?? new Operation(context)
  const run = new Run(operation, planOf(call, parent === undefined))
  return conclude(run, {
    reserve: parent === undefined ? () => reserve(operation, model, call) : undefined,
    invoke: () => invoke(prepare(call, run, model)),
  })
}
