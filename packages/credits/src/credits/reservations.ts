import { CreditError } from '../core/errors.ts'
import { uuidv7 } from '../core/ids.ts'
import { parseOrThrow } from '../core/money.ts'
import type { ReservationKey, StoreReserveInput } from '../store/port.ts'
import type { CaptureResult, ReservationResult, SettleResult } from '../store/types.ts'
import { estimateOf } from './charge-records.ts'
import { operationId, type UseCaseContext } from './context.ts'
import { isCode, withDetails, withIds } from './errors.ts'
import { inputs } from './inputs.ts'
import type {
  CallPricing,
  CaptureInput,
  Credits,
  ReleaseInput,
  ReserveInput,
  ReserveResult,
  SettleInput,
} from './types.ts'

type Reservations = Pick<Credits, 'reserve' | 'extend' | 'capture' | 'settle' | 'release' | 'getReservation'>

/** The life of a reservation. */
export function reservations(context: UseCaseContext): Reservations {
  return {
    reserve: (input) => reserve(context, input),
    async extend(input) {
      const { idempotencyKey, ttlSeconds = context.ttlSeconds, ...rest } = parseOrThrow(inputs.extend, input)
      const { userId, reservationId } = rest
      const extensionId = await operationId('extend', userId, reservationId, idempotencyKey)
      await context.failOpen?.record(rest)
      return withIds({ reservationId, extensionId }, () => context.store.extend({ ...rest, ttlSeconds, extensionId }))
    },
    capture: (input) => capture(context, input),
    settle: (input) => settle(context, input),
    release: (input) => release(context, input),
    getReservation: async (input) => context.store.getReservation(parseOrThrow(inputs.reservation, input)),
  }
}

async function reserve(context: UseCaseContext, input: ReserveInput): Promise<ReserveResult> {
  const order = parseOrThrow(inputs.reserve, input)
  const { userId, model, feature } = order
  const pricing = model === undefined ? undefined : await context.pricing.find({ model, feature, userId })
  const reservationId = await operationId('reserve', userId, order.idempotencyKey)
  const request = reserveRequest(context, order, reservationId, pricing)
  const result = await attemptReserve(context, order, request)
  context.pricing.remember(result)
  return result
}

async function attemptReserve(
  context: UseCaseContext,
  order: ReserveInput,
  request: StoreReserveInput,
): Promise<ReserveResult> {
  try {
    return stored(await context.store.reserve(request))
  } catch (error) {
    if (isCode(error, 'IDEMPOTENCY_MISMATCH')) return reserveWithFrozenPricing(context, order, request, error)
    if (isExpired(error) && order.idempotencyKey === undefined) return reserveAgain(context, request)
    return failedReserve(context, request, error)
  }
}

function stored(result: ReservationResult): ReserveResult {
  return { ...result, failedOpen: false }
}

function reserveRequest(
  context: UseCaseContext,
  { userId, model, feature, amount, minimumAmount, metadata, estimate, ttlSeconds = context.ttlSeconds }: ReserveInput,
  reservationId: string,
  pricing: CallPricing | undefined,
): StoreReserveInput {
  return {
    reservationId,
    userId,
    // The schema asks for one of the two, and for a model with an estimate.
    amount: amount ?? (model && pricing ? estimateOf(model, estimate ?? {}, pricing).amount : '0'),
    minimumAmount,
    ttlSeconds,
    feature,
    model,
    rateId: pricing?.rate?.id,
    marginId: pricing?.margin.id,
    metadata,
  }
}

/**
 * A repetition after a change of prices asks with other rows than the first call did. It is still the same call, so it
 * is asked again with the rows that the first one froze.
 */
async function reserveWithFrozenPricing(
  context: UseCaseContext,
  order: ReserveInput,
  request: StoreReserveInput,
  mismatch: CreditError,
): Promise<ReserveResult> {
  const { model, rateId, marginId } = await context.store.getReservation(request)
  if (model === null || rateId === null || marginId === null) throw mismatch
  if (rateId === request.rateId && marginId === request.marginId) throw mismatch
  const frozen = await context.pricing.find({ model, rateId, marginId })
  return stored(await context.store.reserve(reserveRequest(context, order, request.reservationId, frozen)))
}

