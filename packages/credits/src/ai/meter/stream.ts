import { IdleWatch, type Watched } from '../idle-watch.ts'
import type { OutputPart } from '../types.ts'
import { isAbort, providerError, unifiedReason } from './answers.ts'
import type { ProviderCall } from './provider-call.ts'
import { finishPart, OpenBlocks } from './stream-parts.ts'

const UNREAD = 'the stream is no longer read'

/** The result of `doStream`, read through a meter. @throws TypeError when it has no stream that can be read */
export function meteredStream(result: unknown, call: ProviderCall): unknown {
  const { stream } = (result ?? {}) as { stream?: ReadableStream<OutputPart> }
  if (typeof stream?.getReader !== 'function') throw new TypeError('the provider answered without a stream')
  return { ...(result as object), stream: new MeteredStream(stream, call).stream }
}

/**
 * The stream of a provider call, read through a meter. Nothing is read before it is asked for, and whichever way the
 * stream ends, the call is charged exactly once.
 */
class MeteredStream implements Watched {
  readonly stream: ReadableStream<OutputPart>
  /** Parts that were asked for. */
  activity = 0
  /** A part is being read. */
  busy = false
  readonly #call: ProviderCall
  readonly #reader: ReadableStreamDefaultReader<OutputPart>
  readonly #blocks = new OpenBlocks()
  readonly #watch: IdleWatch
  /** Parts to hand out before the provider is read again: the end of a cut-off stream, or what was drained. */
  #ready: OutputPart[] = []
  /** Output tokens that are paid for. */
  #limit: number
  /** Set while the provider finishes though the stream is not read. */
  #draining: Promise<void> | undefined
  #failure: { error: unknown } | undefined
  /** The provider has sent its finish. */
  #finished = false
  /** The provider's stream has ended, one way or another. */
  #done = false
  /** The reader has the end of the stream, or has left. */
  #closed = false
  #controller: ReadableStreamDefaultController<OutputPart> | undefined

  constructor(source: ReadableStream<OutputPart>, call: ProviderCall) {
    this.#call = call
    this.#reader = source.getReader()
    this.#limit = call.outputLimit
    this.#watch = new IdleWatch(call.run.session.context.abandoned?.idleSeconds, this)
    this.#watch.start()
    call.signal?.addEventListener('abort', this.#onAbort)
    this.stream = new ReadableStream<OutputPart>(
      {
        start: (controller) => {
          this.#controller = controller
        },
        pull: () => this.#pull(),
        cancel: (reason) => this.#cancel(reason),
      },
      { highWaterMark: 0 },
    )
    if (call.signal?.aborted) this.#onAbort()
  }

  onIdle(): void {
    void this.#abandon()
  }

  onLook(): void {
    const { session } = this.#call.run
    if (session.overdue) void this.#abandon()
    else void session.keepAlive()
  }

  /** Hands out one part. */
  async #pull(): Promise<void> {
    this.activity++
    try {
      let part = await this.#next()
      while (part === undefined && !this.#done && !this.#closed) part = await this.#next()
      if (part !== undefined) this.#give(part)
      else if (this.#failure !== undefined) this.#fail(this.#failure.error)
      else this.#close()
    } catch (error) {
      this.#fail(error)
    }
  }

  async #next(): Promise<OutputPart | undefined> {
    await this.#draining
    if (this.#ready.length > 0 || this.#done) return this.#ready.shift()
    this.busy = true
    try {
      return await this.#read()
    } finally {
      this.busy = false
    }
  }

  /** Reads one part of the provider and counts it. Undefined: there was none to hand out. */
  async #read(): Promise<OutputPart | undefined> {
    let read: ReadableStreamReadResult<OutputPart>
    try {
      read = await this.#reader.read()
    } catch (error) {
      await this.#endAs(isAbort(error, this.#call.signal) ? 'aborted' : 'failed', 'broken')
      throw providerError(error)
    }
    if (read.done) {
      await this.#endAs('failed', 'ended')
      return undefined
    }
    const part = read.value
    if (part.type === 'finish') await this.#finish(part)
    else if (part.type !== 'raw') {
      this.#call.see(part)
      this.#blocks.see(part as { type: string; id?: string })
      if (this.#call.seen.exceeds(this.#limit)) return this.#outgrown(part)
    }
    return part
  }

  async #finish(part: OutputPart): Promise<void> {
    this.#finished = true
    this.#unwatch()
    await this.#call.complete(part)
    this.#call.run.answered(unifiedReason((part as { finishReason?: unknown }).finishReason))
  }

  /** The output has outgrown its allowance: reserve more, or end the stream here. */
  async #outgrown(part: OutputPart): Promise<OutputPart | undefined> {
    const { run, method, estimate, seen } = this.#call
    if (this.#done || (await this.#call.extend())) {
      this.#limit = this.#call.outputLimit
      return part
    }
    this.#stop(new DOMException('credits have run out', 'AbortError'))
    await this.#call.lose('aborted')
    const input = estimate.likelyUsage(seen).inputTokens
    run.answered('length')
    const end = finishPart(run.session.receipt, method.model, { input, output: seen.tokens })
    this.#ready.push(...this.#blocks.ends(), end)
    return part
  }

