import { CreditError } from '../core/errors.ts'
import type { CreditsContext } from './context.ts'
import { Operation } from './operation.ts'
import { planOf, prepare, reserve } from './prepare.ts'
import { Run } from './run.ts'
import { conclude } from './run-function.ts'
import { enclosing } from './scope.ts'
import { type FunctionKind, resolveModel } from './sdk.ts'
import { traced } from './spans.ts'
import { chained } from './text-options.ts'

type Options = Readonly<Record<string, unknown>>
type Method = (params: Options) => Promise<unknown>

interface AgentLike {
  generate: Method
  stream: Method
  settings?: Options
}

/** True for a `ToolLoopAgent` and everything that looks like one. */
export function isAgent(value: unknown): value is AgentLike {
  if (typeof value !== 'object' || value === null) return false
  const { generate, stream } = value as Partial<AgentLike>
  return typeof generate === 'function' && typeof stream === 'function'
}

/** The agent with `generate` and `stream` wrapped; all else is the agent's own. */
export function agentWithCredits<Agent extends object>(agent: Agent, context: CreditsContext): Agent {
  if (!isAgent(agent) || typeof agent.settings !== 'object') {
    throw new CreditError({
      code: 'CONFIG_INVALID',
      message: 'withCredits: this agent keeps its settings to itself; wrap its model instead',
    })
  }
  const generate: Method = (params) => runAgent(agent, context, 'promise', params)
  const stream: Method = (params) => runAgent(agent, context, 'stream', params)
  return new Proxy(agent as Agent & AgentLike, {
    get(target, key) {
      if (key === 'generate') return generate
      if (key === 'stream') return stream
      const member: unknown = Reflect.get(target, key, target)
      return typeof member === 'function' ? (member as (...args: unknown[]) => unknown).bind(target) : member
    },
  })
}

/**
 * Runs the agent once, with settings of its own for this run: everything an agent sends to the model comes together
 * in `prepareCall`, so that is where the reservation is made and the model metered.
 */
function runAgent(
  agent: AgentLike,
  context: CreditsContext,
  delivery: FunctionKind['delivery'],
  params: Options,
): Promise<unknown> {
  const kind: FunctionKind = { modality: 'language', delivery, loops: true }
  const parent = enclosing(context)
  const operation = parent ?? new Operation(context)
  const owns = parent === undefined
  const run = new Run(operation, planOf({ kind, context, options: {} }, owns))
  const settings = agent.settings ?? {}
  const prepareCall = async (base: Options): Promise<Options> => {
    const options = ((await callOf(settings, base)) ?? base) as Options
    const model = resolveModel(options.model, 'language')
    if (model === undefined) return options
    const call = { kind, context, options }
    run.plan = planOf(call, owns)
    if (owns) {
      await reserve(operation, model, call)
      traced(operation)
    }
    return prepare(call, run, model)
  }
  const ends = owns && delivery === 'stream' ? endings(run, settings) : {}
  const derived = Object.create(agent, {
    settings: { value: { ...settings, ...ends, prepareCall } },
  }) as AgentLike
  return conclude(run, { invoke: () => (delivery === 'stream' ? derived.stream(params) : derived.generate(params)) })
}

async function callOf(settings: Options, base: Options): Promise<unknown> {
  return typeof settings.prepareCall === 'function' ? settings.prepareCall(base) : base
}

/** The agent merges these with the callbacks of the call, where those that `prepareCall` returns would be lost. */
function endings(run: Run, { onEnd, onAbort }: Options): Options {
  const end = () => run.operation.end()
  return { onEnd: chained(end, onEnd), onAbort: chained(end, onAbort) }
}
