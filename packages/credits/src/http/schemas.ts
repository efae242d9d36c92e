import { z } from 'zod'
import { type CreditErrorCode, ERROR_CODES } from '../core/errors.ts'

/** Every body and query string of the HTTP API. The route table, the OpenAPI document and the types of the hooks use these. */

const amount = z
  .string()
  .regex(/^-?\d+(\.\d{1,6})?$/)
  .describe('Credits, a decimal string with at most 6 places')
const time = z.string().describe('ISO 8601 time, UTC')
const limit = z.coerce.number().int().min(1).max(200).optional().describe('1 to 200; default 50')
const cursor = z.string().min(1).max(512).optional().describe('`nextCursor` of the page before')
const nextCursor = z.string().nullable().describe('Null on the last page')
const marginPercent = z.string().nullable().describe('Percent on the cost, a decimal string; null: removed')
const instant = z.iso.datetime({ offset: true })
/** The schemas of the kinds of details that the error table knows. */
const KINDS = {
  credits: amount,
  text: z.string(),
  integer: z.int(),
  texts: z.array(z.string()),
  limit: z.union([z.string(), z.int()]),
  issues: z.array(z.object({ path: z.string(), message: z.string() })),
  object: z.record(z.string(), z.unknown()),
}

/** Body of `GET /api/credits/balance`. */
export const balanceSchema = z.object({
  available: amount.describe('What can be spent now: balance + overageLimit - reserved'),
  balance: amount.describe('planCredits + addOnCredits - debt'),
  planCredits: amount,
  addOnCredits: amount,
  reserved: amount.describe('Kept back by calls that are running'),
  debt: amount,
  overageLimit: amount,
  plan: z.string(),
  status: z.enum(['active', 'frozen', 'closed']),
  periodEndsAt: time.nullable(),
})

/** One line of a user's history: no cost, no margin, no provider ids, no reason of an operator. */
const transactionSchema = z.object({
  id: z.string(),
  version: z.int().describe('1, 2, 3 ... per account, without gaps'),
  type: z.enum(['grant', 'usage', 'refund', 'reversal', 'adjustment', 'expiry']),
  source: z.string().nullable(),
  amount: amount.describe('Signed: negative takes credits'),
  balanceAfter: amount,
  uncollected: amount.describe('Cost that could not be charged'),
  reservationId: z.string().nullable(),
  reversesId: z.string().nullable(),
  feature: z.string().nullable(),
  model: z.string().nullable(),
  inputTokens: z.int().nullable(),
  outputTokens: z.int().nullable(),
  estimated: z.boolean(),
  late: z.boolean(),
  createdAt: time,
})

/** Body of `GET /api/credits/history`, newest first. */
export const historySchema = z.object({ data: z.array(transactionSchema), nextCursor })

/** Query string of `GET /api/credits/history`. */
export const historyQuerySchema = z.object({
  limit,
  cursor,
  type: transactionSchema.shape.type.optional(),
  from: instant.optional().describe('Inclusive'),
  to: instant.optional().describe('Exclusive'),
})

/** What a margin can be set for, besides everything. */
export const overrideScopeSchema = z.enum(['model', 'provider', 'feature', 'plan'])

/** A margin in force or scheduled. */
export const marginSchema = z.object({
  id: z.string(),
  scope: z.enum(['default', ...overrideScopeSchema.options]),
  target: z.string().describe('The model, provider, feature or plan; empty for the default'),
  marginPercent,
  version: z.int().describe('For `expectedVersion` of the next change'),
  effectiveFrom: time,
  createdAt: time,
})

/** Body of `GET /api/admin/credits/margins`. */
export const marginsSchema = z.object({
  default: marginSchema.nullable(),
  overrides: z.array(marginSchema),
  scheduled: z.array(marginSchema),
  asOf: time,
})

/** Body of `PUT /api/admin/credits/margins` and `PUT /api/admin/credits/margins/:model`. */
export const setMarginSchema = z.strictObject({
  marginPercent: z
    .union([z.string().min(1).max(32), z.number()])
    .describe('More than -100, at most 10000, at most 4 places. A string, or a JSON number'),
  expectedVersion: z
    .int()
    .min(0)
    .optional()
    .describe('Refuse with VERSION_CONFLICT unless this is the latest; 0: none yet'),
  effectiveFrom: z.iso.datetime({ offset: true }).optional().describe('Default: now. Never in the past'),
  reason: z.string().min(1).max(500).optional(),
})

