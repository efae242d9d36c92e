import { CreditError } from '../../core/errors.ts'
import type { ChargeRecord, Transaction } from '../port.ts'
import { requireUuid } from './amounts.ts'
import type { Account, Held } from './state.ts'

/** A usage transaction and what it was made from. */
export interface MemoryCharge {
  transaction: Transaction
  record: ChargeRecord
  planId: string
}

/** Everything a memory store holds besides rates and margins. One instance per store. */
export interface Bank {
  accounts: Map<string, Account>
  reservations: Map<string, Held>
  transactions: Map<string, Transaction>
  /** Every charge with its record, in the order of time. */
  charges: MemoryCharge[]
  /** What was asked when a transaction was made by id: a repeat must ask for the same. */
  asked: Map<string, string>
  spendingFrozen: boolean
  maxOpenReservations: number
  now(): number
  account(userId: string): Account
  remember(transaction: Transaction): void
}

export function makeBank(options: { maxOpenReservations: number; now: () => number }): Bank {
  const accounts = new Map<string, Account>()
  const transactions = new Map<string, Transaction>()
  return {
    accounts,
    reservations: new Map(),
    transactions,
    charges: [],
    asked: new Map(),
    spendingFrozen: false,
    maxOpenReservations: options.maxOpenReservations,
    now: options.now,
    account(userId) {
      const account = accounts.get(userId)
      if (account !== undefined) return account
      requireUuid('userId', userId)
      throw new CreditError({ code: 'ACCOUNT_NOT_FOUND' })
    },
    remember(transaction) {
      transactions.set(transaction.id, transaction)
    },
  }
}
