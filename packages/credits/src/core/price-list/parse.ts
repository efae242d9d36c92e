import * as z from 'zod'
import { invalidInput, isZero, parseOrThrow } from '../money.ts'
import { type GatewayPricing, parsePricing } from '../pricing/schema.ts'

/** A model's price as some source delivers it, before it becomes a row of `credit_rates`. */
export interface RateCandidate {
  modelId: string
  type: string
  /** The price object as delivered; null when there is no price. */
  pricing: GatewayPricing | null
  known: boolean
  contextWindow: number | null
  maxOutputTokens: number | null
  /** Price dimensions that this version does not know. */
  unknownKeys: string[]
  /** The source leaves out tiers, searches and other modalities: it can confirm a price, not replace one. */
  partial: boolean
}

// The gateway's own list has renamed this type.
const TYPE_NAMES = new Map([['evaluation', 'decision']])
const NOT_PRICES = new Set(['varies_by_provider', 'peak_pricing'])

const limit = z.int().min(0).max(1_000_000_000_000).nullish()
const modelId = z.string().min(1).max(255)

const modelList = z.object({
  data: z
    .array(
      z.looseObject({
        id: modelId,
        type: z.string().min(1).max(64),
        pricing: z.unknown().optional(),
        context_window: limit,
        max_tokens: limit,
      }),
    )
    .min(1),
})

const availableModels = z.object({
  models: z
    .array(
      z.looseObject({
        id: modelId,
        modelType: z.string().min(1).max(64).nullish(),
        pricing: z
          .looseObject({
            input: z.string(),
            output: z.string(),
            cachedInputTokens: z.string().nullish(),
            cacheCreationInputTokens: z.string().nullish(),
          })
          .nullish(),
      }),
    )
    .min(1),
})

/** The type under its current name. */
export function typeName(type: string): string {
  return TYPE_NAMES.get(type) ?? type
}

/**
 * Whether a price object says what a model costs. An empty one does not; nor does one that is all zeros, unless the
 * model's name says that it is free: lists print 0 where they do not know.
 */
export function isPriced(model: string, pricing: GatewayPricing): boolean {
  const amounts = amountsOf(pricing)
  if (amounts.length === 0) return false
  return model.endsWith('-free') || amounts.some((amount) => !isZero(amount))
}

function amountsOf(value: unknown): string[] {
  if (typeof value === 'string') return /^[0-9.]+$/.test(value) ? [value] : []
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, entry]) => (NOT_PRICES.has(key) ? [] : amountsOf(entry)))
}

/** A checked candidate from a raw price object. */
export function candidate(input: {
  modelId: string
  type: string
  pricing: unknown
  path: string
  contextWindow?: number | null | undefined
  maxOutputTokens?: number | null | undefined
  partial?: boolean
}): RateCandidate {
  const { pricing, unknownKeys } = parsePricing(input.pricing ?? {}, input.path)
  const known = isPriced(input.modelId, pricing)
  return {
    modelId: input.modelId,
    type: typeName(input.type),
    pricing: known ? pricing : null,
    known,
    contextWindow: input.contextWindow || null,
    maxOutputTokens: input.maxOutputTokens || null,
    unknownKeys,
    partial: input.partial ?? false,
  }
}

const TOKEN_PRICES = [
  'input',
  'output',
  'input_cache_read',
  'input_cache_write',
  'input_tiers',
  'output_tiers',
  'input_cache_read_tiers',
  'input_cache_write_tiers',
] as const satisfies readonly (keyof GatewayPricing)[]

const BATCH = '-batch'

/**
 * Gives each model the batch prices that the list has under `<id>-batch`, as `pricing.batch`. The rows of their own
 * stay: an app may name them.
 */
export function withBatchPrices<Row extends Pick<RateCandidate, 'modelId' | 'pricing'>>(rows: readonly Row[]): Row[] {
  const batches = new Map(
    rows.filter((row) => row.modelId.endsWith(BATCH)).map((row) => [row.modelId.slice(0, -BATCH.length), row.pricing]),
  )
  return rows.map((row) => {
    const batch = batches.get(row.modelId)
    if (!batch || row.pricing === null || row.pricing.batch !== undefined) return row
    const prices = Object.fromEntries(TOKEN_PRICES.flatMap((key) => (key in batch ? [[key, batch[key]]] : [])))
    return { ...row, pricing: { ...row.pricing, batch: prices } }
  })
}

/**
 * Reads the AI Gateway's `GET /v1/models` answer, or what `gateway.getAvailableModels()` returns (which has only
 * four of the prices, so its candidates are `partial`). One bad row refuses the whole list: half a price list is
 * worse than yesterday's.
 *
 * @throws CreditError `INVALID_INPUT` with the path of the first fault, e.g. `data[12].pricing.input`
 * @example const next = parseModelList(await (await fetch('https://ai-gateway.vercel.sh/v1/models')).json())
 */
export function parseModelList(raw: unknown): RateCandidate[] {
  const rows = rowsOf(raw)
  const places = new Map<string, number>()
  for (const [index, { modelId }] of rows.entries()) {
    const first = places.get(modelId)
    // It is not clear which of two prices is meant.
    if (first !== undefined) throw invalidInput(`${listName(raw)}[${index}].id`, `${modelId} is at ${first} already`)
    places.set(modelId, index)
  }
  return withBatchPrices(rows)
}

const renames = z.object({ aliases: z.record(modelId, modelId).default({}) })

/**
 * The renames of models that a list has besides its prices, old id to new id. The AI Gateway's own list has none.
 *
 * @throws CreditError `INVALID_INPUT`
 * @example parseAliases({ data, aliases: { 'xai/grok-4.7': 'spacexai/grok-4.7' } })
 */
export function parseAliases(raw: unknown): Record<string, string> {
  return parseOrThrow(renames, raw).aliases
}

function listName(raw: unknown): 'models' | 'data' {
  return typeof raw === 'object' && raw !== null && 'models' in raw ? 'models' : 'data'
}

function rowsOf(raw: unknown): RateCandidate[] {
  if (listName(raw) === 'models') {
    return parseOrThrow(availableModels, raw).models.map(({ id, modelType, pricing }, index) =>
      candidate({
        modelId: id,
        type: modelType ?? 'language',
        pricing: pricing && {
          input: pricing.input,
          output: pricing.output,
          ...(pricing.cachedInputTokens != null && { input_cache_read: pricing.cachedInputTokens }),
          ...(pricing.cacheCreationInputTokens != null && { input_cache_write: pricing.cacheCreationInputTokens }),
        },
        path: `models[${index}].pricing`,
        partial: true,
      }),
    )
  }
  return parseOrThrow(modelList, raw).data.map((model, index) =>
    candidate({
      modelId: model.id,
      type: model.type,
      pricing: model.pricing,
      path: `data[${index}].pricing`,
      contextWindow: model.context_window,
      maxOutputTokens: model.max_tokens,
    }),
  )
}
