import { add, isZero, min, sub } from '../../core/money.ts'
import type { Transaction } from '../types.ts'
import {
  type Account,
  type Entry,
  iso,
  type Lot,
  type LotPart,
  NEVER,
  reservedOf,
  worthOf,
} from './state.ts'

/** The fields of a new transaction; those left out are null, false or `"0"`. */
export type NewTransaction = Pick<Transaction, 'type' | 'source' | 'amount'> & Partial<Transaction>

/** Appends one row. The account's figures must have changed before: the row contains the balance after it. */
export function append(account: Account, now: number, fields: NewTransaction, more: Partial<Entry> = {}): Entry {
  const transaction: Transaction = {
    uncollected: '0',
    reservationId: null,
    reversesId: null,
    feature: null,
    model: null,
    inputTokens: null,
    outputTokens: null,
    estimated: false,
    late: false,
    metadata: {},
    ...fields,
    id: fields.id ?? crypto.randomUUID(),
    userId: account.userId,
    version: account.entries.length + 1,
    balanceAfter: worthOf(account),
    createdAt: iso(now),
  }
  const entry: Entry = { parameters: null, charge: null, planId: account.plan.id, parts: [], ...more, transaction }
  account.entries.push(entry)
  return entry
}

/** Plan before add-on, then the lower priority, the soonest expiry, the oldest. */
function byBurnDownOrder(a: Lot, b: Lot): number {
  if (a.bucket !== b.bucket) return a.bucket === 'plan' ? -1 : 1
  if (a.priority !== b.priority) return a.priority - b.priority
  if (a.expiresAt !== b.expiresAt) return a.expiresAt < b.expiresAt ? -1 : 1
  return a.version - b.version
}

/** The next transaction is the one that makes the lot. */
type NewLot = Pick<Lot, 'transactionId' | 'bucket' | 'source'> & Partial<Lot> & { amount: string }

/** Adds credits: debt is paid first, the rest becomes a lot. Call it before {@link append}. */
export function addLot(account: Account, lot: NewLot): void {
  const repaid = min(lot.amount, account.debt)
  account.debt = sub(account.debt, repaid)
  const amount = sub(lot.amount, repaid)
  if (isZero(amount)) return
  const version = account.entries.length + 1
  account.lots.push({ priority: 100, expiresAt: NEVER, version, ...lot, amount, remaining: amount })
  account.lots.sort(byBurnDownOrder)
}

/** Takes credits in burn-down order; what no lot covers becomes debt. The caller has checked that it may. */
export function takeFromLots(account: Account, amount: string): LotPart[] {
  const parts: LotPart[] = []
  let left = amount
  for (const lot of account.lots) {
    const taken = min(left, lot.remaining)
    if (isZero(taken)) continue
    lot.remaining = sub(lot.remaining, taken)
    left = sub(left, taken)
    parts.push({ lot, amount: taken })
  }
  account.debt = add(account.debt, left)
  return parts
}

/** Returns credits: debt first, then the lots they came from while these live, then a lot of their own. */
export function returnToLots(account: Account, transactionId: string, amount: string, entry: Entry, now: number): void {
  const repaid = min(amount, account.debt)
  account.debt = sub(account.debt, repaid)
  let left = sub(amount, repaid)
  // Last taken, first returned.
  for (const { lot, amount: taken } of entry.parts.toReversed()) {
    if (lot.expiresAt <= now) continue
    const returned = min(min(left, taken), sub(lot.amount, lot.remaining))
    lot.remaining = add(lot.remaining, returned)
    left = sub(left, returned)
  }
  if (!isZero(left)) addLot(account, { transactionId, bucket: 'add-on', source: 'refund', amount: left })
}

/**
 * Expires what is past its time, one transaction per lot. Reservations lie on the lots in burn-down order, and credits
 * under a reservation do not expire before it is closed.
 */
export function expireLots(account: Account, until: number, now: number): void {
  let covered = reservedOf(account)
  for (const lot of account.lots) {
    const kept = min(lot.remaining, covered)
    covered = sub(covered, kept)
    const expired = sub(lot.remaining, kept)
    if (lot.expiresAt > until || isZero(expired)) continue
    lot.remaining = kept
    append(account, now, { type: 'expiry', source: lot.source, amount: sub('0', expired) })
  }
}

/** Moves unused plan credits, up to a limit, into a lot of the next period. */
export function rollOver(account: Account, limit: string, from: number, to: number, now: number): void {
  let moved = '0'
  // From the end of the burn-down order, so that open reservations keep covering the oldest.
  for (const lot of account.lots.toReversed()) {
    if (lot.bucket !== 'plan' || lot.expiresAt > from) continue
    const part = min(lot.remaining, sub(limit, moved))
    lot.remaining = sub(lot.remaining, part)
    moved = add(moved, part)
  }
  if (isZero(moved)) return
  const transactionId = crypto.randomUUID()
  addLot(account, { transactionId, bucket: 'plan', source: 'rollover', expiresAt: to, amount: moved })
  append(account, now, { id: transactionId, type: 'adjustment', source: 'rollover', amount: '0' })
}
