import { invalidInput } from '../../core/money.ts'
import { toMicros } from '../../core/time.ts'
import type { ChargesPage, StoreChargesInput, StoredCharge } from '../port.ts'
import { decimal, micros } from './amounts.ts'
import type { Bank, MemoryCharge } from './bank.ts'

/** A page of charges, oldest first. They were written in the order of time, so a position is a place in the list. */
export function charges(bank: Bank, { from, to, limit, after, details = false }: StoreChargesInput): ChargesPage {
  if (!Number.isInteger(limit) || limit < 1 || limit > 5000) throw invalidInput('limit', 'must be 1 to 5000')
  const since = from === undefined ? Number.NEGATIVE_INFINITY : toMicros(from, 'from')
  const until = to === undefined ? Number.POSITIVE_INFINITY : toMicros(to, 'to')
  const start = after === undefined ? 0 : placeOf(bank, after) + 1
  const page: MemoryCharge[] = []
  for (const charge of bank.charges.slice(start)) {
    const at = toMicros(charge.transaction.createdAt)
    if (at >= until || page.length > limit) break
    if (at >= since) page.push(charge)
  }
  const data = page.slice(0, limit).map((charge) => storedCharge(bank, charge, details))
  const last = data.at(-1)
  if (page.length <= limit || last === undefined) return { data, next: null }
  const { createdAt, accountId, version } = last
  return { data, next: { createdAt, accountId, version } }
}

function placeOf(bank: Bank, after: NonNullable<StoreChargesInput['after']>): number {
  const place = bank.charges.findIndex(
    ({ transaction }) => transaction.userId === after.accountId && transaction.version === after.version,
  )
  if (place === -1) throw invalidInput('after', 'expected next of the page before')
  return place
}

function storedCharge(bank: Bank, { transaction, record, planId }: MemoryCharge, details: boolean): StoredCharge {
  const { id, userId, version, uncollected, feature, model, estimated, createdAt } = transaction
  const refunded = bank
    .account(userId)
    .ledger.filter((row) => row.reversesId === id)
    .reduce((sum, row) => sum + micros('amount', row.amount), 0n)
  return {
    transactionId: id,
    accountId: userId,
    userId,
    version,
    amount: decimal(-micros('amount', transaction.amount, null)),
    uncollected,
    refunded: decimal(refunded),
    feature,
    model,
    planId,
    estimated,
    createdAt,
    costUsd: record.costUsd,
    marginPercent: record.marginPercent,
    costSource: record.costSource,
    computedCostUsd: record.computedCostUsd,
    reportedCostUsd: record.reportedCostUsd,
    servedModel: record.servedModel,
    generationId: record.generationId,
    usage: record.usage,
    pricing: details ? record.pricing : null,
  }
}
