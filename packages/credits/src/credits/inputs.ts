import * as z from 'zod'
import { creditsSchema, isZero, percentSchema, signedCreditsSchema, usdSchema } from '../core/money.ts'
import { isStorableJson, isStorableText } from '../core/pricing/storable.ts'
import type { ChargeRecord } from '../store/types.ts'
import type { CallPricing } from './operation-types.ts'

/**
 * One schema per use case, built once. Unknown fields are refused: a misspelt `minimumAmount` must not
 * become a reservation without a minimum.
 */
const MAX_TTL_SECONDS = 86_400
const METADATA_BYTES = 4096
const PROVIDER_BYTES = 65_536
const MOST_FLAGS = 100

const positive = creditsSchema.refine((amount) => !isZero(amount), { error: 'must be above zero' })
const nonZero = signedCreditsSchema.refine((amount) => !isZero(amount), { error: 'must not be zero' })
const id = z.guid({ error: 'must be a UUID' }).toLowerCase()
const text = (longest: number) =>
  z
    .string({ error: 'must be a string' })
    .min(1)
    .max(longest)
    .refine(isStorableText, { error: 'contains characters that cannot be stored' })
const label = text(255).optional()
const reason = text(1000)
const ttlSeconds = z.int().min(1).max(MAX_TTL_SECONDS).optional()
const time = z.iso.datetime({ offset: true })
const json = (mostBytes: number) =>
  z.record(z.string(), z.unknown()).refine((value) => isStorableJson(value, mostBytes), {
    error: `must be at most ${mostBytes} bytes of JSON that can be stored`,
  })
const metadataObject = json(METADATA_BYTES)
const metadata = metadataObject.optional()
// Usage comes in several shapes; core reads it and names what is wrong.
const usage = z.looseObject({})
const flags = z.array(text(64)).max(MOST_FLAGS).optional()

const charge = z.strictObject({
  amount: creditsSchema,
  costUsd: usdSchema,
  marginPercent: percentSchema.nullable(),
  costSource: z.enum(['market-cost', 'gateway-cost', 'rate', 'estimate', 'manual']),
  computedCostUsd: usdSchema.nullable(),
  reportedCostUsd: usdSchema.nullable(),
  model: text(255).nullable(),
  servedModel: text(255).nullable(),
  feature: text(255).nullable(),
  usage: usage.nullable(),
  inputTokens: z.int().min(0).nullable(),
  outputTokens: z.int().min(0).nullable(),
  rateId: id.nullable(),
  marginId: id.nullable(),
  pricing: json(PROVIDER_BYTES).nullable(),
  generationId: text(255).nullable(),
  provider: json(PROVIDER_BYTES).nullable(),
  // A charge that was made by an older version has neither.
  flags: z.array(text(64)).max(MOST_FLAGS).default([]),
  rawUsage: metadataObject.nullable().default(null),
  metadata: metadataObject,
}) satisfies z.ZodType<ChargeRecord>

const chargeChoice = {
  amount: creditsSchema.optional(),
  usage: usage.optional(),
  charge: charge.optional(),
  model: label,
  feature: label,
  metadata,
}
const given = (input: { amount?: unknown; usage?: unknown; charge?: unknown }) =>
  Number(input.amount !== undefined) + Number(input.usage !== undefined) + Number(input.charge !== undefined)

const estimateFields = {
  inputTokens: z.int().min(0).optional(),
  maxOutputTokens: z.int().min(0).optional(),
  usage: usage.optional(),
  cacheWrite: z.enum(['none', '5m', '1h']).optional(),
}
const scopeFields = { model: text(255), feature: label, planId: label, userId: id.optional() }
const frozenFields = { rateId: id.optional(), marginId: id.optional() }
const bothOrNeither = (input: { rateId?: unknown; marginId?: unknown }) =>
  (input.rateId === undefined) === (input.marginId === undefined)
const bothIds = { path: ['marginId'], error: 'give both rateId and marginId, or neither' }
const page = { limit: z.int().min(1).max(200).default(50), cursor: z.string().max(200).optional() }
const period = { from: time.optional(), to: time.optional(), maxCharges: z.int().min(1).optional() }
const marginTarget = z.enum(['provider', 'model', 'feature', 'plan'])
const marginFields = { expectedVersion: z.int().min(0).optional(), actorId: id.optional(), reason: reason.optional() }

