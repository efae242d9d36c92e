import { ProviderCall } from './call.ts'
import type { CallParams } from './demand.ts'
import { isAbort, providerError } from './errors.ts'
import { seenByMeter } from './leak-alarm.ts'
import { meteredStream } from './meter-stream.ts'
import { unpaidResult, unpaidStream } from './parts.ts'
import type { Run } from './run.ts'
import { type AnyModel, isModel, type Modality } from './sdk.ts'
import { reportedUsage } from './usage.ts'

/** Marks a metered model, across copies of this package, so that wrapping twice charges once. */
const METERED = Symbol.for('layers.credits.metered')

/** The run that a provider call of a metered model belongs to. */
export type RunOf = (params: CallParams) => Run

type Method = (params: CallParams) => PromiseLike<unknown>

interface Metered {
  target: AnyModel
  bound: boolean
}

/** What is behind a metered model; undefined for one that is not metered. */
export function meteredOf(model: unknown): Metered | undefined {
  return isModel(model) ? (model as AnyModel & { [METERED]?: Metered })[METERED] : undefined
}

/**
 * The model with a meter around every method that costs money. One Proxy for all modalities and specification
 * versions: the class, its other members and what the SDK reads off them stay as they are.
 *
 * @param bound for one call only, so that a wrapper around it leaves this model alone
 */
export function meter(model: AnyModel, runOf: RunOf, bound: boolean): AnyModel {
  const inner = meteredOf(model)
  if (inner?.bound) return model
  const target = inner?.target ?? model
  return new Proxy(target, new Meter(target, runOf, bound))
}

/** What is between a metered model and those who use it. */
class Meter implements ProxyHandler<AnyModel>, Metered {
  readonly target: AnyModel
  readonly bound: boolean
  readonly runOf: RunOf
  /** Methods that were asked for: the same one each time. */
  #methods: Map<PropertyKey, unknown> | undefined

  constructor(target: AnyModel, runOf: RunOf, bound: boolean) {
    this.target = target
    this.bound = bound
    this.runOf = runOf
  }

  get(target: AnyModel, key: PropertyKey): unknown {
    if (key === METERED) return this
    // The receiver is the model itself: its getters and private members know nothing of the Proxy.
    const member: unknown = Reflect.get(target, key, target)
    return typeof member === 'function' ? this.#methodOf(target, key, member as Method) : member
  }

  #methodOf(target: AnyModel, key: PropertyKey, member: Method): unknown {
    const known = this.#methods?.get(key)
    if (known !== undefined) return known
    const made = COSTLY.has(key) ? meteredMethod(target, key as string, member, this) : member.bind(target)
    this.#methods ??= new Map()
    this.#methods.set(key, made)
    return made
  }
}

const COSTLY = new Set<PropertyKey>([
  'doGenerate',
  'doGenerateFromUrl',
  'doStream',
  'doEmbed',
  'doRerank',
  'doDecide',
  'doEvaluate',
  'doExtract',
  'doStart',
])

function meteredMethod(target: AnyModel, name: string, method: Method, { runOf, bound }: Meter): Method {
  const streams = name === 'doStream'
  return async (params) => {
    seenByMeter()
    // A provider would refuse it unsent; asking it all the same could only cost money.
    const signal = params.abortSignal as AbortSignal | undefined
    if (signal?.aborted) {
      if (bound) await runOf(params).rejected(signal.reason)
      throw signal.reason
    }
    const run = runOf(params)
    const modality = modalityOf(target, name, params)
    let call: ProviderCall
    try {
      const begun = ProviderCall.begin(run, target, modality, params)
      call = begun instanceof Promise ? await begun : begun
    } catch (error) {
      // A later step of a loop that cannot be paid: the loop has to end gracefully.
      if (modality !== 'language' || !run.endsGracefully(error)) throw error
      await run.answered('length')
      return streams ? unpaidStream(run.operation, target) : unpaidResult(run.operation, target)
    }
    let result: unknown
    try {
      result = await method.call(target, call.params)
    } catch (error) {
      await call.lose(isAbort(error, signal) ? 'aborted' : 'failed')
      await run.rejected(error)
      throw providerError(error)
    }
    if (streams) return meteredStream(result as { stream: ReadableStream<unknown> }, call, target)
    const { providerMetadata } = (result ?? {}) as { providerMetadata?: unknown }
    const charged = call.complete(reportedUsage(call, result), providerMetadata)
    if (charged instanceof Promise) await charged
    const closed = run.answered('stop')
    if (closed instanceof Promise) await closed
    return result
  }
}

function modalityOf(model: AnyModel, method: string, params: CallParams): Modality {
  if (method === 'doEmbed') return 'embedding'
  if (method === 'doRerank') return 'reranking'
  if (method === 'doDecide' || method === 'doEvaluate') return 'decision'
  if (method === 'doExtract') return 'extraction'
  if (method === 'doStart' || 'maxVideosPerCall' in model) return 'video'
  if ('maxImagesPerCall' in model) return 'image'
  if ('targetLanguage' in params) return 'translation'
  if (method === 'doGenerateFromUrl' || 'audio' in params) return 'transcription'
  // Text alone is what only speech models are given: a string, or a stream of parts.
  return 'text' in params ? 'speech' : 'language'
}
