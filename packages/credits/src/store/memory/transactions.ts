import { CreditError } from '../../core/errors.ts'
import { add, compare, invalidInput, isZero, max, min, sub, sum } from '../../core/money.ts'
import type { StoreAdjustInput, StoreGrantInput, StoreHistoryInput, StoreRefundInput } from '../port.ts'
import type { HistoryPage, Transaction, TransactionResult } from '../types.ts'
import { applyDue } from './accounts.ts'
import {
  copyMetadata,
  mismatch,
  parametersText,
  requireLimit,
  requirePositive,
  requireSigned,
  requireUuid,
} from './checks.ts'
import { addLot, append, correctionsOf, type NewTransaction, returnToLots, sumOfLot, takeFromLots } from './lots.ts'
import { insufficient } from './reservations.ts'
import {
  type Account,
  accountOf,
  availableOf,
  balanceOf,
  type Entry,
  iso,
  type Lot,
  type MemoryState,
  NEVER,
} from './state.ts'

/** See {@link CreditStore.grant}. */
export function grant(state: MemoryState, input: StoreGrantInput): TransactionResult {
  const { userId, transactionId, source, bucket, priority = 100, expiresInSeconds } = input
  const amount = requirePositive('amount', input.amount)
  const metadata = copyMetadata(input.metadata)
  const parameters = { ...input, operation: 'grant', amount, priority, metadata }
  return once(state, userId, transactionId, parameters, (account, now) => {
    const expiresAt = expiresInSeconds === undefined ? NEVER : now + expiresInSeconds * 1000
    addLot(account, { transactionId, bucket, source, priority, expiresAt, amount })
    return { type: 'grant', source, amount, metadata }
  })
}

/** See {@link CreditStore.refund}. */
export function refund(state: MemoryState, input: StoreRefundInput): TransactionResult {
  const original = originalOf(state, input, 'usage')
  const asked = input.amount === undefined ? undefined : requirePositive('amount', input.amount)
  const parameters = { ...input, operation: 'refund', amount: asked }
  return once(state, input.userId, input.transactionId, parameters, (account, now) => {
    const { id: reversesId, reservationId, feature, model } = original.transaction
    const amount = amountLeft(account, original, asked)
    const parts = returnToLots(account, original, { transactionId: input.transactionId, amount, now })
    return { type: 'refund', source: 'refund', amount, reversesId, reservationId, feature, model, parts }
  })
}

/** See {@link CreditStore.reverse}. */
export function reverse(state: MemoryState, input: StoreRefundInput): TransactionResult {
  const original = originalOf(state, input, 'grant')
  const asked = input.amount === undefined ? undefined : requirePositive('amount', input.amount)
  const parameters = { ...input, operation: 'reverse', amount: asked }
  return once(state, input.userId, input.transactionId, parameters, (account, now) => {
    const amount = amountLeft(account, original, asked)
    const lot = account.lots.find(({ transactionId }) => transactionId === original.transaction.id)
    const fromLot = min(amount, lot?.remaining ?? '0')
    const owed = account.plan.reversalDebt === false ? '0' : min(sub(amount, fromLot), spentOf(account, original, lot))
    if (lot !== undefined) lot.remaining = sub(lot.remaining, fromLot)
    // Other lots pay before there is a debt.
    takeFromLots(account, owed, now)
    const taken = add(fromLot, owed)
    return {
      type: 'reversal',
      source: original.transaction.source,
      amount: sub('0', taken),
      uncollected: sub(amount, taken),
      reversesId: original.transaction.id,
    }
  })
}

/**
 * What was spent of a grant and not taken back by an earlier reversal; expired credits were not spent. Nothing, when a
 * refund has put back more since than was taken.
 */
function spentOf(account: Account, original: Entry, lot: Lot | undefined): string {
  const expiries = account.entries.filter(({ transaction }) => transaction.type === 'expiry')
  const expired =
    lot === undefined
      ? '0'
      : sumOfLot(
          expiries.flatMap(({ parts }) => parts),
          lot,
        )
  const collected = sum(correctionsOf(account, original).map(({ transaction }) => absolute(transaction.amount)))
  const gone = sum([lot?.remaining ?? '0', expired, collected])
  return max('0', sub(original.transaction.amount, gone))
}

