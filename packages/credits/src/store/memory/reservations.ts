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
import { append, burn, usageOf } from './ledger.ts'
import { type Account, available, balanceOf, type Held, reservationOf, type Step, worth } from './state.ts'

const MAX_TTL_SECONDS = 86_400
const NOTHING: Extension = { granted: false, amount: '0' }

export function reserve(bank: Bank, input: StoreReserveInput): ReservationResult {
  const amount = micros('amount', input.amount)
  const minimum = input.minimumAmount === undefined ? amount : micros('minimumAmount', input.minimumAmount)
  if (minimum > amount) throw invalidInput('minimumAmount', 'must not exceed amount')
  const ttl = lifetime(input.ttlSeconds)
  requireUuid('reservationId', input.reservationId)
  const { feature = '', model = '', rateId = '', marginId = '' } = input
  const asked = [input.userId, amount, minimum, feature, model, rateId, marginId].join('\0')
  const known = bank.reservations.get(input.reservationId)
  if (known !== undefined) return repeatedReserve(bank, known, asked)
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
  const held = newHold(input, asked, least(amount, free), now, ttl)
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

function newHold(facts: HoldFacts, asked: string, amount: Micros, now: number, life: number): Held {
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
  const { account, held, now } = open(bank, input.reservationId)
  const asked = `extend ${micros('amount', input.amount)} ${input.minimumAmount ?? ''}`
  const done = stepOf(held, input.extensionId, asked)
  if (done?.extension) return { ...answer(account, held, true), extension: done.extension }
  requireActive(held)
  requireSpendable(account, bank.spendingFrozen)
  const extension = grow(account, held, input, now)
  // A refusal leaves nothing behind: the same id may succeed after a top-up.
  if (extension.granted) remember(held, input.extensionId, { asked, transaction: null, extension })
  return { ...answer(account, held, false), extension }
}

export function capture(bank: Bank, input: StoreCaptureInput): CaptureResult {
  const cost = micros('charge.amount', input.charge.amount, 0n)
  if (input.captureId === input.reservationId) throw invalidInput('captureId', 'must be an id of its own')
  const { account, held, now } = open(bank, input.reservationId)
  const asked = `capture ${cost} ${input.charge.costUsd}`
  const done = stepOf(held, input.captureId, asked)
  if (done?.transaction) {
    return { ...answer(account, held, true), transaction: { ...done.transaction }, extension: done.extension }
  }
  if (held.state === 'settled' || held.state === 'released') throw closed(held)
  const transaction = charge(account, held, cost, input.charge, input.captureId, now)
  const mayGrow = held.state === 'active' && account.status === 'active' && !bank.spendingFrozen
  let extension: Extension | null = null
  if (input.extend !== undefined) extension = mayGrow ? grow(account, held, input.extend, now) : NOTHING
  bank.remember(transaction)
  bank.charges.push({ transaction, record: input.charge, planId: account.plan.id })
  remember(held, input.captureId, { asked, transaction, extension })
  return { ...answer(account, held, false), transaction: { ...transaction }, extension }
}

export function settle(bank: Bank, input: StoreSettleInput): SettleResult {
  const cost = input.charge === undefined ? 0n : micros('charge.amount', input.charge.amount, 0n)
  if (input.userId !== undefined) bookLate(bank, input.reservationId, input.userId, input.charge)
  const { account, held, now } = open(bank, input.reservationId)
  if (held.state === 'released') throw closed(held)
  if (held.state === 'settled') return settled(account, held, true)
  if (input.charge !== undefined) {
    held.settlement = charge(account, held, cost, input.charge, undefined, now)
    bank.remember(held.settlement)
    bank.charges.push({ transaction: held.settlement, record: input.charge, planId: account.plan.id })
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
  bank.reservations.set(reservationId, { ...newHold(facts, 'late', 0n, now, 0), state: 'expired', closedAt: now })
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
  account: Account,
  held: Held,
  cost: Micros,
  record: ChargeRecord,
  id: string | undefined,
  now: number,
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
    ...usageOf(record),
    id,
    type: 'usage',
    source: null,
    change: -taken,
    uncollected: decimal(cost - taken),
    reservationId: held.reservationId,
    feature: record.feature ?? held.feature,
    model: record.model ?? held.model,
    late: held.state === 'expired',
  })
  account.taken.set(transaction.id, pieces)
  return transaction
}

/** Adds to an active hold, all or at least the minimum; otherwise leaves it as it was. */
function grow(account: Account, held: Held, more: NonNullable<StoreCaptureInput['extend']>, now: number): Extension {
  const amount = micros('amount', more.amount)
  const minimum = more.minimumAmount === undefined ? amount : micros('minimumAmount', more.minimumAmount)
  if (minimum > amount) throw invalidInput('minimumAmount', 'must not exceed amount')
  const until = now + lifetime(more.ttlSeconds)
  const free = available(account)
  if (free < minimum) return NOTHING
  const added = least(amount, free)
  held.amount += added
  account.reserved += added
  held.expiresAt = Math.max(held.expiresAt, until)
  return { granted: true, amount: decimal(added) }
}

export function open(bank: Bank, reservationId: string): { account: Account; held: Held; now: number } {
  const held = bank.reservations.get(requireUuid('reservationId', reservationId))
  if (held === undefined) throw new CreditError({ code: 'RESERVATION_NOT_FOUND', details: { reservationId } })
  const account = bank.account(held.userId)
  const now = bank.now()
  applyDue(account, now)
  return { account, held, now }
}

function repeatedReserve(bank: Bank, held: Held, asked: string): ReservationResult {
  if (held.asked !== asked) throw mismatch(held.reservationId)
  const account = bank.account(held.userId)
  applyDue(account, bank.now())
  return answer(account, held, true)
}

function answer(account: Account, held: Held, replayed: boolean): ReservationResult {
  return Object.assign(reservationOf(held) as ReservationResult, { replayed, balance: balanceOf(account) })
}

function settled(account: Account, held: Held, replayed: boolean): SettleResult {
  const transaction = held.settlement === null ? null : { ...held.settlement }
  return Object.assign(answer(account, held, replayed), { transaction })
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
