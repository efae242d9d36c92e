import { CallSession } from './call-session.ts'
import { type CreditsContext, isSamePayer, rateIdOf } from './context.ts'
import { callParamsOf, estimateCall } from './estimate/index.ts'
import { LoopControl } from './loop-control.ts'
import { callProvider } from './meter/call-provider.ts'
import { meteredModel, payerOf } from './meter/meter.ts'
import type { CallRun } from './meter/provider-call.ts'
import { traceCall, withTelemetry } from './observability.ts'
import { rememberResult } from './receipt.ts'
import { runInScope, sessionInScope } from './scope.ts'
import { type FunctionKind, type FunctionOptions, isStreamResult, resolveModel } from './sdk-functions.ts'
import type { AnyModel, CallEstimate } from './types.ts'

/**
 * One wrapped call of the AI SDK: estimate, reserve, call, charge, settle. Functions, agents and models all come
 * through here.
 */
export class WrappedCall {
  /** The run that the provider calls belong to. */
  readonly run: LoopControl
  /** The app's signal, where the options do not carry it. */
  signal: AbortSignal | undefined
  readonly #context: CreditsContext
  readonly #kind: FunctionKind
  readonly #session: CallSession
  /** False inside a tool: such a call spends from the reservation of the call around it. */
  readonly #outermost: boolean

  constructor(context: CreditsContext, kind: FunctionKind) {
    const outer = sessionInScope(context)
    this.#context = context
    this.#kind = kind
    this.#outermost = outer === undefined
    this.#session = outer ?? new CallSession(context)
    this.run = new LoopControl(this.#session, kind, this.#outermost)
  }

  /**
   * Reserves for a call with these options, and meters its model.
   * @throws CreditError `INSUFFICIENT_CREDITS` and what `credits.reserve` throws
   */
  async prepare(options: FunctionOptions): Promise<FunctionOptions> {
    const session = this.#session
    try {
      const model = resolveModel(options.model, this.#kind.modality)
      // Nothing to meter: the SDK reports the mistake.
      if (model === undefined) return options
      // What a function of the app does with another than a language model is not known beforehand.
      const known = this.#kind.own !== true || 'doStream' in model
      if (this.#outermost && known) await session.reserve(await estimateFirst(session, this.#kind, model, options))
      traceCall(session)
      this.signal ??= options.abortSignal
      const wrap = (other: AnyModel) => meteredFor(other, this.#context, this.run)
      return withTelemetry({ ...this.run.prepare(options, wrap), model: wrap(model) }, session)
    } catch (error) {
      await this.#settle()
      throw error
    }
  }

  /** Makes the call. It is settled when it is over: at once, or when its stream has ended. */
  async make<Arguments extends unknown[]>(fn: (...args: Arguments) => unknown, ...args: Arguments): Promise<unknown> {
    const { delivery, own } = this.#kind
    try {
      const result = await runInScope(this.#session, fn, ...args)
      rememberResult(result, this.#session)
      if (delivery === 'stream' || (own && isStreamResult(result))) this.run.watchStream(this.signal)
      else await this.#settle()
      return result
    } catch (error) {
      await this.#settle()
      throw error
    }
  }

  /** Charges what the provider calls have cost. Releases the reservation if they have cost nothing. */
  async #settle(): Promise<void> {
    if (this.#outermost) await this.#session.settle()
  }
}

/** The model with a meter for one run. */
function meteredFor(model: AnyModel, context: CreditsContext, run: CallRun): AnyModel {
  const payer = payerOf(model)
  // The inner one of two different payers charges.
  if (payer !== undefined && !isSamePayer(payer, context)) return model
  return meteredModel(model, context, callProvider.bind(undefined, run))
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
  const estimate = await estimateCall(params, { modality, delivery, context, model: rate, pricing, available })
  session.expected = { params, estimate }
  return estimate
}
