import * as z from 'zod'
import type {
  Balance,
  CaptureResult,
  ChargesPage,
  EstimatesPage,
  ExtendResult,
  HistoryPage,
  MarginAuditPage,
  MarginRow,
  PricingSnapshot,
  RateRow,
  Reservation,
  ReservationResult,
  SettleResult,
  TransactionResult,
} from '../types.ts'

const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(Z|[+-]\d\d(?::\d\d)?)$/

/** A decimal of the database, which has all the places of its column, without trailing zeros and never "-0". */
function trimmed(text: string): string {
  const short = text.includes('.') ? text.replace(/\.?0+$/, '') : text
  return short === '-0' ? '0' : short
}

/** A time in UTC and to the microsecond; the database writes it in the zone of its session. */
function utc(text: string): string {
  const [, seconds = '', fraction = '', zone = ''] = TIME.exec(text) ?? []
  const universal = zone === 'Z' || zone === '+00:00' || zone === '+00'
  const start = universal
    ? seconds
    : new Date(`${seconds}${zone.length === 3 ? `${zone}:00` : zone}`).toISOString().slice(0, 19)
  return `${start}.${fraction.padEnd(6, '0')}Z`
}

const decimal = (pattern: RegExp) => z.string().regex(pattern).transform(trimmed)
const amount = decimal(/^-?\d+(\.\d{1,6})?$/)
const usd = decimal(/^\d+(\.\d{1,12})?$/)
const percent = decimal(/^-?\d+(\.\d{1,4})?$/)
const time = z.string().regex(TIME).transform(utc)
const id = z.string()
const text = z.string().nullable()
const json = z.record(z.string(), z.unknown())
const version = z.int().min(0)

const balance = z.object({
  userId: id,
  planId: z.string(),
  planCredits: amount,
  addOnCredits: amount,
  debt: amount,
  reserved: amount,
  overageLimit: amount,
  available: amount,
  status: z.enum(['active', 'frozen', 'closed']),
  periodEndsAt: time.nullable(),
  version,
}) satisfies z.ZodType<Balance>

const reservation = z.object({
  reservationId: id,
  userId: id,
  state: z.enum(['active', 'settled', 'released', 'expired']),
  amount,
  captured: amount,
  uncollected: amount,
  feature: text,
  model: text,
  rateId: id.nullable(),
  marginId: id.nullable(),
  metadata: json,
  late: z.boolean(),
  createdAt: time,
  expiresAt: time,
  closedAt: time.nullable(),
}) satisfies z.ZodType<Reservation>

const transaction = z.object({
  id,
  userId: id,
  version,
  type: z.enum(['grant', 'usage', 'refund', 'reversal', 'adjustment', 'expiry']),
  source: text,
  amount,
  balanceAfter: amount,
  uncollected: amount,
  reservationId: id.nullable(),
  reversesId: id.nullable(),
  feature: text,
  model: text,
  inputTokens: z.int().nullable(),
  outputTokens: z.int().nullable(),
  estimated: z.boolean(),
  late: z.boolean(),
  metadata: json,
  createdAt: time,
})

const extension = z.object({ granted: z.boolean(), amount })
const reservationResult = reservation.extend({ replayed: z.boolean(), balance })

const margin = z.object({
  id,
  scope: z.enum(['default', 'provider', 'model', 'feature', 'plan']),
  target: z.string(),
  marginPercent: percent.nullable(),
  version,
  effectiveFrom: time,
  createdAt: time,
}) satisfies z.ZodType<MarginRow>

const rate = z.object({
  id,
  modelId: z.string(),
  type: z.string(),
  pricing: json.nullable(),
  known: z.boolean(),
  source: z.string(),
  effectiveFrom: time,
  contextWindow: z.int().nullable(),
  maxOutputTokens: z.int().nullable(),
})

const auditEntry = z.object({
  id: z.int(),
  scope: margin.shape.scope,
  target: z.string(),
  operation: z.enum(['insert', 'update', 'delete']),
  oldMarginPercent: percent.nullable(),
  newMarginPercent: percent.nullable(),
  actorId: id.nullable(),
  actorRole: z.string(),
  reason: text,
  createdAt: time,
})

const charge = z.object({
  transactionId: id,
  accountId: id,
  userId: id,
  version,
  amount,
  uncollected: amount,
  refunded: amount,
  feature: text,
  model: text,
  planId: text,
  estimated: z.boolean(),
  createdAt: time,
  costUsd: usd,
  marginPercent: percent.nullable(),
  costSource: z.enum(['market-cost', 'gateway-cost', 'rate', 'estimate', 'manual']),
  computedCostUsd: usd.nullable(),
  reportedCostUsd: usd.nullable(),
  servedModel: text,
  generationId: text,
  usage: json.nullable(),
  pricing: json.nullable(),
})

const estimate = z.object({
  transactionId: id,
  accountId: id,
  userId: id,
  version,
  amount,
  marginPercent: percent.nullable(),
  generationId: z.string(),
  model: text,
  feature: text,
  createdAt: time,
})

/**
 * What the SQL functions return, one schema per shape. Fields that a newer schema adds are dropped, so a database may
 * be one version ahead of this package.
 */
export const answers = {
  reservation,
  reservationResult: reservationResult satisfies z.ZodType<ReservationResult>,
  extendResult: reservationResult.extend({ extension }) satisfies z.ZodType<ExtendResult>,
  captureResult: reservationResult.extend({
    transaction,
    extension: extension.nullable(),
  }) satisfies z.ZodType<CaptureResult>,
  settleResult: reservationResult.extend({ transaction: transaction.nullable() }) satisfies z.ZodType<SettleResult>,
  transactionResult: z.object({ transaction, balance, replayed: z.boolean() }) satisfies z.ZodType<TransactionResult>,
  balance,
  historyPage: z.object({
    data: z.array(transaction),
    nextBefore: version.nullable(),
  }) satisfies z.ZodType<HistoryPage>,
  pricing: z.object({
    rates: z.array(rate),
    margins: z.array(margin),
    aliases: z.record(z.string(), z.string()),
    asOf: time,
  }) satisfies z.ZodType<PricingSnapshot>,
  margin,
  marginAuditPage: z.object({
    data: z.array(auditEntry),
    nextBefore: z.int().nullable(),
  }) satisfies z.ZodType<MarginAuditPage>,
  ratesAdded: z.object({ inserted: z.int().min(0), unchanged: z.int().min(0) }),
  rateHistory: z.array(rate) satisfies z.ZodType<RateRow[]>,
  estimatesPage: z.object({
    data: z.array(estimate),
    next: z.object({ accountId: id, version }).nullable(),
  }) satisfies z.ZodType<EstimatesPage>,
  chargesPage: z.object({
    data: z.array(charge),
    next: z.object({ createdAt: time, accountId: id, version }).nullable(),
  }) satisfies z.ZodType<ChargesPage>,
}
