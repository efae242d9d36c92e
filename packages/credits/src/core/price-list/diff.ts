import { compare, isZero, mul } from '../money.ts'
import { parseModelKey } from '../pricing/model-ids.ts'
import type { RateCandidate } from './parse.ts'

/** The row of a model that is in force now. */
export interface CurrentRate {
  readonly modelId: string
  readonly type: string
  readonly pricing: Readonly<Record<string, unknown>> | null
  readonly known: boolean
  readonly contextWindow?: number | null
  readonly maxOutputTokens?: number | null
}

/** One price that moved, by its path in the price object. */
export interface PriceMove {
  path: string
  /** null: there was none, or there is none any more. */
  from: string | null
  to: string | null
}

/** A model whose next row differs from its current one. */
export interface RateChange {
  modelId: string
  moves: PriceMove[]
  next: RateCandidate
}

/** A change that waits for a human, and why. */
export interface HeldChange extends RateChange {
  reasons: string[]
}

/** What a new price list would do. */
export interface RateDiff {
  /** Models without a row so far. */
  inserted: RateCandidate[]
  /** Changes small enough to apply by themselves. */
  changed: RateChange[]
  held: HeldChange[]
  /** Models of ours that the list no longer has; their rows stay. */
  gone: string[]
  unchanged: number
}

/** Where {@link diffRates} stops and asks. */
export interface GuardRails {
  /** A price that moves by more than this factor is held. Default `'3'`. */
  maxFactor?: string | undefined
  /** With more than this share of our models gone, everything is held. Default 0.1. */
  maxGoneShare?: number | undefined
}

const PRICE = /^[0-9]+(?:\.[0-9]+)?$/

/** Every leaf of a price object by its path. Table rows are named by their dimensions, so order does not matter. */
function leaves(value: unknown, path: string, found: Map<string, string>): Map<string, string> {
  if (Array.isArray(value)) {
    value.forEach((entry, index) => {
      leaves(entry, `${path}[${rowName(entry) ?? index}]`, found)
    })
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, entry] of Object.entries(value)) leaves(entry, path === '' ? key : `${path}.${key}`, found)
  } else if (value !== undefined && value !== null) found.set(path, String(value))
  return found
}

function rowName(row: unknown): string | undefined {
  if (typeof row !== 'object' || row === null) return undefined
  const dimensions = Object.entries(row).filter(([key, value]) => !key.startsWith('cost') && typeof value !== 'object')
  return dimensions.length === 0
    ? undefined
    : dimensions
        .map(([key, value]) => `${key}=${value}`)
        .sort()
        .join(',')
}

function movesOf(from: unknown, to: unknown): PriceMove[] {
  const before = leaves(from ?? {}, '', new Map())
  const after = leaves(to ?? {}, '', new Map())
  const moves: PriceMove[] = []
  for (const path of new Set([...before.keys(), ...after.keys()])) {
    const a = before.get(path) ?? null
    const b = after.get(path) ?? null
    const same = a === b || (isPrice(a) && isPrice(b) && compare(a, b) === 0)
    if (!same) moves.push({ path, from: a, to: b })
  }
  return moves
}

function isPrice(value: string | null): value is string {
  return value !== null && PRICE.test(value)
}

function costsNothing(moves: readonly PriceMove[]): boolean {
  return moves.every(({ to }) => !isPrice(to) || isZero(to))
}

function reasonsOf(moves: readonly PriceMove[], maxFactor: string): string[] {
  return moves.flatMap(({ path, from, to }) => {
    if (!isPrice(from) || !isPrice(to)) return []
    if (isZero(from)) return [`${path}: from 0 to ${to}`]
    if (isZero(to)) return [`${path}: from ${from} to 0`]
    const far = compare(to, mul(from, maxFactor)) > 0 || compare(from, mul(to, maxFactor)) > 0
    return far ? [`${path}: ${from} -> ${to} is more than ${maxFactor}x`] : []
  })
}

function changeOf(current: CurrentRate, next: RateCandidate): RateChange | null {
  const moves = movesOf(current.pricing, next.pricing)
  if (next.partial) {
    // A partial list says nothing about what it leaves out.
    const said = moves.filter((move) => move.to !== null)
    return said.length === 0 ? null : { modelId: next.modelId, moves: said, next }
  }
  for (const key of ['type', 'contextWindow', 'maxOutputTokens'] as const) {
    const from = current[key] ?? null
    const to = next[key] ?? null
    if (from !== to && to !== null)
      moves.push({ path: `(${key})`, from: from === null ? null : String(from), to: String(to) })
  }
  return moves.length === 0 ? null : { modelId: next.modelId, moves, next }
}

/**
 * Compares a new price list with the rows in force, and holds back for a human what looks like a mistake: a price
 * more than 3x dearer or cheaper, to or from 0, a price that vanished, a partial source that contradicts a fuller
 * one, and everything at once when more than a tenth of our models are missing.
 *
 * @example
 * ```ts
 * const { inserted, changed, held } = diffRates(snapshot.rates, parseModelList(feed))
 * ```
 */
export function diffRates(
  current: readonly CurrentRate[],
  next: readonly RateCandidate[],
  guardRails: GuardRails = {},
): RateDiff {
  const { maxFactor = '3', maxGoneShare = 0.1 } = guardRails
  const listed = new Set(next.map((row) => row.modelId))
  // The gateway's list says nothing about prices of providers, nor the other way round.
  const kinds = new Set(next.map(({ modelId }) => parseModelKey(modelId).provider))
  const rows = new Map(
    current.filter(({ modelId }) => kinds.has(parseModelKey(modelId).provider)).map((row) => [row.modelId, row]),
  )
  const gone = [...rows.keys()].filter((modelId) => !listed.has(modelId))
  // A model without a known price is no loss.
  const priced = [...rows.values()].filter((row) => row.known)
  const lost = priced.filter((row) => !listed.has(row.modelId)).length
  const many = lost > priced.length * maxGoneShare
  const tooManyGone = many ? [`${lost} of ${priced.length} models are missing from the list`] : []
  const diff: RateDiff = { inserted: [], changed: [], held: [], gone, unchanged: 0 }
  for (const row of next) {
    const before = rows.get(row.modelId)
    const change = before
      ? changeOf(before, row)
      : { modelId: row.modelId, moves: movesOf(null, row.pricing), next: row }
    if (change === null) {
      diff.unchanged++
      continue
    }
    const reasons = [...tooManyGone, ...reasonsOf(change.moves, maxFactor)]
    if (before?.known && !row.known) reasons.push('the price vanished')
    // A placeholder of 0 for a new model would give it away until the list is corrected.
    if (before === undefined && row.known && costsNothing(change.moves)) reasons.push('a new model that costs nothing')
    if (before && row.partial) reasons.push('the source has only part of the prices')
    if (reasons.length > 0) diff.held.push({ ...change, reasons })
    else if (before === undefined) diff.inserted.push(row)
    else diff.changed.push(change)
  }
  return diff
}
