/**
 * Builds the one price list, packages/credits/rates/models.json, and supabase/seed.sql from the sources in
 * supabase/rates (see the README there). `--check` compares instead of writing: exit 1 when one is out of date.
 * `credits rates sync --bundled` and the development gateway read the list.
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compare, mul, round } from '../packages/credits/src/core/money.ts'
import { diffRates } from '../packages/credits/src/core/price-list/diff.ts'
import {
  candidate,
  parseModelList,
  type RateCandidate,
  withBatchPrices,
} from '../packages/credits/src/core/price-list/parse.ts'
import type { GatewayPricing } from '../packages/credits/src/core/pricing/schema.ts'
import { root } from './lib/paths.ts'

const FOLDER = join(root, 'supabase', 'rates')
const SEED = join(root, 'supabase', 'seed.sql')
const LIST = join(root, 'packages', 'credits', 'rates', 'models.json')
const ROWS_PER_STATEMENT = 64

interface NewerCost {
  input: number
  output: number
  cacheRead: number
  cacheWrite: number
}
interface NewerRow {
  id: string
  cost: NewerCost & { tiers?: (NewerCost & { inputTokensAbove: number })[] }
}

/** A row as `credits_set_rates` takes it. */
interface SeedRate {
  modelId: string
  type: string
  pricing: GatewayPricing | null
  known: boolean
  source: string
  sourceHash: string
  contextWindow: number | null
  maxOutputTokens: number | null
}

const DIMENSIONS = [
  ['input', 'input', 'input_tiers'],
  ['output', 'output', 'output_tiers'],
  ['cacheRead', 'input_cache_read', 'input_cache_read_tiers'],
  ['cacheWrite', 'input_cache_write', 'input_cache_write_tiers'],
] as const
const VARIANTS = ['service_tiers', 'fast', 'regional', 'peak_pricing'] as const

/** USD per million tokens -> USD per token, exactly. */
function perToken(perMillion: number): string {
  return mul(String(perMillion), '0.000001')
}

function tiersOf(row: NewerRow, dimension: keyof NewerCost): GatewayPricing['input_tiers'] {
  const { tiers = [], ...base } = row.cost
  // A 0 in one tier means that the dimension has no price, as in the base.
  if (tiers.length === 0 || base[dimension] === 0) return undefined
  const bands = [{ ...base, inputTokensAbove: -1 }, ...tiers]
  return bands.map((band, index) => {
    const next = bands[index + 1]
    return {
      cost: perToken(band[dimension]),
      min: band.inputTokensAbove + 1,
      ...(next && { max: next.inputTokensAbove + 1 }),
    }
  })
}

/** The newer list's row in the gateway's shape. 0 is left out: it means "free or unknown". */
function newerPricing(row: NewerRow): GatewayPricing {
  const free = row.id.endsWith('-free')
  const pricing: GatewayPricing = {}
  for (const [dimension, key, tierKey] of DIMENSIONS) {
    const cost = row.cost[dimension]
    const ownZero = free && (dimension === 'input' || dimension === 'output')
    if (cost > 0 || ownZero) pricing[key] = perToken(cost)
    const tiers = tiersOf(row, dimension)
    if (tiers !== undefined) pricing[tierKey] = tiers
  }
  return pricing
}

/** The newer list rounds to 0.01 USD per million tokens: a rounded figure is no other price. */
function samePrice(older: string | undefined, newer: string | undefined): boolean {
  const [before, after] = [mul(older ?? '0', '1000000'), mul(newer ?? '0', '1000000')]
  return compare(before, after) === 0 || (compare(after, '0') > 0 && compare(round(before, 2), after) === 0)
}

function sameTiers(older: GatewayPricing, newer: GatewayPricing): boolean {
  const shape = (pricing: GatewayPricing) =>
    (pricing.input_tiers ?? [])
      .filter((tier) => tier.min !== undefined && tier.min > 0)
      .map((tier) => `${tier.min}:${tier.cost}`)
      .join()
  return shape(older) === shape(newer)
}

