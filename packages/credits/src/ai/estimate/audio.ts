import { utf8Bytes } from '../../core/pricing/input-bound.ts'
import type { Usage } from '../../core/pricing/usage.ts'
import type { BoundInput, LooseParams, UsageBound } from './bound.ts'

/** Characters of a text, or seconds of audio. */
interface Amount {
  /** To reserve for. */
  most: number
  /** To begin with, where the user cannot pay for more. */
  least: number
}

/** What an amount of text or audio comes to. */
interface Measure {
  bound(amount: number): { inputTokens: number; maxOutputTokens: number; usage: Usage }
  likely(amount: number): Usage
}

/** An input that arrives while the provider works: its option, and how one chunk of it is measured. */
interface Arriving {
  option: 'text' | 'audio'
  measure(chunk: unknown): number
}

/** Reserved at first where the input arrives while the provider works. */
const FIRST_CHARACTERS: Amount = { most: 1_000, least: 200 }
const FIRST_SECONDS: Amount = { most: 60, least: 10 }

/** The bound of a text that is spoken. */
export function speechBound({ params }: BoundInput): UsageBound {
  const { text, instructions } = params
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
  const length = charactersOf(text)
  if (length !== undefined) return spokenBound(measure, { most: length, least: length })
  return spokenBound(measure, FIRST_CHARACTERS, {
    option: 'text',
    measure: (chunk) => charactersOf([chunk]) ?? 0,
  })
}

/** Characters of a text, as a reader counts them: an emoji is one. Undefined for a text that is still to come. */
export function charactersOf(text: unknown): number | undefined {
  if (typeof text === 'string') return codePoints(text)
  if (!Array.isArray(text)) return typeof text === 'object' && text !== null ? undefined : 0
  return (text as ReadonlyArray<string | { text?: unknown } | null>).reduce((sum, part) => {
    const spoken = typeof part === 'string' ? part : part?.text
    return sum + (typeof spoken === 'string' ? codePoints(spoken) : 0)
  }, 0)
}

function codePoints(text: string): number {
  let count = 0
  for (const _ of text) count++
  return count
}

/** The bound of audio that is written down. */
export function transcriptionBound({ params }: BoundInput): UsageBound {
  return listeningBound(params, 10)
}

/** The bound of audio that is spoken in another language: text and audio come out. */
export function translationBound({ params }: BoundInput): UsageBound {
  return listeningBound(params, 40)
}

interface BytesPerSecond {
  slowest: number
  usual: number
}

/** Compressed speech: the lowest bit rate in common use, and the usual one. */
const COMPRESSED: BytesPerSecond = { slowest: 2_000, usual: 16_000 }
const TELEPHONE: BytesPerSecond = { slowest: 8_000, usual: 8_000 }

/** Samples have two bytes in PCM, and one on the telephone. */
function bytesPerSecond(format: unknown): BytesPerSecond {
  const { type, rate } = (format ?? {}) as { type?: unknown; rate?: unknown }
  if (type === 'audio/pcmu' || type === 'audio/pcma') return TELEPHONE
  if (type !== 'audio/pcm') return COMPRESSED
  return typeof rate === 'number' && rate > 0
    ? { slowest: 2 * rate, usual: 2 * rate }
    : { slowest: 16_000, usual: 48_000 }
}

function listeningBound({ audio, inputAudioFormat }: LooseParams, tokensPerSecond: number): UsageBound {
  const { slowest, usual } = bytesPerSecond(inputAudioFormat)
  const measure: Measure = {
    bound: (amount) => {
      const seconds = Math.ceil(amount)
      return { usage: { seconds }, inputTokens: 20 * seconds, maxOutputTokens: tokensPerSecond * seconds + 256 }
    },
    likely: (amount) => {
      const seconds = Math.ceil((amount * slowest) / usual)
      return { seconds, inputTokens: 10 * seconds, outputTokens: Math.ceil((tokensPerSecond * seconds) / 2) }
    },
  }
  if (audio instanceof ReadableStream) {
    return spokenBound(measure, FIRST_SECONDS, { option: 'audio', measure: (chunk) => bytesOf(chunk) / slowest })
  }
  const bytes = bytesOf(audio)
  return spokenBound(measure, { most: bytes / slowest, least: bytes / usual })
}

function bytesOf(audio: unknown): number {
  if (audio instanceof Uint8Array || audio instanceof ArrayBuffer) return audio.byteLength
  // Base64 in a string. The file behind a URL is not fetched: a minute is reserved, the real length is charged.
  if (typeof audio === 'string' && !/^https?:/.test(audio)) return Math.ceil(audio.length * 0.75)
  return 60 * COMPRESSED.usual
}

function spokenBound(measure: Measure, amount: Amount, arriving?: Arriving): UsageBound {
  const { most, least } = amount
  const bound = measure.bound(most)
  return {
    ...bound,
    leastInputTokens: bound.inputTokens,
    thinkingTokens: 0,
    takesLimit: false,
    leastUsage: least < most ? measure.bound(least).usage : bound.usage,
    cacheWrite: 'none',
    likelyUsage: (seen) => measure.likely(arriving === undefined ? most : seen.inputAmount),
    streamed: arriving && {
      ...arriving,
      amount: most,
      leastAmount: least,
      grownTo: (arrived) => spokenBound(measure, { most: 2 * arrived, least: arrived }, arriving),
    },
  }
}
