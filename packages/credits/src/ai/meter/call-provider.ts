import { isAbort, providerError } from './answers.ts'
import { type CallRun, ProviderCall, type ProviderMethod } from './provider-call.ts'
import { meteredStream } from './stream.ts'
import { unpaidResult, unpaidStream } from './stream-parts.ts'

/** Makes one provider call of a run: allows it, calls the provider, charges what it answered. */
export async function callProvider(run: CallRun, method: ProviderMethod): Promise<unknown> {
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
