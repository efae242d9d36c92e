import type { ArgsDef } from 'citty'
import { toMicros } from '../core/time.ts'
import type { PeriodInput } from '../credits/report-types.ts'

/** The period of a report. */
export const periodArgs = {
  from: { type: 'string', description: 'Day or ISO time, inclusive. Default: the beginning' },
  to: { type: 'string', description: 'Day or ISO time, exclusive. Default: now' },
} as const satisfies ArgsDef

/** A day means its beginning, UTC. */
export function periodOf(args: { from?: string | undefined; to?: string | undefined }): PeriodInput {
  return { from: time('--from', args.from), to: time('--to', args.to) }
}

function time(flag: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const full = /^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00Z` : text
  toMicros(full, flag)
  return full
}
