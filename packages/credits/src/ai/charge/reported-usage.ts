import { charactersOf } from '../estimate/audio.ts'
import type { CallOutcome, PricedCall } from '../types.ts'
import { type Fields, fieldsOf } from './providers/reading.ts'

/**
 * The counts that a provider reported, with what else the modality counts: pictures, characters, seconds. Undefined
 * when it reported nothing.
 */
export function reportedCounts({ modality, params }: PricedCall, outcome: CallOutcome): Fields | undefined {
  const { images, durationInSeconds } = fieldsOf(outcome.result)
  const reported = typeof outcome.usage === 'object' && outcome.usage !== null ? fieldsOf(outcome.usage) : undefined
  if (outcome.result === undefined) return reported
  switch (modality) {
    case 'image': {
      const { size } = fieldsOf(params)
      const sized = typeof size === 'string' ? { size } : {}
      return Array.isArray(images) ? { ...reported, ...sized, images: images.length } : reported
    }
    case 'speech':
      return { ...tokenCounts(reported), characters: spokenCharacters(reported, fieldsOf(params).text, outcome) }
    case 'transcription':
      if (typeof durationInSeconds === 'number') return { ...tokenCounts(reported), seconds: durationInSeconds }
      return reported && tokenCounts(reported)
    case 'translation':
      return translatedCounts(reported ?? {}, durationInSeconds)
    default:
      return reported
  }
}

/** What the provider says it was sent, else what it was sent, else what it has read. */
function spokenCharacters(usage: Fields | undefined, text: unknown, { seen }: CallOutcome): number {
  const { inputCharacters } = fieldsOf(usage)
  if (typeof inputCharacters === 'number') return inputCharacters
  return typeof text === 'string' ? (charactersOf(text) ?? 0) : seen.inputAmount
}

/** Speech and transcription pass on the provider's own usage object. Only plain token counts are understood. */
function tokenCounts(usage: Fields | undefined): Fields {
  const { inputTokens, outputTokens, input_tokens, output_tokens } = fieldsOf(usage)
  const input = inputTokens ?? input_tokens
  const output = outputTokens ?? output_tokens
  return {
    ...(typeof input === 'number' && { inputTokens: input }),
    ...(typeof output === 'number' && { outputTokens: output }),
  }
}

/** Seconds and tokens of a translation: it counts audio and text apart, a usage counts a total and its part. */
function translatedCounts(usage: Fields, durationInSeconds: unknown): Fields {
  const { inputAudioSeconds = durationInSeconds, inputAudioTokens, outputAudioTokens } = usage
  return {
    seconds: numberOf(inputAudioSeconds),
    inputTokens: sumOf(inputAudioTokens, usage.inputTextTokens),
    outputTokens: sumOf(outputAudioTokens, usage.outputTextTokens),
    audioInputTokens: numberOf(inputAudioTokens),
    audioOutputTokens: numberOf(outputAudioTokens),
  }
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}

function sumOf(first: unknown, second: unknown): number | undefined {
  const known = numberOf(first) !== undefined || numberOf(second) !== undefined
  return known ? (numberOf(first) ?? 0) + (numberOf(second) ?? 0) : undefined
}