/** See {@link CreditStore.adjust}. */
export function adjust(state: MemoryState, input: StoreAdjustInput): TransactionResult {
  const { userId, transactionId } = input
  const amount = requireSigned('amount', input.amount)
  return once(state, userId, transactionId, { ...input, operation: 'adjust', amount }, (account, now) => {
    if (compare(amount, '0') > 0) {
      addLot(account, { transactionId, bucket: 'add-on', source: 'adjustment', amount })
    } else {
      // Never into overage, never from under a reservation.
      const required = sub('0', amount)
      const available = sub(availableOf(account), account.overageLimit)
      if (compare(available, required) < 0) throw insufficient(account, required, available)
      takeFromLots(account, required, now)
    }
    return { type: 'adjustment', source: 'adjustment', amount }
  })
}

/** See {@link CreditStore.getHistory}. */
export function history(state: MemoryState, input: StoreHistoryInput): HistoryPage {
  requireLimit(input.limit, 200)
  const account = accountOf(state, input.userId)
  applyDue(account, state.now())
  const from = input.from === undefined ? '' : isoText('from', input.from)
  const to = input.to === undefined ? '~' : isoText('to', input.to)
  const rows = account.entries
    .map(({ transaction }) => transaction)
    .filter(({ version }) => input.before === undefined || version < input.before)
    .filter(({ type }) => input.type === undefined || type === input.type)
    .filter(({ createdAt }) => createdAt >= from && createdAt < to)
    .reverse()
  const data = rows.slice(0, input.limit).map((row) => ({ ...row }))
  return { data, nextBefore: rows.length > input.limit ? (data.at(-1)?.version ?? null) : null }
}

function isoText(path: string, text: string): string {
  const time = Date.parse(text)
  if (Number.isNaN(time)) throw invalidInput(path, 'expected an ISO time')
  return iso(time)
}

/** The transaction to correct. @throws CreditError `TRANSACTION_NOT_FOUND`, `INVALID_INPUT` for one of another type */
export function originalOf(
  state: MemoryState,
  { userId, originalId }: Pick<StoreRefundInput, 'userId' | 'originalId'>,
  type: Transaction['type'],
): Entry {
  requireUuid('originalId', originalId)
  const original = accountOf(state, userId).entries.find(({ transaction }) => transaction.id === originalId)
  if (original === undefined) {
    throw new CreditError({ code: 'TRANSACTION_NOT_FOUND', details: { transactionId: originalId } })
  }
  if (original.transaction.type !== type) throw invalidInput('originalId', `expected a ${type} transaction`)
  return original
}

/** The amount to correct: what was asked for, or all that earlier corrections left. */
function amountLeft(account: Account, original: Entry, asked: string | undefined): string {
  const earlier = correctionsOf(account, original).map(({ transaction }) => transaction)
  const corrected = sum(earlier.map((row) => add(absolute(row.amount), row.uncollected)))
  const left = sub(absolute(original.transaction.amount), corrected)
  const amount = asked ?? left
  if (compare(amount, left) > 0 || isZero(left)) {
    throw new CreditError({ code: 'REFUND_EXCEEDS_ORIGINAL', details: { refundable: left } })
  }
  return amount
}

function absolute(amount: string): string {
  return amount.replace('-', '')
}

/** Runs an operation under its id: a repetition with the same parameters returns the first row. */
export function once(
  state: MemoryState,
  userId: string,
  id: string,
  parameters: object,
  write: (account: Account, now: number) => NewTransaction & Partial<Pick<Entry, 'parts' | 'charge'>>,
): TransactionResult {
  function written(account: Account, now: number): Entry {
    const { parts = [], charge = null, ...fields } = write(account, now)
    return append(account, now, { ...fields, id }, { parameters: text, parts, charge })
  }
  requireUuid('transactionId', id)
  const account = accountOf(state, userId)
  const text = parametersText(parameters)
  const known = account.entries.find(({ transaction }) => transaction.id === id)
  if (known !== undefined && known.parameters !== text) throw mismatch(id)
  const now = state.now()
  applyDue(account, now)
  const { transaction } = known ?? written(account, now)
  return { transaction: { ...transaction }, balance: balanceOf(account), replayed: known !== undefined }
}
