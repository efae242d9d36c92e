import { isoTime } from '../../core/time.ts'
import type { Balance, Extension, Metadata, Reservation, ReservationState, Transaction } from '../port.ts'
import { decimal, type Micros } from './amounts.ts'

/** A plan as the memory store knows it. Amounts are decimal strings of credits. */
export interface MemoryPlan {
  id: string
  /** Default `"0"`. Leaving a free plan for a paid one begins a new period. */
  priceUsd?: string | undefined
  /** Set anew each month. */
  monthlyCredits: string
  /** How far below zero the plan lets an account go. Default `"0"`. */
  overageLimit?: string | undefined
  /** Unused plan credits carried into the next month at most. Default `"0"`. */
  rolloverLimit?: string | undefined
}

/** Credits of one grant. Charges use lots up in burn-down order. */
export interface Lot {
  bucket: 'plan' | 'add-on'
  source: string
  priority: number
  expiresAt: number
  /** Position in time, to break ties: oldest first. */
  sequence: number
  amount: Micros
  remaining: Micros
}

/** What a charge took from a lot, so that a refund can return it there. */
export interface Piece {
  lot: Lot
  amount: Micros
}

/** How much to hold, and for how long. */
export interface Asked {
  amount: Micros
  /** Be content with this. */
  minimum: Micros
  /** In milliseconds. */
  life: number
}

/** One reservation. Times are milliseconds of the store's clock. */
export interface Held {
  reservationId: string
  userId: string
  state: ReservationState
  /** What the caller asked for: a repeat must ask for the same. Null when nobody ever asked. */
  asked: Asked | null
  amount: Micros
  captured: Micros
  uncollected: Micros
  feature: string | null
  model: string | null
  rateId: string | null
  marginId: string | null
  metadata: Metadata
  late: boolean
  createdAt: number
  expiresAt: number
  closedAt: number | null
  /** The last charge's transaction, for a repeated settle. */
  settlement: Transaction | null
  /** Captures and extensions by their ids; made when the first one comes. */
  steps: Map<string, Step> | null
}

/** A capture or an extension that was done, so that a repeat finds it. */
export interface Step {
  asked: string
  transaction: Transaction | null
  extension: Extension | null
}

export interface Account {
  userId: string
  plan: MemoryPlan
  /** A downgrade waits for the end of the period. */
  nextPlan: MemoryPlan | null
  /** In burn-down order. */
  lots: Lot[]
  lotsMade: number
  planCredits: Micros
  addOnCredits: Micros
  debt: Micros
  reserved: Micros
  overageLimit: Micros
  status: Balance['status']
  /** Period n ends n months after this, so that the 31st does not drift. */
  anchorAt: number
  period: number
  periodEndsAt: number
  ledger: Transaction[]
  active: Set<Held>
  /** Nothing falls due before this moment, so most calls need not look. */
  nextDueAt: number
}

export const NEVER = Number.POSITIVE_INFINITY

export function available(account: Account): Micros {
  return account.planCredits + account.addOnCredits - account.debt + account.overageLimit - account.reserved
}

export function worth(account: Account): Micros {
  return account.planCredits + account.addOnCredits - account.debt
}

const ISO_SLOTS = 64
const isoTimes = new Float64Array(ISO_SLOTS)
const isoTexts: string[] = []

/** ISO time with microseconds, as the SQL functions write it. Remembered: the same few moments are asked for often. */
export function iso(time: number): string {
  const slot = time & (ISO_SLOTS - 1)
  const known = isoTexts[slot]
  if (known !== undefined && isoTimes[slot] === time) return known
  const text = isoTime(time, '000Z')
  isoTimes[slot] = time
  isoTexts[slot] = text
  return text
}

export function balanceOf(account: Account): Balance {
  return {
    userId: account.userId,
    planId: account.plan.id,
    planCredits: decimal(account.planCredits),
    addOnCredits: decimal(account.addOnCredits),
    debt: decimal(account.debt),
    reserved: decimal(account.reserved),
    overageLimit: decimal(account.overageLimit),
    available: decimal(available(account)),
    status: account.status,
    periodEndsAt: account.periodEndsAt === NEVER ? null : iso(account.periodEndsAt),
    version: account.ledger.length,
  }
}

export function reservationOf(held: Held): Reservation {
  return {
    reservationId: held.reservationId,
    userId: held.userId,
    state: held.state,
    amount: decimal(held.amount),
    captured: decimal(held.captured),
    uncollected: decimal(held.uncollected),
    feature: held.feature,
    model: held.model,
    rateId: held.rateId,
    marginId: held.marginId,
    metadata: held.metadata,
    late: held.late,
    createdAt: iso(held.createdAt),
    expiresAt: iso(held.expiresAt),
    closedAt: held.closedAt === null ? null : iso(held.closedAt),
  }
}
