import { CreditError } from '../../core/errors.ts'
import type { CreditStore } from '../port.ts'
import { functions, type SqlArguments, type SqlFunction } from './functions.ts'

/** Calls one function and returns its JSON answer; throws a CreditError. */
export type SqlCall = (sql: SqlFunction, args: SqlArguments) => Promise<unknown>

/** The store port over the SQL functions. The two adapters differ only in how they call a function. */
export function sqlStore(call: SqlCall): CreditStore {
  async function run<Answer>(sql: SqlFunction<Answer>, args: SqlArguments): Promise<Answer> {
    return parseAnswer(sql, await call(sql, args))
  }
  return {
    reserve: (input) =>
      run(functions.reserve, {
        ...reservation(input),
        ...amounts(input),
        p_feature: input.feature,
        p_model: input.model,
        p_rate_id: input.rateId,
        p_margin_id: input.marginId,
        p_metadata: input.metadata,
      }),
    extend: (input) =>
      run(functions.extend, { ...reservation(input), ...amounts(input), p_extension_id: input.extensionId }),
    capture: (input) =>
      run(functions.capture, {
        ...reservation(input),
        p_capture_id: input.captureId,
        p_charge: input.charge,
        p_extend_amount: input.extend?.amount,
        p_extend_minimum: input.extend?.minimumAmount,
        p_ttl_seconds: input.extend?.ttlSeconds,
      }),
    settle: (input) =>
      run(functions.settle, {
        ...reservation(input),
        p_charge: input.charge,
        p_create_missing: input.createMissing,
      }),
    release: (input) => run(functions.release, reservation(input)),
    getReservation: (input) => run(functions.getReservation, reservation(input)),
    grant: (input) =>
      run(functions.grant, {
        ...transaction(input),
        p_amount: input.amount,
        p_source: input.source,
        p_bucket: input.bucket,
        p_priority: input.priority,
        p_expires_in_seconds: input.expiresInSeconds,
        p_metadata: input.metadata,
      }),
    refund: (input) =>
      run(functions.refund, { ...transaction(input), p_original_id: input.originalId, p_amount: input.amount }),
    reverse: (input) =>
      run(functions.reverse, { ...transaction(input), p_original_id: input.originalId, p_amount: input.amount }),
    adjust: (input) => run(functions.adjust, { ...transaction(input), p_amount: input.amount }),
    getBalance: ({ userId }) => run(functions.getBalance, { p_account_id: userId }),
    getHistory: ({ userId, limit, before, type, from, to }) =>
      run(functions.getHistory, {
        p_account_id: userId,
        p_limit: limit,
        p_before: before,
        p_type: type,
        p_from: from,
        p_to: to,
      }),
    getPricing: ({ ids } = {}) => run(functions.getPricing, { p_ids: ids && [...ids] }),
    setMargin: (input) =>
      run(functions.setMargin, {
        p_scope: input.scope,
        p_target: input.target,
        p_margin_percent: input.marginPercent,
        p_expected_version: input.expectedVersion,
        p_effective_from: input.effectiveFrom,
        p_actor_id: input.actorId,
        p_reason: input.reason,
      }),
    getMarginAudit: ({ limit, before }) => run(functions.getMarginAudit, { p_limit: limit, p_before: before }),
    addRates: ({ rates, aliases }) => run(functions.addRates, { p_rates: rates, p_aliases: aliases }),
    getRateHistory: ({ modelId, limit = 100 }) =>
      run(functions.getRateHistory, { p_model_id: modelId, p_limit: limit }),
    getEstimates: ({ limit, after }) => run(functions.getEstimates, { p_limit: limit, p_after: after }),
    correctEstimate: ({ userId, transactionId, originalId, charge }) =>
      run(functions.correctEstimate, {
        p_account_id: userId,
        p_transaction_id: transactionId,
        p_original_id: originalId,
        p_charge: charge,
      }),
    getCharges: ({ from, to, limit, after, details = false }) =>
      run(functions.getCharges, { p_from: from, p_to: to, p_limit: limit, p_after: after, p_details: details }),
  }
}

function reservation(input: { userId: string; reservationId: string }) {
  return { p_account_id: input.userId, p_reservation_id: input.reservationId }
}

function amounts(input: { amount: string; minimumAmount?: string | undefined; ttlSeconds: number }) {
  return { p_amount: input.amount, p_minimum_amount: input.minimumAmount, p_ttl_seconds: input.ttlSeconds }
}

function transaction(input: {
  userId: string
  transactionId: string
  reason?: string | undefined
  actorId?: string | undefined
}) {
  return {
    p_account_id: input.userId,
    p_transaction_id: input.transactionId,
    p_reason: input.reason,
    p_actor_id: input.actorId,
  }
}

/** @throws CreditError `INTERNAL` when the database answers in a shape that this version does not know */
function parseAnswer<Answer>({ name, answer }: SqlFunction<Answer>, value: unknown): Answer {
  const result = answer.safeParse(value)
  if (result.success) return result.data
  throw new CreditError({
    code: 'INTERNAL',
    message: `${name} answered in an unknown shape: the migrations and this package are of different versions`,
    cause: result.error,
  })
}
