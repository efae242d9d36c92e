import { appendFileSync, rmSync } from 'node:fs'
import type { Units } from './pricing.ts'

/** One provider call. */
export interface JournalEntry {
  /** The generation id that the caller sees. */
  id: string
  kind: string
  /** The model that was asked for. */
  model: string
  /** The model that answered and is billed. */
  served: string
  streamed: boolean
  startedAt: string
  endedAt: string | null
  /** Size of the request in bytes. */
  promptBytes: number
  /** What is billed, as far as it is known. */
  units: Units
  reasoningTokens: number
  /** Exact, USD; null when the list has no price. */
  cost: string | null
  /** What a gateway customer is charged: 0 with free credits or own provider keys. */
  charged: string | null
  byok: boolean
  outcome: 'running' | 'finished' | 'aborted' | 'error' | 'dropped'
  status: number
  finishReason: string | null
  user: string | null
  tags: string[]
  /** When the generation record becomes readable, milliseconds since 1970. */
  readableAt: number
}

/** What the gateway remembers of its calls. */
export interface Journal {
  add(entry: JournalEntry): void
  /** The call has ended: it is written to the file. */
  close(entry: JournalEntry): void
  find(id: string): JournalEntry | undefined
  all(): readonly JournalEntry[]
  /** How often this key was seen before; counts. */
  attempts(key: string): number
  clear(): void
}

// Enough for any test; a stack that runs for weeks must not grow for ever.
const KEPT = 20_000

/** Keeps calls in memory and writes finished ones to `file`, one JSON object per line. */
export function createJournal(file: string | undefined): Journal {
  let entries: JournalEntry[] = []
  const byId = new Map<string, JournalEntry>()
  const seen = new Map<string, number>()
  return {
    add(entry) {
      entries.push(entry)
      byId.set(entry.id, entry)
      if (entries.length > KEPT * 1.1) {
        for (const old of entries.splice(0, entries.length - KEPT)) byId.delete(old.id)
      }
    },
    close(entry) {
      if (file !== undefined) appendFileSync(file, `${JSON.stringify(entry)}\n`)
    },
    find: (id) => byId.get(id),
    all: () => entries,
    attempts(key) {
      const count = seen.get(key) ?? 0
      seen.set(key, count + 1)
      return count
    },
    clear() {
      entries = []
      byId.clear()
      seen.clear()
      if (file !== undefined) rmSync(file, { force: true })
    },
  }
}
