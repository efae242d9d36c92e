import { CreditError } from '../core/errors.ts'
import { selectMargin } from '../core/pricing/margins.ts'
import { requireRate } from '../core/pricing/rates.ts'
import type { Soon } from '../core/soon.ts'
import type { CreditStore, MarginRow, PricingSnapshot } from '../store/port.ts'
import type { FrozenPricing, Pricing } from './types.ts'

/** After a failed refresh the old prices serve on; this is how long until the next try. */
const RETRY_AFTER_MS = 5_000
const MOST_REMEMBERED = 2_000

/** Rates and margins in memory. */
export interface PricingCache {
  /** The cached prices. Waits for the store only while there are none yet. */
  current(): Soon<Pricing>
  /** Two rows by id, whether or not they are still in force. */
  frozen(rateId: string, marginId: string): Promise<FrozenPricing>
  /** Forget: the next call reads the store. For whoever just changed a margin. */
  clear(): void
}

/**
 * Serves prices that are at most `ttlSeconds` old when calls keep coming. An older one is served once more
 * while a single refresh runs behind it: no timer, so nothing keeps a process alive, and no call waits.
 */
export function pricingCache(options: {
  store: Pick<CreditStore, 'getPricing'>
  ttlSeconds: number
  onError: (error: unknown) => void
}): PricingCache {
  const { store, onError } = options
  const ttl = options.ttlSeconds * 1000
  const frozenRows = new Map<string, FrozenPricing>()
  let loaded: Pricing | undefined
  let staleAt = 0
  let loading: Promise<Pricing> | undefined

  async function read(): Promise<Pricing> {
    loaded = indexed(await store.getPricing())
    staleAt = Date.now() + ttl
    return loaded
  }

  function load(): Promise<Pricing> {
    loading ??= read().finally(() => {
      loading = undefined
    })
    return loading
  }

  return {
    current() {
      if (loaded === undefined) return load()
      if (Date.now() >= staleAt && loading === undefined) {
        staleAt = Date.now() + RETRY_AFTER_MS
        load().catch(onError)
      }
      return loaded
    },
    async frozen(rateId, marginId) {
      const key = `${rateId} ${marginId}`
      const known = frozenRows.get(key)
      if (known !== undefined) return known
      const cached = loaded?.snapshot
      const pair = cached && pairOf(cached, rateId, marginId)
      const found = pair ?? pairOf(await store.getPricing({ ids: [rateId, marginId] }), rateId, marginId)
      if (found === undefined)
        throw new CreditError({ code: 'NOT_FOUND', message: 'No such rate or margin', details: { rateId, marginId } })
      if (frozenRows.size >= MOST_REMEMBERED) frozenRows.clear()
      frozenRows.set(key, found)
      return found
    },
    clear() {
      loaded = undefined
    },
  }
}

/** Adds lookups that remember: selecting scans some three hundred rows, a call should not. */
function indexed(snapshot: PricingSnapshot): Pricing {
  const found = new Map<string, FrozenPricing>()
  const margins = new Map<string, Pick<FrozenPricing, 'margin' | 'marginPercent'>>()
  // The store's clock decides what is in force; the difference to ours is taken once per snapshot.
  const ahead = Date.parse(snapshot.asOf) - Date.now()
  const starts = [...snapshot.rates, ...snapshot.margins].map((row) => Date.parse(row.effectiveFrom))
  let changesAt = nextAfter(starts, Date.parse(snapshot.asOf))
  function lookup<Value>(
    known: Map<string, Value>,
    { model, feature, planId }: Parameters<Pricing['find']>[0],
    select: (scope: {
      modelId: string
      feature?: string | undefined
      planId?: string | undefined
      at: string
    }) => Value,
  ): Value {
    const now = Date.now() + ahead
    if (now >= changesAt) {
      found.clear()
      margins.clear()
      changesAt = nextAfter(starts, now)
    }
    // Most calls need no text of their own to be found by.
    const narrow = feature !== undefined || planId !== undefined
    const key = narrow ? `${model}\0${feature ?? ''}\0${planId ?? ''}` : model
    const remembered = known.get(key)
    if (remembered !== undefined) return remembered
    const value = select({ modelId: model, feature, planId, at: new Date(now).toISOString() })
    if (known.size >= MOST_REMEMBERED) known.clear()
    known.set(key, value)
    return value
  }
  return {
    snapshot,
    find: (scope) =>
      lookup(found, scope, (at) => ({ rate: requireRate(snapshot, at), ...marginOf(selectMargin(snapshot, at)) })),
    findMargin: (scope) => lookup(margins, scope, (at) => marginOf(selectMargin(snapshot, at))),
  }
}

function nextAfter(times: readonly number[], now: number): number {
  return times.reduce((next, time) => (time > now && time < next ? time : next), Number.POSITIVE_INFINITY)
}

function pairOf(snapshot: PricingSnapshot, rateId: string, marginId: string): FrozenPricing | undefined {
  const rate = snapshot.rates.find((row) => row.id === rateId)
  const margin = snapshot.margins.find((row) => row.id === marginId)
  return rate && margin && { rate, ...marginOf(margin) }
}

function marginOf(margin: MarginRow | null): Pick<FrozenPricing, 'margin' | 'marginPercent'> {
  if (margin === null || margin.marginPercent === null)
    throw new CreditError({ code: 'CONFIG_INVALID', message: 'There is no default margin' })
  return { margin, marginPercent: margin.marginPercent }
}
