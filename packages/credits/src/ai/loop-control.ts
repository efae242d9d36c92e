import { CreditError } from '../core/errors.ts'
import type { CallSession } from './call-session.ts'
import { rateIdOf } from './context.ts'
import { callParamsOf, estimateCall } from './estimate/index.ts'
import { IdleWatch } from './idle-watch.ts'
import { isRetryable } from './meter/answers.ts'
import type { CallEnd, CallRun } from './meter/provider-call.ts'
import { type FunctionKind, type FunctionOptions, hasTools, resolveModel } from './sdk-functions.ts'
import type { AnyModel, CallParams } from './types.ts'

type Callback = (event: unknown) => unknown
type Wrap = (model: AnyModel) => AnyModel

/** Ends of a stream that is no answer. */
const BROKEN: ReadonlySet<CallEnd> = new Set(['error', 'cancelled', 'ended', 'broken'])
const DEFAULT_RETRIES = 2

/**
 * Decides when a call is over, and steers the loop of its steps: models that `prepareStep` swaps in are metered, the
 * loop stops when its next step cannot be paid, and the end of a stream is noticed.
 */
export class LoopControl implements CallRun {
  readonly session: CallSession
  answers = 0
  readonly #kind: FunctionKind
  /** False for a call that is nested in another: the outer one decides when it is over. */
  readonly #owns: boolean
  #streams: boolean
  /** Without tools, the call is over when its provider call is. */
  #single = true
  /** A stream that fails may be tried again. */
  #retriesStreams = false
  #maxRetries = DEFAULT_RETRIES
  #failures = 0
  readonly #watch: IdleWatch

