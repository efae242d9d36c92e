import { APICallError } from 'ai'
import { MockLanguageModelV4 } from 'ai/test'

type DoStream = MockLanguageModelV4['doStream']
export type StreamOptions = Parameters<DoStream>[0]
export type StreamPart = Awaited<ReturnType<DoStream>>['stream'] extends ReadableStream<infer Part> ? Part : never
export type GenerateResult = Awaited<ReturnType<MockLanguageModelV4['doGenerate']>>

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

export const usageOf = (input: number, output: number) => ({
  inputTokens: { total: input, noCache: input, cacheRead: undefined, cacheWrite: undefined },
  outputTokens: { total: output, text: output, reasoning: undefined },
})

/** `count` deltas of one token each. */
export const textParts = (count: number, id = 'text'): StreamPart[] => [
  { type: 'text-start', id },
  ...Array.from({ length: count }, (_, index): StreamPart => ({ type: 'text-delta', id, delta: `w${index % 10} ` })),
  { type: 'text-end', id },
]

type Reason = Extract<StreamPart, { type: 'finish' }>['finishReason']['unified']
export const finish = (unified: Reason, input: number, output: number): StreamPart => ({
  type: 'finish',
  finishReason: { unified, raw: unified },
  usage: usageOf(input, output),
})

export const toolCall = (toolCallId: string, toolName: string, input: unknown = {}): StreamPart => ({
  type: 'tool-call',
  toolCallId,
  toolName,
  input: JSON.stringify(input),
})

export const retryable = () =>
  new APICallError({
    message: 'overloaded',
    url: 'http://provider.test',
    requestBodyValues: {},
    statusCode: 503,
    isRetryable: true,
    responseHeaders: { 'retry-after-ms': '1' },
  })

export const fatal = (statusCode = 400) =>
  new APICallError({
    message: 'refused',
    url: 'http://provider.test',
    requestBodyValues: {},
    statusCode,
    isRetryable: false,
  })

/** What the provider knows of one call: the other side of the books. */
export interface JournalEntry {
  call: number
  outcome: 'running' | 'finished' | 'aborted' | 'cancelled' | 'failed' | 'refused'
  /** Deltas handed out: one token each. */
  deltas: number
  parts: number
  maxOutputTokens: number | undefined
}

export interface StreamScript {
  parts: StreamPart[]
  /** Hand out parts faster than timers go, but never all in one go. */
  delayMs?: number
  honoursAbort?: boolean
  /** Break the stream before this part. */
  breaksAt?: number
  error?: unknown
  /** Called when the call begins. */
  begins?: () => void
}

/** A provider's stream that reads ahead of nobody, errors when it is aborted, and keeps a journal. */
export function providerStream(script: StreamScript, signal: AbortSignal | undefined, entry: JournalEntry) {
  const { parts, delayMs = 0, honoursAbort = true, breaksAt, error = new Error('socket hang up') } = script
  let next = 0
  return new ReadableStream<StreamPart>(
    {
      start(controller) {
        if (!honoursAbort) return
        signal?.addEventListener('abort', () => {
          if (entry.outcome !== 'running') return
          entry.outcome = 'aborted'
          controller.error(signal.reason)
        })
      },
      async pull(controller) {
        await (delayMs > 0 ? sleep(delayMs) : Promise.resolve())
        if (entry.outcome !== 'running') return
        if (next === breaksAt) {
          entry.outcome = 'failed'
          controller.error(error)
          return
        }
        const part = parts[next++]
        if (part === undefined) {
          entry.outcome = 'finished'
          controller.close()
          return
        }
        entry.parts++
        if (part.type === 'text-delta') entry.deltas++
        controller.enqueue(part)
      },
      cancel() {
        if (entry.outcome === 'running') entry.outcome = 'cancelled'
      },
    },
    { highWaterMark: 0 },
  )
}

export interface Provider {
  model: MockLanguageModelV4
  journal: JournalEntry[]
}

export type Behaviour = StreamScript | { rejects: unknown }

/** A language model that follows a script, call by call; the last entry is for all further calls. */
export function provider(script: Behaviour[], modelId = 'openai/gpt-test'): Provider {
  const journal: JournalEntry[] = []
  const begin = (options: StreamOptions) => {
    const entry: JournalEntry = {
      call: journal.length + 1,
      outcome: 'running',
      deltas: 0,
      parts: 0,
      maxOutputTokens: options.maxOutputTokens,
    }
    journal.push(entry)
    const behaviour = script[Math.min(journal.length, script.length) - 1]
    if (behaviour === undefined) throw new Error('the script is empty')
    if ('rejects' in behaviour) {
      entry.outcome = 'refused'
      throw behaviour.rejects
    }
    behaviour.begins?.()
    return { entry, behaviour }
  }
  const model = new MockLanguageModelV4({
    provider: 'gateway',
    modelId,
    doStream: async (options) => {
      const { entry, behaviour } = begin(options)
      return { stream: providerStream(behaviour, options.abortSignal, entry) }
    },
    doGenerate: async (options) => {
      const { entry, behaviour } = begin(options)
      await sleep(behaviour.delayMs ?? 0)
      if (options.abortSignal?.aborted && behaviour.honoursAbort !== false) {
        entry.outcome = 'aborted'
        throw options.abortSignal.reason
      }
      entry.outcome = 'finished'
      return collected(behaviour.parts)
    },
  })
  return { model, journal }
}

function collected(parts: StreamPart[]): GenerateResult {
  const text = parts.map((part) => (part.type === 'text-delta' ? part.delta : '')).join('')
  const calls = parts.filter((part) => part.type === 'tool-call')
  const end = parts.find((part) => part.type === 'finish')
  return {
    content: [...(text === '' ? [] : [{ type: 'text' as const, text }]), ...calls],
    finishReason: end?.finishReason ?? { unified: 'other', raw: undefined },
    usage: end?.usage ?? usageOf(0, 0),
    warnings: [],
    ...(end?.providerMetadata && { providerMetadata: end.providerMetadata }),
  }
}
