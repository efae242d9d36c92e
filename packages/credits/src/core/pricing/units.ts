import { invalidInput } from '../money.ts'
import type { Usage } from './usage.ts'

/** What one line of a charge counts. `input` leaves out cached tokens; the `text_` units leave out audio as well. */
export type ChargeUnit =
  | 'input'
  | 'cache_read'
  | 'cache_write'
  | 'cache_write_1h'
  | 'output'
  | 'text_input'
  | 'text_output'
  | 'audio_input'
  | 'audio_output'
  | 'web_search'
  | 'maps_search'
  | 'image'
  | 'video_second'
  | 'video_token'
  | 'character'
  | 'transcription_second'
  | 'session_second'
  | 'message'

function freshTokens(usage: Usage): number {
  const total = usage.inputTokens ?? usage.tokens ?? usage.audioInputTokens ?? 0
  return Math.max(0, total - (usage.cacheReadTokens ?? 0) - (usage.cacheWriteTokens ?? 0))
}

/**
 * Audio that was not read from a cache. A token is billed once: cached audio is a cache read. Where the usage does not
 * say how much of the cache was audio, as little as possible was.
 */
function freshAudioTokens(usage: Usage): number {
  const { audioInputTokens = 0, cacheReadAudioTokens = 0 } = usage
  return Math.min(audioInputTokens - cacheReadAudioTokens, freshTokens(usage))
}

/** How many of a unit a usage counts. */
export function quantityOf(unit: ChargeUnit, usage: Usage): number {
  switch (unit) {
    case 'input':
      return freshTokens(usage)
    case 'cache_read':
      return usage.cacheReadTokens ?? 0
    case 'cache_write':
      return (usage.cacheWriteTokens ?? 0) - (usage.cacheWrite1hTokens ?? 0)
    case 'cache_write_1h':
      return usage.cacheWrite1hTokens ?? 0
    case 'output':
      return usage.outputTokens ?? usage.audioOutputTokens ?? 0
    case 'text_input':
      return freshTokens(usage) - freshAudioTokens(usage)
    case 'text_output':
      return Math.max(0, (usage.outputTokens ?? 0) - (usage.audioOutputTokens ?? 0))
    case 'audio_input':
      return freshAudioTokens(usage)
    case 'audio_output':
      return usage.audioOutputTokens ?? 0
    case 'web_search':
      return usage.webSearches ?? 0
    case 'maps_search':
      return usage.mapsSearches ?? 0
    case 'image':
      return usage.images ?? 0
    case 'video_token':
      return usage.videoTokens ?? 0
    case 'character':
      return usage.characters ?? 0
    case 'message':
      return usage.messages ?? 0
    case 'video_second':
    case 'transcription_second':
    case 'session_second':
      return usage.seconds ?? 0
    default:
      throw invalidInput(`unitPricesUsd.${String(unit)}`, 'unknown unit')
  }
}