/** Lays a newer row over the older one; null when they agree and the older, fuller one can stay as it is. */
export function layOver(older: GatewayPricing, row: NewerRow): GatewayPricing | null {
  const newer = newerPricing(row)
  if (Object.keys(older).length === 0) return newer
  const differs = DIMENSIONS.filter(([, key]) => !samePrice(older[key], newer[key]))
  if (differs.length === 0 && sameTiers(older, newer)) return null
  const merged: GatewayPricing = { ...older }
  for (const [, key, tierKey] of DIMENSIONS) {
    if (!samePrice(older[key], newer[key])) {
      if (newer[key] === undefined) delete merged[key]
      else merged[key] = newer[key]
    }
    if (!sameTiers(older, newer) || !samePrice(older[key], newer[key])) {
      if (newer[tierKey] === undefined) delete merged[tierKey]
      else merged[tierKey] = newer[tierKey]
    }
  }
  if (differs.some(([, key]) => key === 'input' || key === 'output')) for (const key of VARIANTS) delete merged[key]
  return merged
}

function read(name: string): { text: string; hash: string } {
  const text = readFileSync(join(FOLDER, name), 'utf8')
  return { text, hash: createHash('sha256').update(text).digest('hex') }
}

interface Decisions {
  decisions: { id: string; take: 'older' | 'newer' }[]
  models: ProviderRow[]
}
interface ProviderRow {
  id: string
  type: string
  pricing: GatewayPricing
  source: string
  contextWindow?: number
  maxOutputTokens?: number
}

/** What moved so far that a person has to say which list counts. */
export function undecided(
  older: readonly RateCandidate[],
  newer: readonly RateCandidate[],
  decided: ReadonlySet<string>,
): string[] {
  const before = new Map(older.map((row) => [row.modelId, row]))
  const compared = newer.filter((row) => before.get(row.modelId)?.pricing && !decided.has(row.modelId))
  return diffRates(older, compared, { maxGoneShare: 1 }).held.map(
    ({ modelId, reasons }) => `${modelId}: ${reasons.join('; ')}`,
  )
}

/** The newer prices over the older ones, where no decision says otherwise. */
function mergedPrices(older: ReadonlyMap<string, RateCandidate>): Map<string, GatewayPricing> {
  const { decisions } = JSON.parse(read('decisions.json').text) as Decisions
  const take = new Map(decisions.map(({ id, take }) => [id, take]))
  const rows = (JSON.parse(read('gateway-language.json').text) as { models: NewerRow[] }).models
  const laid = new Map<string, GatewayPricing>()
  for (const row of rows) {
    const pricing = take.get(row.id) === 'older' ? null : layOver(older.get(row.id)?.pricing ?? {}, row)
    if (pricing !== null) laid.set(row.id, pricing)
  }
  const candidates = [...laid].map(([modelId, pricing]) =>
    candidate({ modelId, type: older.get(modelId)?.type ?? 'language', pricing, path: modelId }),
  )
  const open = undecided([...older.values()], candidates, new Set(take.keys()))
  if (open.length > 0) throw new Error(`decide in supabase/rates/decisions.json which list counts:\n${open.join('\n')}`)
  return laid
}

/** The gateway's rows, in the order of their ids. */
export function gatewayRates(): { rates: SeedRate[]; aliases: Record<string, string> } {
  const full = read('gateway-models.json')
  const ids = read('gateway-ids.json')
  const older = new Map(parseModelList(JSON.parse(full.text)).map((row) => [row.modelId, row]))
  const newer = mergedPrices(older)
  const types = Object.entries((JSON.parse(ids.text) as { ids: Record<string, string[]> }).ids)
  const sources = {
    full: { source: 'AI Gateway /v1/models, 2026-10-07', sourceHash: full.hash },
    newer: {
      source: '@earendil-works/pi-ai 1.5.2 over AI Gateway /v1/models, 2026-11-10',
      sourceHash: read('gateway-language.json').hash,
    },
    none: { source: 'listed by @ai-sdk/gateway 4.0.146 without a price, 2026-11-13', sourceHash: ids.hash },
  }
  const limitsOf = limits()
  const rates = types
    .flatMap(([type, models]) => models.map((modelId) => ({ type, modelId })))
    .sort((a, b) => (a.modelId < b.modelId ? -1 : 1))
    .map(({ type, modelId }): SeedRate => {
      const laid = newer.get(modelId)
      const [contextWindow, maxOutputTokens] = limitsOf(modelId)
      const pricing = laid ?? older.get(modelId)?.pricing
      const row = candidate({ modelId, type, pricing, path: modelId, contextWindow, maxOutputTokens })
      const origin = row.known ? (laid === undefined ? sources.full : sources.newer) : sources.none
      return { ...rateOf(row), type, ...origin }
    })
  const renamed = rates.filter(({ modelId }) => modelId.startsWith('spacexai/')).map(({ modelId }) => modelId)
  const aliases = Object.fromEntries(renamed.map((id) => [id.replace('spacexai/', 'xai/'), id]))
  return { rates: withBatchPrices(rates), aliases }
}

