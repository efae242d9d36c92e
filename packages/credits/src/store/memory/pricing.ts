import { CreditError } from '../../core/errors.ts'
import { invalidInput, parseOrThrow, percentSchema } from '../../core/money.ts'
import type { CreditStore, StoreSetMarginInput } from '../port.ts'
import type { MarginAuditEntry, MarginAuditPage, MarginRow, PricingSnapshot, RateRow } from '../types.ts'
import { parametersText } from './checks.ts'
import { iso } from './state.ts'

/** A rate to put in force; what is left out has the obvious default. */
export type NewRate = Pick<RateRow, 'modelId' | 'pricing'> & Partial<RateRow>

/** Rates and margins: append-only lists of rows, each in force until the next row of the same model or target. */
export interface MemoryPricing {
  rates: RateRow[]
  margins: MarginRow[]
  audit: MarginAuditEntry[]
  aliases: Record<string, string>
  now(): number
}

export function setRates(state: MemoryPricing, rates: readonly NewRate[]): void {
  for (const rate of rates) {
    state.rates.push({
      id: crypto.randomUUID(),
      type: 'language',
      known: rate.pricing !== null,
      source: 'manual',
      effectiveFrom: iso(state.now()),
      contextWindow: null,
      maxOutputTokens: null,
      ...rate,
    })
  }
}

/** Adds what differs from the latest row of its model, all or none, and renames of models. */
export function addRates(
  state: MemoryPricing,
  { rates, aliases }: Parameters<CreditStore['addRates']>[0],
): { inserted: number; unchanged: number } {
  const now = iso(state.now())
  const added: RateRow[] = []
  for (const rate of rates) {
    const { modelId, type, pricing, source, contextWindow = null, maxOutputTokens = null } = rate
    const effectiveFrom = rate.effectiveFrom === undefined ? now : iso(Date.parse(rate.effectiveFrom))
    const [latest] = rateHistory(state, modelId, 1)
    const same = { type, pricing, contextWindow, maxOutputTokens }
    if (latest !== undefined && sameRate(latest, same)) continue
    if (effectiveFrom < now || (latest !== undefined && effectiveFrom < latest.effectiveFrom))
      throw invalidInput('rates.effectiveFrom', "must be after the model's latest row and not in the past")
    const known = pricing !== null
    added.push({ id: crypto.randomUUID(), modelId, ...same, known, source, effectiveFrom })
  }
  state.rates.push(...added)
  Object.assign(state.aliases, aliases)
  return { inserted: added.length, unchanged: rates.length - added.length }
}

function sameRate(a: RateRow, b: Pick<RateRow, 'type' | 'pricing' | 'contextWindow' | 'maxOutputTokens'>): boolean {
  const text = ({ type, pricing, contextWindow, maxOutputTokens }: typeof b) =>
    parametersText({ type, pricing, contextWindow, maxOutputTokens })
  return text(a) === text(b)
}

/** The rows of a model, newest first. */
export function rateHistory(state: MemoryPricing, modelId: string, limit: number): RateRow[] {
  return state.rates
    .filter((row) => row.modelId === modelId)
    .sort((a, b) => b.effectiveFrom.localeCompare(a.effectiveFrom))
    .slice(0, limit)
    .map((row) => ({ ...row }))
}

export function snapshot(state: MemoryPricing, ids: readonly string[] = []): PricingSnapshot {
  const asOf = iso(state.now())
  const wanted = new Set(ids)
  return {
    rates: current(state.rates, asOf, wanted, (row) => row.modelId),
    margins: current(state.margins, asOf, wanted, keyOf),
    aliases: { ...state.aliases },
    asOf,
  }
}

export function setMargin(state: MemoryPricing, input: StoreSetMarginInput): MarginRow {
  const { scope, marginPercent } = input
  const margin = marginPercent === null ? null : parseOrThrow(percentSchema, marginPercent, 'marginPercent')
  if ((scope === 'default') !== (input.target === ''))
    throw invalidInput('target', 'belongs to every scope but the default')
  if (marginPercent === null && scope === 'default')
    throw invalidInput('marginPercent', 'the default cannot be removed')
  const now = iso(state.now())
  const effectiveFrom = input.effectiveFrom === undefined ? now : iso(Date.parse(input.effectiveFrom))
  if (effectiveFrom < now) throw invalidInput('effectiveFrom', 'must not be in the past')
  const rows = state.margins.filter((row) => keyOf(row) === keyOf(input))
  const version = rows.length
  if (input.expectedVersion !== undefined && input.expectedVersion !== version) {
    throw new CreditError({ code: 'VERSION_CONFLICT', details: { expected: input.expectedVersion, actual: version } })
  }
  const old = rows.at(-1)?.marginPercent ?? null
  const { target } = input
  const row = {
    id: crypto.randomUUID(),
    scope,
    target,
    marginPercent: margin,
    version: version + 1,
    effectiveFrom,
    createdAt: now,
  }
  state.margins.push(row)
  state.audit.push({
    id: state.audit.length + 1,
    scope,
    target,
    operation: margin === null ? 'delete' : old === null ? 'insert' : 'update',
    oldMarginPercent: old,
    newMarginPercent: margin,
    actorId: input.actorId ?? null,
    actorRole: 'memory',
    reason: input.reason ?? null,
    createdAt: now,
  })
  return { ...row }
}

export function marginAudit(
  state: MemoryPricing,
  { limit, before }: { limit: number; before?: number | undefined },
): MarginAuditPage {
  const rows = state.audit.filter((entry) => before === undefined || entry.id < before).reverse()
  const data = rows.slice(0, limit).map((entry) => ({ ...entry }))
  return { data, nextBefore: rows.length > limit ? (data.at(-1)?.id ?? null) : null }
}

function keyOf({ scope, target }: { scope: string; target: string }): string {
  return `${scope} ${target}`
}

/** Per key the row in force and those to come, and the rows that were asked for by id. */
function current<Row extends { id: string; effectiveFrom: string }>(
  rows: readonly Row[],
  asOf: string,
  wanted: ReadonlySet<string>,
  key: (row: Row) => string,
): Row[] {
  const inForce = new Map<string, Row>()
  for (const row of rows) {
    const other = inForce.get(key(row))
    if (row.effectiveFrom > asOf) continue
    if (other === undefined || row.effectiveFrom >= other.effectiveFrom) inForce.set(key(row), row)
  }
  return rows
    .filter((row) => row.effectiveFrom > asOf || inForce.get(key(row)) === row || wanted.has(row.id))
    .map((row) => ({ ...row }))
}
