import type * as z from 'zod'
import type { CreditStore } from './port.ts'
import { fromWire, wire } from './wire.ts'

/** Parameters of a function in their order, with their Postgres types. */
type Parameters = Readonly<Record<string, string>>

/** A function of the database, as the adapters call it. */
export interface SqlFunction {
  name: string
  kind: 'read' | 'write'
  parameters: Parameters
}

/** Values by parameter name. Undefined: the function's default. Objects travel as JSON. */
export type SqlArguments = Readonly<Record<string, string | number | boolean | object | null | undefined>>

/** Calls one function and gives its JSON answer; throws a CreditError. */
export type SqlCall = (sql: SqlFunction, args: SqlArguments) => Promise<unknown>

const reservation = { p_reservation_id: 'uuid' } as const
const growth = { p_amount: 'numeric', p_minimum_amount: 'numeric', p_ttl_seconds: 'integer' } as const

const write = (name: string, parameters: Parameters): SqlFunction => ({ name, kind: 'write', parameters })
const read = (name: string, parameters: Parameters): SqlFunction => ({ name, kind: 'read', parameters })

/** The functions of `supabase/migrations` that the port needs. */
const functions = {
  reserve: write('credits_reserve', {
    ...reservation,
    p_user_id: 'uuid',
    ...growth,
    p_feature: 'text',
    p_model: 'text',
    p_rate_id: 'uuid',
    p_margin_id: 'uuid',
    p_metadata: 'jsonb',
  }),
  extend: write('credits_extend', { ...reservation, p_extension_id: 'uuid', ...growth }),
  capture: write('credits_capture', {
    ...reservation,
    p_capture_id: 'uuid',
    p_charge: 'jsonb',
    p_extend_amount: 'numeric',
    p_extend_minimum: 'numeric',
    p_ttl_seconds: 'integer',
  }),
  settle: write('credits_settle', { ...reservation, p_charge: 'jsonb', p_user_id: 'uuid' }),
  release: write('credits_release', reservation),
  getReservation: read('credits_get_reservation', reservation),
  grant: write('credits_grant', {
    p_transaction_id: 'uuid',
    p_user_id: 'uuid',
    p_amount: 'numeric',
    p_source: 'text',
    p_bucket: 'text',
    p_priority: 'integer',
    p_expires_in_seconds: 'bigint',
    p_reason: 'text',
    p_actor_id: 'uuid',
    p_metadata: 'jsonb',
  }),
  refund: write('credits_refund', {
    p_transaction_id: 'uuid',
    p_original_id: 'uuid',
    p_reason: 'text',
    p_amount: 'numeric',
    p_actor_id: 'uuid',
  }),
  adjust: write('credits_adjust', {
    p_transaction_id: 'uuid',
    p_user_id: 'uuid',
    p_amount: 'numeric',
    p_reason: 'text',
    p_actor_id: 'uuid',
  }),
  getBalance: read('credits_get_balance', { p_user_id: 'uuid' }),
  getHistory: read('credits_get_history', {
    p_user_id: 'uuid',
    p_limit: 'integer',
    p_before: 'bigint',
    p_type: 'text',
    p_from: 'timestamptz',
    p_to: 'timestamptz',
  }),
  getPricing: read('credits_get_pricing', { p_ids: 'uuid[]' }),
  setMargin: write('credits_set_margin', {
    p_scope: 'text',
    p_target: 'text',
    p_margin_percent: 'numeric',
    p_expected_version: 'integer',
    p_effective_from: 'timestamptz',
    p_actor_id: 'uuid',
    p_reason: 'text',
  }),
  getMarginAudit: read('credits_get_margin_audit', { p_limit: 'integer', p_before: 'bigint' }),
  addRates: write('credits_set_rates', { p_rates: 'jsonb' }),
  getRateHistory: read('credits_get_rate_history', { p_model_id: 'text', p_limit: 'integer' }),
  getCharges: read('credits_get_charges', {
    p_from: 'timestamptz',
    p_to: 'timestamptz',
    p_limit: 'integer',
    p_after: 'jsonb',
    p_details: 'boolean',
  }),
} satisfies Record<string, SqlFunction>