/** A batch has the limits of its model. */
function limits(): (modelId: string) => [contextWindow: number, maxOutputTokens: number] {
  const known = (JSON.parse(read('limits.json').text) as { limits: Record<string, [number, number]> }).limits
  return (modelId) => known[modelId] ?? known[modelId.replace(/-(?:batch|fast)$/, '')] ?? [0, 0]
}

function rateOf(row: RateCandidate): Omit<SeedRate, 'source' | 'sourceHash'> {
  const { modelId, type, pricing, known, contextWindow, maxOutputTokens } = row
  return { modelId, type, pricing, known, contextWindow, maxOutputTokens }
}

/** What providers themselves charge, where the gateway has another price or none. */
function providerRates(): SeedRate[] {
  const listed = read('provider-models.json')
  const decided = read('decisions.json')
  const rowsOf = ({ text, hash }: { text: string; hash: string }) =>
    (JSON.parse(text) as { models: ProviderRow[] }).models.map((row): SeedRate => {
      const { id, source, ...rest } = row
      return { ...rateOf(candidate({ modelId: id, path: id, ...rest })), source, sourceHash: hash }
    })
  const own = rowsOf(decided)
  const ids = new Set(own.map(({ modelId }) => modelId))
  return [...own, ...rowsOf(listed).filter(({ modelId }) => !ids.has(modelId))].sort((a, b) =>
    a.modelId < b.modelId ? -1 : 1,
  )
}

/** All rows of the seed: the gateway's, then those of providers. */
export function seedRates(): { rates: SeedRate[]; aliases: Record<string, string> } {
  const { rates, aliases } = gatewayRates()
  return { rates: [...rates, ...providerRates()], aliases }
}

function statement(rows: readonly SeedRate[], aliases: Record<string, string> | null): string {
  const body = rows.map((row) => JSON.stringify(row)).join(',\n')
  const renames = aliases === null ? 'null' : `$rates$${JSON.stringify(aliases, null, 1)}$rates$::jsonb`
  return `select public.credits_set_rates($rates$[\n${body}\n]$rates$::jsonb, ${renames});\n`
}

/** The whole seed file. */
export function seedSql(): string {
  const { rates, aliases } = seedRates()
  const parts = [
    '-- Generated by scripts/build-rates.ts from supabase/rates; do not edit.\n' +
      '-- Safe to run again: a rate that has not changed adds no row.\n',
  ]
  for (let start = 0; start < rates.length; start += ROWS_PER_STATEMENT) {
    const last = start + ROWS_PER_STATEMENT >= rates.length
    parts.push(statement(rates.slice(start, start + ROWS_PER_STATEMENT), last ? aliases : null))
  }
  const sql = parts.join('\n')
  if (sql.split('$rates$').length % 2 === 0) throw new Error('a price list contains the quote $rates$')
  return sql
}

/**
 * The price list in the form of the AI Gateway's `/v1/models`, a model a line, with the renames of models besides. A
 * model without a known price has an empty price.
 */
export function priceList(): string {
  const { rates, aliases } = seedRates()
  const rows = rates.map(({ modelId, type, pricing, contextWindow, maxOutputTokens }) =>
    JSON.stringify({
      id: modelId,
      type,
      ...(contextWindow !== null && { context_window: contextWindow }),
      ...(maxOutputTokens !== null && { max_tokens: maxOutputTokens }),
      pricing: pricing ?? {},
    }),
  )
  return `{\n"data": [\n${rows.join(',\n')}\n],\n"aliases": ${JSON.stringify(aliases, null, 1)}\n}\n`
}

function main(): void {
  const files = [
    [SEED, seedSql()],
    [LIST, priceList()],
  ] as const
  if (process.argv.includes('--check')) {
    const old = files.filter(([path, text]) => !existsSync(path) || readFileSync(path, 'utf8') !== text)
    for (const [path] of old) process.stderr.write(`${path} is out of date: run node scripts/build-rates.ts\n`)
    process.exitCode = old.length === 0 ? 0 : 1
    return
  }
  for (const [path, text] of files) writeFileSync(path, text)
  const { rates, aliases } = seedRates()
  const unknown = rates.filter((rate) => !rate.known).length
  process.stdout.write(
    `${rates.length} rows, ${unknown} of them without a price; ${Object.keys(aliases).length} aliases\n`,
  )
}

if (import.meta.main) main()
