import { type CreditsContext, isSamePayer } from '../context.ts'
import { providerCallInScope } from '../scope.ts'
import { isModel } from '../sdk-functions.ts'
import type { AnyModel, CallParams, Modality } from '../types.ts'
import { markMetered } from '../unmetered-calls.ts'
import { isAbort, providerError } from './answers.ts'
import { type CallRun, ProviderCall, type ProviderMethod } from './provider-call.ts'
import { meteredStream } from './stream.ts'
import { unpaidResult, unpaidStream } from './stream-parts.ts'

/** Marks a metered model, across copies of this package. */
const METERED = Symbol.for('layers.credits.metered')

/** Methods of models that cost money. */
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

type AnyFunction = (...args: unknown[]) => unknown

/** Makes the call of a method that costs money. */
export type MeteredCall = (method: ProviderMethod) => Promise<unknown>

/** Who pays for a metered model; undefined for a model without a meter that can be seen from here. */
export function payerOf(model: unknown): CreditsContext | undefined {
  return isModel(model) ? (model as AnyModel & { [METERED]?: CreditsContext })[METERED] : undefined
}

/**
 * The model with a meter around every method that costs money. One Proxy for all modalities and specification versions:
 * the class, its other members and what the SDK reads off them stay as they are.
 *
 * A meter inside the provider call of another meter of the same payer passes through, so one provider call is charged
 * once whatever stands between the two. Where the payers differ, the inner one charges.
 */
export function meteredModel(model: AnyModel, context: CreditsContext, call: MeteredCall): AnyModel {
  // A Proxy of a frozen model would have to give the model's own methods away, so its target is an empty object.
  const proxy = new Proxy(Object.create(Object.getPrototypeOf(model)), new Meter(model, context, call))
  return proxy as AnyModel
}

class Meter implements ProxyHandler<AnyModel> {
  readonly #model: AnyModel
  readonly #context: CreditsContext
  readonly #call: MeteredCall
  /** The same function for the same method each time. */
  readonly #methods = new WeakMap<AnyFunction, AnyFunction>()

  constructor(model: AnyModel, context: CreditsContext, call: MeteredCall) {
    this.#model = model
    this.#context = context
    this.#call = call
  }