/** Query string of the routes that address one override. */
export const overrideQuerySchema = z.object({ scope: overrideScopeSchema.optional().describe('Default: model') })

/** Query string of `DELETE /api/admin/credits/margins/:model`. */
export const removeMarginQuerySchema = overrideQuerySchema.extend({
  expectedVersion: z.coerce.number().int().min(0).optional(),
  reason: z.string().min(1).max(500).optional(),
})

/** Query string of a paged list. */
export const pageQuerySchema = z.object({ limit, cursor })

/** Body of `GET /api/admin/credits/audit`, newest first. */
export const auditSchema = z.object({
  data: z.array(
    z.object({
      id: z.int(),
      scope: marginSchema.shape.scope,
      target: z.string(),
      operation: z.enum(['insert', 'update', 'delete']),
      oldMarginPercent: marginPercent,
      newMarginPercent: marginPercent,
      actorId: z.string().nullable(),
      actorRole: z.string(),
      reason: z.string().nullable(),
      createdAt: time,
    }),
  ),
  nextCursor,
})

/** Query string of `GET /api/admin/credits/rates`. */
export const ratesQuerySchema = z.object({
  search: z.string().max(200).optional().describe('Part of a model id'),
  limit: z.coerce.number().int().min(1).max(1000).optional().describe('1 to 1000; default 100'),
})

/** Body of `GET /api/admin/credits/rates`: prices in force and scheduled, by model. */
export const ratesSchema = z.object({
  data: z.array(
    z.object({
      modelId: z.string(),
      type: z.string(),
      known: z.boolean().describe('False: refused, because no price is known'),
      pricing: z.record(z.string(), z.unknown()).nullable(),
      source: z.string(),
      effectiveFrom: time,
      contextWindow: z.int().nullable(),
      maxOutputTokens: z.int().nullable(),
    }),
  ),
  total: z.int().describe('Matches before `limit`'),
})

/** Query string of `GET /api/admin/credits/report`. */
export const periodQuerySchema = z.object({
  from: instant.optional().describe('Inclusive; default: the beginning'),
  to: instant.optional().describe('Exclusive; default: now'),
})

const usd = z.string().describe('USD, a decimal string with at most 12 places')
const totalsSchema = z.object({
  calls: z.int(),
  credits: amount.describe('Taken and kept'),
  refunded: amount,
  uncollected: amount.describe('Could not be taken'),
  revenueUsd: usd.describe('A credit is USD 0.01'),
  costUsd: usd,
  profitUsd: usd,
  profitPercent: z.string().nullable().describe('Of the cost; null where nothing was paid for'),
})
const groupSchema = z.record(z.string(), totalsSchema)

/** Body of `GET /api/admin/credits/report`. */
export const profitReportSchema = z.object({
  total: totalsSchema,
  by: z.object({ model: groupSchema, feature: groupSchema, plan: groupSchema, day: groupSchema }),
})

/** Query string of `GET /api/admin/credits/what-if`. */
export const whatIfQuerySchema = periodQuerySchema.extend({
  margins: z
    .string()
    .min(1)
    .max(4000)
    .optional()
    .describe('default=40,model:openai/gpt-5=10,feature:chat= (empty: removed)'),
  rates: z.literal('current').optional().describe('Prices of today instead of those of each call'),
})

/** Body of `GET /api/admin/credits/what-if`. */
export const whatIfSchema = z.object({
  actual: profitReportSchema,
  hypothetical: profitReportSchema,
  unchanged: z.int().describe('Calls that cannot be replayed and count as they were'),
})

/** Query string of `GET /api/admin/credits/drift`. */
export const driftQuerySchema = periodQuerySchema.extend({
  thresholdPercent: z.string().min(1).max(32).optional().describe('Default: 5'),
})

/** Body of `GET /api/admin/credits/drift`, furthest apart first. */
export const driftSchema = z.object({
  rows: z.array(
    z.object({
      model: z.string(),
      day: z.string(),
      calls: z.int(),
      computedUsd: usd,
      reportedUsd: usd,
      driftPercent: z.string().nullable(),
      alert: z.boolean(),
    }),
  ),
  alerts: z.int(),
  notCompared: z.int().describe('Calls of which only one figure is known'),
})

const codes = Object.keys(ERROR_CODES) as [CreditErrorCode, ...CreditErrorCode[]]

