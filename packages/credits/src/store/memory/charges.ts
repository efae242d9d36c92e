import { add, min, sub, sum } from '../../core/money.ts'
import { toMicros } from '../../core/time.ts'
import type { StoreChargesInput } from '../port.ts'
import type { ChargePosition, ChargeRecord, ChargesPage, StoredCharge } from '../types.ts'
import { requireLimit } from './checks.ts'
import { correctionOf } from './estimates.ts'
import { correctionsOf } from './lots.ts'
import type { Account, Entry, MemoryState } from './state.ts'

/** See {@link CreditStore.getCharges}. */
export function charges(
  state: MemoryState,
  { from, to, limit, after, details = false }: StoreChargesInput,
): ChargesPage {
  requireLimit(limit, 5000)
  const since = from === undefined ? Number.NEGATIVE_INFINITY : toMicros(from, 'from')
  const until = to === undefined ? Number.POSITIVE_INFINITY : toMicros(to, 'to')
  const start = after && positionKey({ ...after, createdAt: readTime(after.createdAt) })
  const rows = [...state.accounts.values()]
    .flatMap((account) => account.entries.flatMap((entry) => storedCharge(account, entry, details)))
    .filter((row) => toMicros(row.createdAt) >= since && toMicros(row.createdAt) < until)
    .filter((row) => start === undefined || positionKey(row) > start)
    .sort((a, b) => (positionKey(a) < positionKey(b) ? -1 : 1))
  const data = rows.slice(0, limit)
  const last = data.at(-1)
  if (rows.length <= limit || last === undefined) return { data, next: null }
  const { createdAt, accountId, version } = last
  return { data, next: { createdAt, accountId, version } }
}

function readTime(createdAt: string): string {
  toMicros(createdAt, 'after.createdAt')
  return createdAt
}

/** Sorts by time, account and version. */
function positionKey({ createdAt, accountId, version }: ChargePosition): string {
  return `${createdAt} ${accountId} ${String(version).padStart(16, '0')}`
}

function storedCharge(account: Account, entry: Entry, details: boolean): StoredCharge[] {
  const { transaction, charge, planId } = entry
  // A correction is part of the charge that it corrects.
  if (charge === null || transaction.reversesId !== null) return []
  const refunded = sum(correctionsOf(account, entry).map((refund) => refund.transaction.amount))
  const stored = {
    transactionId: transaction.id,
    accountId: account.userId,
    userId: account.userId,
    version: transaction.version,
    amount: sub('0', transaction.amount),
    uncollected: transaction.uncollected,
    refunded,
    feature: transaction.feature,
    model: transaction.model,
    planId,
    estimated: transaction.estimated,
    createdAt: transaction.createdAt,
    ...costOf(charge, details),
  }
  const correction = transaction.estimated ? correctionOf(account, entry) : undefined
  return [correction === undefined ? stored : corrected(stored, correction)]
}

/** An estimate with the figures of its correction. */
function corrected(stored: StoredCharge, { transaction, charge }: Entry): StoredCharge {
  const difference = sub('0', transaction.amount)
  return {
    ...stored,
    amount: add(stored.amount, difference),
    uncollected: add(stored.uncollected, transaction.uncollected),
    refunded: add(stored.refunded, min(difference, '0')),
    estimated: false,
    costUsd: charge?.costUsd ?? stored.costUsd,
    costSource: charge?.costSource ?? stored.costSource,
    computedCostUsd: charge?.computedCostUsd ?? null,
    reportedCostUsd: charge?.reportedCostUsd ?? null,
    usage: charge?.usage ?? stored.usage,
  }
}

function costOf(charge: ChargeRecord, details: boolean) {
  return {
    costUsd: charge.costUsd,
    marginPercent: charge.marginPercent,
    costSource: charge.costSource,
    computedCostUsd: charge.computedCostUsd,
    reportedCostUsd: charge.reportedCostUsd,
    servedModel: charge.servedModel,
    generationId: charge.generationId,
    usage: charge.usage,
    pricing: details ? charge.pricing : null,
  }
}
