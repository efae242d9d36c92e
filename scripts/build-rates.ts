/**
 * Builds supabase/seed.sql from the price lists in supabase/rates (see the README there).
 * `--check` compares instead of writing: exit 1 when the committed file is out of date.
 */
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compare, mul } from '../packages/credits/src/core/money.ts'
import { candidate, parseModelList, type RateCandidate } from '../packages/credits/src/core/price-list/parse.ts'
import type { GatewayPricing } from '../packages/credits/src/core/pricing/schema.ts'
import { root } from './lib/paths.ts'

const FOLDER = join(root, 'supabase', 'rates')
const OUTPUT = join(root, 'supabase', 'seed.sql')
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

function samePrice(a: string | undefined, b: string | undefined): boolean {
  return compare(a ?? '0', b ?? '0') === 0
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

/** All rows of the seed, in the order of their ids. */
export function seedRates(): { rates: SeedRate[]; aliases: Record<string, string> } {
  const full = read('gateway-models.json')
  const newer = read('gateway-language.json')
  const ids = read('gateway-ids.json')
  const older = new Map(parseModelList(JSON.parse(full.text)).map((row) => [row.modelId, row]))
  const rows = new Map((JSON.parse(newer.text) as { models: NewerRow[] }).models.map((row) => [row.id, row]))
  const types = Object.entries((JSON.parse(ids.text) as { ids: Record<string, string[]> }).ids)
  const sources = {
    full: { source: 'AI Gateway /v1/models, 2026-10-07', sourceHash: full.hash },
    newer: { source: '@earendil-works/pi-ai 1.5.2 over AI Gateway /v1/models, 2026-11-10', sourceHash: newer.hash },
    none: { source: 'listed by @ai-sdk/gateway 4.0.146 without a price, 2026-11-13', sourceHash: ids.hash },
  }
  const rates = types
    .flatMap(([type, models]) => models.map((modelId) => ({ type, modelId })))
    .sort((a, b) => (a.modelId < b.modelId ? -1 : 1))
    .map(({ type, modelId }): SeedRate => {
      const before = older.get(modelId)
      const after = rows.get(modelId)
      const laid = after === undefined ? null : layOver(before?.pricing ?? {}, after)
      const merged: RateCandidate = candidate({
        modelId,
        type,
        pricing: laid ?? before?.pricing,
        path: modelId,
        contextWindow: before?.contextWindow,
        maxOutputTokens: before?.maxOutputTokens,
      })
      const origin = merged.known ? (laid === null ? sources.full : sources.newer) : sources.none
      const { pricing, known, contextWindow, maxOutputTokens } = merged
      return { modelId, type, pricing, known, ...origin, contextWindow, maxOutputTokens }
    })
  const renamed = rates.filter(({ modelId }) => modelId.startsWith('spacexai/')).map(({ modelId }) => modelId)
  return { rates, aliases: Object.fromEntries(renamed.map((id) => [id.replace('spacexai/', 'xai/'), id])) }
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
    '-- Generated by scripts/build-rates.ts from supabase/rates; do not edit.\n-- Safe to run again: a rate that has not changed adds no row.\n',
  ]
  for (let start = 0; start < rates.length; start += ROWS_PER_STATEMENT) {
    const last = start + ROWS_PER_STATEMENT >= rates.length
    parts.push(statement(rates.slice(start, start + ROWS_PER_STATEMENT), last ? aliases : null))
  }
  const sql = parts.join('\n')
  if (sql.split('$rates$').length % 2 === 0) throw new Error('a price list contains the quote $rates$')
  return sql
}

function main(): void {
  const sql = seedSql()
  if (process.argv.includes('--check')) {
    const current = readFileSync(OUTPUT, 'utf8')
    if (current === sql) return
    process.stderr.write('supabase/seed.sql is out of date: run node scripts/build-rates.ts\n')
    process.exitCode = 1
    return
  }
  writeFileSync(OUTPUT, sql)
  const { rates, aliases } = seedRates()
  const unknown = rates.filter((rate) => !rate.known).length
  process.stdout.write(
    `${rates.length} models: ${rates.length - unknown} priced, ${unknown} without a price; ${Object.keys(aliases).length} aliases\n`,
  )
}

if (import.meta.main) main()
