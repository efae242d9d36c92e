import { CreditError } from '../../core/errors.ts'
import { invalidInput } from '../../core/money.ts'
import type {
  HistoryPage,
  StoreAdjustInput,
  StoreGrantInput,
  StoreHistoryInput,
  StoreRefundInput,
  Transaction,
  TransactionResult,
} from '../port.ts'
import { applyDue } from './accounts.ts'
import { decimal, micros, ownMetadata, requireUuid } from './amounts.ts'
import type { Bank } from './bank.ts'
import { addLot, append, burn, giveBack } from './ledger.ts'
import { insufficient, mismatch } from './reservations.ts'
import { type Account, available, balanceOf, NEVER } from './state.ts'

export function grant(bank: Bank, input: StoreGrantInput): TransactionResult {
  const amount = micros('amount', input.amount)
  const metadata = ownMetadata(input.metadata)
  const asked = `grant ${input.userId} ${amount} ${input.source} ${input.bucket}`
  const account = bank.account(input.userId)
  return once(bank, account, input.transactionId, asked, (now) => {
    const expiresAt = input.expiresInSeconds === undefined ? NEVER : now + input.expiresInSeconds * 1000
    const priority = input.priority ?? 100
    addLot(account, { bucket: input.bucket, source: input.source, priority, expiresAt, remaining: amount })
    return append(account, now, {
      id: input.transactionId,
      type: 'grant',
      source: input.source,
      change: amount,
      reason: input.reason ?? null,
      metadata,
    })
  })
}

export function refund(bank: Bank, input: StoreRefundInput): TransactionResult {
  const booked = bank.transactions.get(requireUuid('originalId', input.originalId))
  if (booked === undefined) throw new CreditError({ code: 'TRANSACTION_NOT_FOUND' })
  const { transaction: original, pieces } = booked
  if (original.type !== 'usage') throw invalidInput('originalId', 'expected a usage transaction')
  const account = bank.account(original.userId)
  const asked = `refund ${input.originalId} ${input.amount ?? 'all'}`
  return once(bank, account, input.transactionId, asked, (now) => {
    const returned = account.ledger
      .filter((row) => row.reversesId === original.id)
      .reduce((sum, row) => sum + micros('amount', row.amount), 0n)
    const left = -micros('amount', original.amount, null) - returned
    const amount = input.amount === undefined ? left : micros('amount', input.amount)
    if (amount > left || left === 0n) {
      throw new CreditError({ code: 'REFUND_EXCEEDS_ORIGINAL', details: { refundable: decimal(left) } })
    }
    giveBack(account, amount, pieces, now)
    return append(account, now, {
      id: input.transactionId,
      type: 'refund',
      source: 'refund',
      change: amount,
      reversesId: original.id,
      reservationId: original.reservationId,
      feature: original.feature,
      model: original.model,
      reason: input.reason,
    })
  })
}

export function adjust(bank: Bank, input: StoreAdjustInput): TransactionResult {
  const amount = micros('amount', input.amount, null)
  if (amount === 0n) throw invalidInput('amount', 'must not be zero')
  const account = bank.account(input.userId)
  const asked = `adjust ${input.userId} ${amount}`
  return once(bank, account, input.transactionId, asked, (now) => {
    // Never into overage, never from under a reservation.
    const free = available(account) - account.overageLimit
    if (amount < 0n && free < -amount) throw insufficient(account, -amount, free)
    if (amount < 0n) burn(account, -amount)
    else addLot(account, { bucket: 'add-on', source: 'adjustment', priority: 100, expiresAt: NEVER, remaining: amount })
    return append(account, now, {
      id: input.transactionId,
      type: 'adjustment',
      source: 'adjustment',
      change: amount,
      reason: input.reason,
    })
  })
}

export function history(bank: Bank, input: StoreHistoryInput): HistoryPage {
  if (!Number.isInteger(input.limit) || input.limit < 1 || input.limit > 200)
    throw invalidInput('limit', 'must be 1 to 200')
  const account = bank.account(input.userId)
  applyDue(account, bank.now())
  const page: Transaction[] = []
  const from = input.from === undefined ? '' : iso(input.from, 'from')
  const to = input.to === undefined ? '~' : iso(input.to, 'to')
  const newest = Math.min((input.before ?? NEVER) - 1, account.ledger.length)
  for (let version = newest; version >= 1 && page.length <= input.limit; version -= 1) {
    const row = account.ledger[version - 1]
    if (row === undefined || (input.type !== undefined && row.type !== input.type)) continue
    if (row.createdAt >= from && row.createdAt < to) page.push({ ...row })
  }
  // One row more than asked for tells whether there is a next page.
  const data = page.slice(0, input.limit)
  return { data, nextBefore: page.length > input.limit ? (data.at(-1)?.version ?? null) : null }
}

function iso(text: string, field: string): string {
  const time = Date.parse(text)
  if (Number.isNaN(time)) throw invalidInput(field, 'expected an ISO time')
  return new Date(time).toISOString().replace('Z', '000Z')
}

/** Runs an operation under its id: a repeat with the same parameters gets the first row. */
function once(
  bank: Bank,
  account: Account,
  id: string,
  asked: string,
  write: (now: number) => Transaction,
): TransactionResult {
  const known = bank.transactions.get(requireUuid('transactionId', id))
  if (known !== undefined && known.asked !== asked) throw mismatch(id)
  const now = bank.now()
  applyDue(account, now)
  const transaction = known?.transaction ?? write(now)
  if (known === undefined) {
    bank.transactions.set(id, { transaction, asked, record: null, planId: account.plan.id, pieces: [] })
  }
  return { transaction: { ...transaction }, balance: balanceOf(account), replayed: known !== undefined }
}
