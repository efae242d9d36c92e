import { boundInputTokens, boundTextTokens, utf8Bytes } from '../../core/pricing/input-bound.ts'
import type { Usage } from '../../core/pricing/usage.ts'
import type { SeenOutput } from '../types.ts'
import { speechBound, transcriptionBound, translationBound } from './audio.ts'
import {
  type BoundInput,
  type MediaModality,
  pricedPerPicture,
  providerOption,
  type ReadBound,
  type UsageBound,
} from './bound.ts'
import { likelyTokens, safeCount } from './tokens.ts'

/** Output tokens of one picture where they are billed: the largest and finest come to a little over 6,000. */
const MAX_TOKENS_PER_PICTURE = 8_192
/** Input tokens of one picture that is edited. */
const TOKENS_PER_INPUT_PICTURE = 3_000
/** Output tokens of a square picture by quality, as OpenAI documents them; `auto` is the dearest. */
const TOKENS_BY_QUALITY: Readonly<Record<string, number>> = { low: 272, medium: 1_056, high: 4_160 }
/** What a video is when the call does not say. */
const VIDEO_SECONDS = 10
const VIDEO_FRAMES = 24
const DECISION_TOKENS = 4_096

/** How the bound of each modality other than language is read. */
export const MEDIA_BOUNDS: Readonly<Record<MediaModality, ReadBound>> = {
  embedding: (input) => inputOnly(list(input.params.values), input),
  reranking: rerankingBound,
  image: imageBound,
  speech: speechBound,
  transcription: transcriptionBound,
  translation: translationBound,
  video: videoBound,
  decision: readingBound,
  extraction: readingBound,
}

// Rerankers read the query again with every document.
function rerankingBound(input: BoundInput): UsageBound {
  const { documents, query } = input.params
  // An array of the app, an object with `values` in the provider call.
  const values = list(Array.isArray(documents) ? documents : (documents as { values?: unknown } | undefined)?.values)
  return inputOnly(
    values.map((value) => [query, value]),
    input,
  )
}

function inputOnly(values: readonly unknown[], { context }: BoundInput): UsageBound {
  const countLikely = safeCount(context.countTokens, likelyTokens)
  const countMost = safeCount(context.countTokens, boundTextTokens)
  const sum = (count: (text: string) => number) =>
    values.reduce<number>((total, value) => total + count(plainText(value)), 0)
  const inputTokens = Math.ceil(sum(countMost)) + 16 * values.length
  return {
    inputTokens,
    leastInputTokens: inputTokens,
    maxOutputTokens: 0,
    thinkingTokens: 0,
    takesLimit: false,
    usage: undefined,
    leastUsage: undefined,
    cacheWrite: 'none',
    likelyUsage: () => ({ tokens: Math.ceil(sum(countLikely)) }),
  }
}

function imageBound({ params, context, pricing }: BoundInput): UsageBound {
  const images = wholeNumber(params.n, 1)
  const size = optionalText(params.size)
  const quality = providerOption(params, 'quality')
  const usage: Usage = { images, size, quality, style: providerOption(params, 'style') }
  const files = list(params.files).length + (params.mask === undefined ? 0 : 1)
  const prompt = [{ content: optionalText(params.prompt) ?? '' }]
  const countText = context.countTokens && safeCount(context.countTokens, boundTextTokens)
  const inputTokens = boundInputTokens({ prompt }, { countText }) + files * TOKENS_PER_INPUT_PICTURE
  const perPicture = pricedPerPicture(pricing)
  const likelyInput = likelyTokens(prompt[0]?.content ?? '') + files * TOKENS_PER_INPUT_PICTURE
  return {
    inputTokens,
    leastInputTokens: inputTokens,
    maxOutputTokens: images * MAX_TOKENS_PER_PICTURE,
    thinkingTokens: 0,
    takesLimit: false,
    usage,
    leastUsage: usage,
    cacheWrite: 'none',
    likelyUsage: () =>
      perPicture
        ? usage
        : { ...usage, inputTokens: likelyInput, outputTokens: images * tokensPerPicture(size, quality) },
  }
}

/** Larger pictures than the square one have half as many tokens again. */
function tokensPerPicture(size: string | undefined, quality: string | undefined): number {
  const tokens = TOKENS_BY_QUALITY[quality ?? 'high'] ?? 4_160
  return size === undefined || size === '1024x1024' ? tokens : Math.ceil(tokens * 1.5)
}

function videoBound({ params }: BoundInput): UsageBound {
  const seconds = wholeNumber(params.n, 1) * positive(params.duration, VIDEO_SECONDS)
  const resolution = optionalText(params.resolution)
  const [width = 1280, height = 720] = (resolution ?? '').split('x').map(Number).filter(Boolean)
  const usage: Usage = {
    seconds,
    videoTokens: Math.ceil((width * height * positive(params.fps, VIDEO_FRAMES) * seconds) / 1024),
    resolution,
    mode: providerOption(params, 'mode'),
    audio: typeof params.generateAudio === 'boolean' ? params.generateAudio : undefined,
    videoInput: undefined,
  }
  const inputTokens = utf8Bytes(optionalText(params.prompt) ?? '') + 64
  return {
    inputTokens,
    leastInputTokens: inputTokens,
    maxOutputTokens: 0,
    thinkingTokens: 0,
    takesLimit: false,
    usage,
    leastUsage: usage,
    cacheWrite: 'none',
    likelyUsage: () => usage,
  }
}

function readingBound({ params, context }: BoundInput): UsageBound {
  const prompt = [{ content: params.state }, { content: params.questions ?? params.fields }]
  const limit = params.maxOutputTokens
  const countText = context.countTokens && safeCount(context.countTokens, boundTextTokens)
  const inputTokens = boundInputTokens({ prompt }, { ...context.inputBound, countText })
  return {
    inputTokens,
    leastInputTokens: inputTokens,
    maxOutputTokens: typeof limit === 'number' ? limit : DECISION_TOKENS,
    thinkingTokens: 0,
    takesLimit: false,
    usage: undefined,
    leastUsage: undefined,
    cacheWrite: '1h',
    likelyUsage: (seen: SeenOutput) => ({
      inputTokens: boundInputTokens(
        { prompt },
        { countText: safeCount(context.countTokens, likelyTokens), perCall: 0 },
      ),
      outputTokens: seen.tokens,
    }),
  }
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function optionalText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function plainText(value: unknown): string {
  if (typeof value === 'string') return value
  return (Array.isArray(value) ? value.map(plainText).join(' ') : JSON.stringify(value)) ?? ''
}

function wholeNumber(value: unknown, fallback: number): number {
  return Number.isSafeInteger(value) && Number(value) > 0 ? Number(value) : fallback
}

function positive(value: unknown, fallback: number): number {
  return typeof value === 'number' && value > 0 && Number.isFinite(value) ? value : fallback
}
