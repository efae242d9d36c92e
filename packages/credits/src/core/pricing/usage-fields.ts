import { invalidInput } from '../money.ts'
import type { Usage } from './usage.ts'

/** Bounds what a hostile or broken counter can cost. The largest context windows are a million times smaller. */
export const MAX_COUNT = 1_000_000_000_000
const MAX_SECONDS = 1_000_000_000

/** Fields that are whole numbers. */
export const COUNTS = [
  'inputTokens',
  'cacheReadTokens',
  'cacheReadAudioTokens',
  'cacheWriteTokens',
  'cacheWrite1hTokens',
  'outputTokens',
  'reasoningTokens',
  'webSearches',
  'mapsSearches',
  'tokens',
  'images',
  'videoTokens',
  'characters',
  'audioInputTokens',
  'audioOutputTokens',
  'messages',
] as const satisfies readonly (keyof Usage)[]

const TEXTS = [
  'size',
  'quality',
  'style',
  'operation',
  'resolution',
  'mode',
  'serviceTier',
  'region',
  'startedAt',
] as const satisfies readonly (keyof Usage)[]

const SWITCHES = ['audio', 'voiceControl', 'videoInput', 'fast', 'batch'] as const satisfies readonly (keyof Usage)[]

const KIND = new Map<string, 'count' | 'seconds' | 'text' | 'switch'>([
  ...COUNTS.map((key) => [key, 'count'] as const),
  ['seconds', 'seconds'] as const,
  ...TEXTS.map((key) => [key, 'text'] as const),
  ...SWITCHES.map((key) => [key, 'switch'] as const),
])

/** A usage while it is being read. */
export type MutableUsage = { -readonly [Key in keyof Usage]: Usage[Key] }

/** Whether a key is a field of {@link Usage}. */
export function isUsageField(key: string): key is keyof Usage {
  return KIND.has(key)
}

/** Whether a usage counts anything, zero included. */
export function hasCount(usage: Usage): boolean {
  return usage.seconds !== undefined || COUNTS.some((key) => usage[key] !== undefined)
}

/** What is wrong with a value of a field; undefined when nothing is. */
function faultOf(key: keyof Usage, value: unknown): string | undefined {
  switch (KIND.get(key)) {
    case 'count': {
      const valid = typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= MAX_COUNT
      return valid ? undefined : 'must be a whole number from 0 to 10^12'
    }
    case 'seconds': {
      const valid = typeof value === 'number' && value >= 0 && value <= MAX_SECONDS
      return valid ? undefined : 'must be a number of seconds from 0 to 10^9'
    }
    case 'text':
      if (typeof value !== 'string' || value.length > 200) return 'must be a short string'
      return key === 'startedAt' && Number.isNaN(Date.parse(value)) ? 'must be an ISO 8601 time' : undefined
    default:
      return typeof value === 'boolean' ? undefined : 'must be true or false'
  }
}

/**
 * Writes one field of a usage, unless it has a value.
 * @param invalid what to do with a value that is not one: refuse the usage, or treat it as absent
 * @returns false when the value was dropped
 * @throws CreditError `INVALID_INPUT` with the field's path
 */
export function setField(usage: MutableUsage, key: keyof Usage, value: unknown, invalid: 'refuse' | 'drop'): boolean {
  if (value === undefined || value === null || usage[key] !== undefined) return true
  const fault = faultOf(key, value)
  if (fault === undefined) {
    ;(usage as Record<string, unknown>)[key] = value
    return true
  }
  if (invalid === 'refuse') throw invalidInput(`usage.${key}`, fault)
  return false
}