  get(_: AnyModel, key: PropertyKey): unknown {
    if (key === METERED) return this.#context
    // The receiver is the model itself: its getters and private members do not know the Proxy.
    const member: unknown = Reflect.get(this.#model, key, this.#model)
    if (typeof member !== 'function' || key === 'constructor') return member
    return this.#methodFor(key, member as AnyFunction)
  }

  set(_: AnyModel, key: PropertyKey, value: unknown): boolean {
    return Reflect.set(this.#model, key, value, this.#model)
  }

  has(_: AnyModel, key: PropertyKey): boolean {
    return Reflect.has(this.#model, key)
  }

  ownKeys(): (string | symbol)[] {
    return Reflect.ownKeys(this.#model)
  }

  getOwnPropertyDescriptor(target: AnyModel, key: PropertyKey): PropertyDescriptor | undefined {
    const descriptor = Reflect.getOwnPropertyDescriptor(this.#model, key)
    if (descriptor === undefined) return undefined
    // The target does not have the property, so it cannot be reported as fixed.
    const value = 'value' in descriptor ? { value: this.get(target, key) } : {}
    return { ...descriptor, ...value, configurable: true }
  }

  defineProperty(_: AnyModel, key: PropertyKey, descriptor: PropertyDescriptor): boolean {
    return Reflect.defineProperty(this.#model, key, descriptor)
  }

  deleteProperty(_: AnyModel, key: PropertyKey): boolean {
    return Reflect.deleteProperty(this.#model, key)
  }

  getPrototypeOf(): object | null {
    return Reflect.getPrototypeOf(this.#model)
  }

  #methodFor(key: PropertyKey, member: AnyFunction): AnyFunction {
    const known = this.#methods.get(member)
    if (known !== undefined) return known
    const model = this.#model
    // A Proxy keeps what the function itself carries. Bound to the model, which private members ask for.
    const method = new Proxy(member, {
      apply: (_, __, args: unknown[]) =>
        COSTLY.has(key) ? this.#metered(String(key), member, args) : Reflect.apply(member, model, args),
    })
    this.#methods.set(member, method)
    return method
  }

  async #metered(name: string, member: AnyFunction, args: unknown[]): Promise<unknown> {
    markMetered()
    const model = this.#model
    const outer = providerCallInScope()
    if (outer !== undefined) {
      if (isSamePayer(outer.context, this.#context)) return Reflect.apply(member, model, args)
      outer.chargedInside = true
    }
    const [params, ...rest] = args as [CallParams, ...unknown[]]
    return this.#call({
      model,
      modality: modalityOf(model, name, params),
      delivery: name === 'doStream' ? 'stream' : 'whole',
      params,
      invoke: async (sent) => Reflect.apply(member, model, [sent, ...rest]),
    })
  }
}

/** Makes one provider call of a run: allows it, calls the provider, charges what it answered. */
export async function callProvider(method: ProviderMethod, run: CallRun): Promise<unknown> {
  const { model, modality, delivery } = method
  const signal = (method.params as { abortSignal?: AbortSignal }).abortSignal
  // A provider would refuse it. Asking could only cost money.
  if (signal?.aborted) {
    run.rejected(signal.reason)
    throw signal.reason
  }
  let call: ProviderCall
  try {
    call = await ProviderCall.begin(method, run)
  } catch (error) {
    // A loop whose next step cannot be paid ends with what it has.
    if (modality !== 'language' || !run.endsGracefully(error)) throw error
    run.answered('length')
    const { receipt } = run.session
    return delivery === 'stream' ? unpaidStream(receipt, model) : unpaidResult(receipt, model)
  }
  return delivery === 'stream' ? callStream(call) : callWhole(call)
}

async function callWhole(call: ProviderCall): Promise<unknown> {
  const work = call.invoke()
  const result = await unlessAborted(call, work, async () => {
    await completeWhole(call, await work)
  })
  if (!call.chargedInside) await completeWhole(call, result)
  else await call.lose('failed')
  call.run.answered('stop')
  return result
}

async function completeWhole(call: ProviderCall, result: unknown): Promise<void> {
  const { content } = (result ?? {}) as { content?: unknown }
  if (Array.isArray(content)) for (const part of content) call.see(part)
  await call.complete(result)
}

async function callStream(call: ProviderCall): Promise<unknown> {
  const work = call.invoke()
  const result = await unlessAborted(call, work, async () => {
    // Its reader is gone, so the stream finishes by itself.
    meteredStream(await work, call)
  })
  if (call.chargedInside) {
    await call.lose('failed')
    call.run.answered('stop')
    return result
  }
  try {
    return meteredStream(result, call)
  } catch (error) {
    return rejected(call, error)
  }
}

/**
 * The provider's answer. When the app aborts before it is there, the app hears of it at once, and the provider may
 * finish in the background.
 * @param finish completes the call in the background
 */
async function unlessAborted(
  call: ProviderCall,
  work: Promise<unknown>,
  finish: () => Promise<void>,
): Promise<unknown> {
  const { signal } = call
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(signal?.reason)
  signal?.addEventListener('abort', onAbort)
  try {
    return await Promise.race([work, aborted.promise])
  } catch (error) {
    if (!signal?.aborted) return rejected(call, error)
    leave(call, work, finish)
    throw signal.reason
  } finally {
    signal?.removeEventListener('abort', onAbort)
    aborted.promise.catch(() => undefined)
  }
}

/** The app has aborted a call that has not answered. */
function leave(call: ProviderCall, work: Promise<unknown>, finish: () => Promise<void>): void {
  if (call.mayFinish) {
    const finished = finish()
      .catch((error) => call.lose(isAbort(error, undefined) ? 'aborted' : 'failed'))
      .then(() => call.run.answered('cancelled'))
    call.finishInBackground(finished)
    return
  }
  work.catch(() => undefined)
  call.stop(call.signal?.reason)
  void call.lose('aborted').then(() => call.run.answered('cancelled'))
}

async function rejected(call: ProviderCall, error: unknown): Promise<never> {
  await call.lose(isAbort(error, call.signal) ? 'aborted' : 'failed')
  call.run.rejected(error)
  throw providerError(error)
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
  // Only speech models are given a text by itself.
  return 'text' in params ? 'speech' : 'language'
}
