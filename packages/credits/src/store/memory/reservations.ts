import { CreditError } from '../../core/errors.ts'
import { invalidInput } from '../../core/money.ts'
import type {
  CaptureResult,
  ChargeRecord,
  ExtendResult,
  Extension,
  ReservationResult,
  SettleResult,
  StoreCaptureInput,
  StoreExtendInput,
  StoreReserveInput,
  StoreSettleInput,
  Transaction,
} from '../port.ts'
import { applyDue, closeHold, requireSpendable } from './accounts.ts'
import { atLeastZero, decimal, least, type Micros, micros, ownMetadata, requireUuid } from './amounts.ts'
import type { Bank } from './bank.ts'
import { append, burn } from './ledger.ts'
import { type Account, type Asked, available, balanceOf, type Held, reservationOf, type Step, worth } from './state.ts'

const MAX_TTL_SECONDS = 86_400
const NOTHING: Extension = { granted: false, amount: '0' }

export function reserve(bank: Bank, input: StoreReserveInput): ReservationResult {
  const asked = askedOf(input)
  const { amount, minimum, life } = asked
  requireUuid('reservationId', input.reservationId)
  const known = bank.reservations.get(input.reservationId)
  if (known !== undefined) return repeatedReserve(bank, known, input, asked)
  const account = bank.account(input.userId)
  const now = bank.now()
  applyDue(account, now)
  requireSpendable(account, bank.spendingFrozen)
  const free = available(account)
  if (free < minimum) throw insufficient(account, minimum)
  if (account.active.size >= bank.maxOpenReservations) {
    const { maxOpenReservations: maximum } = bank
    throw new CreditError({ code: 'LIMIT_EXCEEDED', details: { limit: 'open_reservations', maximum } })
  }
  const held = newHold(input, asked, least(amount, free), now, life)
  bank.reservations.set(held.reservationId, held)
  account.active.add(held)
  account.reserved += held.amount
  if (held.expiresAt < account.nextDueAt) account.nextDueAt = held.expiresAt
  return answer(account, held, false)
}

type HoldFacts = Pick<
  StoreReserveInput,
  'reservationId' | 'userId' | 'feature' | 'model' | 'rateId' | 'marginId' | 'metadata'
>

function newHold(facts: HoldFacts, asked: Held['asked'], amount: Micros, now: number, life: number): Held {
  return {
    reservationId: facts.reservationId,
    userId: facts.userId,
    state: 'active',
    asked,
    amount,
    captured: 0n,
    uncollected: 0n,
    feature: facts.feature ?? null,
    model: facts.model ?? null,
    rateId: facts.rateId ?? null,
    marginId: facts.marginId ?? null,
    metadata: ownMetadata(facts.metadata),
    late: false,
    createdAt: now,
    expiresAt: now + life,
    closedAt: null,
    settlement: null,
    steps: null,
  }
}

export function extend(bank: Bank, input: StoreExtendInput): ExtendResult {
  const more = askedOf(input)
  const { account, held, now } = open(bank, input.reservationId)
  const asked = `extend ${more.amount} ${input.minimumAmount ?? ''}`
  const done = stepOf(held, input.extensionId, asked)
  if (done?.extension) return { ...answer(account, held, true), extension: done.extension }
  requireActive(held)
  requireSpendable(account, bank.spendingFrozen)
  const extension = grow(account, held, more, now)
  // A refusal leaves nothing behind: the same id may succeed after a top-up.
  if (extension.granted) remember(held, input.extensionId, { asked, transaction: null, extension })
  return { ...answer(account, held, false), extension }
}

export function capture(bank: Bank, input: StoreCaptureInput): CaptureResult {
  const cost = micros('charge.amount', input.charge.amount, 0n)
  if (input.captureId === input.reservationId) throw invalidInput('captureId', 'must be an id of its own')
  const more = input.extend && askedOf(input.extend)
  const opened = open(bank, input.reservationId)
  const { account, held, now } = opened
  const asked = `capture ${cost} ${input.charge.costUsd}`
  const done = stepOf(held, input.captureId, asked)
  if (done?.transaction) {
    return { ...answer(account, held, true), transaction: { ...done.transaction }, extension: done.extension }
  }
  if (held.state === 'settled' || held.state === 'released') throw closed(held)
  const transaction = charge(bank, opened, cost, input.charge, input.captureId)
  const mayGrow = held.state === 'active' && account.status === 'active' && !bank.spendingFrozen
  let extension: Extension | null = null
  if (more !== undefined) extension = mayGrow ? grow(account, held, more, now) : NOTHING
  remember(held, input.captureId, { asked, transaction, extension })
  return { ...answer(account, held, false), transaction: { ...transaction }, extension }
}

export function settle(bank: Bank, input: StoreSettleInput): SettleResult {
  const cost = input.charge === undefined ? 0n : micros('charge.amount', input.charge.amount, 0n)
  const { reservationId, userId } = input
  if (userId !== undefined) {
    bookLate(bank, reservationId, userId, input.charge)
    if (bank.reservations.get(reservationId)?.userId !== userId) throw notFound(reservationId)
  }
  const opened = open(bank, reservationId)
  const { account, held, now } = opened
  if (held.state === 'released') throw closed(held)
  if (held.state === 'settled') return settled(account, held, true)
  if (input.charge !== undefined) {
    held.settlement = charge(bank, opened, cost, input.charge, undefined)
  }
  closeHold(account, held, 'settled', now)
  return settled(account, held, false)
}

