import { CreditError } from '../core/errors.ts'
import { add, compare, sub } from '../core/money.ts'
import type { Balance, CreditStore, ReservationResult, StoreReserveInput } from '../store/port.ts'
import type { FailOpenOptions } from './types.ts'

const SMALLEST = '0.000001'

interface Promised {
  request: StoreReserveInput
  expiresAt: number
}

/** Reservations promised while the store could not be asked. */
export interface FailOpen {
  /** A promised reservation, or nothing when the cap would be exceeded. */
  promise(request: StoreReserveInput): ReservationResult | undefined
  /** Makes a promised reservation real before it is extended or charged in part. Does nothing for all others. */
  book(reservationId: string): Promise<void>
  /**
   * Whose promise it is: the store books the charge late if it never heard of the reservation, whatever the account
   * can pay. Undefined for all others.
   */
  userOf(reservationId: string): string | undefined
  /** The promise was charged: it no longer counts against the cap. */
  kept(reservationId: string): void
  /** Takes a promise back; undefined when there was none. */
  forget(reservationId: string): ReservationResult | undefined
}

/**
 * The sum of open promises never exceeds the cap, so an outage costs at most that much per process. A promise
 * that nobody settles lapses with its life.
 */
export function failOpen(store: CreditStore, { maxCredits }: FailOpenOptions): FailOpen {
  const promised = new Map<string, Promised>()
  let outstanding = '0'

  function drop(reservationId: string): StoreReserveInput | undefined {
    const entry = promised.get(reservationId)
    if (entry === undefined) return undefined
    promised.delete(reservationId)
    outstanding = sub(outstanding, entry.request.amount)
    return entry.request
  }

  return {
    promise(request) {
      const now = Date.now()
      for (const [id, entry] of promised) if (entry.expiresAt <= now) drop(id)
      if (!promised.has(request.reservationId)) {
        if (compare(add(outstanding, request.amount), maxCredits) > 0) return undefined
        outstanding = add(outstanding, request.amount)
        promised.set(request.reservationId, { request, expiresAt: now + request.ttlSeconds * 1000 })
      }
      return asPromised(request, now)
    },
    async book(reservationId) {
      const entry = promised.get(reservationId)
      if (entry === undefined) return
      try {
        // Whatever is left is better than nothing: the rest of the cost is then recorded as uncollected.
        await store.reserve({ ...entry.request, minimumAmount: SMALLEST })
      } catch (error) {
        // The lost reserve may have arrived after all; then the reservation is there with its own minimum.
        if (!CreditError.isInstance(error) || error.code !== 'IDEMPOTENCY_MISMATCH') throw error
      }
      drop(reservationId)
    },
    userOf: (reservationId) => promised.get(reservationId)?.request.userId,
    kept(reservationId) {
      drop(reservationId)
    },
    forget(reservationId) {
      const request = drop(reservationId)
      if (request === undefined) return undefined
      return { ...asPromised(request, Date.now()), state: 'released', amount: '0' }
    },
  }
}

function asPromised(request: StoreReserveInput, now: number): ReservationResult {
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

/** Nobody could be asked: all figures are zero, `version` too. */
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
