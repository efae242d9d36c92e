import { CreditError } from '../core/errors.ts'
import { type CreditsContext, isSamePayer } from './context.ts'
import { callProvider, meteredModel, payerOf } from './meter/meter.ts'
import type { CallRun } from './meter/provider-call.ts'
import { type PreparedCall, runCall } from './run-call.ts'
import { localStorageOf } from './scope.ts'
import { type FunctionKind, type FunctionOptions, isModel, kindOf, whyUnseen } from './sdk-functions.ts'
import type { AnyModel } from './types.ts'

type CallFunction = (options: FunctionOptions, ...rest: unknown[]) => unknown

/** Marks a wrapped function: wrapping it again replaces who pays. */
const WRAPPED = Symbol.for('layers.credits.wrapped')

/**
 * Wraps a call function of the AI SDK: credits are reserved before the provider is called, charged step by step and
 * settled exactly once, whatever happens. The wrapped function takes the same options and gives the same result. One
 * that answered at once, as `streamText` does, has to be awaited, so that too few credits are an error before anything
 * is streamed. Calls nested in its tools share its reservation, its feature and its margin. Wrapping a wrapped function
 * again replaces the context.
 *
 * @param fn `generateText`, `streamText`, `generateObject`, `streamObject`, `embed`, `embedMany`, `generateImage`,
 *   `transcribe`, `generateSpeech`, `rerank`, the experimental functions for video, decisions, extractions and for live
 *   speech, transcripts and translations; or a function of your own that takes `{ model }`
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
 * Wraps a model of any modality: every provider call has a reservation of its own, or a part in that of the wrapped
 * call it is made in. For code that takes a model and cannot be wrapped itself.
 * @example const answer = await thirdPartyAgent({ model: withCredits(gateway('openai/gpt-5'), { credits, userId }) })
 */
export function withCredits<Model extends AnyModel>(model: Model, context: CreditsContext): Model
export function withCredits(wrapped: unknown, context: CreditsContext): unknown {
  if (typeof wrapped === 'function') return wrapFunction(wrapped as CallFunction, context)
  if (isModel(wrapped)) return wrapModel(wrapped, context)
  if (isAgent(wrapped)) return wrapAgent(wrapped, context)
  throw new TypeError('withCredits: expected a call function, an agent or a model')
}

function wrapFunction(fn: CallFunction & { [WRAPPED]?: CallFunction }, context: CreditsContext): CallFunction {
  const bare = fn[WRAPPED] ?? fn
  const unseen = whyUnseen(bare)
  if (unseen !== undefined) {
    throw new CreditError({ code: 'CONFIG_INVALID', message: `withCredits: ${bare.name}: ${unseen}` })
  }
  const kind = kindOf(bare)
  const wrapped: CallFunction = async (options, ...rest) => {
    const payer = payerOf(options?.model)
    // The model is metered for another user, who pays.
    if (payer !== undefined && !isSamePayer(payer, context)) return bare(options, ...rest)
    const invoke = async ({ prepare }: PreparedCall) => bare(await prepare(options ?? {}), ...rest)
    return runCall({ context, kind, invoke })
  }
  return Object.assign(wrapped, { [WRAPPED]: bare })
}

function wrapModel<Model extends AnyModel>(model: Model, context: CreditsContext): Model {
  return meteredModel(model, context, (method) => {
    const kind: FunctionKind = { modality: method.modality, delivery: method.delivery, loops: false, unrepeated: true }
    // The meter reserves by itself, from the params that are sent.
    return runCall({ context, kind, invoke: ({ run }) => callProvider(method, run) })
  }) as Model
}

type AgentMethod = (params: FunctionOptions) => Promise<unknown>

interface AgentLike {
  generate: AgentMethod
  stream: AgentMethod
  settings?: FunctionOptions
}

function isAgent(value: unknown): value is AgentLike {
  if (typeof value !== 'object' || value === null) return false
  const { generate, stream } = value as Partial<AgentLike>
  return typeof generate === 'function' && typeof stream === 'function'
}

/** The agent with `generate` and `stream` wrapped. Everything else is the agent's own. */
function wrapAgent(agent: AgentLike, context: CreditsContext): AgentLike {
  if (typeof agent.settings !== 'object') {
    throw new CreditError({
      code: 'CONFIG_INVALID',
      message: 'withCredits: the settings of this agent cannot be reached: wrap its model instead',
    })
  }
  const generate: AgentMethod = (params) => runAgent(agent, context, 'generate', params)
  const stream: AgentMethod = (params) => runAgent(agent, context, 'stream', params)
  return new Proxy(agent, {
    get(target, key) {
      if (key === 'generate') return generate
      if (key === 'stream') return stream
      const member: unknown = Reflect.get(target, key, target)
      return typeof member === 'function' ? (member as (...args: unknown[]) => unknown).bind(target) : member
    },
  })
}

/**
 * Runs the agent once with settings of its own for this run. All that an agent sends to the model comes together in
 * `prepareCall`, so that is where the reservation is made and the model metered.
 */
function runAgent(
  agent: AgentLike,
  context: CreditsContext,
  name: 'generate' | 'stream',
  params: FunctionOptions,
): Promise<unknown> {
  const kind: FunctionKind = { modality: 'language', delivery: name === 'stream' ? 'stream' : 'whole', loops: true }
  const invoke = (prepared: PreparedCall) => {
    const settings = settingsOf(agent)
    prepared.signal = params?.abortSignal
    const prepareCall = async (base: FunctionOptions) => {
      const own = settings.prepareCall
      const options = typeof own === 'function' ? await own(base) : undefined
      return prepared.prepare(options ?? base)
    }
    const runSettings = { ...settings, ...prepared.agentCallbacks(settings), prepareCall }
    return withSettings({ agent, settings: runSettings, run: prepared.run }, (receiver) => receiver[name](params))
  }
  return runCall({ context, kind, invoke })
}

interface ScopedSettings {
  agent: AgentLike
  settings: FunctionOptions
  run: CallRun
}

const settingsInScope = localStorageOf<ScopedSettings>()
/** The agents whose `settings` are an accessor, with their own settings. */
const ownSettings = new WeakMap<AgentLike, FunctionOptions>()

function settingsOf(agent: AgentLike): FunctionOptions {
  return ownSettings.get(agent) ?? agent.settings ?? {}
}

/**
 * Calls an agent so that it finds other settings. The agent itself is the receiver, for the private members of its
 * class: its `settings` become an accessor that answers by the call it is asked in.
 */
function withSettings<Result>(scoped: ScopedSettings, call: (receiver: AgentLike) => Result): Result {
  const { agent, settings } = scoped
  const descriptor = Object.getOwnPropertyDescriptor(agent, 'settings')
  if (settingsInScope === undefined || descriptor?.configurable !== true) {
    return call(Object.create(agent, { settings: { value: settings } }) as AgentLike)
  }
  if (!ownSettings.has(agent)) {
    ownSettings.set(agent, settingsOf(agent))
    Object.defineProperty(agent, 'settings', {
      configurable: true,
      enumerable: descriptor.enumerable ?? true,
      get: () => {
        const inScope = settingsInScope.getStore()
        // Tools run when the first step is answered. What they do with the agent is no part of this run.
        return inScope?.agent === agent && inScope.run.answers === 0 ? inScope.settings : settingsOf(agent)
      },
      set: (value: FunctionOptions) => void ownSettings.set(agent, value),
    })
  }
  return settingsInScope.run(scoped, () => call(agent))
}
