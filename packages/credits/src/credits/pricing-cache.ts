import { CreditError } from '../core/errors.ts'
import type { CreditStore } from '../store/port.ts'
import type { MarginRow, PricingSnapshot, RateRow } from '../store/types.ts'

/** After a failed refresh the old prices stay in use; this is how long until the next try. */
const RETRY_AFTER_MS = 5_000
const MOST_PAIRS = 2_000

/** The rate and margin that a reservation froze. */
export interface FrozenRows {
  rate: RateRow
  margin: MarginRow
  aliases: PricingSnapshot['aliases']
}

/** Rates and margins in memory. */
export interface PricingCache {
  /** The cached prices. Waits for the store only while there are none yet. */
  current(): Promise<CachedPricing>
  /** Two rows by id, in force or not. @throws CreditError `NOT_FOUND` */
  rows(ids: { rateId: string; marginId: string }): Promise<FrozenRows>
  /** Drops the cached prices, so that the next call reads the store: after a change of a margin. */
  clear(): void
}

/** A snapshot, and the time now by the clock of the store, which decides what is in force. */
export interface CachedPricing {
  snapshot: PricingSnapshot
  at: string
}

/**
 * Serves prices that are at most `ttlSeconds` old while calls keep coming. An older snapshot is served once more while a
 * single refresh runs in the background. There is no timer, so nothing keeps a process alive, and no call waits.
 */
export function pricingCache(options: {
  storeOf: () => Pick<CreditStore, 'getPricing'>
  ttlSeconds: number
  onError: (error: unknown) => void
}): PricingCache {
  const { storeOf, ttlSeconds, onError } = options
  const pairs = new Map<string, FrozenRows>()
  let loaded: { snapshot: PricingSnapshot; aheadMs: number } | undefined
  let staleAt = 0
  let loading: Promise<PricingSnapshot> | undefined

  async function read(): Promise<PricingSnapshot> {
    const snapshot = await storeOf().getPricing()
    loaded = { snapshot, aheadMs: Date.parse(snapshot.asOf) - Date.now() }
    staleAt = Date.now() + ttlSeconds * 1000
    return snapshot
  }

  function load(): Promise<PricingSnapshot> {
    loading ??= read().finally(() => {
      loading = undefined
    })
    return loading
  }

  return {
    async current() {
      if (loaded === undefined) {
        const snapshot = await load()
        return { snapshot, at: snapshot.asOf }
      }
      const { snapshot, aheadMs } = loaded
      if (Date.now() >= staleAt && loading === undefined) {
        staleAt = Date.now() + RETRY_AFTER_MS
        load().catch(onError)
      }
      const now = Date.now() + aheadMs
      // The snapshot is exact to the microsecond, and rows may begin within its millisecond.
      return { snapshot, at: now <= Date.parse(snapshot.asOf) ? snapshot.asOf : new Date(now).toISOString() }
    },
    async rows(ids) {
      const key = `${ids.rateId} ${ids.marginId}`
      const known = pairs.get(key) ?? (loaded && pairIn(loaded.snapshot, ids))
      const found = known ?? pairIn(await storeOf().getPricing({ ids: [ids.rateId, ids.marginId] }), ids)
      if (found === undefined) {
        throw new CreditError({ code: 'NOT_FOUND', message: 'No such rate or margin', details: ids })
      }
      if (pairs.size >= MOST_PAIRS) pairs.clear()
      pairs.set(key, found)
      return found
    },
    clear() {
      loaded = undefined
    },
  }
}

function pairIn(snapshot: PricingSnapshot, ids: { rateId: string; marginId: string }): FrozenRows | undefined {
  const rate = snapshot.rates.find(({ id }) => id === ids.rateId)
  const margin = snapshot.margins.find(({ id }) => id === ids.marginId)
  return rate && margin && { rate, margin, aliases: snapshot.aliases }
}
