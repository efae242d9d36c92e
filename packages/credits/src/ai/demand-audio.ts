import { utf8Bytes } from '../core/pricing/input-bound.ts'
import type { Usage } from '../core/pricing/usage.ts'
import type { CallParams, Demand } from './demand.ts'
import { Inflow } from './inflow.ts'

/** How much there is of something spoken: characters, or seconds of audio. */
export interface Extent {
  /** To hold for. */
  most: number
  /** To begin with, where the user cannot pay for more. */
  least: number
}

/** What so much of it comes to. */
interface Measure {
  bound(amount: number): Pick<Demand, 'inputTokens' | 'maxOutputTokens'> & { usage: Usage }
  likely(amount: number): Usage
}

/** Held for at first where the input arrives while the provider works. */
const FIRST_CHARACTERS: Extent = { most: 1_000, least: 200 }
const FIRST_SECONDS: Extent = { most: 60, least: 10 }

/** The demand of a text to be spoken. */
export function speech({ text, instructions }: CallParams): Demand {
  const overhead = utf8Bytes(typeof instructions === 'string' ? instructions : '') + 64
  const measure: Measure = {
    bound: (characters) => ({
      usage: { characters },
      // No character has more than three bytes.
      inputTokens: (typeof text === 'string' ? utf8Bytes(text) : 3 * characters) + overhead,
      // Where audio is billed by the token, a character comes to one or two of them.
      maxOutputTokens: 2 * characters + 256,
    }),
    likely: (characters) => ({
      characters,
      inputTokens: Math.ceil(characters / 4),
      outputTokens: Math.ceil(1.3 * characters),
    }),
  }
  const length = lengthOf(text)
  if (length !== undefined) return demandOf(measure, { most: length, least: length })
  return demandOf(measure, FIRST_CHARACTERS, new Inflow('text', (chunk) => lengthOf([chunk]) ?? 0))
}

/** Characters of a text that is there; undefined for one that is still to come. */
function lengthOf(text: unknown): number | undefined {
  if (typeof text === 'string') return text.length
  if (!Array.isArray(text)) return typeof text === 'object' && text !== null ? undefined : 0
  return (text as ReadonlyArray<string | { text?: unknown } | null>).reduce((sum, part) => {
    const spoken = typeof part === 'string' ? part : part?.text
    return sum + (typeof spoken === 'string' ? spoken.length : 0)
  }, 0)
}

/** The demand of audio to be written down. */
export function transcription(params: CallParams): Demand {
  return listening(params, 10)
}

/** The demand of audio to be spoken in another language: text and audio come out. */
export function translation(params: CallParams): Demand {
  return listening(params, 40)
}

/** Bytes per second. */
interface ByteRate {
  slowest: number
  usual: number
}
/** Compressed speech at the lowest bit rate in common use; what it usually is. */
const COMPRESSED: ByteRate = { slowest: 2_000, usual: 16_000 }
const TELEPHONE: ByteRate = { slowest: 8_000, usual: 8_000 }

/** Samples have two bytes in PCM, and one on the telephone. */
function byteRateOf(format: unknown): ByteRate {
  const { type, rate } = (format ?? {}) as { type?: unknown; rate?: unknown }
  if (type === 'audio/pcmu' || type === 'audio/pcma') return TELEPHONE
  if (type !== 'audio/pcm') return COMPRESSED
  return typeof rate === 'number' && rate > 0
    ? { slowest: 2 * rate, usual: 2 * rate }
    : { slowest: 16_000, usual: 48_000 }
}

function listening({ audio, inputAudioFormat }: CallParams, tokensOut: number): Demand {
  const { slowest, usual } = byteRateOf(inputAudioFormat)
  const measure: Measure = {
    bound: (amount) => {
      const seconds = Math.ceil(amount)
      return { usage: { seconds }, inputTokens: 20 * seconds, maxOutputTokens: tokensOut * seconds + 256 }
    },
    likely: (amount) => {
      const seconds = Math.ceil((amount * slowest) / usual)
      return { seconds, inputTokens: 10 * seconds, outputTokens: Math.ceil((tokensOut * seconds) / 2) }
    },
  }
  if (audio instanceof ReadableStream) {
    return demandOf(measure, FIRST_SECONDS, new Inflow('audio', (chunk) => bytesOf(chunk) / slowest))
  }
  const bytes = bytesOf(audio)
  return demandOf(measure, { most: bytes / slowest, least: bytes / usual })
}

function bytesOf(audio: unknown): number {
  if (audio instanceof Uint8Array || audio instanceof ArrayBuffer) return audio.byteLength
  // Base64 in a string. A URL is not fetched for its length: a minute is held for, the real length is charged.
  if (typeof audio === 'string' && !/^https?:/.test(audio)) return Math.ceil(audio.length * 0.75)
  return 60 * COMPRESSED.usual
}

function demandOf(measure: Measure, extent: Extent, inflow?: Inflow): Demand {
  const { most, least } = extent
  return {
    ...measure.bound(most),
    clampable: false,
    leastUsage: least < most ? measure.bound(least).usage : undefined,
    cacheWrite: 'none',
    likely: () => measure.likely(inflow === undefined ? most : inflow.seen),
    extent,
    inflow,
    grown: (amount) => demandOf(measure, { most: 2 * amount, least: amount }, inflow),
  }
}
