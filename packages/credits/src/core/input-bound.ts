/** How many input tokens a part that is not text may come to: a fixed part and a part per kilobyte of its data. */
export interface FileTokens {
  base: number
  perKilobyte: number
}

/** What kinds of files are told apart. */
export type FileKind = 'image' | 'audio' | 'video' | 'document' | 'text' | 'other'

/** How {@link boundInputTokens} counts. */
export interface InputBoundConfig {
  /** Tokens of a text; default: its UTF-8 bytes, which no byte-level tokenizer exceeds. */
  countText?: ((text: string) => number) | undefined
  /** Per kind of file, merged over the defaults. */
  files?: Partial<Record<FileKind, FileTokens>> | undefined
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

// Generous on purpose. Images: the largest tile counts of the large providers; audio and video: low bit rates;
// documents: dense pages, each read as text and as an image.
const FILES: Record<FileKind, FileTokens> = {
  image: { base: 3_000, perKilobyte: 0 },
  audio: { base: 100, perKilobyte: 20 },
  video: { base: 1_000, perKilobyte: 20 },
  document: { base: 3_000, perKilobyte: 200 },
  text: { base: 16, perKilobyte: 1_024 },
  other: { base: 3_000, perKilobyte: 1_024 },
}

const encoder = new TextEncoder()

/** UTF-8 bytes of a text: an upper bound of its tokens for byte-level tokenizers. */
export function utf8Bytes(text: string): number {
  return encoder.encode(text).length
}

function kindOf(mediaType: unknown): FileKind {
  const type = typeof mediaType === 'string' ? mediaType.toLowerCase() : ''
  if (type.startsWith('image')) return 'image'
  if (type.startsWith('audio')) return 'audio'
  if (type.startsWith('video')) return 'video'
  if (type.startsWith('text/') || type === 'application/json') return 'text'
  if (type.startsWith('application/')) return 'document'
  return 'other'
}

/** Bytes of a file part's data; 0 for a URL, whose size is not known before the provider fetches it. */
function bytesOf(data: unknown): number {
  if (data instanceof Uint8Array) return data.length
  if (data instanceof URL) return 0
  if (typeof data === 'string') {
    if (/^https?:/i.test(data)) return 0
    return Math.ceil((data.length * 3) / 4)
  }
  if (typeof data === 'object' && data !== null) {
    const inner = data as { data?: unknown; text?: unknown }
    if (typeof inner.text === 'string') return utf8Bytes(inner.text)
    return bytesOf(inner.data)
  }
  return 0
}

type Bag = Readonly<Record<string, unknown>>

function bag(value: unknown): Bag | undefined {
  return typeof value === 'object' && value !== null ? (value as Bag) : undefined
}

/**
 * An upper bound of a call's input tokens, from what is known before it is made: UTF-8 bytes of all text, names and
 * JSON, files by kind, and overhead per message and per call. Files behind a URL and images count by kind alone.
 *
 * @example boundInputTokens({ prompt, tools, responseFormat }) // inside a language model middleware
 */
export function boundInputTokens(input: InputToBound, config: InputBoundConfig = {}): number {
  const { countText = utf8Bytes, perMessage = 16, perCall = 64, perCallWithTools = 600 } = config
  const files = { ...FILES, ...config.files }
  let total = perCall

  const json = (value: unknown) => {
    if (value !== undefined) total += countText(typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))
  }
  const file = (part: Bag) => {
    const { base, perKilobyte } = files[kindOf(part.mediaType ?? (part.type === 'image' ? 'image/*' : undefined))]
    total += base + Math.ceil((bytesOf(part.data ?? part.image ?? part.file) * perKilobyte) / 1024)
  }
  const visit = (value: unknown): void => {
    if (typeof value === 'string') total += countText(value)
    else if (Array.isArray(value)) for (const entry of value) visit(entry)
    else if (bag(value)) part(value as Bag)
  }
  const part = (value: Bag): void => {
    const type = typeof value.type === 'string' ? value.type : ''
    if (type === 'image' || type.includes('file') || type.includes('media')) file(value)
    else if (type === 'tool-result') {
      json(value.toolName)
      visit(value.output)
    } else if (type === 'content') visit(value.value)
    else if (typeof value.text === 'string') total += countText(value.text)
    else json(value)
  }

  const messages = Array.isArray(input.prompt) ? input.prompt : [{ content: input.prompt }]
  for (const message of messages) {
    total += perMessage
    visit(bag(message)?.content ?? message)
  }
  if (Array.isArray(input.tools) && input.tools.length > 0) {
    total += perCallWithTools
    for (const tool of input.tools) json(tool)
  }
  json(bag(input.responseFormat)?.schema)
  return Math.ceil(total)
}

function asksForAnHour(value: unknown, depth = 0): boolean {
  if (depth > 6 || typeof value !== 'object' || value === null) return false
  return Object.entries(value).some(
    ([key, entry]) => (key === 'ttl' && entry === '1h') || asksForAnHour(entry, depth + 1),
  )
}

/**
 * The dearest cache write that a call asks for, for `estimateCharge({ cacheWrite })`: an hour where some message,
 * part, tool or the call itself says `ttl: '1h'` in its provider options, else five minutes, which providers may do
 * without being asked.
 * @example estimateCharge({ ..., cacheWrite: cacheWriteOf(callOptions) })
 */
export function cacheWriteOf(input: InputToBound & { providerOptions?: unknown }): '5m' | '1h' {
  const messages = Array.isArray(input.prompt) ? input.prompt : []
  const tools = Array.isArray(input.tools) ? input.tools : []
  const parts = messages.flatMap((message) => {
    const content = bag(message)?.content
    return Array.isArray(content) ? content : []
  })
  const options = [input, ...messages, ...parts, ...tools].map((entry) => bag(entry)?.providerOptions)
  return options.some((entry) => asksForAnHour(entry)) ? '1h' : '5m'
}
