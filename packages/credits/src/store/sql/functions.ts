import type * as z from 'zod'
import { answers } from './answers.ts'

/** A Postgres type that a parameter is cast to. */
type SqlType = 'uuid' | 'uuid[]' | 'numeric' | 'integer' | 'bigint' | 'boolean' | 'text' | 'timestamptz' | 'jsonb'

/** A function of `supabase/migrations`, as the adapters call it. */
export interface SqlFunction<Answer = unknown> {
  name: string
  kind: 'read' | 'write'
  /** Whether a call that met a busy database is repeated. */
  retryBusy: boolean
  /** Parameters in the order of the function, with their types. */
  parameters: Readonly<Record<string, SqlType>>
  /** What the function returns. */
  answer: z.ZodType<Answer>
}

/** Values by parameter name. Undefined: the function's default. Objects are sent as JSON. */
export type SqlArguments = Readonly<Record<string, string | number | boolean | object | null | undefined>>

type Parameters = SqlFunction['parameters']

function read<Answer>(name: string, answer: z.ZodType<Answer>, parameters: Parameters): SqlFunction<Answer> {
  return { name, kind: 'read', retryBusy: false, parameters, answer }
}

/** The id of a write makes it harmless to repeat. */
function write<Answer>(
  name: string,
  answer: z.ZodType<Answer>,
  parameters: Parameters,
  { retryBusy = true } = {},
): SqlFunction<Answer> {
  return { name, kind: 'write', retryBusy, parameters, answer }
}

/** A busy database refuses new spending at once, so that its callers cannot exhaust the pool. */
const refuseWhenBusy = { retryBusy: false }

const account = { p_account_id: 'uuid' } as const
const reservation = { ...account, p_reservation_id: 'uuid' } as const
const amounts = { p_amount: 'numeric', p_minimum_amount: 'numeric', p_ttl_seconds: 'integer' } as const
const transaction = { ...account, p_transaction_id: 'uuid' } as const
const actor = { p_actor_id: 'uuid', p_reason: 'text' } as const
const correction = {
  ...transaction,
  p_original_id: 'uuid',
  p_reason: 'text',
  p_amount: 'numeric',
  p_actor_id: 'uuid',
} as const

/** The functions that the store port needs. */
export const functions = {
  reserve: write(
    'credits_reserve',
    answers.reservationResult,
    {
      ...reservation,
      ...amounts,
      p_feature: 'text',
      p_model: 'text',
      p_rate_id: 'uuid',
      p_margin_id: 'uuid',
      p_metadata: 'jsonb',
    },
    refuseWhenBusy,
  ),
  extend: write(
    'credits_extend',
    answers.extendResult,
    { ...reservation, p_extension_id: 'uuid', ...amounts },
    refuseWhenBusy,
  ),
  capture: write('credits_capture', answers.captureResult, {
    ...reservation,
    p_capture_id: 'uuid',
    p_charge: 'jsonb',
    p_extend_amount: 'numeric',
    p_extend_minimum: 'numeric',
    p_ttl_seconds: 'integer',
  }),
  settle: write('credits_settle', answers.settleResult, {
    ...reservation,
    p_charge: 'jsonb',
    p_create_missing: 'boolean',
  }),
  release: write('credits_release', answers.reservationResult, reservation),
  getReservation: read('credits_get_reservation', answers.reservation, reservation),
  grant: write('credits_grant', answers.transactionResult, {
    ...transaction,
    p_amount: 'numeric',
    p_source: 'text',
    p_bucket: 'text',
    p_priority: 'integer',
    p_expires_in_seconds: 'bigint',
    p_reason: 'text',
    p_actor_id: 'uuid',
    p_metadata: 'jsonb',
  }),
  refund: write('credits_refund', answers.transactionResult, correction),
  reverse: write('credits_reverse', answers.transactionResult, correction),
  adjust: write('credits_adjust', answers.transactionResult, {
    ...transaction,
    p_amount: 'numeric',
    p_reason: 'text',
    p_actor_id: 'uuid',
  }),
  getBalance: read('credits_get_balance', answers.balance, account),
  getHistory: read('credits_get_history', answers.historyPage, {
    ...account,
    p_limit: 'integer',
    p_before: 'bigint',
    p_type: 'text',
    p_from: 'timestamptz',
    p_to: 'timestamptz',
  }),
  getPricing: read('credits_get_pricing', answers.pricing, { p_ids: 'uuid[]' }),
  setMargin: write('credits_set_margin', answers.margin, {
    p_scope: 'text',
    p_target: 'text',
    p_margin_percent: 'numeric',
    p_expected_version: 'integer',
    p_effective_from: 'timestamptz',
    ...actor,
  }),
  getMarginAudit: read('credits_get_margin_audit', answers.marginAuditPage, {
    p_limit: 'integer',
    p_before: 'bigint',
  }),
  addRates: write('credits_set_rates', answers.ratesAdded, { p_rates: 'jsonb', p_aliases: 'jsonb' }),
  getRateHistory: read('credits_get_rate_history', answers.rateHistory, { p_model_id: 'text', p_limit: 'integer' }),
  getEstimates: read('credits_get_estimates', answers.estimatesPage, { p_limit: 'integer', p_after: 'jsonb' }),
  correctEstimate: write('credits_correct', answers.transactionResult, {
    ...transaction,
    p_original_id: 'uuid',
    p_charge: 'jsonb',
  }),
  getCharges: read('credits_get_charges', answers.chargesPage, {
    p_from: 'timestamptz',
    p_to: 'timestamptz',
    p_limit: 'integer',
    p_after: 'jsonb',
    p_details: 'boolean',
  }),
}
