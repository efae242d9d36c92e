import { add, compare, SMALLEST_CREDIT, sub } from '../core/money.ts'
import type { CreditStore, ReservationKey, StoreReserveInput } from '../store/port.ts'
import type { Balance, ReservationResult } from '../store/types.ts'
import { isCode } from './errors.ts'
import type { FailOpenOptions } from './types.ts'

interface Provisional {
  request: StoreReserveInput
  expiresAt: number
}

/** Provisional reservations: made by this process while the store could not be asked. */
export interface FailOpen {
  /** A provisional reservation; undefined when the cap would be exceeded. */
  reserve(request: StoreReserveInput): ReservationResult | undefined
  /** Whether this is a provisional reservation of that user, which the store may not know. */
  has(key: ReservationKey): boolean
  /**
   * Makes a provisional reservation in the store, before it is extended or captured; does nothing for all others.
   *
   * @returns false when the account has nothing to reserve for it; it then stays provisional
   */
  record(key: ReservationKey): Promise<boolean>
  /** Removes a provisional reservation that was charged: it no longer counts against the cap. */
  remove(key: ReservationKey): void
  /** Releases a provisional reservation; undefined when there was none. */
  release(key: ReservationKey): ReservationResult | undefined
}

const NOTHING_TO_RESERVE = ['INSUFFICIENT_CREDITS', 'ACCOUNT_FROZEN', 'SPENDING_FROZEN', 'LIMIT_EXCEEDED'] as const

/**
 * The sum of open provisional reservations never exceeds the cap, so an outage costs at most that much per process. One
 * that is never settled ends with its life.
 */
export function failOpen(storeOf: () => CreditStore, { maxCredits }: FailOpenOptions): FailOpen {
  const provisional = new Map<string, Provisional>()
  let outstanding = '0'

  function find({ userId, reservationId }: ReservationKey): StoreReserveInput | undefined {
    const request = provisional.get(reservationId)?.request
    return request?.userId === userId ? request : undefined
  }

  function remove(key: ReservationKey): StoreReserveInput | undefined {
    const request = find(key)
    if (request === undefined) return undefined
    provisional.delete(request.reservationId)
    outstanding = sub(outstanding, request.amount)
    return request
  }

  return {
    reserve(request) {
      const now = Date.now()
      for (const entry of provisional.values()) if (entry.expiresAt <= now) remove(entry.request)
      if (find(request) === undefined) {
        if (compare(add(outstanding, request.amount), maxCredits) > 0) return undefined
        outstanding = add(outstanding, request.amount)
        provisional.set(request.reservationId, { request, expiresAt: now + request.ttlSeconds * 1000 })
      }
      return provisionalResult(request, now)
    },
    has: (key) => find(key) !== undefined,
    async record(key) {
      const request = find(key)
      if (request === undefined) return true
      try {
        // A part of it is better than nothing: the rest of the cost is then recorded as uncollected.
        const minimumAmount = compare(request.amount, SMALLEST_CREDIT) < 0 ? request.amount : SMALLEST_CREDIT
        await storeOf().reserve({ ...request, minimumAmount })
      } catch (error) {
        if (isCode(error, ...NOTHING_TO_RESERVE)) return false
        // The lost reserve may have arrived after all; then the reservation is there with its own minimum.
        if (!isCode(error, 'IDEMPOTENCY_MISMATCH', 'RESERVATION_CLOSED')) throw error
      }
      remove(key)
      return true
    },
    remove,
    release(key) {
      const request = remove(key)
      return request && { ...provisionalResult(request, Date.now()), state: 'released', amount: '0' }
    },
  }
}

function provisionalResult(request: StoreReserveInput, now: number): ReservationResult {
  return {
    reservationId: request.reservationId,
    userId: request.userId,
    state: 'active',
    amount: request.amount,
    captured: '0',
    uncollected: '0',
    feature: request.feature ?? null,
    model: request.model ?? null,
    rateId: request.rateId ?? null,
    marginId: request.marginId ?? null,
    metadata: request.metadata ?? {},
    late: false,
    createdAt: new Date(now).toISOString(),
    expiresAt: new Date(now + request.ttlSeconds * 1000).toISOString(),
    closedAt: null,
    replayed: false,
    balance: unknownBalance(request.userId),
  }
}

/** The store could not be asked: all figures are zero, `version` too. */
function unknownBalance(userId: string): Balance {
  return {
    userId,
    planId: '',
    planCredits: '0',
    addOnCredits: '0',
    debt: '0',
    reserved: '0',
    overageLimit: '0',
    available: '0',
    status: 'active',
    periodEndsAt: null,
    version: 0,
  }
}
