import { CreditError } from '../core/errors.ts'
import { uuidFor, uuidv7 } from '../core/ids.ts'
import { parseOrThrow } from '../core/money.ts'
import type { Soon } from '../core/soon.ts'
import type {
  CaptureResult,
  ChargeRecord,
  CreditStore,
  ReservationResult,
  SettleResult,
  StoreReserveInput,
} from '../store/port.ts'
import { estimateWith } from './charges.ts'
import { againIfBusy, unlessBusy, withDetails } from './errors.ts'
import type { FailOpen } from './fail-open.ts'
import { inputs } from './inputs.ts'
import type { CallPricing, Prices } from './prices.ts'
import type { Credits, ErrorContext, ReserveInput, ReserveResult } from './types.ts'

/** What the spending use cases work with. */
export interface SpendContext {
  store: CreditStore
  prices: Prices
  upgradeUrl: string | undefined
  ttlSeconds: number
  retries: number
  failOpen: FailOpen | undefined
  onError: (error: unknown, context: ErrorContext) => void
}

type Spending = Pick<Credits, 'reserve' | 'extend' | 'capture' | 'settle' | 'release' | 'getReservation'>

/** The life of a reservation. */
export function spending(context: SpendContext): Spending {
  const { store, prices, ttlSeconds, retries, failOpen } = context
  return {
    async reserve(input) {
      const order = parseOrThrow(inputs.reserve, input)
      return hold(context, order, await rowsFor(context, order))
    },
    async extend(input) {
      const { reservationId, idempotencyKey, ...rest } = parseOrThrow(inputs.extend, input)
      const extensionId = await idFor('extend', reservationId, idempotencyKey)
      await failOpen?.book(reservationId)
      return store
        .extend({ ...rest, ttlSeconds: rest.ttlSeconds ?? ttlSeconds, reservationId, extensionId })
        .catch(explain({ reservationId, extensionId }))
    },
    async capture(input) {
      const { reservationId, idempotencyKey, extend, ...choice } = parseOrThrow(inputs.capture, input)
      const charge = await prices.chargeOf(reservationId, choice)
      if (charge === undefined) throw new CreditError({ code: 'INTERNAL' })
      const captureId = await uuidFor('capture', reservationId, idempotencyKey)
      const userId = await unbooked(failOpen, reservationId)
      if (userId !== undefined) return lateCapture(context, { reservationId, captureId, charge, userId })
      const more = extend && { ...extend, ttlSeconds: extend.ttlSeconds ?? ttlSeconds }
      const result: CaptureResult = await unlessBusy(retries, () =>
        store.capture({ reservationId, captureId, charge, extend: more }),
      ).catch(explain({ reservationId, captureId }))
      prices.learn(result)
      return result
    },
    async settle(input) {
      const { reservationId, ...choice } = parseOrThrow(inputs.settle, input)
      return close(context, reservationId, await prices.chargeOf(reservationId, choice))
    },
    async release(input) {
      const { reservationId } = parseOrThrow(inputs.reservation, input)
      const promise = failOpen?.forget(reservationId)
      if (promise !== undefined) return releasePromised(context, promise)
      const result = await unlessBusy(retries, () => store.release({ reservationId })).catch(explain({ reservationId }))
      prices.forget(reservationId)
      return result
    },
    async getReservation(input) {
      return store.getReservation(parseOrThrow(inputs.reservation, input))
    },
  }
}

/** The rows that the reservation freezes; none where no model is named. */
function rowsFor({ prices }: SpendContext, { model, feature, userId }: ReserveInput): Soon<CallPricing> | undefined {
  return model === undefined ? undefined : prices.find({ model, feature, userId })
}

/** {@link Credits.reserve} for an order that was looked through, priced with these rows. */
export async function hold(
  context: SpendContext,
  order: ReserveInput,
  rows: CallPricing | undefined,
): Promise<ReserveResult> {
  const { idempotencyKey } = order
  // Not awaited where there is nothing to wait for.
  const reservationId = idempotencyKey === undefined ? uuidv7() : await uuidFor('reserve', order.userId, idempotencyKey)
  const request = reserveRequest(context, order, reservationId, rows)
  let result: ReserveResult
  try {
    result = (await context.store.reserve(request)) as ReserveResult
    result.failedOpen = false
  } catch (error) {
    result = (await repeated(context, order, request, error)) ?? promised(context, request, error)
  }
  context.prices.learn(result)
  return result
}

/** {@link Credits.settle} with a charge that is known to be sound. */
export async function close(
  { store, prices, retries, failOpen }: SpendContext,
  reservationId: string,
  charge: ChargeRecord | undefined,
): Promise<SettleResult> {
  const request = { reservationId, charge, userId: failOpen?.userOf(reservationId) }
  let result: SettleResult
  try {
    result = await store.settle(request)
  } catch (error) {
    const again = againIfBusy(error, retries, () => store.settle(request))
    result = await again.catch(explain({ reservationId }))
  }
  failOpen?.kept(reservationId)
  prices.forget(reservationId)
  return result
}

