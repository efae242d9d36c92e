import { CreditError } from '../../core/errors.ts'
import { add, compare, invalidInput, isZero, max, min, sub } from '../../core/money.ts'
import type {
  ReservationKey,
  StoreCaptureInput,
  StoreExtendInput,
  StoreReserveInput,
  StoreSettleInput,
} from '../port.ts'
import type { CaptureResult, ChargeRecord, ExtendResult, Extension, ReservationResult, SettleResult } from '../types.ts'
import { applyDue, closeReservation, requireSpendable } from './accounts.ts'
import {
  copyMetadata,
  mismatch,
  parametersText,
  requireAmount,
  requirePositive,
  requireTtl,
  requireUuid,
} from './checks.ts'
import { append, takeFromLots } from './lots.ts'
import {
  type Account,
  accountOf,
  activeReservations,
  availableOf,
  balanceOf,
  type Entry,
  type MemoryReservation,
  type MemoryState,
  reservationOf,
  worthOf,
} from './state.ts'

const NOT_GRANTED: Extension = { granted: false, amount: '0' }

/** See {@link CreditStore.reserve}. */
export function reserve(state: MemoryState, input: StoreReserveInput): ReservationResult {
  const { amount, minimum, ttl } = readAmounts(input, requireAmount)
  requireUuid('reservationId', input.reservationId)
  const account = accountOf(state, input.userId)
  const now = state.now()
  applyDue(account, now)
  const parameters = parametersText({ ...input, amount, minimumAmount: minimum, metadata: input.metadata ?? {} })
  const existing = account.reservations.get(input.reservationId)
  if (existing !== undefined) {
    if (existing.state !== 'active') throw closed(existing)
    if (existing.parameters !== parameters) throw mismatch(existing.reservationId)
    return resultOf(account, existing, true)
  }
  requireSpendable(account, state.spendingFrozen)
  const reserved = min(amount, max(availableOf(account), '0'))
  if (compare(reserved, minimum) < 0) throw insufficient(account, minimum, availableOf(account))
  if (activeReservations(account).length >= state.maxOpenReservations) {
    const details = { limit: 'open_reservations', maximum: state.maxOpenReservations }
    throw new CreditError({ code: 'LIMIT_EXCEEDED', details })
  }
  const reservation = newReservation(input, { parameters, amount: reserved, now, ttl })
  account.reservations.set(reservation.reservationId, reservation)
  return resultOf(account, reservation, false)
}

/** See {@link CreditStore.extend}. */
export function extend(state: MemoryState, input: StoreExtendInput): ExtendResult {
  const asked = readAmounts(input, requirePositive)
  requireUuid('extensionId', input.extensionId)
  const { account, reservation, now } = open(state, input)
  const parameters = parametersText({ operation: 'extend', ...asked })
  const step = stepOf(reservation, input.extensionId, parameters)
  if (step?.extension) return { ...resultOf(account, reservation, true), extension: step.extension }
  if (reservation.state !== 'active') throw closed(reservation)
  requireSpendable(account, state.spendingFrozen)
  const extension = addReserved(account, reservation, asked, now)
  // A refusal leaves nothing behind: the same id may succeed after a top-up.
  if (extension.granted) reservation.steps.set(input.extensionId, { parameters, entry: null, extension })
  return { ...resultOf(account, reservation, false), extension }
}

/** See {@link CreditStore.capture}. */
export function capture(state: MemoryState, input: StoreCaptureInput): CaptureResult {
  requireAmount('charge.amount', input.charge.amount)
  requireUuid('captureId', input.captureId)
  if (input.captureId === input.reservationId) throw invalidInput('captureId', 'must not be the reservationId')
  const more = input.extend && readAmounts(input.extend, requirePositive)
  const opened = open(state, input)
  const { account, reservation, now } = opened
  const parameters = parametersText({ operation: 'capture', charge: input.charge, more })
  const step = stepOf(reservation, input.captureId, parameters)
  if (step?.entry) {
    const { transaction } = step.entry
    return { ...resultOf(account, reservation, true), transaction: { ...transaction }, extension: step.extension }
  }
  if (reservation.state === 'settled' || reservation.state === 'released') {
    throw closed(reservation, input.charge.amount)
  }
  const entry = charge(opened, input.charge, input.captureId)
  const mayExtend = reservation.state === 'active' && account.status === 'active' && !state.spendingFrozen
  const extension = more === undefined ? null : mayExtend ? addReserved(account, reservation, more, now) : NOT_GRANTED
  reservation.steps.set(input.captureId, { parameters, entry, extension })
  return { ...resultOf(account, reservation, false), transaction: { ...entry.transaction }, extension }
}

/** See {@link CreditStore.settle}. */
export function settle(state: MemoryState, input: StoreSettleInput): SettleResult {
  if (input.charge !== undefined) requireAmount('charge.amount', input.charge.amount)
  if (input.createMissing) createExpired(state, input)
  const opened = open(state, input)
  const { account, reservation, now } = opened
  if (reservation.state === 'released' && !input.createMissing) throw closed(reservation, input.charge?.amount)
  const replayed = reservation.state === 'settled'
  if (!replayed) {
    // The last charge has the reservation's own id, so it cannot be made twice.
    if (input.charge !== undefined) reservation.settlement = charge(opened, input.charge, input.reservationId)
    closeReservation(reservation, 'settled', now)
  }
  const transaction = reservation.settlement === null ? null : { ...reservation.settlement.transaction }
  return { ...resultOf(account, reservation, replayed), transaction }
}

