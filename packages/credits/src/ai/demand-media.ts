import { boundInputTokens, utf8Bytes } from '../core/pricing/input-bound.ts'
import type { Usage } from '../core/pricing/usage.ts'
import type { CreditsContext } from './context.ts'
import type { CallParams, Demand } from './demand.ts'
import { speech, transcription, translation } from './demand-audio.ts'
import type { Modality } from './sdk.ts'
import { likelyTokens } from './tokens.ts'

type Counter = (params: CallParams, context: CreditsContext) => Demand

/** Tokens of one drawn image where they are billed: the largest, finest ones come to a little over 6,000. */
const TOKENS_PER_IMAGE = 8_192
/** What a video is when the call does not say. */
const VIDEO_SECONDS = 10
const VIDEO_FRAMES = 24
const DECISION_TOKENS = 4_096

/** The demand of everything that is not a language model's call. */
export function mediaDemand(
  context: CreditsContext,
  modality: Exclude<Modality, 'language'>,
  params: CallParams,
): Demand {
  return COUNTERS[modality](params, context)
}

const COUNTERS: Readonly<Record<Exclude<Modality, 'language'>, Counter>> = {
  embedding: (params, context) => byInput(list(params.values), context),
  reranking: ({ documents, query }, context) => {
    const values = list((documents as { values?: unknown } | undefined)?.values ?? documents)
    // Rerankers read the query anew with every document.
    return byInput(
      values.map((value) => [query, value]),
      context,
    )
  },
  image: image,
  speech: speech,
  transcription: transcription,
  translation: translation,
  video: video,
  decision: reading,
  extraction: reading,
}

function byInput(values: readonly unknown[], context: CreditsContext): Demand {
  const { countTokens } = context
  const overhead = 16 * values.length
  const bound = values.reduce<number>((sum, value) => sum + (countTokens ?? utf8Bytes)(textOf(value)), overhead)
  return {
    inputTokens: bound,
    maxOutputTokens: 0,
    clampable: false,
    usage: undefined,
    cacheWrite: 'none',
    likely: () => ({
      tokens: values.reduce<number>((sum, value) => sum + (countTokens ?? likelyTokens)(textOf(value)), 0),
    }),
  }
}

function image(params: CallParams, context: CreditsContext): Demand {
  const { n, size, quality } = { n: whole(params.n, 1), size: text(params.size), quality: option(params, 'quality') }
  const files = list(params.files).length + (params.mask === undefined ? 0 : 1)
  const usage: Usage = { images: n, size, quality, style: option(params, 'style') }
  const prompt = [{ content: text(params.prompt) ?? '' }]
  const inputTokens = boundInputTokens({ prompt }, { countText: context.countTokens }) + files * 3_000
  return {
    inputTokens,
    maxOutputTokens: n * TOKENS_PER_IMAGE,
    clampable: false,
    usage,
    cacheWrite: 'none',
    likely: () => usage,
  }
}

function video(params: CallParams): Demand {
  const seconds = whole(params.n, 1) * positive(params.duration, VIDEO_SECONDS)
  const resolution = text(params.resolution)
  const [width = 1280, height = 720] = (resolution ?? '').split('x').map(Number).filter(Boolean)
  const usage: Usage = {
    seconds,
    videoTokens: Math.ceil((width * height * positive(params.fps, VIDEO_FRAMES) * seconds) / 1024),
    resolution,
    mode: option(params, 'mode'),
    audio: typeof params.generateAudio === 'boolean' ? params.generateAudio : undefined,
    videoInput: undefined,
  }
  return {
    inputTokens: utf8Bytes(text(params.prompt) ?? '') + 64,
    maxOutputTokens: 0,
    clampable: false,
    usage,
    cacheWrite: 'none',
    likely: () => usage,
  }
}

function reading(params: CallParams, context: CreditsContext): Demand {
  const prompt = [{ content: params.state }, { content: params.questions ?? params.fields }]
  const asked = params.maxOutputTokens
  return {
    inputTokens: boundInputTokens({ prompt }, { ...context.inputBound, countText: context.countTokens }),
    maxOutputTokens: typeof asked === 'number' ? asked : DECISION_TOKENS,
    clampable: false,
    usage: undefined,
    cacheWrite: '1h' as 'none' | '1h',
    likely: (outputTokens) => ({
      inputTokens: boundInputTokens({ prompt }, { countText: context.countTokens ?? likelyTokens, perCall: 0 }),
      outputTokens,
    }),
  }
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  return (Array.isArray(value) ? value.map(textOf).join(' ') : JSON.stringify(value)) ?? ''
}

function whole(value: unknown, fallback: number): number {
  return Number.isSafeInteger(value) && Number(value) > 0 ? Number(value) : fallback
}

function positive(value: unknown, fallback: number): number {
  return typeof value === 'number' && value > 0 && Number.isFinite(value) ? value : fallback
}

/** An option that providers take under their own name: `providerOptions.openai.quality`. */
function option({ providerOptions }: CallParams, name: string): string | undefined {
  if (typeof providerOptions !== 'object' || providerOptions === null) return undefined
  for (const options of Object.values(providerOptions) as ReadonlyArray<Record<string, unknown> | null>) {
    const value = options?.[name]
    if (typeof value === 'string' && value.length < 50) return value
  }
  return undefined
}
