import { CreditError } from '../errors.ts'
import { boundFileTokens, type FileKind, type FileTokens, fileKind, type PromptFile } from './file-tokens.ts'
import { boundTextTokens } from './text-tokens.ts'

export type { FileKind, FileTokens } from './file-tokens.ts'
export { boundTextTokens, utf8Bytes } from './text-tokens.ts'

/** How {@link boundInputTokens} counts. */
export interface InputBoundConfig {
  /** Tokens of a text. Default {@link boundTextTokens}: characters by script with a margin of a quarter. */
  countText?: ((text: string) => number) | undefined
  /** Per kind of file, merged over the defaults. A kind that is given here is counted by its size alone. */
  files?: Partial<Record<FileKind, FileTokens>> | undefined
  /**
   * What becomes of a file whose size is not known: behind a URL, or an id of the provider's. `context`: the call is
   * bounded by the model's context window. `refuse`: `INVALID_INPUT`. Pictures are bounded without their data.
   * Default `context`.
   */
  unknownFiles?: 'context' | 'refuse' | undefined
  /** The model's context window: no call has more input. Default: none, and 200,000 for files of unknown size. */
  contextWindow?: number | null | undefined
  /** Role markers and separators of a message. Default 16. */
  perMessage?: number | undefined
  /** Chat template, and the system text that providers add when there are tools. Default 64 and 600. */
  perCall?: number | undefined
  perCallWithTools?: number | undefined
}

/** The parts of a model call that become input; the AI SDK's call options fit. */
export interface InputToBound {
  prompt: unknown
  tools?: unknown
  responseFormat?: unknown
}

/** What a file of unknown size is bounded by where the model's context window is not known either. */
export const DEFAULT_CONTEXT_WINDOW = 200_000

type Fields = Readonly<Record<string, unknown>>

function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null ? (value as Fields) : undefined
}

/** Adds up a call's input. */
class InputCounter {
  tokens = 0
  /** A file of unknown size is part of the input. */
  unknownFile = false
  readonly #countText: (text: string) => number
  readonly #config: InputBoundConfig

  constructor(config: InputBoundConfig) {
    this.#config = config
    this.#countText = config.countText ?? boundTextTokens
  }

  json(value: unknown): void {
    if (value !== undefined) this.tokens += this.#countText(typeof value === 'string' ? value : jsonOf(value))
  }

  message(message: unknown): void {
    this.tokens += this.#config.perMessage ?? 16
    this.content(fieldsOf(message)?.content ?? message)
  }

  content(value: unknown): void {
    if (typeof value === 'string') this.tokens += this.#countText(value)
    else if (Array.isArray(value)) for (const entry of value) this.content(entry)
    else if (fieldsOf(value) !== undefined) this.#part(value as Fields)
  }

  #part(part: Fields): void {
    const type = typeof part.type === 'string' ? part.type : ''
    if (type === 'image' || type.includes('file') || type.includes('media')) this.#file(fileOf(part))
    else if (type === 'tool-result') {
      this.json(part.toolName)
      this.content(part.output)
    } else if (type === 'content') this.content(part.value)
    else if (typeof part.text === 'string') this.tokens += this.#countText(part.text)
    else this.json(part)
  }

  #file(file: PromptFile): void {
    const tokens = boundFileTokens(file, this.#config.files)
    if (tokens !== undefined) this.tokens += tokens
    else if (this.#config.unknownFiles === 'refuse') throw unknownFile(file.kind)
    else this.unknownFile = true
  }
}

function unknownFile(kind: FileKind): CreditError {
  const message = `the size of this ${kind} file is not known: send its data`
  return new CreditError({
    code: 'INVALID_INPUT',
    message: `prompt: ${message}`,
    details: { issues: [{ path: 'prompt', message }] },
  })
}

/** JSON of a value. Nothing is sent of a value that has no JSON. */
function jsonOf(value: unknown): string {
  return JSON.stringify(value) ?? ''
}

function fileOf(part: Fields): PromptFile {
  const kind = fileKind(part.mediaType ?? (part.type === 'image' ? 'image/*' : undefined))
  return { kind, data: dataOf(part.data ?? part.image ?? part.file) }
}

function dataOf(data: unknown): PromptFile['data'] {
  if (data instanceof Uint8Array) return data
  if (data instanceof ArrayBuffer) return new Uint8Array(data)
  if (typeof data === 'string') return /^[a-z]+:\/\//i.test(data) ? undefined : data
  if (data instanceof URL) return data.protocol === 'data:' ? data.href : undefined
  const inner = fieldsOf(data)
  if (typeof inner?.text === 'string') return { text: inner.text }
  return inner?.data === undefined ? undefined : dataOf(inner.data)
}

/**
 * An upper bound of a call's input tokens, from what is known before it is made: texts, names and JSON by their
 * characters, pictures by pixels, PDF by pages, sound and films by seconds, other files by size, and overhead per
 * message and per call. Nothing is fetched. See {@link InputBoundConfig} for files of unknown size.
 *
 * @throws CreditError `INVALID_INPUT` for a file of unknown size where `unknownFiles` is `refuse`
 * @example boundInputTokens({ prompt, tools, responseFormat }) // inside a language model middleware
 */
export function boundInputTokens(input: InputToBound, config: InputBoundConfig = {}): number {
  const { perCall = 64, perCallWithTools = 600, contextWindow } = config
  const counter = new InputCounter(config)
  counter.tokens = perCall
  if (Array.isArray(input.prompt)) for (const message of input.prompt) counter.message(message)
  else counter.message({ content: input.prompt })
  if (Array.isArray(input.tools) && input.tools.length > 0) {
    counter.tokens += perCallWithTools
    for (const tool of input.tools) counter.json(tool)
  }
  counter.json(fieldsOf(input.responseFormat)?.schema)
  const counted = Math.ceil(counter.tokens)
  const most = contextWindow ?? Number.POSITIVE_INFINITY
  return counter.unknownFile ? (contextWindow ?? Math.max(counted, DEFAULT_CONTEXT_WINDOW)) : Math.min(counted, most)
}
