import { isoTime } from '../../core/time.ts'
import type { Allowance, CallSession } from '../call-session.ts'
import { generationIdOf, priceCall } from '../charge/index.ts'
import { rateIdOf, reportError } from '../context.ts'
import { estimateCall, seenOutput } from '../estimate/index.ts'
import { type ProviderCallInScope, runProviderCall } from '../scope.ts'
import type {
  AnyModel,
  CallEstimate,
  CallOutcome,
  CallParams,
  Delivery,
  Modality,
  OutputPart,
  SeenOutput,
} from '../types.ts'
import { asksForReasoning, countsSomething, isReasoningModel, unifiedReason } from './answers.ts'
import { taggedOptions } from './gateway-tag.ts'
import { meteredInput } from './input-stream.ts'

const DEFAULT_DRAIN_SECONDS = 600

/** A method of a model that costs money, about to be called. */
export interface ProviderMethod {
  model: AnyModel
  modality: Modality
  delivery: Delivery
  params: CallParams
  invoke(params: CallParams): PromiseLike<unknown>
}

/** How a provider call ended: the finish reason, or what became of it without one. */
export type CallEnd = string

/** The wrapped call that a provider call is part of. It decides when it is over. */
export interface CallRun {
  readonly session: CallSession
  /** Provider calls of this run that have ended. */
  readonly answers: number
  /** The provider has answered, or its stream has ended. */
  answered(how: CallEnd): void
  /** The provider call was rejected. The SDK may try it again. */
  rejected(error: unknown): void
  /** Whether the answer so far may stand, because only its next step cannot be paid. */
  endsGracefully(error: unknown): boolean
}

/** Params as far as every modality has them. */
interface CommonParams {
  abortSignal?: AbortSignal
  maxOutputTokens?: number
  reasoning?: string
  providerOptions?: unknown
  tools?: readonly { type: string; name: string; id?: string }[]
}

/** One provider call under way: its allowance, what was seen of it, and its one charge. */
export class ProviderCall {
  readonly method: ProviderMethod
  readonly run: CallRun
  readonly seen: SeenOutput
  readonly allowance: Allowance
  /** Stops the provider. The app's own signal is not handed on: whether the provider stops is decided here. */
  readonly #abort = new AbortController()
  readonly #sent: CallParams
  readonly #scope: ProviderCallInScope
  readonly #startedAt = Date.now()
  /** The limit that was sent is lower than what the app asked for. */
  readonly #clamped: boolean
  #generationId: string | undefined

  private constructor(method: ProviderMethod, run: CallRun, allowance: Allowance) {
    const { context } = run.session
    const { tools } = method.params as CommonParams
    const providerTools = tools?.filter(({ type }) => type === 'provider')
    this.method = method
    this.run = run
    this.allowance = allowance
    this.seen = seenOutput(context.countTokens, new Map(providerTools?.map(({ name, id = '' }) => [name, id])))
    this.#scope = { context, chargedInside: false }
    const { sent, clamped } = this.#paramsToSend()
    this.#sent = sent
    this.#clamped = clamped
  }

  /** @throws CreditError when the call cannot be paid or priced. The provider is not called then. */
  static async begin(method: ProviderMethod, run: CallRun): Promise<ProviderCall> {
    const { session } = run
    const estimate = await estimateFor(method, session)
    return new ProviderCall(method, run, await session.allow(estimate, method.delivery === 'stream'))
  }

  /** The app's signal. */
  get signal(): AbortSignal | undefined {
    return (this.method.params as CommonParams).abortSignal
  }

  get estimate(): CallEstimate {
    return this.allowance.estimate
  }

  /** Output tokens that are paid for. */
  get outputLimit(): number {
    return this.estimate.outputTokensFor(this.allowance.amount)
  }

  /** A meter of another user is inside this one and charges the call. */
  get chargedInside(): boolean {
    return this.#scope.chargedInside
  }

