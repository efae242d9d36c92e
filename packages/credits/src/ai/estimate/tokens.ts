import type { CountTokens, OutputPart, SeenOutput } from '../types.ts'

// Typical of byte-level tokenizers: about four ASCII characters to a token, about one and a half of all others.
const TOKENS_PER_ASCII = 0.25
const TOKENS_PER_OTHER = 0.7
/** Parts of at most this many tokens by weight count as one token each: most providers stream token by token. */
const TOKENS_PER_PART = 2
/** What a text has at least, in relation to what {@link likelyTokens} says. */
const CERTAIN_SHARE = 0.8
/** Tokens of one generated picture, where pictures are billed by tokens. */
export const PICTURE_TOKENS = 1_290

/** Characters beyond ASCII. */
function countOthers(text: string): number {
  let count = 0
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 127) count++
  return count
}

function weigh(characters: number, others: number): number {
  return (characters - others) * TOKENS_PER_ASCII + others * TOKENS_PER_OTHER
}

/**
 * The tokens a text probably has. Used to charge a call whose usage was lost, where an upper bound would overcharge.
 *
 * @example likelyTokens('Hello world, how are you?') // 7
 */
export function likelyTokens(text: string): number {
  return Math.ceil(weigh(text.length, countOthers(text)))
}

/**
 * The app's tokenizer, with a fallback for a text on which it throws or returns no count. `tiktoken` throws on
 * `<|endoftext|>`, for example.
 */
export function safeCount(count: CountTokens | undefined, fallback: CountTokens): CountTokens {
  if (count === undefined) return fallback
  return (text) => {
    try {
      const tokens = count(text)
      return Number.isFinite(tokens) && tokens >= 0 ? tokens : fallback(text)
    } catch {
      return fallback(text)
    }
  }
}

/** Parts without text which show that the provider has produced something. */
const PRODUCED: ReadonlySet<string> = new Set([
  'source',
  'tool-result',
  'tool-approval-request',
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

/** A part of a stream or of a whole answer, as far as it is counted here. */
interface CountedPart {
  type: string
  id?: string
  delta?: unknown
  text?: unknown
  toolCallId?: string
  toolName?: string
  input?: unknown
  providerExecuted?: boolean
  result?: unknown
}

/** OpenAI's search tool also opens pages and looks in them, which is not billed. */
function opensPage(result: unknown): boolean {
  const { action } = (result ?? {}) as { action?: { type?: unknown } }
  return /^(open|find)/.test(String(action?.type))
}

/** A provider tool whose calls are billed as searches. Searches in the app's own files are not. */
export function isSearch(tool: string): boolean {
  return /search|grounding/i.test(tool) && !/file|tool|vector|collection|retriev/i.test(tool)
}

/**
 * Counts the output of one provider call, part by part. The text is kept only where the app has a tokenizer.
 *
 * @param countTokens the app's tokenizer
 * @param tools the provider tools of the call: the name a tool call carries, and the id of the tool
 */
export function seenOutput(countTokens?: CountTokens, tools?: ReadonlyMap<string, string>): SeenOutput {
  return new OutputCounter(countTokens, tools)
}

class OutputCounter implements SeenOutput {
  inputAmount = 0
  reasoning = false
  files = 0
  searches = 0
  #parts = 0
  #characters = 0
  #others = 0
  #wholeTokens = 0
  #produced = false
  #text: string | undefined
  /** Tool calls whose input has been counted as it was streamed. */
  #streamedCalls: Set<string> | undefined
  readonly #countTokens: CountTokens | undefined
  readonly #tools: ReadonlyMap<string, string> | undefined

  constructor(countTokens: CountTokens | undefined, tools: ReadonlyMap<string, string> | undefined) {
    this.#countTokens = countTokens && safeCount(countTokens, likelyTokens)
    this.#tools = tools
    if (countTokens !== undefined) this.#text = ''
  }

  add(part: OutputPart): void {
    const counted = part as CountedPart
    switch (counted.type) {
      case 'reasoning-delta':
        this.reasoning = true
        this.#addDelta(counted.delta)
        break
      case 'text-delta':
        this.#addDelta(counted.delta)
        break
      case 'tool-input-delta':
        if (counted.id !== undefined) this.#noteStreamedCall(counted.id)
        this.#addDelta(counted.delta)
        break
      case 'reasoning':
        this.reasoning = true
        this.#addWhole(counted.text)
        break
      case 'text':
        this.#addWhole(counted.text)
        break
      case 'tool-call':
        this.#addToolCall(counted)
        break
      case 'file':
      case 'reasoning-file':
        this.files++
        break
      default:
        if (PRODUCED.has(counted.type)) this.#produced = true
        if (counted.type === 'tool-result' && opensPage(counted.result)) this.searches = Math.max(0, this.searches - 1)
    }
  }

  get empty(): boolean {
    return this.#parts === 0 && this.#wholeTokens === 0 && this.files === 0 && !this.#produced
  }

  get tokens(): number {
    if (this.#text !== undefined && this.#countTokens !== undefined) return Math.ceil(this.#countTokens(this.#text))
    return Math.ceil(this.#streamed) + this.#wholeTokens
  }

  exceeds(limit: number): boolean {
    // A text has at most as many tokens as characters. This spares almost all parts the rest.
    if (this.#characters + this.#wholeTokens + this.files * PICTURE_TOKENS <= limit) return false
    const streamed = this.#singleTokens ? this.#parts : this.#weight * CERTAIN_SHARE
    return streamed + this.#wholeTokens * CERTAIN_SHARE + this.files * PICTURE_TOKENS > limit
  }

  #noteStreamedCall(id: string): void {
    this.#streamedCalls ??= new Set()
    this.#streamedCalls.add(id)
  }

  #addDelta(delta: unknown): void {
    if (typeof delta !== 'string' || delta === '') return
    this.#parts++
    this.#characters += delta.length
    this.#others += countOthers(delta)
    if (this.#text !== undefined) this.#text += delta
  }

  #addWhole(text: unknown): void {
    if (typeof text !== 'string' || text === '') return
    this.#wholeTokens += likelyTokens(text)
    if (this.#text !== undefined) this.#text += text
  }

  #addToolCall({ toolCallId, toolName = '', input, providerExecuted }: CountedPart): void {
    this.#produced = true
    if (providerExecuted === true && isSearch(this.#tools?.get(toolName) ?? toolName)) this.searches++
    if (toolCallId !== undefined && this.#streamedCalls?.has(toolCallId)) return
    this.#addWhole(toolName)
    this.#addWhole(typeof input === 'string' ? input : JSON.stringify(input))
  }

  get #streamed(): number {
    return this.#singleTokens ? this.#parts : this.#weight
  }

  get #weight(): number {
    return weigh(this.#characters, this.#others)
  }

  get #singleTokens(): boolean {
    return this.#weight <= TOKENS_PER_PART * this.#parts
  }
}
