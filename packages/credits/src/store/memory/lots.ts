import { add, isZero, max, min, sub, sum } from '../../core/money.ts'
import type { Transaction } from '../types.ts'
import { type Account, activeReservations, type Entry, iso, type Lot, type LotPart, NEVER, worthOf } from './state.ts'

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

/**
 * Takes credits in burn-down order; what no lot covers becomes debt. The caller has checked that it may.
 *
 * @param since lots that had expired by then live only for earlier reservations, so they come last
 */
export function takeFromLots(account: Account, amount: string, since: number): LotPart[] {
  const expired = account.lots.filter((lot) => lot.expiresAt <= since)
  const inOrder = [...account.lots.filter((lot) => lot.expiresAt > since), ...expired]
  const parts: LotPart[] = []
  let left = amount
  for (const lot of inOrder) {
    const taken = min(left, lot.remaining)
    if (isZero(taken)) continue
    lot.remaining = sub(lot.remaining, taken)
    left = sub(left, taken)
    parts.push({ lot, amount: taken })
  }
  account.debt = add(account.debt, left)
  return parts
}

/** Refunds of a usage, or reversals of a grant, so far. */
export function correctionsOf(account: Account, original: Entry): Entry[] {
  return account.entries.filter(
    ({ transaction }) => transaction.reversesId === original.transaction.id && transaction.type !== 'usage',
  )
}

/**
 * Returns credits of a charge: debt first, then the lots they came from while these live, then a lot of their own. No lot
 * gets back more than the charge took from it.
 *
 * @returns what each lot got back
 */
export function returnToLots(
  account: Account,
  original: Entry,
  { transactionId, amount, now }: { transactionId: string; amount: string; now: number },
): LotPart[] {
  const repaid = min(amount, account.debt)
  account.debt = sub(account.debt, repaid)
  const earlier = correctionsOf(account, original).flatMap(({ parts }) => parts)
  const parts: LotPart[] = []
  let left = sub(amount, repaid)
  // Last taken, first returned.
  for (const { lot, amount: taken } of original.parts.toReversed()) {
    if (lot.expiresAt <= now) continue
    const owed = sub(taken, sumOfLot(earlier, lot))
    const returned = min(min(left, owed), sub(lot.amount, lot.remaining))
    lot.remaining = add(lot.remaining, returned)
    left = sub(left, returned)
    parts.push({ lot, amount: returned })
  }
  if (!isZero(left)) addLot(account, { transactionId, bucket: 'add-on', source: 'refund', amount: left })
  return parts
}

/** What these parts are of one lot. */
export function sumOfLot(parts: readonly LotPart[], lot: Lot): string {
  return sum(parts.filter((part) => part.lot === lot).map(({ amount }) => amount))
}

/**
 * Expires what is past its time, one transaction per lot. Reservations cover the lots in burn-down order, and credits
 * under a reservation that was made before their expiry stay until it is closed.
 */
export function expireLots(account: Account, until: number, now: number): void {
  let earlier = '0'
  for (const lot of account.lots) {
    const left = lot.expiresAt <= until ? coveredOf(account, lot, earlier) : lot.remaining
    earlier = add(earlier, left)
    const expired = sub(lot.remaining, left)
    if (isZero(expired)) continue
    lot.remaining = left
    const fields = { type: 'expiry', source: lot.source, amount: sub('0', expired) } as const
    append(account, now, fields, { parts: [{ lot, amount: expired }] })
  }
}

/** What reservations made before its expiry still cover of a lot, with this much in the lots before it. */
function coveredOf(account: Account, lot: Lot, earlier: string): string {
  const reservations = activeReservations(account).filter(({ createdAt }) => createdAt < lot.expiresAt)
  const rest = sub(sum(reservations.map(({ amount }) => amount)), earlier)
  return min(lot.remaining, max(rest, '0'))
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