  /** Calls the provider. */
  invoke(): Promise<unknown> {
    return runProviderCall(this.#scope, async () => this.method.invoke(this.#sent))
  }

  /** Stops the provider. */
  stop(reason: unknown): void {
    this.#abort.abort(reason)
  }

  /** Counts a part of a stream or of a whole answer. */
  see(part: OutputPart): void {
    this.seen.add(part)
    const { providerMetadata } = part as { providerMetadata?: unknown }
    // The generation id comes with the first part, the cost with the last.
    if (providerMetadata !== undefined) this.#generationId ??= generationIdOf(providerMetadata)
  }

  /** More credits for an output that has outgrown its allowance. @returns false when there are none */
  extend(): Promise<boolean> {
    return this.run.session.extend(this.allowance, this.estimate.extendBy(this.seen))
  }

  /** The provider has answered. Never throws. */
  async complete(result: unknown): Promise<void> {
    const { usage, providerMetadata, response, finishReason } = (result ?? {}) as Record<string, unknown>
    const reason = unifiedReason(finishReason)
    // A provider may close a stream that has failed with a finish, before it has produced anything.
    if (reason === 'error' && this.seen.empty && !countsSomething(usage)) return this.#end(undefined)
    if (this.#clamped && reason === 'length') {
      this.run.session.totals.stop('clamped', this.estimate.extendBy(this.seen).amount, this.allowance.amount)
    }
    await this.#charge({ result, usage, providerMetadata, response, aborted: false })
  }

  /**
   * The call ended without a result. What was produced is charged by estimate. A call that failed before it produced
   * anything costs nothing, one that was aborted has used its input. Never throws.
   */
  async lose(loss: 'aborted' | 'failed'): Promise<void> {
    const { input } = this.estimate
    // Of an input that is still to come, nothing may have arrived.
    const begun = input === undefined || this.seen.inputAmount > 0
    const worked = !this.seen.empty || (loss === 'aborted' && begun)
    if (!worked) return this.#end(undefined)
    const lost = { result: undefined, usage: undefined, providerMetadata: undefined, response: undefined }
    await this.#charge({ ...lost, aborted: loss === 'aborted' })
  }

  /** Whether the provider may finish though its caller has left. */
  get mayFinish(): boolean {
    const { policy = 'auto' } = this.run.session.context.abandoned ?? {}
    return policy === 'drain' || (policy === 'auto' && this.#unseenMayBeLarge)
  }

  /**
   * Lets the provider finish in the background, within a time.
   * @param work must not reject
   * @param onGiveUp called when the time is up
   */
  finishInBackground(work: Promise<void>, onGiveUp: () => void = () => undefined): void {
    const { context } = this.run.session
    const seconds = context.abandoned?.drainSeconds ?? DEFAULT_DRAIN_SECONDS
    const timeUp = Promise.withResolvers<void>()
    const timer = setTimeout(() => {
      onGiveUp()
      this.#giveUp().then(timeUp.resolve)
    }, seconds * 1000)
    const finished = work.finally(() => clearTimeout(timer))
    context.waitUntil?.(Promise.race([finished, timeUp.promise]))
  }

  async #giveUp(): Promise<void> {
    this.stop(new DOMException('the provider took too long', 'TimeoutError'))
    await this.lose('aborted')
    this.run.answered('cancelled')
  }

  /** Whole answers, reasoning and files can cost far more than what has been seen of them. */
  get #unseenMayBeLarge(): boolean {
    const { delivery, modality, params, model } = this.method
    if (delivery === 'whole') return true
    if (modality !== 'language') return false
    const { reasoning, providerOptions } = params as CommonParams
    if (this.seen.reasoning || this.seen.files > 0) return true
    if (reasoning === 'none') return false
    if (reasoning !== undefined && reasoning !== 'provider-default') return true
    return asksForReasoning(providerOptions) || isReasoningModel(model.modelId)
  }

  /**
   * The params as the provider gets them: limited to what can be paid, tagged for the gateway's report, with a counter
   * in an input still to come.
   */
  #paramsToSend(): { sent: CallParams; clamped: boolean } {
    const { delivery, params } = this.method
    const { allowance, estimate } = this
    const { session } = this.run
    // A stream can be cut off when the credits run out, a whole answer cannot.
    const payable = delivery === 'stream' ? session.spendable(allowance) : allowance.amount
    const limit = estimate.maxOutputTokensFor(payable)
    const sent: Record<string, unknown> = { ...params }
    const options = taggedOptions(this.method.model, sent.providerOptions, allowance.reservation.id)
    if (options !== undefined) sent.providerOptions = options
    if (this.signal !== undefined) sent.abortSignal = this.#abort.signal
    if (limit !== undefined) sent.maxOutputTokens = limit
    const { input } = estimate
    if (input !== undefined) {
      sent[input.option] = meteredInput(sent[input.option] as ReadableStream<unknown>, {
        input,
        seen: this.seen,
        covered: input.amountFor(allowance.amount),
        extendTo: (amount) => this.#extendInput(amount),
      })
    }
    const asked = (params as CommonParams).maxOutputTokens
    const clamped = limit !== undefined && limit !== asked && limit < (estimate.outputLimit ?? Number.POSITIVE_INFINITY)
    return { sent: sent as unknown as CallParams, clamped }
  }

  /** Reserves for an input that has outgrown the allowance. @returns how much of it is paid for. Never throws. */
  async #extendInput(amount: number): Promise<number | undefined> {
    const { allowance } = this
    const { session } = this.run
    try {
      const grown = this.estimate.input?.grownTo(amount)
      if (grown === undefined || !(await session.extend(allowance, grown))) return undefined
      return grown.input?.amountFor(allowance.amount)
    } catch (error) {
      const { id: reservationId } = allowance.reservation
      reportError(session.context, error, { operation: 'extend', reservationId })
      return undefined
    }
  }

  async #charge(outcome: Omit<CallOutcome, 'seen' | 'generationId'>): Promise<void> {
    const { allowance, estimate, seen } = this
    if (allowance.over) return
    if (this.chargedInside) return this.#end(undefined)
    const { context } = this.run.session
    const { id: reservationId } = allowance.reservation
    try {
      const call = {
        modality: this.method.modality,
        delivery: this.method.delivery,
        context,
        model: estimate.model,
        params: this.method.params,
        estimate,
        attempt: allowance.attempt,
        startedAt: isoTime(this.#startedAt),
      }
      const all = { ...outcome, seen, generationId: this.#generationId }
      this.run.session.record(allowance, await priceCall(call, all))
    } catch (error) {
      reportError(context, error, { operation: 'price', reservationId })
      this.#end(undefined)
    }
  }

  #end(charge: undefined): void {
    this.run.session.record(this.allowance, charge)
  }
}

async function estimateFor(method: ProviderMethod, session: CallSession): Promise<CallEstimate> {
  const { context, available } = session
  const { modality, delivery, params } = method
  const model = rateIdOf(context, method.model)
  const pricing = await session.findPricing(model)
  return estimateCall(params, { modality, delivery, context, model, pricing, available })
}