export const inputs = {
  options: z.strictObject({
    upgradeUrl: z.string().min(1).optional(),
    pricingTtlSeconds: z.number().min(0).max(86_400).default(60),
    reservationTtlSeconds: z.int().min(1).max(MAX_TTL_SECONDS).default(300),
    failOpen: z.strictObject({ maxCredits: positive }).optional(),
    unknownModels: z.strictObject({ ceilingCredits: positive }).optional(),
  }),
  reserve: z
    .strictObject({
      userId: id,
      amount: creditsSchema.optional(),
      estimate: z.strictObject(estimateFields).optional(),
      minimumAmount: creditsSchema.optional(),
      feature: label,
      model: label,
      ttlSeconds,
      idempotencyKey: label,
      metadata,
    })
    .refine((input) => (input.amount === undefined) !== (input.estimate === undefined), {
      path: ['amount'],
      error: 'give either amount or estimate',
    })
    .refine((input) => input.estimate === undefined || input.model !== undefined, {
      path: ['model'],
      error: 'an estimate needs a model',
    }),
  extend: z.strictObject({
    userId: id,
    reservationId: id,
    amount: positive,
    minimumAmount: positive.optional(),
    ttlSeconds,
    idempotencyKey: label,
  }),
  capture: z
    .strictObject({
      ...chargeChoice,
      userId: id,
      reservationId: id,
      idempotencyKey: text(255),
      extend: z.strictObject({ amount: positive, minimumAmount: positive.optional(), ttlSeconds }).optional(),
    })
    .refine((input) => given(input) === 1, { path: ['amount'], error: 'give one of amount, usage, charge' }),
  settle: z
    .strictObject({ ...chargeChoice, userId: id, reservationId: id })
    .refine((input) => given(input) <= 1, { path: ['amount'], error: 'give at most one of amount, usage, charge' }),
  reservation: z.strictObject({ userId: id, reservationId: id }),
  grant: z.strictObject({
    userId: id,
    amount: positive,
    source: z.enum(['signup', 'plan', 'purchase', 'promo', 'refund', 'adjustment']),
    bucket: z.enum(['plan', 'add-on']).default('add-on'),
    priority: z.int().min(0).max(1000).optional(),
    expiresInSeconds: z.int().min(1).max(3_153_600_000).optional(),
    reason: reason.optional(),
    actorId: id.optional(),
    idempotencyKey: text(255),
    metadata,
  }),
  correction: z.strictObject({
    userId: id,
    transactionId: id,
    amount: positive.optional(),
    reason,
    actorId: id.optional(),
    idempotencyKey: label,
  }),
  correctEstimate: z.strictObject({ userId: id, transactionId: id, charge, idempotencyKey: label }),
  estimates: z
    .strictObject({
      limit: z.int().min(1).max(5000).default(100),
      after: z.strictObject({ accountId: id, version: z.int().min(0) }).optional(),
    })
    .default({ limit: 100 }),
  adjust: z.strictObject({ userId: id, amount: nonZero, reason, actorId: id.optional(), idempotencyKey: label }),
  user: z.strictObject({ userId: id }),
  history: z.strictObject({
    ...page,
    userId: id,
    type: z.enum(['grant', 'usage', 'refund', 'reversal', 'adjustment', 'expiry']).optional(),
    from: time.optional(),
    to: time.optional(),
  }),
  page: z.strictObject(page),
  estimate: z.strictObject({ ...scopeFields, ...estimateFields }),
  findPricing: z.strictObject({ ...scopeFields, ...frozenFields }).refine(bothOrNeither, bothIds),
  price: z
    .strictObject({
      ...scopeFields,
      ...frozenFields,
      usage,
      pricing: z.custom<CallPricing>().optional(),
      servedModel: label,
      reported: z
        .strictObject({ costUsd: usdSchema, source: z.enum(['market-cost', 'gateway-cost']), flags })
        .optional(),
      estimated: z.boolean().optional(),
      generationId: label,
      provider: json(PROVIDER_BYTES).optional(),
      flags,
      rawUsage: z.unknown().optional(),
      metadata,
    })
    .refine(bothOrNeither, bothIds),
  setMargin: z
    .strictObject({
      ...marginFields,
      scope: z.enum(['default', ...marginTarget.options]),
      target: label,
      marginPercent: percentSchema,
      effectiveFrom: time.optional(),
    })
    .refine((input) => (input.scope === 'default') === (input.target === undefined), {
      path: ['target'],
      error: 'belongs to every scope but the default',
    }),
  rateHistory: z.strictObject({ model: text(255), limit: z.int().min(1).max(1000).optional() }),
  charges: z.strictObject({ ...period, details: z.boolean().optional() }).default({}),
  whatIf: z.strictObject({
    ...period,
    margins: z
      .array(
        z
          .strictObject({
            scope: z.enum(['default', ...marginTarget.options]),
            target: label,
            marginPercent: percentSchema.nullable(),
          })
          .refine((row) => (row.scope === 'default') === (row.target === undefined), {
            path: ['target'],
            error: 'belongs to every scope but the default',
          })
          .refine((row) => row.scope !== 'default' || row.marginPercent !== null, {
            path: ['marginPercent'],
            error: 'the default cannot be removed',
          }),
      )
      .max(1000)
      .optional(),
    rates: z
      .union([
        z.literal('current'),
        z.array(z.strictObject({ modelId: text(255), pricing: z.looseObject({}) })).max(5000),
      ])
      .optional(),
  }),
  drift: z.strictObject({ ...period, thresholdPercent: percentSchema.optional() }).default({}),
  reportedCall: z.looseObject({ generationId: text(255), costUsd: z.string() }),
  spendReport: z.looseObject({
    results: z.array(
      z.looseObject({
        model: text(255),
        totalCost: z.number(),
        marketCost: z.number().nullish(),
        requestCount: z.int().min(0).optional(),
      }),
    ),
  }),
  removeMargin: z.strictObject({ ...marginFields, scope: marginTarget, target: text(255) }),
}