function isExpired(error: unknown): boolean {
  return isCode(error, 'RESERVATION_CLOSED') && error.details.state === 'expired'
}

/**
 * The id was made for this call, so a first attempt must have reserved and its answer was lost for longer than the
 * reservation lived. Nothing is reserved any more and no provider was called: the call begins again.
 */
async function reserveAgain(context: UseCaseContext, request: StoreReserveInput): Promise<ReserveResult> {
  const reservationId = await uuidv7({ accountId: request.userId })
  const again = { ...request, reservationId }
  try {
    return stored(await context.store.reserve(again))
  } catch (error) {
    return failedReserve(context, again, error)
  }
}

/** A reserve that the store did not make: provisional under `failOpen`, else the error with its details. */
function failedReserve(context: UseCaseContext, request: StoreReserveInput, error: unknown): ReserveResult {
  const { userId, reservationId } = request
  if (isCode(error, 'STORE_UNAVAILABLE', 'OUTCOME_UNKNOWN')) {
    const provisional = context.failOpen?.reserve(request)
    if (provisional !== undefined) {
      context.onError(error, { operation: 'reserve', userId, reservationId })
      return { ...provisional, failedOpen: true }
    }
  }
  if (isCode(error, 'OUTCOME_UNKNOWN')) throw withDetails(error, { reservationId })
  if (isCode(error, 'INSUFFICIENT_CREDITS') && context.upgradeUrl !== undefined) {
    throw withDetails(error, { upgradeUrl: context.upgradeUrl })
  }
  throw error
}

async function capture(context: UseCaseContext, input: CaptureInput): Promise<CaptureResult> {
  const { userId, reservationId, idempotencyKey, extend, ...choice } = parseOrThrow(inputs.capture, input)
  const key = { userId, reservationId }
  const charge = await context.pricing.chargeFor(key, choice)
  if (charge === undefined) throw new CreditError({ code: 'INTERNAL' })
  const captureId = await operationId('capture', userId, reservationId, idempotencyKey)
  const recorded = (await context.failOpen?.record(key)) ?? true
  if (!recorded) return captureLate(context, key, { userId, reservationId: captureId, charge })
  const more = extend && { ...extend, ttlSeconds: extend.ttlSeconds ?? context.ttlSeconds }
  const result = await withIds({ reservationId, captureId }, () =>
    context.store.capture({ ...key, captureId, charge, extend: more }),
  )
  context.pricing.remember(result)
  return result
}

/**
 * Charges a part of a provisional reservation whose account has nothing to reserve: as a late charge under the capture's
 * own id. The reservation stays provisional for the parts to come.
 */
async function captureLate(
  context: UseCaseContext,
  { reservationId }: ReservationKey,
  late: Parameters<UseCaseContext['store']['settle']>[0],
): Promise<CaptureResult> {
  const ids = { reservationId, captureId: late.reservationId }
  const settled = await withIds(ids, () => context.store.settle({ ...late, createMissing: true }))
  const { transaction } = settled
  if (transaction === null) throw new CreditError({ code: 'INTERNAL', details: ids })
  return { ...settled, reservationId, transaction, extension: { granted: false, amount: '0' } }
}

async function settle(context: UseCaseContext, input: SettleInput): Promise<SettleResult> {
  const { userId, reservationId, ...choice } = parseOrThrow(inputs.settle, input)
  const key = { userId, reservationId }
  const charge = await context.pricing.chargeFor(key, choice)
  const createMissing = context.failOpen?.has(key) ? true : undefined
  const result = await withIds({ reservationId }, () => context.store.settle({ ...key, charge, createMissing }))
  context.failOpen?.remove(key)
  context.pricing.remove(reservationId)
  return result
}

async function release(context: UseCaseContext, input: ReleaseInput): Promise<ReservationResult> {
  const key = parseOrThrow(inputs.reservation, input)
  const { reservationId } = key
  context.pricing.remove(reservationId)
  const provisional = context.failOpen?.release(key)
  if (provisional === undefined) return withIds({ reservationId }, () => context.store.release(key))
  try {
    // The reserve whose answer was lost may be stored.
    await context.store.release(key)
  } catch (error) {
    // It expires by itself.
    if (!isCode(error, 'RESERVATION_NOT_FOUND')) context.onError(error, { operation: 'release', ...key })
  }
  return provisional
}
