import type { UsageInput } from '../core/normalize-usage.ts'
import type { CallParams } from './demand.ts'
import type { Modality } from './sdk.ts'

interface Result {
  usage?: unknown
  images?: unknown
  durationInSeconds?: unknown
}

/**
 * The usage a provider reported, with what else is counted for the modality: pictures, characters, seconds.
 * Undefined where nothing usable was said.
 */
export function reportedUsage(modality: Modality, params: CallParams, result: unknown): UsageInput | undefined {
  const { usage, images, durationInSeconds } = (result ?? {}) as Result
  const counted = (typeof usage === 'object' && usage !== null ? usage : undefined) as UsageInput | undefined
  switch (modality) {
    case 'image': {
      const { size } = params
      const sized = typeof size === 'string' ? { size } : {}
      return Array.isArray(images) ? { ...counted, ...sized, images: images.length } : counted
    }
    case 'speech':
      return { ...numbers(counted), characters: typeof params.text === 'string' ? params.text.length : 0 }
    case 'transcription':
      if (typeof durationInSeconds === 'number') return { ...numbers(counted), seconds: durationInSeconds }
      return counted && numbers(counted)
    default:
      return counted
  }
}

/** Speech and transcription hand through the provider's own usage object: only plain token counts are understood. */
function numbers(usage: unknown): { inputTokens?: number; outputTokens?: number } {
  const { inputTokens, outputTokens, input_tokens, output_tokens } = (usage ?? {}) as Record<string, unknown>
  const input = inputTokens ?? input_tokens
  const output = outputTokens ?? output_tokens
  return {
    ...(typeof input === 'number' && { inputTokens: input }),
    ...(typeof output === 'number' && { outputTokens: output }),
  }
}
