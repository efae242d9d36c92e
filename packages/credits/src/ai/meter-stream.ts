import type { ProviderCall } from './call.ts'
import { isAbort, providerError } from './errors.ts'
import { Idle, type Watched } from './idle.ts'
import { finishPart, OpenBlocks, type Part } from './parts.ts'
import type { AnyModel } from './sdk.ts'
import type { OutputTally } from './tokens.ts'
import { reportedUsage } from './usage.ts'

/**
 * The stream of a provider call, read through a meter: nothing is read before it is asked for, nothing is kept, and
 * whichever way it ends, the call is charged exactly once.
 */
export function meteredStream<Result extends { stream: ReadableStream<unknown> }>(
  result: Result,
  call: ProviderCall,
  model: AnyModel,
): Result {
  return { ...result, stream: new StreamMeter(result.stream as ReadableStream<Part>, call, model).stream }
}

const UNREAD = 'nobody reads this stream'

/** Parts of streams other than text that say that the provider has worked. */
const SPOKEN: ReadonlySet<string> = new Set([
  'audio',
  'transcript-delta',
  'transcript-partial',
  'transcript-final',
  'source-transcript-delta',
  'source-transcript-partial',
  'source-transcript-final',
  'output-text-delta',
  'output-text-final',
])

class StreamMeter implements Watched {
  readonly stream: ReadableStream<Part>
  /** Parts that were asked for. */
  activity = 0
  /** A part is being read or looked at. */
  busy = false
  readonly #reader: ReadableStreamDefaultReader<Part>
  readonly #call: ProviderCall
  readonly #output: OutputTally
  readonly #model: AnyModel
  readonly #blocks = new OpenBlocks()
  readonly #idle: Idle
  readonly #signal: AbortSignal | undefined
  /** Parts to hand out before the provider is read again: the ends of a cut-off stream, or what was drained. */
  #ready: Part[] = []
  #controller: ReadableStreamDefaultController<Part> | undefined
  #draining: Promise<void> | undefined
  #failure: { error: unknown } | undefined
  #limit: number
  /** The provider's stream has ended, one way or another. */
  #done = false
  #closed = false

  constructor(source: ReadableStream<Part>, call: ProviderCall, model: AnyModel) {
    this.#reader = source.getReader()
    this.#call = call
    this.#output = call.output
    this.#model = model
    this.#limit = call.funds.maxOutputTokens
    this.#idle = new Idle(call.operation.context.abandoned?.idleSeconds, this)
    this.#idle.start()
    this.#signal = call.params.abortSignal as AbortSignal | undefined
    this.#signal?.addEventListener('abort', this.#onAbort)
    this.stream = new ReadableStream<Part>(
      {
        start: (controller) => {
          this.#controller = controller
        },
        pull: () => this.#pull(),
        cancel: (reason) => this.#cancel(reason),
      },
      { highWaterMark: 0 },
    )
  }

  onIdle(): void {
    this.#abandon()
  }

  onLook(): void {
    this.#call.operation.keepAlive()
  }

  // The hot path: one read, one count, one enqueue, and no promise but the read's own. The stream is not told of that
  // one: it asks again after every part, as long as somebody waits for more.
  #pull(): Promise<void> | undefined {
    if (this.busy) return undefined
    this.activity++
    if (this.#done || this.#ready.length > 0 || this.#draining !== undefined) return this.#pullRest()
    this.busy = true
    this.#reader.read().then(this.#onRead, this.#onBroken)
    return undefined
  }

  readonly #onRead = (read: ReadableStreamReadResult<Part>): void => {
    try {
      const seen = read.done ? this.#ended() : this.#see(read.value)
      if (seen instanceof Promise) seen.then(this.#onSeen, this.#onFault)
      else this.#onSeen(seen)
    } catch (error) {
      this.#onFault(error)
    }
  }

