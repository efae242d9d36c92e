import { uuidv7 } from '../../core/ids.ts'
import type { Transaction } from '../port.ts'
import { decimal, least, type Micros } from './amounts.ts'
import { type Account, iso, type Lot, NEVER, type Piece, worth } from './state.ts'

/** What differs between transactions; the rest is filled in by {@link append}. */
export type Entry = Pick<Transaction, 'type' | 'source'> &
  Partial<Omit<Transaction, 'id'>> & { id?: string | undefined; change: Micros }

/** Writes one row. Call it after the account's figures have changed: the row holds the balance after it. */
export function append(account: Account, now: number, entry: Entry): Transaction {
  const transaction: Transaction = {
    id: entry.id ?? uuidv7(),
    userId: account.userId,
    version: account.ledger.length + 1,
    type: entry.type,
    source: entry.source,
    amount: decimal(entry.change),
    balanceAfter: decimal(worth(account)),
    uncollected: entry.uncollected ?? '0',
    reservationId: entry.reservationId ?? null,
    reversesId: entry.reversesId ?? null,
    feature: entry.feature ?? null,
    model: entry.model ?? null,
    inputTokens: entry.inputTokens ?? null,
    outputTokens: entry.outputTokens ?? null,
    estimated: entry.estimated ?? false,
    late: entry.late ?? false,
    reason: entry.reason ?? null,
    metadata: entry.metadata ?? {},
    createdAt: iso(now),
  }
  account.ledger.push(transaction)
  return transaction
}

/** Plan before add-on, then priority, soonest expiry, oldest. */
function before(a: Lot, b: Lot): boolean {
  if (a.bucket !== b.bucket) return a.bucket === 'plan'
  if (a.priority !== b.priority) return a.priority < b.priority
  if (a.expiresAt !== b.expiresAt) return a.expiresAt < b.expiresAt
  return a.sequence < b.sequence
}

function shift(account: Account, bucket: Lot['bucket'], by: Micros): void {
  if (bucket === 'plan') account.planCredits += by
  else account.addOnCredits += by
}

/** Adds credits: debt is paid first, the rest becomes a lot. */
export function addLot(account: Account, lot: Omit<Lot, 'sequence' | 'amount'>): void {
  const repaid = least(lot.remaining, account.debt)
  account.debt -= repaid
  const remaining = lot.remaining - repaid
  if (remaining === 0n) return
  account.lotsMade += 1
  place(account, { ...lot, amount: remaining, remaining, sequence: account.lotsMade })
  shift(account, lot.bucket, remaining)
}

/** Puts a lot where the burn-down order wants it. */
function place(account: Account, lot: Lot): void {
  const at = account.lots.findIndex((other) => before(lot, other))
  account.lots.splice(at === -1 ? account.lots.length : at, 0, lot)
  if (lot.expiresAt < account.nextDueAt) account.nextDueAt = lot.expiresAt
}

/** Takes credits in burn-down order; what no lot covers becomes debt. The caller has checked that it may. */
export function burn(account: Account, amount: Micros): Piece[] {
  let pieces: Piece[] = []
  let left = amount
  while (left > 0n) {
    const lot = account.lots[0]
    if (lot === undefined) break
    const taken = least(left, lot.remaining)
    lot.remaining -= taken
    shift(account, lot.bucket, -taken)
    // Nearly always one lot is enough, and an array that is grown keeps room for many.
    if (left === amount) pieces = [{ lot, amount: taken }]
    else pieces.push({ lot, amount: taken })
    left -= taken
    if (lot.remaining === 0n) account.lots.shift()
  }
  account.debt += left
  return pieces
}

/** Returns credits: debt first, then the lots they came from as far as these still live, then a lot of their own. */
export function giveBack(account: Account, amount: Micros, pieces: readonly Piece[], now: number): void {
  const repaid = least(amount, account.debt)
  account.debt -= repaid
  let left = amount - repaid
  // Last taken, first returned.
  for (const { lot, amount: taken } of pieces.toReversed()) {
    const back = least(least(left, taken), lot.amount - lot.remaining)
    if (lot.expiresAt <= now || back === 0n) continue
    if (lot.remaining === 0n) place(account, lot)
    lot.remaining += back
    shift(account, lot.bucket, back)
    left -= back
  }
  if (left > 0n)
    addLot(account, { bucket: 'add-on', source: 'refund', priority: 100, expiresAt: NEVER, remaining: left })
}

/**
 * Expires what is past its time, one transaction per lot. Held credits stay: holds lie on the lots in
 * burn-down order, and credits under a hold do not expire before it is closed.
 */
export function expireLots(account: Account, until: number, now: number): void {
  let held = account.reserved
  for (const lot of account.lots) {
    const kept = least(lot.remaining, held)
    held -= kept
    const gone = lot.remaining - kept
    if (lot.expiresAt > until || gone === 0n) continue
    shift(account, lot.bucket, -gone)
    lot.remaining = kept
    append(account, now, { type: 'expiry', source: lot.source, change: -gone })
  }
  account.lots = account.lots.filter((lot) => lot.remaining > 0n)
}

/** Moves unused plan credits, up to a limit, into a lot of the next period. */
export function rollOver(account: Account, limit: Micros, from: number, to: number, now: number): void {
  let moved = 0n
  // From the end of the burn-down order, so that open reservations keep covering the oldest.
  for (const lot of account.lots.toReversed()) {
    if (lot.bucket !== 'plan' || lot.expiresAt > from) continue
    const part = least(lot.remaining, limit - moved)
    lot.remaining -= part
    moved += part
  }
  if (moved === 0n) return
  account.lots = account.lots.filter((lot) => lot.remaining > 0n)
  account.lotsMade += 1
  const lot = { source: 'rollover', priority: 100, expiresAt: to, sequence: account.lotsMade }
  place(account, { ...lot, bucket: 'plan', amount: moved, remaining: moved })
  append(account, now, { type: 'adjustment', source: 'rollover', change: 0n })
}

export function nextLotExpiry(account: Account): number {
  return account.lots.reduce((soonest, lot) => Math.min(soonest, lot.expiresAt), NEVER)
}