/** The store port over the SQL functions, whichever way they are called. */
export function sqlStore(call: SqlCall): CreditStore {
  const run = async <Output>(sql: SqlFunction, answer: z.ZodType<Output>, args: SqlArguments): Promise<Output> =>
    fromWire(sql.name, answer, await call(sql, args))
  return {
    reserve: (input) =>
      run(functions.reserve, wire.reservationResult, {
        ...held(input),
        p_user_id: input.userId,
        p_feature: input.feature,
        p_model: input.model,
        p_rate_id: input.rateId,
        p_margin_id: input.marginId,
        p_metadata: input.metadata,
      }),
    extend: (input) => run(functions.extend, wire.extendResult, { ...held(input), p_extension_id: input.extensionId }),
    capture: ({ reservationId, captureId, charge, extend }) =>
      run(functions.capture, wire.captureResult, {
        p_reservation_id: reservationId,
        p_capture_id: captureId,
        p_charge: charge,
        p_extend_amount: extend?.amount,
        p_extend_minimum: extend?.minimumAmount,
        p_ttl_seconds: extend?.ttlSeconds,
      }),
    settle: ({ reservationId, charge, userId }) =>
      run(functions.settle, wire.settleResult, {
        p_reservation_id: reservationId,
        p_charge: charge,
        p_user_id: userId,
      }),
    release: ({ reservationId }) => run(functions.release, wire.reservationResult, { p_reservation_id: reservationId }),
    getReservation: ({ reservationId }) =>
      run(functions.getReservation, wire.reservation, { p_reservation_id: reservationId }),
    grant: (input) =>
      run(functions.grant, wire.transactionResult, {
        ...acted(input),
        p_user_id: input.userId,
        p_amount: input.amount,
        p_source: input.source,
        p_bucket: input.bucket,
        p_priority: input.priority,
        p_expires_in_seconds: input.expiresInSeconds,
        p_metadata: input.metadata,
      }),
    refund: (input) =>
      run(functions.refund, wire.transactionResult, {
        ...acted(input),
        p_original_id: input.originalId,
        p_amount: input.amount,
      }),
    adjust: (input) =>
      run(functions.adjust, wire.transactionResult, {
        ...acted(input),
        p_user_id: input.userId,
        p_amount: input.amount,
      }),
    getBalance: ({ userId }) => run(functions.getBalance, wire.balance, { p_user_id: userId }),
    getHistory: ({ userId, limit, before, type, from, to }) =>
      run(functions.getHistory, wire.historyPage, {
        p_user_id: userId,
        p_limit: limit,
        p_before: before,
        p_type: type,
        p_from: from,
        p_to: to,
      }),
    getPricing: ({ ids } = {}) => run(functions.getPricing, wire.pricing, { p_ids: ids && [...ids] }),
    setMargin: (input) =>
      run(functions.setMargin, wire.margin, {
        p_scope: input.scope,
        p_target: input.target,
        p_margin_percent: input.marginPercent,
        p_expected_version: input.expectedVersion,
        p_effective_from: input.effectiveFrom,
        p_actor_id: input.actorId,
        p_reason: input.reason,
      }),
    getMarginAudit: ({ limit, before }) =>
      run(functions.getMarginAudit, wire.marginAuditPage, { p_limit: limit, p_before: before }),
    addRates: ({ rates }) => run(functions.addRates, wire.ratesAdded, { p_rates: rates }),
    getRateHistory: ({ modelId, limit = 100 }) =>
      run(functions.getRateHistory, wire.rateHistory, { p_model_id: modelId, p_limit: limit }),
    getCharges: ({ from, to, limit, after, details = false }) =>
      run(functions.getCharges, wire.chargesPage, {
        p_from: from,
        p_to: to,
        p_limit: limit,
        p_after: after,
        p_details: details,
      }),
  }
}

function held(input: {
  reservationId: string
  amount: string
  minimumAmount?: string | undefined
  ttlSeconds: number
}) {
  return {
    p_reservation_id: input.reservationId,
    p_amount: input.amount,
    p_minimum_amount: input.minimumAmount,
    p_ttl_seconds: input.ttlSeconds,
  }
}

function acted(input: { transactionId: string; reason?: string | undefined; actorId?: string | undefined }) {
  return { p_transaction_id: input.transactionId, p_reason: input.reason, p_actor_id: input.actorId }
}
