import { CreditError } from '../../core/errors.ts'
import type { ChargeRecord, Transaction } from '../port.ts'
import { requireUuid } from './amounts.ts'
import type { Account, Held, Piece } from './state.ts'

/** A transaction that is found again by its id. */
export interface Booked {
  transaction: Transaction
  /** What was asked when it was made by id: a repeat must ask for the same. Null for charges, whose hold knows. */
  asked: string | null
  /** What it was made from; null unless it is a charge. */
  record: ChargeRecord | null
  planId: string
  /** The lots that a charge took from. */
  pieces: readonly Piece[]
}

/** A usage transaction and what it was made from. */
export type MemoryCharge = Booked & { record: ChargeRecord }

/** Everything a memory store holds besides rates and margins. One instance per store. */
export interface Bank {
  accounts: Map<string, Account>
  reservations: Map<string, Held>
  transactions: Map<string, Booked>
  /** Every charge with its record, in the order of time. */
  charges: MemoryCharge[]
  spendingFrozen: boolean
  maxOpenReservations: number
  now(): number
  account(userId: string): Account
}

export function makeBank(options: { maxOpenReservations: number; now: () => number }): Bank {
  const accounts = new Map<string, Account>()
  return {
    accounts,
    reservations: new Map(),
    transactions: new Map(),
    charges: [],
    spendingFrozen: false,
    maxOpenReservations: options.maxOpenReservations,
    now: options.now,
    account(userId) {
      const account = accounts.get(userId)
      if (account !== undefined) return account
      requireUuid('userId', userId)
      throw new CreditError({ code: 'ACCOUNT_NOT_FOUND' })
    },
  }
}