/** See {@link CreditStore.release}. */
export function release(state: MemoryState, key: ReservationKey): ReservationResult {
  const { account, reservation, now } = open(state, key)
  if (reservation.state !== 'active') return resultOf(account, reservation, true)
  closeReservation(reservation, 'released', now)
  return resultOf(account, reservation, false)
}

interface Opened {
  account: Account
  reservation: MemoryReservation
  now: number
}

/** Finds a reservation of a user, with everything that was due applied. @throws CreditError `RESERVATION_NOT_FOUND` */
export function open(state: MemoryState, { userId, reservationId }: ReservationKey): Opened {
  requireUuid('reservationId', reservationId)
  const account = state.accounts.get(requireUuid('userId', userId))
  const reservation = account?.reservations.get(reservationId)
  if (account === undefined || reservation === undefined) {
    throw new CreditError({ code: 'RESERVATION_NOT_FOUND', details: { reservationId } })
  }
  const now = state.now()
  applyDue(account, now)
  return { account, reservation, now }
}

/** Records a reservation that never reached this store: it is over before it began and reserves nothing. */
function createExpired(state: MemoryState, input: StoreSettleInput): void {
  requireUuid('reservationId', input.reservationId)
  const account = accountOf(state, input.userId)
  if (account.reservations.has(input.reservationId)) return
  const { feature, model } = input.charge ?? {}
  const facts = { ...input, feature: feature ?? undefined, model: model ?? undefined }
  const now = state.now()
  const reservation = newReservation(facts, { parameters: null, amount: '0', now, ttl: 0 })
  closeReservation(reservation, 'expired', now)
  account.reservations.set(input.reservationId, reservation)
}

function newReservation(
  input: ReservationKey & Partial<StoreReserveInput>,
  { parameters, amount, now, ttl }: { parameters: string | null; amount: string; now: number; ttl: number },
): MemoryReservation {
  return {
    reservationId: input.reservationId,
    userId: input.userId,
    state: 'active',
    parameters,
    amount,
    captured: '0',
    uncollected: '0',
    feature: input.feature ?? null,
    model: input.model ?? null,
    rateId: input.rateId ?? null,
    marginId: input.marginId ?? null,
    metadata: copyMetadata(input.metadata),
    late: false,
    createdAt: now,
    expiresAt: now + ttl,
    closedAt: null,
    settlement: null,
    steps: new Map(),
  }
}

/**
 * Takes a cost: from the reservation first, then from what is available, the allowed overage included. What cannot be
 * taken is recorded as uncollected.
 */
function charge({ account, reservation, now }: Opened, record: ChargeRecord, id: string): Entry {
  const cost = requireAmount('charge.amount', record.amount)
  const available = add(availableOf(account), reservation.amount)
  const taken = min(cost, max(available, '0'))
  const uncollected = sub(cost, taken)
  reservation.amount = sub(reservation.amount, min(cost, reservation.amount))
  reservation.captured = add(reservation.captured, taken)
  reservation.uncollected = add(reservation.uncollected, uncollected)
  const late = reservation.state !== 'active'
  reservation.late ||= late
  const parts = takeFromLots(account, taken, reservation.createdAt)
  const fields = {
    id,
    type: 'usage',
    source: null,
    amount: sub('0', taken),
    uncollected,
    reservationId: reservation.reservationId,
    feature: record.feature ?? reservation.feature,
    model: record.model ?? reservation.model,
    inputTokens: record.inputTokens,
    outputTokens: record.outputTokens,
    estimated: record.costSource === 'estimate',
    late,
    metadata: record.metadata,
  } as const
  return append(account, now, fields, { charge: record, parts })
}

interface Amounts {
  amount: string
  minimum: string
  /** Milliseconds. */
  ttl: number
}

function readAmounts(
  input: { amount: string; minimumAmount?: string | undefined; ttlSeconds: number },
  read: (path: string, value: string) => string,
): Amounts {
  const amount = read('amount', input.amount)
  const readMinimum = isZero(amount) ? requireAmount : requirePositive
  const minimum = input.minimumAmount === undefined ? amount : readMinimum('minimumAmount', input.minimumAmount)
  if (compare(minimum, amount) > 0) throw invalidInput('minimumAmount', 'must not exceed amount')
  return { amount, minimum, ttl: requireTtl(input.ttlSeconds) }
}

/** Adds to an active reservation, all or at least the minimum; otherwise leaves it as it was. */
function addReserved(
  account: Account,
  reservation: MemoryReservation,
  { amount, minimum, ttl }: Amounts,
  now: number,
): Extension {
  const added = min(amount, availableOf(account))
  if (compare(added, minimum) < 0) return NOT_GRANTED
  reservation.amount = add(reservation.amount, added)
  reservation.expiresAt = Math.max(reservation.expiresAt, now + ttl)
  return { granted: true, amount: added }
}

function stepOf(reservation: MemoryReservation, id: string, parameters: string) {
  const step = reservation.steps.get(id)
  if (step !== undefined && step.parameters !== parameters) throw mismatch(id)
  return step
}

function resultOf(account: Account, reservation: MemoryReservation, replayed: boolean): ReservationResult {
  return { ...reservationOf(reservation), replayed, balance: balanceOf(account) }
}

/** The refusal, with the amount of a charge that was not recorded. */
function closed({ reservationId, state }: MemoryReservation, amount?: string): CreditError {
  const details = { reservationId, state, ...(amount !== undefined && { amount }) }
  return new CreditError({ code: 'RESERVATION_CLOSED', details })
}

/** The refusal with what the account has: `available` is never negative. */
export function insufficient(account: Account, required: string, available: string): CreditError {
  const details = { available: max(available, '0'), required, balance: worthOf(account) }
  return new CreditError({ code: 'INSUFFICIENT_CREDITS', details })
}