function reserveRequest(
  context: SpendContext,
  { userId, model, feature, amount, minimumAmount, metadata, estimate, ttlSeconds = context.ttlSeconds }: ReserveInput,
  reservationId: string,
  rows: CallPricing | undefined,
): StoreReserveInput {
  return {
    reservationId,
    userId,
    // The schema asks for one of the two, and for a model beside an estimate.
    amount: amount ?? (model && rows ? estimateWith(model, estimate ?? {}, rows).amount : '0'),
    minimumAmount,
    ttlSeconds,
    feature,
    model,
    rateId: rows?.rate?.id,
    marginId: rows?.margin.id,
    metadata,
  }
}

/**
 * A repeat that comes after a change of prices would ask with other rows than the first call did, and be refused as
 * another request. It is the same request, so it is asked again with the rows that the first one froze.
 */
async function repeated(
  context: SpendContext,
  order: ReserveInput,
  request: StoreReserveInput,
  error: unknown,
): Promise<ReserveResult | undefined> {
  if (!CreditError.isInstance(error) || error.code !== 'IDEMPOTENCY_MISMATCH') return undefined
  const { rateId, marginId } = await context.store.getReservation(request)
  if (rateId === null || marginId === null || (rateId === request.rateId && marginId === request.marginId)) throw error
  const rows = await context.prices.frozen(rateId, marginId)
  const same = reserveRequest(context, order, request.reservationId, rows)
  return Object.assign(await context.store.reserve(same), { failedOpen: false })
}

/** The answer to a reserve that the store did not give: a promise under `failOpen`, else the error with its facts. */
function promised(context: SpendContext, request: StoreReserveInput, error: unknown): ReserveResult {
  const { userId, reservationId } = request
  if (!CreditError.isInstance(error)) throw error
  if (error.code === 'STORE_UNAVAILABLE' || error.code === 'OUTCOME_UNKNOWN') {
    const promise = context.failOpen?.promise(request)
    if (promise !== undefined) {
      context.onError(error, { operation: 'reserve', userId, reservationId })
      return { ...promise, failedOpen: true }
    }
  }
  if (error.code !== 'INSUFFICIENT_CREDITS') return explain({ reservationId })(error)
  const facts = { balance: error.details.available, required: request.minimumAmount ?? request.amount }
  throw withDetails(error, context.upgradeUrl === undefined ? facts : { ...facts, upgradeUrl: context.upgradeUrl })
}

/** Books a promise; whose it is, when the account can hold nothing for it. */
async function unbooked(failOpen: FailOpen | undefined, reservationId: string): Promise<string | undefined> {
  try {
    await failOpen?.book(reservationId)
    return undefined
  } catch (error) {
    if (!CreditError.isInstance(error) || !HOLDS_NOTHING.has(error.code)) throw error
    return failOpen?.userOf(reservationId)
  }
}

const HOLDS_NOTHING: ReadonlySet<string> = new Set([
  'INSUFFICIENT_CREDITS',
  'ACCOUNT_FROZEN',
  'SPENDING_FROZEN',
  'LIMIT_EXCEEDED',
])

/**
 * A part of a promised call whose account can hold nothing: the cost is recorded all the same, as a late booking under
 * the capture's own id, and the promise stays for the parts to come.
 */
async function lateCapture(
  { store, retries }: SpendContext,
  { reservationId, captureId, charge, userId }: LateCapture,
): Promise<CaptureResult> {
  const ids = { reservationId, captureId }
  const booked = await unlessBusy(retries, () => store.settle({ reservationId: captureId, charge, userId })).catch(
    explain(ids),
  )
  const { transaction } = booked
  if (transaction === null) throw new CreditError({ code: 'INTERNAL', details: ids })
  return { ...booked, reservationId, transaction, extension: { granted: false, amount: '0' } }
}

interface LateCapture {
  reservationId: string
  captureId: string
  charge: ChargeRecord
  userId: string
}

/** A promise taken back. The reserve whose answer was lost may be stored all the same, so it is released there too. */
async function releasePromised(context: SpendContext, promise: ReservationResult): Promise<ReservationResult> {
  const { reservationId, userId } = promise
  await context.store.release({ reservationId }).catch((error: unknown) => {
    if (CreditError.isInstance(error) && error.code === 'RESERVATION_NOT_FOUND') return
    // Left to the reservation's expiry.
    context.onError(error, { operation: 'release', userId, reservationId })
  })
  return promise
}

/** An unknown outcome is only useful with the ids that make it known. */
export function explain(ids: Readonly<Record<string, string>>): (error: unknown) => never {
  return (error) => {
    if (CreditError.isInstance(error) && error.code === 'OUTCOME_UNKNOWN') throw withDetails(error, ids)
    throw error
  }
}

/** The same key gives the same id, always; without a key every call is its own. */
export async function idFor(operation: string, owner: string, key: string | undefined): Promise<string> {
  return key === undefined ? uuidv7() : uuidFor(operation, owner, key)
}