  /** Hands out a part, or goes on where there is none to hand out. */
  readonly #onSeen = (part: Part | undefined): void => {
    this.busy = false
    if (part !== undefined) this.#give(part)
    else this.#pull()?.catch(this.#onFault)
  }

  readonly #onBroken = (error: unknown): void => {
    this.#broken(error).then(() => this.#onFault(providerError(error)), this.#onFault)
  }

  /** A reader who waits for a part hears of it from the provider. One who does not may never come back to hear of it. */
  readonly #onAbort = (): void => {
    if (this.busy || this.#done) return
    this.busy = true
    const reason: unknown = this.#signal?.reason
    this.#reader.cancel(reason).catch(() => undefined)
    this.#onBroken(reason)
  }

  readonly #onFault = (error: unknown): void => {
    this.busy = false
    this.#fail(error)
  }

  /** What is left after the provider: the ends of a stream that was cut off, or what was drained. */
  async #pullRest(): Promise<void> {
    await this.#draining
    const part = this.#ready.shift()
    if (part !== undefined) this.#give(part)
    else if (this.#failure !== undefined) this.#fail(this.#failure.error)
    else this.#close()
  }

  /** Counts a part. Answers synchronously for all but the few parts that need the books. */
  #see(part: Part): Part | Promise<Part | undefined> {
    switch (part.type) {
      case 'text-delta':
      case 'reasoning-delta':
      case 'tool-input-delta': {
        const most = typeof part.delta === 'string' ? this.#output.add(part.delta) : 0
        return most > this.#limit && this.#output.beyond(this.#limit) ? this.#outgrown(part) : part
      }
      case 'finish':
        return this.#finish(part)
      case 'raw':
        return part
      default:
        if (part.providerMetadata !== undefined) this.#call.note(part.providerMetadata)
        if (SPOKEN.has(part.type)) this.#call.produced = true
        this.#blocks.see(part)
        return part
    }
  }

  async #finish(part: Part): Promise<Part> {
    this.#unwatch()
    const { operation, funds, run } = this.#call
    const reason = reasonOf(part.finishReason)
    if (funds.short && reason === 'length') operation.cutShort(funds)
    // Known to be the last one, the charge closes the books; nobody need watch for an end that is here.
    if (run.endsWith(reason)) operation.end()
    await this.#call.complete(reportedUsage(this.#call, part), part.providerMetadata)
    await run.answered(reason)
    return part
  }

  /** The output is beyond what is held: hold more, or end the stream here. */
  async #outgrown(part: Part): Promise<Part | undefined> {
    const { funds } = this.#call
    if (await this.#call.stretch()) {
      this.#limit = funds.maxOutputTokens
      return part
    }
    this.#stop('credits have run out')
    await this.#call.lose('aborted')
    const { inputTokens } = this.#call.demand.likely(0)
    const usage = { output: this.#output.likely, ...(inputTokens !== undefined && { input: inputTokens }) }
    this.#ready.push(part, ...this.#blocks.ends())
    await this.#call.run.answered('length')
    this.#ready.push(finishPart(this.#call.operation, this.#model, usage))
    return this.#ready.shift()
  }

  /** Nobody has read for a while. */
  async #abandon(): Promise<void> {
    const { operation } = this.#call
    if (this.#done) return
    if (operation.context.abandoned?.policy === 'drain') {
      this.#draining ??= this.#drain()
      return
    }
    this.#stop(UNREAD)
    operation.stopped ??= { reason: 'abandoned', required: '0', available: '0' }
    await this.#call.lose('aborted')
    if (this.#call.modality === 'language') {
      const usage = { output: this.#output.likely }
      this.#ready.push(...this.#blocks.ends(), finishPart(operation, this.#model, usage))
    } else this.#failure = { error: new DOMException(UNREAD, 'AbortError') }
    await operation.end()
  }

  /** Reads the provider to its end for the exact usage; a reader who comes back after all finds everything. */
  async #drain(): Promise<void> {
    try {
      while (!this.#done) {
        const { done, value } = await this.#reader.read()
        if (done) {
          await this.#ended()
          break
        }
        const part = await this.#see(value)
        if (part !== undefined && !this.#closed) this.#ready.push(part)
      }
    } catch (error) {
      await this.#broken(error)
      this.#failure = { error: providerError(error) }
    }
  }

  async #cancel(reason: unknown): Promise<void> {
    this.#closed = true
    const { operation } = this.#call
    if (this.#done) return
    if (operation.context.abandoned?.policy === 'drain') {
      this.#draining ??= this.#drain()
      operation.context.waitUntil?.(this.#draining)
      return
    }
    this.#done = true
    this.#unwatch()
    const cancelled = this.#reader.cancel(reason)
    // Heard of below: a provider that refuses at once would be an unhandled rejection until then.
    cancelled.catch(() => undefined)
    await this.#call.lose('aborted')
    await this.#call.run.answered('cancelled')
    await cancelled
  }

  /** The provider's stream ended without a finish part, or after it: nothing more to hand out. */
  async #ended(): Promise<undefined> {
    this.#done = true
    this.#unwatch()
    await this.#call.lose('failed')
    await this.#call.run.answered('ended')
  }

  async #broken(error: unknown): Promise<void> {
    this.#done = true
    this.#unwatch()
    await this.#call.lose(isAbort(error, this.#signal) ? 'aborted' : 'failed')
    await this.#call.run.answered('broken')
  }

  #stop(why: string): void {
    this.#done = true
    this.#unwatch()
    // The provider is not waited for: it may never answer.
    this.#reader.cancel(new DOMException(why, 'AbortError')).catch(() => undefined)
  }

  #unwatch(): void {
    this.#idle.stop()
    this.#signal?.removeEventListener('abort', this.#onAbort)
  }

  // A reader that went away while a part was being fetched has closed the controller already.
  #give(part: Part): void {
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

function reasonOf(finishReason: unknown): string {
  const { unified } = (finishReason ?? {}) as { unified?: unknown }
  return String(unified ?? finishReason)
}
