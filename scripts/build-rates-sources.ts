/**
 * Takes prices of providers and limits of models from public packages into supabase/rates, where build-rates.ts reads
 * them: `node scripts/build-rates-sources.ts --pi-ai <folder of @earendil-works/pi-ai>`.
 *
 * - provider-models.json: what providers themselves charge, for the ids in the type lists of the AI SDK's provider
 *   packages and for the models of hosts. Only where the gateway has no price of the same model, or another one.
 * - limits.json: context windows and output limits of the gateway's models.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { listedModels, PACKAGES } from '../packages/credits/__tests__/core/provider-ids.ts'
import { compare, mul } from '../packages/credits/src/core/money.ts'
import { findRate } from '../packages/credits/src/core/pricing/find-rate.ts'
import { modelKey } from '../packages/credits/src/core/pricing/model-ids.ts'
import type { GatewayPricing } from '../packages/credits/src/core/pricing/schema.ts'
import { gatewayRates } from './build-rates.ts'
import { root } from './lib/paths.ts'

const FOLDER = join(root, 'supabase', 'rates')
const GENAI_VERSION = '0.1.8'

interface PiCost {
  input: number
  output: number
  cacheRead: number
  cacheWrite: number
}
interface PiModel {
  id: string
  type: string
  cost: PiCost & { tiers?: (PiCost & { inputTokensAbove: number })[] }
  contextWindow?: number
  maxTokens?: number
}

type GenaiPrice = number | { base: number; tiers: { start: number; price: number }[] } | undefined
interface Genai {
  calcPrice(
    usage: { input_tokens: number },
    modelId: string,
    options: { providerId: string },
  ): { model_price: Record<string, GenaiPrice> } | null
}

/** A row of provider-models.json. */
export interface ProviderModel {
  id: string
  type: string
  pricing: GatewayPricing
  source: string
  contextWindow?: number | undefined
  maxOutputTokens?: number | undefined
}

const GENAI_NAMES: Readonly<Record<string, string>> = {
  'amazon-bedrock': 'aws',
  'google-vertex': 'google',
  togetherai: 'together',
  xai: 'x-ai',
}
const PI_NAMES: Readonly<Record<string, string>> = { togetherai: 'together' }
/** Providers that sell other companies' models at prices of their own. */
const HOSTS = ['cerebras', 'fireworks', 'groq', 'togetherai'] as const

const perToken = (million: number) => mul(String(million), '0.000001')

const PI_DIMENSIONS = [
  ['input', 'input'],
  ['output', 'output'],
  ['cacheRead', 'input_cache_read'],
  ['cacheWrite', 'input_cache_write'],
] as const

/** A 0 means "free or unknown" there, so it is left out. */
function fromPi({ cost }: PiModel): GatewayPricing | null {
  if (cost.input === 0) return null
  const { tiers = [], ...base } = cost
  const bands = [{ ...base, inputTokensAbove: -1 }, ...tiers]
  const pricing: GatewayPricing = {}
  for (const [theirs, ours] of PI_DIMENSIONS) {
    if (base[theirs] === 0) continue
    pricing[ours] = perToken(base[theirs])
    if (tiers.length === 0) continue
    pricing[`${ours}_tiers`] = bands.map((band, index) => {
      const next = bands[index + 1]
      return {
        cost: perToken(band[theirs]),
        min: band.inputTokensAbove + 1,
        ...(next && { max: next.inputTokensAbove + 1 }),
      }
    })
  }
  return pricing
}

const GENAI_DIMENSIONS = [
  ['input_mtok', 'input'],
  ['output_mtok', 'output'],
  ['cache_read_mtok', 'input_cache_read'],
  ['cache_write_mtok', 'input_cache_write'],
] as const
const GENAI_AUDIO = [
  ['input_audio_mtok', 'audio_input_token_cost'],
  ['output_audio_mtok', 'audio_output_token_cost'],
] as const

function fromGenai(price: Record<string, GenaiPrice>): GatewayPricing | null {
  if (price.input_mtok === undefined) return null
  const pricing: GatewayPricing = {}
  for (const [theirs, ours] of GENAI_DIMENSIONS) {
    const value = price[theirs]
    if (value === undefined) continue
    const { base, tiers } = typeof value === 'number' ? { base: value, tiers: [] } : value
    pricing[ours] = perToken(base)
    if (tiers.length === 0) continue
    const bands = [{ start: -1, price: base }, ...tiers]
    pricing[`${ours}_tiers`] = bands.map((band, index) => {
      const next = bands[index + 1]
      return { cost: perToken(band.price), min: band.start + 1, ...(next && { max: next.start + 1 }) }
    })
  }
  for (const [theirs, ours] of GENAI_AUDIO) {
    const value = price[theirs]
    if (typeof value === 'number') pricing[ours] = perToken(value)
  }
  const searches = price.web_searches_kcount
  if (typeof searches === 'number') pricing.web_search = String(searches)
  return pricing
}

function samePrices(a: GatewayPricing, b: GatewayPricing): boolean {
  return PI_DIMENSIONS.every(([, key]) => compare(a[key] ?? '0', b[key] ?? '0') === 0)
}

function sameText(a: GatewayPricing, b: GatewayPricing): boolean {
  return ['input', 'output'].every((key) => compare(String(a[key] ?? '0'), String(b[key] ?? '0')) === 0)
}

const MEDIA = /image|audio|video|speech|transcription|realtime/