/** Body of `GET /api/credits/errors`. */
export const errorCodesSchema = z.object({
  data: z.array(
    z.object({
      code: z.enum(codes),
      status: z.int(),
      retryable: z.boolean().describe('Repeating the call with the same idempotency key may succeed'),
      title: z.string(),
      description: z.string().describe('What happened and what to do about it; Markdown'),
      details: z.array(z.object({ name: z.string(), description: z.string() })).describe('Members of the problem body'),
    }),
  ),
})

/** Body of `GET /api/credits/openapi.json`. */
export const openApiSchema = z.looseObject({ openapi: z.string() })

/** Body of every refusal and failure: the members of RFC 9457, our `code`, and the details of that code. */
const problemSchema = z.looseObject({
  type: z.string().describe('Where the code is explained: a URL, or a path of this server'),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.enum(codes),
  ...publicDetailSchemas(),
})

/** One optional member for each detail that the error table makes public. */
function publicDetailSchemas(): Record<string, z.ZodType> {
  const schemas: Record<string, z.ZodType> = {}
  for (const [code, { details }] of Object.entries(ERROR_CODES)) {
    const rows: [string, { kind: keyof typeof KINDS; description: string; internal?: true }][] = Object.entries(details)
    for (const [name, { kind, description, internal }] of rows) {
      if (internal !== true) schemas[name] ??= KINDS[kind].optional().describe(`${description}; with ${code}`)
    }
  }
  return schemas
}

/** Named schemas, in the order in which the OpenAPI document lists them. */
export const components = {
  Balance: balanceSchema,
  Transaction: transactionSchema,
  History: historySchema,
  Margin: marginSchema,
  Margins: marginsSchema,
  SetMargin: setMarginSchema,
  MarginAudit: auditSchema,
  Rates: ratesSchema,
  ProfitReport: profitReportSchema,
  WhatIf: whatIfSchema,
  Drift: driftSchema,
  ErrorCodes: errorCodesSchema,
  OpenApi: openApiSchema,
  Problem: problemSchema,
} as const

/** See {@link historyQuerySchema}. */
export type HistoryQuery = z.infer<typeof historyQuerySchema>
/** See {@link overrideQuerySchema}. */
export type OverrideQuery = z.infer<typeof overrideQuerySchema>
/** See {@link removeMarginQuerySchema}. */
export type RemoveMarginQuery = z.infer<typeof removeMarginQuerySchema>
/** See {@link pageQuerySchema}. */
export type PageQuery = z.infer<typeof pageQuerySchema>
/** See {@link ratesQuerySchema}. */
export type RatesQuery = z.infer<typeof ratesQuerySchema>
/** See {@link periodQuerySchema}. */
export type PeriodQuery = z.infer<typeof periodQuerySchema>
/** See {@link whatIfQuerySchema}. */
export type WhatIfQuery = z.infer<typeof whatIfQuerySchema>
/** See {@link driftQuerySchema}. */
export type DriftQuery = z.infer<typeof driftQuerySchema>

/** Body of `GET /api/credits/errors`. */
export type ErrorCodesBody = z.infer<typeof errorCodesSchema>
/** Body of `GET /api/credits/balance`; amounts are decimal strings of credits. */
export type BalanceBody = z.infer<typeof balanceSchema>
/** One line of a user's history. */
export type TransactionBody = z.infer<typeof transactionSchema>
/** Body of `GET /api/credits/history`. */
export type HistoryBody = z.infer<typeof historySchema>
/** A margin in force or scheduled. */
export type MarginBody = z.infer<typeof marginSchema>
/** Body of `GET /api/admin/credits/margins`. */
export type MarginsBody = z.infer<typeof marginsSchema>
/** Body of `PUT /api/admin/credits/margins`. */
export type SetMarginBody = z.infer<typeof setMarginSchema>
/** Body of `GET /api/admin/credits/audit`. */
export type MarginAuditBody = z.infer<typeof auditSchema>
/** Body of `GET /api/admin/credits/rates`. */
export type RatesBody = z.infer<typeof ratesSchema>
/** Body of `GET /api/admin/credits/report`. */
export type ProfitReportBody = z.infer<typeof profitReportSchema>
/** Body of `GET /api/admin/credits/what-if`. */
export type WhatIfBody = z.infer<typeof whatIfSchema>
/** Body of `GET /api/admin/credits/drift`. */
export type DriftBody = z.infer<typeof driftSchema>