  /** The stream has not been read for a while. */
  async #abandon(): Promise<void> {
    if (this.#done || this.#draining !== undefined) return
    if (this.#call.mayFinish && !this.#call.run.session.overdue) return this.#drain(true)
    const { run, method, seen } = this.#call
    const { session } = run
    this.#stop(new DOMException(UNREAD, 'AbortError'))
    if (session.totals.stopped === undefined) session.totals.stop('abandoned', '0', '0')
    await this.#call.lose('aborted')
    if (method.modality === 'language') {
      const end = finishPart(session.receipt, method.model, { output: seen.tokens })
      this.#ready.push(...this.#blocks.ends(), end)
    } else this.#failure = { error: new DOMException(UNREAD, 'AbortError') }
    run.answered('cancelled')
  }

  /** The app has aborted the call. Its reader hears of it at once. */
  readonly #onAbort = (): void => {
    if (this.#done) return
    const reason: unknown = this.#call.signal?.reason
    this.#fail(reason)
    void this.#leave(reason)
  }

  async #cancel(reason: unknown): Promise<void> {
    this.#closed = true
    await this.#leave(reason)
  }

  /** The reader has left: the provider finishes in the background, or is stopped and what was seen is charged. */
  async #leave(reason: unknown): Promise<void> {
    if (this.#done) return
    if (this.#finished) return this.#reader.cancel(reason).catch(() => undefined)
    // Where every block that began has ended, only the usage is missing.
    const { method, seen } = this.#call
    const complete = method.modality === 'language' && this.#blocks.allEnded && !seen.empty
    if (this.#call.mayFinish || (complete && this.#policy !== 'cancel')) return this.#drain(false)
    const cancelled = this.#stop(reason)
    await this.#call.lose('aborted')
    this.#call.run.answered('cancelled')
    await cancelled
  }

  get #policy() {
    return this.#call.run.session.context.abandoned?.policy ?? 'auto'
  }

  /**
   * Lets the provider finish for its exact usage.
   * @param keepParts hand them out to a reader who comes back
   */
  #drain(keepParts: boolean): void {
    if (this.#draining !== undefined) return
    this.#unwatch()
    this.#draining = this.#readToEnd(keepParts)
    this.#call.finishInBackground(this.#draining, () => {
      this.#reader.cancel().catch(() => undefined)
    })
    // A reader who has left hears nothing more, so the call is over when the provider is.
    if (!keepParts) void this.#draining.then(() => this.#call.run.answered('cancelled'))
  }

  async #readToEnd(keepParts: boolean): Promise<void> {
    try {
      while (!this.#done) {
        const part = await this.#read()
        if (part !== undefined && keepParts && !this.#closed) this.#ready.push(part)
      }
    } catch (error) {
      this.#failure = { error }
    }
  }

  /** The provider's stream is over, and nothing more comes of it. */
  async #endAs(loss: 'aborted' | 'failed', how: string): Promise<void> {
    if (this.#done) return
    this.#done = true
    this.#unwatch()
    if (this.#finished) return
    await this.#call.lose(loss)
    this.#call.run.answered(how)
  }

  /** Stops the provider. It is not waited for: it may never answer. */
  #stop(reason: unknown): Promise<void> {
    this.#done = true
    this.#unwatch()
    this.#call.stop(reason)
    return this.#reader.cancel(reason).catch(() => undefined)
  }

  #unwatch(): void {
    this.#watch.stop()
    this.#call.signal?.removeEventListener('abort', this.#onAbort)
  }

  // The reader may have left while a part was being fetched.
  #give(part: OutputPart): void {
    if (!this.#closed) this.#controller?.enqueue(part)
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#controller?.close()
  }

  #fail(error: unknown): void {
    if (this.#closed) return
    this.#closed = true
    this.#controller?.error(error)
  }
}
