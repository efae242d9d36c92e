import { mediaSeconds, pdfPages, pictureSize } from './file-headers.ts'
import { boundTextTokens } from './text-tokens.ts'

/** The kinds of files that are distinguished. */
export type FileKind = 'image' | 'audio' | 'video' | 'document' | 'text' | 'other'

/** How many input tokens a file may come to: a fixed part and a part per kilobyte of its data. */
export interface FileTokens {
  base: number
  perKilobyte: number
}

/** A file of a prompt. */
export interface PromptFile {
  kind: FileKind
  /** Its bytes, base64 in a string, or `{ text }`; undefined where it is behind an address or an id. */
  data: Uint8Array | string | { text: string } | undefined
}

/**
 * By size, where the file does not say how much is in it: audio and video at low bit rates, documents with dense
 * pages, each read as text and as an image.
 */
const BY_SIZE: Record<FileKind, FileTokens> = {
  image: { base: 4_800, perKilobyte: 0 },
  audio: { base: 100, perKilobyte: 20 },
  video: { base: 1_000, perKilobyte: 20 },
  document: { base: 3_000, perKilobyte: 200 },
  text: { base: 16, perKilobyte: 1_024 },
  other: { base: 3_000, perKilobyte: 1_024 },
}

/** Google counts every picture at up to this. */
const SMALLEST_PICTURE = 1_120
/** Anthropic counts a token for so many pixels, and makes larger pictures smaller. */
const PIXELS_PER_TOKEN = 750
const LARGEST_PICTURE = BY_SIZE.image.base
/** A dense page is 3,000 tokens of text, and a picture of it 1,500. */
const TOKENS_PER_PAGE = 4_500
/** Google: 32 for sound, 263 for a frame. */
const TOKENS_PER_SECOND = { audio: 32, video: 300 } as const

/** Enough for the header of a picture, metadata of a camera included. */
const HEADER_BYTES = 262_144
/** Larger files are bounded by their size: decoding them would cost more than it tells. */
const MOST_READ = 32 * 1024 * 1024

/** The kind that a media type stands for. */
export function fileKind(mediaType: unknown): FileKind {
  const type = typeof mediaType === 'string' ? mediaType.toLowerCase() : ''
  if (type.startsWith('image')) return 'image'
  if (type.startsWith('audio')) return 'audio'
  if (type.startsWith('video')) return 'video'
  if (type.startsWith('text/') || type === 'application/json') return 'text'
  if (type.startsWith('application/')) return 'document'
  return 'other'
}

/** The base64 of a string, which may be a data URL. */
function base64Of(text: string): string {
  return text.startsWith('data:') ? text.slice(text.indexOf(',') + 1) : text
}

function sizeOf(data: Uint8Array | string): number {
  return data instanceof Uint8Array ? data.length : Math.ceil((base64Of(data).length * 3) / 4)
}

/** The first bytes of a file; undefined for a string that is no base64. */
function bytesOf(data: Uint8Array | string, most: number): Uint8Array | undefined {
  if (data instanceof Uint8Array) return data.subarray(0, most)
  const wanted = Math.ceil(most / 3) * 4
  try {
    const decoded = atob(base64Of(data).slice(0, wanted).replaceAll('-', '+').replaceAll('_', '/'))
    return Uint8Array.from(decoded, (character) => character.charCodeAt(0))
  } catch {
    return undefined
  }
}

/** What the bytes themselves say; undefined where they do not. */
function fromHeader(kind: FileKind, data: Uint8Array | string): number | undefined {
  if (sizeOf(data) > MOST_READ && kind !== 'image') return undefined
  const bytes = bytesOf(data, kind === 'image' ? HEADER_BYTES : MOST_READ)
  if (bytes === undefined) return undefined
  switch (kind) {
    case 'image': {
      const size = pictureSize(bytes)
      if (size === undefined) return undefined
      const tokens = Math.ceil((size.width * size.height) / PIXELS_PER_TOKEN)
      return Math.min(LARGEST_PICTURE, Math.max(SMALLEST_PICTURE, tokens))
    }
    case 'document': {
      const pages = pdfPages(bytes)
      return pages === undefined ? undefined : pages * TOKENS_PER_PAGE
    }
    case 'audio':
    case 'video': {
      const seconds = mediaSeconds(bytes)
      return seconds === undefined ? undefined : BY_SIZE[kind].base + Math.ceil(seconds * TOKENS_PER_SECOND[kind])
    }
    case 'text':
      return BY_SIZE.text.base + boundTextTokens(new TextDecoder().decode(bytes))
    default:
      return undefined
  }
}

/**
 * An upper bound of a file's input tokens: pictures by pixels, PDF by pages, sound and films by seconds, text by its
 * characters, anything else by its size. A picture is bounded even where its data is not there, because providers make
 * large pictures smaller.
 *
 * @param rules the app's own figures per kind; they count by size alone
 * @returns undefined for a file of unknown size
 */
export function boundFileTokens(
  { kind, data }: PromptFile,
  rules: Partial<Record<FileKind, FileTokens>> = {},
): number | undefined {
  const own = rules[kind]
  if (typeof data === 'object' && !(data instanceof Uint8Array)) {
    return (own ?? BY_SIZE.text).base + boundTextTokens(data.text)
  }
  const { base, perKilobyte } = own ?? BY_SIZE[kind]
  if (data === undefined) return perKilobyte === 0 ? base : undefined
  const counted = own === undefined ? fromHeader(kind, data) : undefined
  return counted ?? base + Math.ceil((sizeOf(data) * perKilobyte) / 1024)
}
