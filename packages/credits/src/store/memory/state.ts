import { CreditError } from '../../core/errors.ts'
import { add, sub, sum } from '../../core/money.ts'
import type {
  Balance,
  ChargeRecord,
  Extension,
  Metadata,
  Reservation,
  ReservationState,
  Transaction,
} from '../types.ts'
import { requireUuid } from './checks.ts'

/** A plan as the memory store knows it. Amounts are decimal strings of credits. */
export interface MemoryPlan {
  id: string
  /** Default `"0"`. Leaving a free plan for a paid one begins a new period. */
  priceUsd?: string | undefined
  /** Granted at the start of each month. */
  monthlyCredits: string
  /** How far below zero the plan lets an account go. Default `"0"`. */
  overageLimit?: string | undefined
  /** Unused plan credits carried into the next month at most. Default `"0"`. */
  rolloverLimit?: string | undefined
  /** Credits that were spent before their grant is reversed become a debt; else they are uncollected. Default true. */
  reversalDebt?: boolean | undefined
}

/** What is left of a grant. Charges use lots up in burn-down order. */
export interface Lot {
  /** The transaction that made it. */
  transactionId: string
  bucket: 'plan' | 'add-on'
  source: string
  priority: number
  /** Milliseconds since 1970. */
  expiresAt: number
  /** Version of the transaction that made it, to break ties: oldest first. */
  version: number
  amount: string
  remaining: string
}

/** What a charge took from a lot, so that a refund can return it there. */
export interface LotPart {
  lot: Lot
  amount: string
}

/** A capture or an extension that was made, so that a repetition finds it. */
export interface Step {
  parameters: string
  entry: Entry | null
  extension: Extension | null
}

/** One reservation. Times are milliseconds of the store's clock. */
export interface MemoryReservation {
  reservationId: string
  userId: string
  state: ReservationState
  /** The parameters of its reserve; null for one that was recorded by a late settle. */
  parameters: string | null
  /** Credits still reserved. */
  amount: string
  captured: string
  uncollected: string
  feature: string | null
  model: string | null
  rateId: string | null
  marginId: string | null
  metadata: Metadata
  late: boolean
  createdAt: number
  expiresAt: number
  closedAt: number | null
  /** The last charge, for a repeated settle. */
  settlement: Entry | null
  /** Captures and extensions by their ids. */
  steps: Map<string, Step>
}

/** A row of the ledger with what only operators see. */
export interface Entry {
  transaction: Transaction
  /** The parameters of its operation: a repetition must have the same. Null where no caller made it by id. */
  parameters: string | null
  /** What a usage was charged from. */
  charge: ChargeRecord | null
  planId: string
  /** The lots that a usage took from. */
  parts: readonly LotPart[]
}

/** One account. Its credits are the sum of its lots, its reserved credits the sum of its active reservations. */
export interface Account {
  userId: string
  plan: MemoryPlan
  /** A downgrade waits for the end of the period. */
  nextPlan: MemoryPlan | null
  lots: Lot[]
  debt: string
  overageLimit: string
  status: Balance['status']
  /** Period n ends n months after this, so that the 31st does not drift. */
  anchorAt: number
  period: number
  periodEndsAt: number
  entries: Entry[]
  reservations: Map<string, MemoryReservation>
}

/** Everything in a memory store but rates and margins. */
export interface MemoryState {
  accounts: Map<string, Account>
  spendingFrozen: boolean
  maxOpenReservations: number
  /** Milliseconds since 1970. */
  now(): number
}

/** A time that never comes. */
export const NEVER = Number.POSITIVE_INFINITY

/** @throws CreditError `INVALID_INPUT`, `ACCOUNT_NOT_FOUND` */
export function accountOf(state: MemoryState, userId: string): Account {
  const account = state.accounts.get(requireUuid('userId', userId))
  if (account === undefined) throw new CreditError({ code: 'ACCOUNT_NOT_FOUND' })
  return account
}

/** Plan or add-on credits. */
export function creditsIn(account: Account, bucket: Lot['bucket']): string {
  return sum(account.lots.filter((lot) => lot.bucket === bucket).map((lot) => lot.remaining))
}

/** The reservations that keep credits back. */
export function activeReservations(account: Account): MemoryReservation[] {
  return [...account.reservations.values()].filter(({ state }) => state === 'active')
}

/** Credits that active reservations keep back. */
export function reservedOf(account: Account): string {
  return sum(activeReservations(account).map(({ amount }) => amount))
}

/** Plan + add-on - debt. */
export function worthOf(account: Account): string {
  return sub(sum(account.lots.map((lot) => lot.remaining)), account.debt)
}

/** Plan + add-on - debt + overage limit - reserved. */
export function availableOf(account: Account): string {
  return sub(add(worthOf(account), account.overageLimit), reservedOf(account))
}

/** ISO time with microseconds, as the SQL functions write it. */
export function iso(time: number): string {
  return new Date(time).toISOString().replace('Z', '000Z')
}

/** The account as its owner sees it. */
export function balanceOf(account: Account): Balance {
  return {
    userId: account.userId,
    planId: account.plan.id,
    planCredits: creditsIn(account, 'plan'),
    addOnCredits: creditsIn(account, 'add-on'),
    debt: account.debt,
    reserved: reservedOf(account),
    overageLimit: account.overageLimit,
    available: availableOf(account),
    status: account.status,
    periodEndsAt: account.periodEndsAt === NEVER ? null : iso(account.periodEndsAt),
    version: account.entries.length,
  }
}

/** The reservation as its owner sees it. */
export function reservationOf(reservation: MemoryReservation): Reservation {
  const { parameters: _, settlement: __, steps: ___, createdAt, expiresAt, closedAt, ...rest } = reservation
  return {
    ...rest,
    createdAt: iso(createdAt),
    expiresAt: iso(expiresAt),
    closedAt: closedAt === null ? null : iso(closedAt),
  }
}