/** These sources list every model as a language model. */
const TYPES: readonly (readonly [RegExp, string])[] = [
  [/embed/, 'embedding'],
  [/image/, 'image'],
  [/tts/, 'speech'],
  [/transcribe/, 'transcription'],
  [/realtime|live|native-audio/, 'realtime'],
]

function typeOf(id: string, pricing: GatewayPricing): string {
  const named = TYPES.find(([pattern]) => pattern.test(id))?.[1]
  if (named !== undefined) return named
  return pricing.output === undefined ? 'embedding' : 'language'
}

function readPi(folder: string, name: string): PiModel[] {
  const path = join(folder, 'dist', 'providers', 'data', `${PI_NAMES[name] ?? name}.json`)
  try {
    const groups = JSON.parse(readFileSync(path, 'utf8')) as Record<string, Record<string, PiModel>>
    return Object.values(groups)
      .flatMap((group) => Object.values(group))
      .filter((model) => model.type === 'chat')
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return []
    throw error
  }
}

async function providerModels(folder: string, version: string): Promise<ProviderModel[]> {
  const require = createRequire(join(root, 'packages', 'credits', 'package.json'))
  const genai = (await import(require.resolve('@pydantic/genai-prices'))) as Genai
  const { rates, aliases } = gatewayRates()
  const inForce = { known: true, effectiveFrom: '2026-01-01T00:00:00Z' }
  const gateways = rates.map((rate) => ({ ...rate, ...inForce, known: rate.known, modelId: rate.modelId }))
  const models = new Map<string, ProviderModel>()
  const offer = (model: ProviderModel): void => {
    if (models.has(model.id)) return
    const own = [...models.values()].map((row) => ({ ...row, ...inForce, modelId: row.id }))
    const snapshot = { rates: [...gateways, ...own], aliases, asOf: '2026-11-13T00:00:00Z' }
    const found = findRate<(typeof own)[number] | (typeof gateways)[number]>(snapshot, { modelId: model.id })?.rate
    const other = found?.known ? found.pricing : null
    if (!other) models.set(model.id, model)
    // These sources have text prices alone: they replace no row that knows pictures or sound.
    else if (!samePrices(other, model.pricing) && !Object.keys(other).some((key) => MEDIA.test(key))) {
      // Another cache price: service tiers, searches and the like stay.
      models.set(
        model.id,
        sameText(other, model.pricing) ? { ...model, pricing: { ...other, ...model.pricing } } : model,
      )
    }
  }
  for (const provider of PACKAGES) {
    const priced = new Map(readPi(folder, provider).map((model) => [model.id, model]))
    const host = (HOSTS as readonly string[]).includes(provider)
    const ids = new Set([...listedModels(provider).map(({ modelId }) => modelId), ...(host ? priced.keys() : [])])
    // Short ids first: those with a region or a date in front or behind may have the same price.
    for (const modelId of [...ids].sort((a, b) => a.length - b.length || (a < b ? -1 : 1))) {
      const id = modelKey({ provider, modelId })
      const pi = priced.get(modelId)
      const fromList = pi && fromPi(pi)
      if (pi && fromList) {
        const { contextWindow, maxTokens: maxOutputTokens } = pi
        offer({
          id,
          type: 'language',
          pricing: fromList,
          source: `@earendil-works/pi-ai ${version}`,
          contextWindow,
          maxOutputTokens,
        })
        continue
      }
      const found = genai.calcPrice({ input_tokens: 1 }, modelId, { providerId: GENAI_NAMES[provider] ?? provider })
      const pricing = found && fromGenai(found.model_price)
      if (!pricing) continue
      const type = typeOf(modelId, pricing)
      if (type === 'embedding') delete pricing.output
      offer({ id, type, pricing, source: `@pydantic/genai-prices ${GENAI_VERSION}` })
    }
  }
  return [...models.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
}

/** Context window and output limit by the gateway's id; 0 where one is not known. */
function limits(folder: string): Record<string, [contextWindow: number, maxOutputTokens: number]> {
  const models = readPi(folder, 'vercel-ai-gateway').sort((a, b) => (a.id < b.id ? -1 : 1))
  return Object.fromEntries(models.map(({ id, contextWindow = 0, maxTokens = 0 }) => [id, [contextWindow, maxTokens]]))
}

/** One entry a line, so that a change shows as one. */
function write(name: string, origin: string, key: string, entries: readonly string[]): void {
  const text = `{\n "_origin": ${JSON.stringify(origin)},\n "${key}": `
  const [open, close] = key === 'limits' ? ['{', '}'] : ['[', ']']
  writeFileSync(join(FOLDER, name), `${text}${open}\n${entries.join(',\n')}\n${close}\n}\n`)
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { 'pi-ai': { type: 'string' } } })
  const folder = values['pi-ai']
  if (folder === undefined) throw new Error('say where the package is: --pi-ai <folder>')
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }
  const models = await providerModels(folder, version)
  const sources = `npm @earendil-works/pi-ai ${version} (MIT), else npm @pydantic/genai-prices ${GENAI_VERSION} (MIT)`
  write(
    'provider-models.json',
    sources,
    'models',
    models.map((model) => JSON.stringify(model)),
  )
  const known = limits(folder)
  const lines = Object.entries(known).map(([id, limit]) => `${JSON.stringify(id)}: ${JSON.stringify(limit)}`)
  write(
    'limits.json',
    `npm @earendil-works/pi-ai ${version} (MIT), dist/providers/data/vercel-ai-gateway.json`,
    'limits',
    lines,
  )
  process.stdout.write(`${models.length} models of providers, limits of ${lines.length} models\n`)
}

if (import.meta.main) await main()
