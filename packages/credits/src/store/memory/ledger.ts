import type { ChargeRecord, Transaction } from '../port.ts'
import { decimal, least, type Micros } from './amounts.ts'
import { type Account, iso, type Lot, NEVER, worth } from './state.ts'

/** What differs between transactions; the rest is filled in by {@link append}. */
export type Entry = Pick<Transaction, 'type' | 'source'> &
  Partial<Omit<Transaction, 'id'>> & { id?: string | undefined; change: Micros }

/** Writes one row. Call it after the account's figures have changed: the row holds the balance after it. */
export function append(account: Account, now: number, { change, ...entry }: Entry): Transaction {
  const transaction: Transaction = {
    id: entry.id ?? crypto.randomUUID(),
    userId: account.userId,
    version: account.ledger.length + 1,
    type: entry.type,
    source: entry.source,
    amount: decimal(change),
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

/** The part of a usage row that comes from its charge. */
export function usageOf(charge: ChargeRecord): Partial<Transaction> {
  return {
    feature: charge.feature,
    model: charge.model,
    inputTokens: charge.inputTokens,
    outputTokens: charge.outputTokens,
    estimated: charge.costSource === 'estimate',
    metadata: charge.metadata,
  }
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
export function addLot(account: Account, lot: Lot): void {
  const repaid = least(lot.remaining, account.debt)
  account.debt -= repaid
  lot.remaining -= repaid
  if (lot.remaining === 0n) return
  const at = account.lots.findIndex((other) => before(lot, other))
  account.lots.splice(at === -1 ? account.lots.length : at, 0, lot)
  shift(account, lot.bucket, lot.remaining)
  if (lot.expiresAt < account.nextDueAt) account.nextDueAt = lot.expiresAt
}

/** Takes credits in burn-down order; what no lot covers becomes debt. The caller has checked that it may. */
export function burn(account: Account, amount: Micros): void {
  let left = amount
  while (left > 0n) {
    const lot = account.lots[0]
    if (lot === undefined) break
    const taken = least(left, lot.remaining)
    lot.remaining -= taken
    shift(account, lot.bucket, -taken)
    left -= taken
    if (lot.remaining === 0n) account.lots.shift()
  }
  account.debt += left
}

/**
 * Expires what is past its time. Held credits stay: holds lie on the lots in burn-down order, and
 * credits under a hold do not expire before it is closed.
 */
export function expireLots(account: Account, now: number): void {
  let held = account.reserved
  let expired = 0n
  for (const lot of account.lots) {
    const kept = least(lot.remaining, held)
    held -= kept
    if (lot.expiresAt > now) continue
    expired += lot.remaining - kept
    shift(account, lot.bucket, kept - lot.remaining)
    lot.remaining = kept
  }
  if (expired === 0n) return
  account.lots = account.lots.filter((lot) => lot.remaining > 0n)
  append(account, now, { type: 'expiry', source: null, change: -expired })
}

export function nextLotExpiry(account: Account): number {
  return account.lots.reduce((soonest, lot) => Math.min(soonest, lot.expiresAt), NEVER)
}