  constructor(session: CallSession, kind: FunctionKind, owns: boolean) {
    this.session = session
    this.#kind = kind
    this.#owns = owns
    this.#streams = kind.delivery === 'stream'
    this.#watch = new IdleWatch(session.context.abandoned?.idleSeconds, {
      get activity() {
        return session.activity
      },
      get busy() {
        return session.busy && !session.overdue
      },
      onIdle: () => void session.settle(),
      onLook: () => void session.keepAlive(),
    })
  }

  /** The options to go on with. What the app passed is called as before, under its old or its new name. */
  prepare(options: FunctionOptions, wrap: Wrap): FunctionOptions {
    const { maxRetries, streamRetries } = options
    this.#single = !this.#kind.loops || !hasTools(options)
    this.#retriesStreams = streamRetries !== undefined
    this.#maxRetries = typeof maxRetries === 'number' ? maxRetries : DEFAULT_RETRIES
    if (this.#kind.unrepeated) this.#maxRetries = 0
    return { ...options, ...this.#steps(options, wrap), ...this.#callbacks(options) }
  }

  /** Callbacks of an agent: those of its settings that `prepareCall` cannot set. */
  agentCallbacks(settings: FunctionOptions): FunctionOptions {
    if (!this.#owns || !this.#streams) return {}
    return { ...this.#toolCallbacks(settings), ...this.#endCallbacks(settings) }
  }

  /** The result of the call is a stream: watch for its end. */
  watchStream(signal: AbortSignal | undefined): void {
    if (!this.#owns) return
    this.#streams = true
    const onAbort = () => this.#endIfIdle()
    signal?.addEventListener('abort', onAbort)
    this.session.totals.onOver(() => {
      this.#watch.stop()
      signal?.removeEventListener('abort', onAbort)
    })
    if (!this.session.over) this.#watch.start()
  }

  answered(how: CallEnd): void {
    this.answers++
    this.#failures = 0
    if (this.#owns && this.#streams && this.#endsWith(how)) void this.session.settle()
  }

  rejected(error: unknown): void {
    if (!this.#owns || !this.#streams || !this.#single) return
    if (!isRetryable(error) || ++this.#failures > this.#maxRetries) void this.session.settle()
  }

  endsGracefully(error: unknown): boolean {
    if (this.answers === 0 || !CreditError.isInstance(error) || error.code !== 'INSUFFICIENT_CREDITS') return false
    const { required, available } = error.details
    this.session.totals.stop('budget', String(required), String(available))
    return true
  }

  #endsWith(how: CallEnd): boolean {
    // No callback tells the end of an app's own function.
    if (this.#kind.own) return how !== 'tool-calls'
    return BROKEN.has(how) ? !this.#retriesStreams && (this.#single || how === 'cancelled') : this.#single
  }

  #endIfIdle(): void {
    if (!this.session.busy) void this.session.settle()
  }

  #steps(options: FunctionOptions, wrap: Wrap): FunctionOptions {
    const { prepareStep, stopWhen } = options
    const steered: Record<string, unknown> = {}
    if (typeof prepareStep === 'function') steered.prepareStep = metersSteps(prepareStep as Callback, wrap)
    if (this.#kind.loops && stopWhen !== undefined && hasTools(options)) steered.stopWhen = this.#stopsInTime(options)
    return steered
  }

  /** The app's own conditions and, when none of them is met, whether the next step can be paid. */
  #stopsInTime(options: FunctionOptions): StopCondition {
    const conditions = [options.stopWhen].flat() as StopCondition[]
    return async (event) => {
      const met = await Promise.all(conditions.map((condition) => condition(event)))
      if (met.some(Boolean)) return true
      return !(await this.#canAdvance(event.steps, options))
    }
  }

  async #canAdvance(steps: Step[], options: FunctionOptions): Promise<boolean> {
    const { context, available } = this.session
    const model = resolveModel(options.model, 'language')
    if (model === undefined) return true
    const params = (await callParamsOf('language', options)) as { prompt: unknown[] }
    // Every step sends again what the steps before it added.
    const added = steps.flatMap(({ response }) => response?.messages ?? [])
    const next = { ...params, prompt: [...params.prompt, ...added] } as unknown as CallParams
    const rate = rateIdOf(context, model)
    const pricing = await this.session.findPricing(rate)
    const delivery = this.#streams ? 'stream' : 'whole'
    const input = { modality: 'language', delivery, context, model: rate, pricing, available } as const
    return this.session.advance(await estimateCall(next, input))
  }

  /** Callbacks that tell the end of a stream, and which tools are running. */
  #callbacks(options: FunctionOptions): FunctionOptions {
    const { loops, modality, lean } = this.#kind
    if (!this.#owns || !this.#streams || this.#kind.own || modality !== 'language' || this.#kind.unrepeated) return {}
    const onError = this.#onError(options)
    if (!loops) return onError
    const single = this.#single && !this.#retriesStreams
    const onStepError = chained(() => void this.session.settle(), options.onStepError)
    // The low-memory variant keeps all content once it is given one of the others. A single call ends without them.
    if (lean && single) return { ...onError, onStepError }
    const { onAbort, onEnd } = this.#endCallbacks(options)
    const ends = single ? { onAbort } : { onAbort, onEnd }
    return { ...onError, ...ends, onStepError, ...this.#toolCallbacks(options) }
  }

  #endCallbacks(options: FunctionOptions): { onEnd: Callback; onAbort: Callback } {
    const end = () => void this.session.settle()
    return { onEnd: chained(end, options.onEnd ?? options.onFinish), onAbort: chained(end, options.onAbort) }
  }

  /** An error before any provider call: invalid messages, a failed download, a `prepareStep` that throws. */
  #onError(options: FunctionOptions): FunctionOptions {
    const { onError } = options
    // A handler makes the SDK ask it for retries, which an app without one has not asked for.
    if (onError === undefined && options.streamRetries !== undefined) return {}
    const end = () => {
      if (!this.#kind.loops || this.session.providerCalls === 0) this.#endIfIdle()
    }
    return { onError: chained(end, onError ?? logStreamError) }
  }

  /** A running tool may take longer than an idle stream is waited for. */
  #toolCallbacks(options: FunctionOptions): FunctionOptions {
    if (this.#kind.loops && !hasTools(options)) return {}
    const { session } = this
    const started = () => {
      session.toolsRunning++
      session.activity++
    }
    const ended = () => {
      session.toolsRunning--
      session.activity++
    }
    return {
      onToolExecutionStart: chained(started, options.onToolExecutionStart ?? options.experimental_onToolCallStart),
      onToolExecutionEnd: chained(ended, options.onToolExecutionEnd ?? options.experimental_onToolCallFinish),
    }
  }
}

interface Step {
  response?: { messages?: unknown[] }
}
type StopCondition = (event: { steps: Step[] }) => unknown

function metersSteps(prepareStep: Callback, wrap: Wrap): Callback {
  return async (event) => {
    const settings = (await prepareStep(event)) as { model?: unknown } | undefined
    const model = settings?.model === undefined ? undefined : resolveModel(settings.model, 'language')
    return model === undefined ? settings : { ...settings, model: wrap(model) }
  }
}

/** Calls the first without waiting for it, then the app's own callback. */
function chained(first: () => void, second: unknown): Callback {
  return (event) => {
    first()
    return typeof second === 'function' ? (second as Callback)(event) : undefined
  }
}

/** What the SDK does with errors of a stream when the app has no `onError`. */
function logStreamError(event: unknown): void {
  // biome-ignore lint/suspicious/noConsole: the SDK's own default, which this callback replaces
  console.error((event as { error: unknown }).error)
}
