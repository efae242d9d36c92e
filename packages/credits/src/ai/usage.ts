import type { UsageInput } from '../core/pricing/normalize-usage.ts'
import type { CallParams, Demand } from './demand.ts'
import type { Modality } from './sdk.ts'

/** A result, or the last part of a stream. */
interface Result {
  usage?: unknown
  images?: unknown
  durationInSeconds?: unknown
}

/** The call whose usage is read. */
interface UsedCall {
  readonly modality: Modality
  readonly params: CallParams
  readonly demand: Demand
}

type Counts = Readonly<Record<string, unknown>>

/**
 * The usage a provider reported, with what else is counted for the modality: pictures, characters, seconds.
 * Undefined where nothing usable was said.
 */
export function reportedUsage({ modality, params, demand }: UsedCall, result: unknown): UsageInput | undefined {
  const { usage, images, durationInSeconds } = (result ?? {}) as Result
  const counted = (typeof usage === 'object' && usage !== null ? usage : undefined) as UsageInput | undefined
  switch (modality) {
    case 'image': {
      const { size } = params
      const sized = typeof size === 'string' ? { size } : {}
      return Array.isArray(images) ? { ...counted, ...sized, images: images.length } : counted
    }
    case 'speech':
      return { ...tokensOf(counted), characters: charactersOf(counted, params.text, demand) }
    case 'transcription':
      if (typeof durationInSeconds === 'number') return { ...tokensOf(counted), seconds: durationInSeconds }
      return counted && tokensOf(counted)
    case 'translation':
      return translated((counted ?? {}) as Counts, durationInSeconds)
    default:
      return counted
  }
}

/** What the provider says it was sent, else what it was sent, else what it has read. */
function charactersOf(usage: unknown, text: unknown, { inflow }: Demand): number {
  const { inputCharacters } = (usage ?? {}) as Counts
  if (typeof inputCharacters === 'number') return inputCharacters
  return typeof text === 'string' ? text.length : (inflow?.seen ?? 0)
}

/** Speech and transcription hand through the provider's own usage object: only plain token counts are understood. */
function tokensOf(usage: unknown): { inputTokens?: number; outputTokens?: number } {
  const { inputTokens, outputTokens, input_tokens, output_tokens } = (usage ?? {}) as Counts
  const input = inputTokens ?? input_tokens
  const output = outputTokens ?? output_tokens
  return {
    ...(typeof input === 'number' && { inputTokens: input }),
    ...(typeof output === 'number' && { outputTokens: output }),
  }
}

/** Seconds and tokens of a translation; tokens of audio and of text are told apart, where ours are a total and a part. */
function translated(usage: Counts, durationInSeconds: unknown): UsageInput {
  const { inputAudioSeconds = durationInSeconds, inputAudioTokens, outputAudioTokens } = usage
  return {
    seconds: number(inputAudioSeconds),
    inputTokens: sum(inputAudioTokens, usage.inputTextTokens),
    outputTokens: sum(outputAudioTokens, usage.outputTextTokens),
    audioInputTokens: number(inputAudioTokens),
    audioOutputTokens: number(outputAudioTokens),
  }
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}

function sum(a: unknown, b: unknown): number | undefined {
  return typeof a === 'number' || typeof b === 'number' ? (number(a) ?? 0) + (number(b) ?? 0) : undefined
}
