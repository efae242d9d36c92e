import { CallSession } from './call-session.ts'
import { type CreditsContext, isSamePayer, rateIdOf } from './context.ts'
import { callParamsOf, estimateCall } from './estimate/index.ts'
import { LoopControl } from './loop-control.ts'
import { callProvider, meteredModel, payerOf } from './meter/meter.ts'
import type { CallRun } from './meter/provider-call.ts'
import { observeCall, withTelemetry } from './observability.ts'
import { rememberResult } from './receipt.ts'
import { runInScope, sessionInScope } from './scope.ts'
import { type FunctionKind, type FunctionOptions, isStreamResult, resolveModel } from './sdk-functions.ts'
import type { AnyModel, CallEstimate } from './types.ts'

/** A call of a function, an agent or a model. */
export interface WrappedCall {
  context: CreditsContext
  kind: FunctionKind
  /** Makes the call, by way of what is prepared for it. */
  invoke(run: PreparedCall): unknown
}

/** What a call goes on with. */
export interface PreparedCall {
  /** The run that the provider calls belong to. */
  run: CallRun
  /**
   * Reserves for a call with these options, and meters its model.
   * @throws CreditError `INSUFFICIENT_CREDITS` and what `credits.reserve` throws
   */
  prepare(options: FunctionOptions): Promise<FunctionOptions>
  /** The callbacks of an agent's settings. */
  agentCallbacks(settings: FunctionOptions): FunctionOptions
  /** The app's signal, where the options do not carry it. */
  signal?: AbortSignal | undefined
}

/**
 * Runs one wrapped call of the AI SDK: estimate, reserve, call, charge, settle. Functions, agents and models all come
 * through here.
 *
 * @throws CreditError `INSUFFICIENT_CREDITS` and what `credits.reserve` throws, before the provider is called
 */
export async function runCall({ context, kind, invoke }: WrappedCall): Promise<unknown> {
  const outer = sessionInScope(context)
  // A call inside a tool spends from the reservation of the call around it.
  const session = outer ?? new CallSession(context)
  const control = new LoopControl(session, kind, outer === undefined)
  const prepared: PreparedCall = {
    run: control,
    async prepare(options) {
      const model = resolveModel(options.model, kind.modality)
      // Nothing to meter: the SDK reports the mistake.
      if (model === undefined) return options
      // What a function of the app does with another than a language model is not known beforehand.
      const known = kind.own !== true || 'doStream' in model
      if (outer === undefined && known) await session.reserve(await estimateFirst(session, kind, model, options))
      observeCall(session)
      prepared.signal ??= options.abortSignal
      const wrap = (other: AnyModel) => meteredFor(other, context, control)
      return withTelemetry({ ...control.prepare(options, wrap), model: wrap(model) }, session)
    },
    agentCallbacks: (settings) => control.agentCallbacks(settings),
  }
  try {
    const result = await runInScope(session, () => invoke(prepared))
    rememberResult(result, session)
    if (kind.delivery === 'stream' || (kind.own && isStreamResult(result))) control.watchStream(prepared.signal)
    else if (outer === undefined) await session.settle()
    return result
  } catch (error) {
    // Charges what the provider calls have cost so far. Releases the reservation if they have cost nothing.
    if (outer === undefined) await session.settle()
    throw error
  }
}

/** The model with a meter for one run. */
function meteredFor(model: AnyModel, context: CreditsContext, run: CallRun): AnyModel {
  const payer = payerOf(model)
  // The inner one of two different payers charges.
  if (payer !== undefined && !isSamePayer(payer, context)) return model
  return meteredModel(model, context, (method) => callProvider(method, run))
}

/** The estimate of the first provider call, from the options of the function. */
async function estimateFirst(
  session: CallSession,
  { modality, delivery }: FunctionKind,
  model: AnyModel,
  options: FunctionOptions,
): Promise<CallEstimate> {
  const { context, available } = session
  const rate = rateIdOf(context, model)
  const pricing = await session.findPricing(rate)
  const params = await callParamsOf(modality, options)
  return estimateCall(params, { modality, delivery, context, model: rate, pricing, available })
}
