import { compare, invalidInput, max, min, sub, sum } from '../../core/money.ts'
import type { StoreCorrectionInput, StoreEstimatesInput } from '../port.ts'
import type { EstimatedCharge, EstimatesPage, TransactionResult } from '../types.ts'
import { requireAmount, requireLimit } from './checks.ts'
import { correctionsOf, type NewTransaction, returnToLots, takeFromLots } from './lots.ts'
import { type Account, availableOf, type Entry, type MemoryState } from './state.ts'
import { once, originalOf } from './transactions.ts'

/** See {@link CreditStore.getEstimates}. */
export function estimates(state: MemoryState, { limit, after }: StoreEstimatesInput): EstimatesPage {
  requireLimit(limit, 5000)
  const rows = [...state.accounts.values()]
    .sort((a, b) => (a.userId < b.userId ? -1 : 1))
    .flatMap((account) => account.entries.flatMap((entry) => openEstimate(account, entry)))
    .filter(({ accountId, version }) =>
      after === undefined || accountId === after.accountId
        ? version > (after?.version ?? 0)
        : accountId > after.accountId,
    )
  const data = rows.slice(0, limit)
  const last = data.at(-1)
  if (rows.length <= limit || last === undefined) return { data, next: null }
  return { data, next: { accountId: last.accountId, version: last.version } }
}

function openEstimate(account: Account, entry: Entry): EstimatedCharge[] {
  const { transaction, charge } = entry
  if (!transaction.estimated || !charge?.generationId || correctionOf(account, entry) !== undefined) return []
  const { id: transactionId, version, model, feature, createdAt } = transaction
  const { marginPercent, generationId } = charge
  const { userId } = account
  const amount = chargedBy(entry)
  return [
    {
      transactionId,
      accountId: userId,
      userId,
      version,
      amount,
      marginPercent,
      generationId,
      model,
      feature,
      createdAt,
    },
  ]
}

/** See {@link CreditStore.correctEstimate}. */
export function correctEstimate(state: MemoryState, input: StoreCorrectionInput): TransactionResult {
  const { userId, transactionId, charge } = input
  requireAmount('charge.amount', charge.amount)
  const original = originalOf(state, input, 'usage')
  return once(state, userId, transactionId, { ...input, operation: 'correct' }, (account, now) => {
    if (!original.transaction.estimated || correctionOf(account, original) !== undefined) {
      throw invalidInput('transactionId', 'expected an estimated charge that has no correction')
    }
    return { ...correctionFor(account, original, { transactionId, amount: charge.amount, now }), charge }
  })
}

/** The correction of an estimate; undefined while there is none. A refund by hand has no charge. */
export function correctionOf(account: Account, { transaction }: Entry): Entry | undefined {
  return account.entries.find((entry) => entry.charge !== null && entry.transaction.reversesId === transaction.id)
}

/** Credits of a charge, uncollected ones included. */
function chargedBy({ transaction }: Entry): string {
  return sub(transaction.uncollected, transaction.amount)
}

/** A further usage, or a refund. */
function correctionFor(
  account: Account,
  original: Entry,
  { transactionId, amount, now }: { transactionId: string; amount: string; now: number },
): NewTransaction & Pick<Entry, 'parts'> {
  const { id: reversesId, reservationId, feature, model } = original.transaction
  const refunds = sum(correctionsOf(account, original).map(({ transaction }) => transaction.amount))
  const collected = sub(sub('0', original.transaction.amount), refunds)
  if (compare(amount, collected) < 0) {
    const refunded = sub(collected, amount)
    const parts = returnToLots(account, original, { transactionId, amount: refunded, now })
    return { type: 'refund', source: 'refund', amount: refunded, reversesId, reservationId, feature, model, parts }
  }
  const missing = max('0', sub(amount, chargedBy(original)))
  const charged = max('0', min(missing, availableOf(account)))
  const parts = takeFromLots(account, charged, now)
  const uncollected = sub(missing, charged)
  return { type: 'usage', source: null, amount: sub('0', charged), uncollected, reversesId, feature, model, parts }
}
