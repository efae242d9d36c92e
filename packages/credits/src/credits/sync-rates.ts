import { invalidInput } from '../core/money.ts'
import { diffRates, type GuardRails, type HeldChange, type RateChange, type RateDiff } from '../core/price-list/diff.ts'
import { parseAliases, parseModelList, type RateCandidate } from '../core/price-list/parse.ts'
import type { CreditStore } from '../store/port.ts'
import type { NewRateRow, PricingSnapshot, RateRow } from '../store/types.ts'
import { type RateSource, readRateSource } from './rate-source.ts'
import { inForce } from './reports.ts'

/** Arguments of {@link syncRates}. */
export interface SyncRatesInput {
  store: Pick<CreditStore, 'getPricing' | 'addRates'>
  /** Default: the AI Gateway's public list. */
  source?: RateSource | undefined
  /** Models whose `held` change a person has approved, or all of them. */
  accept?: 'all' | readonly string[] | undefined
  /** Report what would happen and write nothing. */
  dryRun?: boolean | undefined
  guardRails?: GuardRails | undefined
}

/** What a price list changed, or would change. */
export interface SyncRatesResult {
  /** Where the list came from, as it is noted in each new row. */
  source: string
  sourceHash: string
  /** Models in the list. */
  listed: number
  /** New models. */
  inserted: string[]
  changed: RateChange[]
  /** Not applied: a person has to look first. */
  held: HeldChange[]
  /** Changes of `held` that `accept` let through. */
  accepted: HeldChange[]
  /** Models of ours that the list does not have; their rows stay. */
  gone: string[]
  unchanged: number
  /** Price dimensions that this version does not know, by model: kept in the row, not billed. */
  unknownKeys: Record<string, string[]>
  /** Renames of models that are new or changed, old id to new id. Only the list inside this package has renames. */
  renamed: Record<string, string>
  /** Rows of rates that were written; null for a dry run. */
  written: number | null
}

/**
 * Brings the rates up to date with a price list. New prices become new rows in force from now, old rows stay as they
 * are. What looks like a mistake waits for a person: a price more than 3x higher or lower, to or from 0, a price that
 * vanished, a partial list against a fuller one, a change next to a scheduled one, and everything when more than a tenth
 * of the priced models are missing. A malformed list changes nothing at all.
 *
 * @throws CreditError `INVALID_INPUT` with the path of the fault (`data[12].pricing.input`), `PROVIDER_UNAVAILABLE`
 * when the list cannot be had, `STORE_UNAVAILABLE`
 * @example
 * ```ts
 * // app/api/cron/rates/route.ts
 * const { held } = await syncRates({ store })
 * if (held.length > 0) await notify(`${held.length} price changes wait for you: credits rates sync`)
 * ```
 */
export async function syncRates({
  store,
  source = {},
  accept = [],
  ...input
}: SyncRatesInput): Promise<SyncRatesResult> {
  const list = await readRateSource(source)
  const candidates = parseModelList(list.raw)
  const snapshot = await store.getPricing()
  const current = inForce(snapshot, snapshot.rates, ({ modelId }) => modelId)
  const scheduled = scheduledIn(snapshot)
  const diff = holdScheduled(diffRates(current, candidates, input.guardRails), scheduled)
  const accepted = diff.held.filter(
    ({ modelId }) => !scheduled.has(modelId) && (accept === 'all' || accept.includes(modelId)),
  )
  if (accept !== 'all') refuseUnheld(accept, accepted)
  const rates = rowsOf(diff, accepted, current, list)
  const renamed = newAliases(parseAliases(list.raw), snapshot.aliases)
  return {
    source: list.source,
    sourceHash: list.sourceHash,
    listed: candidates.length,
    inserted: diff.inserted.map(({ modelId }) => modelId),
    changed: diff.changed,
    held: diff.held.filter((change) => !accepted.includes(change)),
    accepted,
    gone: diff.gone,
    unchanged: diff.unchanged,
    unknownKeys: Object.fromEntries(
      candidates.filter((row) => row.unknownKeys.length > 0).map((row) => [row.modelId, row.unknownKeys]),
    ),
    renamed,
    written: input.dryRun ? null : await write(store, rates, renamed),
  }
}

/** When the next row of a model begins, of those that have one. */
function scheduledIn({ rates, asOf }: PricingSnapshot): ReadonlyMap<string, string> {
  return new Map(rates.filter((row) => row.effectiveFrom > asOf).map((row) => [row.modelId, row.effectiveFrom]))
}

/** A new row would come before the scheduled one, which a person decided on: neither may win in silence. */
function holdScheduled(diff: RateDiff, scheduled: ReadonlyMap<string, string>): RateDiff {
  if (scheduled.size === 0) return diff
  const reasonFor = (modelId: string) => `another change is scheduled for ${scheduled.get(modelId)}`
  const waits = ({ modelId }: { modelId: string }) => scheduled.has(modelId)
  const held = diff.changed.filter(waits).map((change) => ({ ...change, reasons: [reasonFor(change.modelId)] }))
  const fresh = diff.inserted.filter(waits).map((next) => {
    const { modelId } = next
    return { modelId, moves: [], next, reasons: [reasonFor(modelId)] }
  })
  return {
    ...diff,
    inserted: diff.inserted.filter((row) => !waits(row)),
    changed: diff.changed.filter((change) => !waits(change)),
    held: [...diff.held, ...held, ...fresh],
  }
}

/** A mistyped model must not pass for an accepted one. */
function refuseUnheld(accept: readonly string[], accepted: readonly HeldChange[]): void {
  const modelId = accept.find((id) => !accepted.some((change) => change.modelId === id))
  if (modelId !== undefined) throw invalidInput('accept', `no change of ${modelId} waits to be accepted`)
}

function rowsOf(
  diff: RateDiff,
  accepted: readonly HeldChange[],
  current: readonly RateRow[],
  { source, sourceHash }: { source: string; sourceHash: string },
): NewRateRow[] {
  const before = new Map(current.map((row) => [row.modelId, row]))
  const next = [...diff.inserted, ...[...diff.changed, ...accepted].map((change) => change.next)]
  return next.map((row) => ({ ...completed(row, before.get(row.modelId)), source, sourceHash }))
}

/** What a list leaves out stays: limits that it does not name, and with a partial list all prices it has no room for. */
function completed(next: RateCandidate, before: RateRow | undefined): Omit<NewRateRow, 'source'> {
  const { modelId, type, pricing, partial } = next
  return {
    modelId,
    type: partial && before ? before.type : type,
    pricing: partial && pricing !== null ? { ...before?.pricing, ...pricing } : pricing,
    contextWindow: next.contextWindow ?? before?.contextWindow ?? null,
    maxOutputTokens: next.maxOutputTokens ?? before?.maxOutputTokens ?? null,
  }
}

function newAliases(
  listed: Readonly<Record<string, string>>,
  current: Readonly<Record<string, string>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(listed).filter(([alias, modelId]) => !Object.hasOwn(current, alias) || current[alias] !== modelId),
  )
}

async function write(
  store: Pick<CreditStore, 'addRates'>,
  rates: readonly NewRateRow[],
  aliases: Readonly<Record<string, string>>,
): Promise<number> {
  if (rates.length === 0 && Object.keys(aliases).length === 0) return 0
  return (await store.addRates({ rates, aliases })).inserted
}
