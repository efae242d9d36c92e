import { CreditError } from '../core/errors.ts'
import type { ChargeRecord, ReservationResult } from '../store/port.ts'
import { type CreditsContext, reportError } from './context.ts'

/** The first wait between two attempts. The next ones double. */
const FIRST_WAIT_MS = 50
/** Waits double up to this. */
const LONGEST_WAIT_MS = 30_000
/** A write is tried for this much longer than the reservation lives. */
const PAST_LIFE_MS = 600_000

/** One write to the ledger. Running it again is harmless: the store answers with the first result. */
export interface LedgerWrite {
  operation: 'capture' | 'settle' | 'release'
  reservationId: string
  charge?: ChargeRecord | undefined
  run(): Promise<ReservationResult>
}

/** False only for a definite refusal: the same write would be refused again. */
function mayBeRetried(error: unknown): boolean {
  return !CreditError.isInstance(error) || error.retryable
}

/** The writes that end a reservation, in order. */
export interface Settlement {
  context: CreditsContext
  writes: readonly LedgerWrite[]
  /** Life of the reservation. */
  lifeMs: number
  onWritten(result: ReservationResult): void
}

/**
 * Writes a settlement. A write that fails for now is tried again in the background until well past the life of the
 * reservation: a late settle charges what an earlier one would have charged. This is the only loop around the store,
 * which itself repeats a call for no longer than a caller waits. Failures are reported, never thrown.
 *
 * @returns `attempted` resolves after the first attempt, `booked` when all is written (true) or given up (false)
 */
export function writeSettlement(settlement: Settlement): { attempted: Promise<void>; booked: Promise<boolean> } {
  const first = Promise.withResolvers<void>()
  const booked = writeAll(settlement, first.resolve).finally(first.resolve)
  return { attempted: first.promise, booked }
}

async function writeAll(settlement: Settlement, onFirstFailure: () => void): Promise<boolean> {
  const until = Date.now() + settlement.lifeMs + PAST_LIFE_MS
  let booked = true
  for (const write of settlement.writes) {
    const written = await writeOne(settlement, write, until, onFirstFailure)
    booked = booked && written
  }
  return booked
}

async function writeOne(
  { context, onWritten }: Settlement,
  write: LedgerWrite,
  until: number,
  onFirstFailure: () => void,
): Promise<boolean> {
  const { operation, reservationId, charge } = write
  for (let attempt = 1, wait = FIRST_WAIT_MS; ; attempt++) {
    try {
      const result = await write.run()
      onWritten(result)
      return true
    } catch (error) {
      const last = !mayBeRetried(error) || Date.now() > until
      // The store has repeated it by itself, so this is no short failure. Reported again when the write is given up.
      if (attempt === 1 || last) reportError(context, error, { operation, reservationId, charge })
      if (last) return false
      onFirstFailure()
    }
    await new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random() / 2)))
    wait = Math.min(2 * wait, LONGEST_WAIT_MS)
  }
}
