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

/** Up to this length counting beats encoding, which leaves the engine and allocates. */
const SHORT_TEXT = 200

/** UTF-8 bytes of a text: an upper bound of its tokens for byte-level tokenizers. */
export function utf8Bytes(text: string): number {
  const { length } = text
  if (length > SHORT_TEXT) return encoder.encode(text).length
  let bytes = length
  for (let index = 0; index < length; index++) {
    const unit = text.charCodeAt(index)
    if (unit < 0x80) continue
    if (unit < 0x800) bytes++
    // Half of a pair: four bytes for its two units. A lone one is written as U+FFFD, three bytes.
    else if ((unit & 0xfc00) === 0xd800 && (text.charCodeAt(index + 1) & 0xfc00) === 0xdc00) {
      bytes += 2
      index++
    } else bytes += 2
  }
  return bytes
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

/** {@link InputBoundConfig} with its defaults. */
interface Rules {
  countText: (text: string) => number
  files: Readonly<Record<FileKind, FileTokens>>
  perMessage: number
}

function jsonTokens(value: unknown, { countText }: Rules): number {
  if (value === undefined) return 0
  return countText(typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))
}

function fileTokens(part: Bag, { files }: Rules): number {
  const { base, perKilobyte } = files[kindOf(part.mediaType ?? (part.type === 'image' ? 'image/*' : undefined))]
  return base + Math.ceil((bytesOf(part.data ?? part.image ?? part.file) * perKilobyte) / 1024)
}

function contentTokens(value: unknown, rules: Rules): number {
  if (typeof value === 'string') return rules.countText(value)
  if (!Array.isArray(value)) return bag(value) ? partTokens(value as Bag, rules) : 0
  let total = 0
  for (const entry of value) total += contentTokens(entry, rules)
  return total
}

function partTokens(part: Bag, rules: Rules): number {
  const type = typeof part.type === 'string' ? part.type : ''
  if (type === 'image' || type.includes('file') || type.includes('media')) return fileTokens(part, rules)
  if (type === 'tool-result') return jsonTokens(part.toolName, rules) + contentTokens(part.output, rules)
  if (type === 'content') return contentTokens(part.value, rules)
  return typeof part.text === 'string' ? rules.countText(part.text) : jsonTokens(part, rules)
}

/**
 * An upper bound of a call's input tokens, from what is known before it is made: UTF-8 bytes of all text, names and
 * JSON, files by kind, and overhead per message and per call. Files behind a URL and images count by kind alone.
 *
 * @example boundInputTokens({ prompt, tools, responseFormat }) // inside a language model middleware
 */
export function boundInputTokens(input: InputToBound, config: InputBoundConfig = {}): number {
  const { countText = utf8Bytes, perMessage = 16, perCall = 64, perCallWithTools = 600 } = config
  const rules: Rules = {
    countText,
    perMessage,
    files: config.files === undefined ? FILES : { ...FILES, ...config.files },
  }
  let total = perCall
  if (Array.isArray(input.prompt)) for (const message of input.prompt) total += messageTokens(message, rules)
  else total += messageTokens({ content: input.prompt }, rules)
  if (Array.isArray(input.tools) && input.tools.length > 0) {
    total += perCallWithTools
    for (const tool of input.tools) total += jsonTokens(tool, rules)
  }
  total += jsonTokens(bag(input.responseFormat)?.schema, rules)
  return Math.ceil(total)
}

function messageTokens(message: unknown, rules: Rules): number {
  return rules.perMessage + contentTokens(bag(message)?.content ?? message, rules)
}