/** Makes the reservation that never reached this store: over before it began, it holds nothing. */
function bookLate(bank: Bank, reservationId: string, userId: string, charge: ChargeRecord | undefined): void {
  if (bank.reservations.has(requireUuid('reservationId', reservationId))) return
  const facts: HoldFacts = {
    reservationId,
    userId: bank.account(userId).userId,
    feature: charge?.feature ?? undefined,
    model: charge?.model ?? undefined,
    rateId: charge?.rateId ?? undefined,
    marginId: charge?.marginId ?? undefined,
  }
  const now = bank.now()
  bank.reservations.set(reservationId, { ...newHold(facts, null, 0n, now, 0), state: 'expired', closedAt: now })
}

export function release(bank: Bank, reservationId: string): ReservationResult {
  const { account, held, now } = open(bank, reservationId)
  if (held.state !== 'active') return answer(account, held, true)
  closeHold(account, held, 'released', now)
  return answer(account, held, false)
}

/**
 * Takes a cost: from the hold first, then from what is free, then from the allowed overage. What cannot
 * be taken is recorded as uncollected, never dropped.
 */
function charge(
  bank: Bank,
  { account, held, now }: Opened,
  cost: Micros,
  record: ChargeRecord,
  id: string | undefined,
): Transaction {
  const taken = least(cost, atLeastZero(available(account) + held.amount))
  const fromHold = least(cost, held.amount)
  account.reserved -= fromHold
  held.amount -= fromHold
  held.captured += taken
  held.uncollected += cost - taken
  held.late ||= held.state === 'expired'
  const pieces = burn(account, taken)
  const transaction = append(account, now, {
    id,
    type: 'usage',
    source: null,
    change: -taken,
    uncollected: decimal(cost - taken),
    reservationId: held.reservationId,
    feature: record.feature ?? held.feature,
    model: record.model ?? held.model,
    inputTokens: record.inputTokens,
    outputTokens: record.outputTokens,
    estimated: record.costSource === 'estimate',
    late: held.state === 'expired',
    metadata: record.metadata,
  })
  const booked = { transaction, asked: null, record, planId: account.plan.id, pieces }
  bank.transactions.set(transaction.id, booked)
  bank.charges.push(booked)
  return transaction
}

/** Adds to an active hold, all or at least the minimum; otherwise leaves it as it was. */
function grow(account: Account, held: Held, { amount, minimum, life }: Asked, now: number): Extension {
  const free = available(account)
  if (free < minimum) return NOTHING
  const added = least(amount, free)
  held.amount += added
  account.reserved += added
  held.expiresAt = Math.max(held.expiresAt, now + life)
  return { granted: true, amount: decimal(added) }
}

/** What is asked for, checked before anything happens. */
function askedOf(more: NonNullable<StoreCaptureInput['extend']>): Asked {
  const amount = micros('amount', more.amount)
  const minimum = more.minimumAmount === undefined ? amount : micros('minimumAmount', more.minimumAmount)
  if (minimum > amount) throw invalidInput('minimumAmount', 'must not exceed amount')
  return { amount, minimum, life: lifetime(more.ttlSeconds) }
}

interface Opened {
  account: Account
  held: Held
  now: number
}

export function open(bank: Bank, reservationId: string): Opened {
  const held = bank.reservations.get(reservationId)
  if (held === undefined) throw notFound(requireUuid('reservationId', reservationId))
  const account = bank.account(held.userId)
  const now = bank.now()
  applyDue(account, now)
  return { account, held, now }
}

function repeatedReserve(bank: Bank, held: Held, input: StoreReserveInput, asked: Asked): ReservationResult {
  const { feature = null, model = null, rateId = null, marginId = null } = input
  const same =
    held.userId === input.userId &&
    held.asked?.amount === asked.amount &&
    held.asked.minimum === asked.minimum &&
    held.feature === feature &&
    held.model === model &&
    held.rateId === rateId &&
    held.marginId === marginId
  if (!same) throw mismatch(held.reservationId)
  const account = bank.account(held.userId)
  applyDue(account, bank.now())
  return answer(account, held, true)
}

function answer(account: Account, held: Held, replayed: boolean): ReservationResult {
  const result = reservationOf(held) as ReservationResult
  result.replayed = replayed
  result.balance = balanceOf(account)
  return result
}

function settled(account: Account, held: Held, replayed: boolean): SettleResult {
  const result = answer(account, held, replayed) as SettleResult
  result.transaction = held.settlement === null ? null : { ...held.settlement }
  return result
}

function stepOf(held: Held, id: string, asked: string): Step | undefined {
  const step = held.steps?.get(requireUuid('id', id))
  if (step !== undefined && step.asked !== asked) throw mismatch(id)
  return step
}

function remember(held: Held, id: string, step: Step): void {
  held.steps ??= new Map()
  held.steps.set(id, step)
}

function requireActive(held: Held): void {
  if (held.state !== 'active') throw closed(held)
}

function notFound(reservationId: string): CreditError {
  return new CreditError({ code: 'RESERVATION_NOT_FOUND', details: { reservationId } })
}

function closed({ reservationId, state }: Held): CreditError {
  return new CreditError({ code: 'RESERVATION_CLOSED', details: { reservationId, state } })
}

export function mismatch(id: string): CreditError {
  return new CreditError({ code: 'IDEMPOTENCY_MISMATCH', details: { id } })
}

export function insufficient(account: Account, required: Micros, free: Micros = available(account)): CreditError {
  const balance = decimal(worth(account))
  const details = { available: decimal(atLeastZero(free)), required: decimal(required), balance }
  return new CreditError({ code: 'INSUFFICIENT_CREDITS', details })
}

function lifetime(seconds: number): number {
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > MAX_TTL_SECONDS) {
    throw invalidInput('ttlSeconds', `must be whole seconds from 1 to ${MAX_TTL_SECONDS}`)
  }
  return seconds * 1000
}
