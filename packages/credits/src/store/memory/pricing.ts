import { CreditError } from '../../core/errors.ts'
import { invalidInput } from '../../core/money.ts'
import type {
  MarginAuditEntry,
  MarginAuditPage,
  MarginRow,
  NewRateRow,
  PricingSnapshot,
  RateRow,
  StoreSetMarginInput,
} from '../port.ts'
import { iso } from './state.ts'

const PERCENT = /^-?\d{1,5}(\.\d{1,4})?$/

/** A rate to put in force; what is left out has the obvious default. */
export type NewRate = Pick<RateRow, 'modelId' | 'pricing'> & Partial<RateRow>

/** Rates and margins: append-only lists of rows in force from a moment until the next row of the same kind. */
export interface PriceBook {
  rates: RateRow[]
  margins: MarginRow[]
  audit: MarginAuditEntry[]
  aliases: Record<string, string>
  now(): number
}

export function setRates(book: PriceBook, rates: readonly NewRate[]): void {
  for (const rate of rates) {
    book.rates.push({
      id: crypto.randomUUID(),
      type: 'language',
      known: rate.pricing !== null,
      source: 'manual',
      effectiveFrom: iso(book.now()),
      contextWindow: null,
      maxOutputTokens: null,
      ...rate,
    })
  }
}

/** Adds what differs from the latest row of its model, all or none. */
export function addRates(book: PriceBook, rates: readonly NewRateRow[]): { inserted: number; unchanged: number } {
  const now = iso(book.now())
  const added: RateRow[] = []
  for (const rate of rates) {
    const { modelId, type, pricing, source, contextWindow = null, maxOutputTokens = null } = rate
    const effectiveFrom = rate.effectiveFrom === undefined ? now : iso(Date.parse(rate.effectiveFrom))
    const [latest] = rateHistory(book, modelId, 1)
    const same = { type, pricing, contextWindow, maxOutputTokens }
    if (latest !== undefined && sameRate(latest, same)) continue
    if (effectiveFrom < now || (latest !== undefined && effectiveFrom < latest.effectiveFrom))
      throw invalidInput('rates.effectiveFrom', "must be after the model's latest row and not in the past")
    const known = pricing !== null
    added.push({ id: crypto.randomUUID(), modelId, ...same, known, source, effectiveFrom })
  }
  book.rates.push(...added)
  return { inserted: added.length, unchanged: rates.length - added.length }
}

function sameRate(a: RateRow, b: Pick<RateRow, 'type' | 'pricing' | 'contextWindow' | 'maxOutputTokens'>): boolean {
  const facts = ({ type, pricing, contextWindow, maxOutputTokens }: typeof b) =>
    JSON.stringify([type, pricing, contextWindow, maxOutputTokens])
  return facts(a) === facts(b)
}

/** The rows of a model, newest first. */
export function rateHistory(book: PriceBook, modelId: string, limit: number): RateRow[] {
  return book.rates
    .filter((row) => row.modelId === modelId)
    .sort((a, b) => b.effectiveFrom.localeCompare(a.effectiveFrom))
    .slice(0, limit)
    .map((row) => ({ ...row }))
}

export function snapshot(book: PriceBook, ids: readonly string[] = []): PricingSnapshot {
  const asOf = iso(book.now())
  const wanted = new Set(ids)
  return {
    rates: current(book.rates, asOf, wanted, (row) => row.modelId),
    margins: current(book.margins, asOf, wanted, keyOf),
    aliases: { ...book.aliases },
    asOf,
  }
}

export function setMargin(book: PriceBook, input: StoreSetMarginInput): MarginRow {
  const { scope, marginPercent } = input
  if ((scope === 'default') !== (input.target === ''))
    throw invalidInput('target', 'belongs to every scope but the default')
  if (marginPercent === null && scope === 'default')
    throw invalidInput('marginPercent', 'the default cannot be removed')
  if (marginPercent !== null) requirePercent(marginPercent)
  const now = iso(book.now())
  const effectiveFrom = input.effectiveFrom === undefined ? now : iso(Date.parse(input.effectiveFrom))
  if (effectiveFrom < now) throw invalidInput('effectiveFrom', 'must not be in the past')
  const rows = book.margins.filter((row) => keyOf(row) === keyOf(input))
  const version = rows.length
  if (input.expectedVersion !== undefined && input.expectedVersion !== version) {
    throw new CreditError({ code: 'VERSION_CONFLICT', details: { expected: input.expectedVersion, actual: version } })
  }
  const old = rows.at(-1)?.marginPercent ?? null
  const margin = marginPercent === null ? null : canonical(marginPercent)
  const target = input.target
  const row = {
    id: crypto.randomUUID(),
    scope,
    target,
    marginPercent: margin,
    version: version + 1,
    effectiveFrom,
    createdAt: now,
  }
  book.margins.push(row)
  book.audit.push({
    id: book.audit.length + 1,
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

export function marginAudit(book: PriceBook, { limit, before }: { limit: number; before?: number }): MarginAuditPage {
  const rows = book.audit.filter((entry) => before === undefined || entry.id < before).reverse()
  const data = rows.slice(0, limit).map((entry) => ({ ...entry }))
  return { data, nextBefore: rows.length > limit ? (data.at(-1)?.id ?? null) : null }
}

function keyOf({ scope, target }: { scope: string; target: string }): string {
  return `${scope} ${target}`
}

/** Per key the row in force and those to come, and whatever was asked for by id. */
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

function requirePercent(text: string): void {
  if (typeof text !== 'string' || !PERCENT.test(text) || Number(text) <= -100 || Number(text) > 10_000) {
    throw invalidInput('marginPercent', 'expected a decimal string above -100, at most 10000, with at most 4 places')
  }
}

function canonical(text: string): string {
  const trimmed = text.includes('.') ? text.replace(/\.?0+$/, '') : text
  return trimmed === '-0' ? '0' : trimmed
}
