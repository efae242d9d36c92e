import { CreditError } from './core/errors.ts'
import { parseOrThrow } from './core/money.ts'
import { books } from './credits/books.ts'
import { withDesk } from './credits/desk.ts'
import { asCreditError } from './credits/errors.ts'
import { failOpen } from './credits/fail-open.ts'
import { inputs } from './credits/inputs.ts'
import { prices } from './credits/prices.ts'
import { pricingCache } from './credits/pricing-cache.ts'
import { rates } from './credits/rates.ts'
import { reports } from './credits/reports.ts'
import { type SpendContext, spending } from './credits/spend.ts'
import type {
  Credits,
  CreditsOptions,
  ErrorContext,
  ReleaseInput,
  ReserveInput,
  ReserveResult,
  SettleInput,
} from './credits/types.ts'
import type { CreditStore, ReservationResult, SettleResult } from './store/port.ts'

/**
 * The use cases over a store: validation, idempotency keys, prices, retries. Make one per process and keep it:
 * it holds the cached rates and margins.
 *
 * @throws CreditError `CONFIG_INVALID` when an option is missing or out of range
 * @example
 * ```ts
 * const credits = createCredits({ store: supabaseStore(serviceClient), upgradeUrl: '/upgrade' })
 * const { reservationId } = await credits.reserve({ userId, amount: '10', model: 'anthropic/claude-sonnet-4.5' })
 * await credits.settle({ reservationId, usage: result.usage })
 * ```
 */
export function createCredits(options: CreditsOptions): Credits {
  const { store, pricingTtlSeconds, failOpen: open, unknownModels, ...settings } = checked(options)
  const report = options.onError ?? logError
  const onError = (error: unknown, context: ErrorContext): void => report(asCreditError(error), context)
  const cache = pricingCache({
    store,
    ttlSeconds: pricingTtlSeconds,
    onError: (error) => onError(error, { operation: 'pricing' }),
  })
  const priced = prices(store, cache, unknownModels?.ceilingCredits)
  const context: SpendContext = {
    store,
    prices: priced,
    upgradeUrl: settings.upgradeUrl,
    ttlSeconds: settings.reservationTtlSeconds,
    retries: settings.retries,
    failOpen: open && failOpen(store, open),
    onError,
  }
  const credits = {
    ...spending(context),
    ...books(store),
    ...rates(store, cache, priced),
    ...reports(store),
    onError: report,
  }
  return withDesk(credits, context)
}

/** The default `onError`: what costs money must not fail in silence. */
function logError(error: CreditError, context: ErrorContext): void {
  // biome-ignore lint/suspicious/noConsole: the default handler, used where the app has set none
  console.error('credits:', error, context)
}

function checked(options: CreditsOptions) {
  try {
    const { store, onError: _, ...rest } = options
    if (typeof store?.reserve !== 'function') throw new TypeError('store: expected a credits store')
    return { store, ...parseOrThrow(inputs.options, rest) }
  } catch (error) {
    throw new CreditError({
      code: 'CONFIG_INVALID',
      message: `createCredits: ${error instanceof Error ? error.message : 'expected options'}`,
      cause: error,
    })
  }
}

// The unbound functions share one `Credits` per store, so that they share its cached prices too.
const unbound = new WeakMap<CreditStore, Credits>()

function creditsOf(store: CreditStore): Credits {
  const known = unbound.get(store)
  if (known !== undefined) return known
  const made = createCredits({ store })
  unbound.set(store, made)
  return made
}

/** {@link Credits.reserve} without `createCredits`. @example await reserve(store, { userId, amount: '10' }) */
export async function reserve(store: CreditStore, input: ReserveInput): Promise<ReserveResult> {
  return creditsOf(store).reserve(input)
}

/** {@link Credits.settle} without `createCredits`. @example await settle(store, { reservationId, amount: '3.36' }) */
export async function settle(store: CreditStore, input: SettleInput): Promise<SettleResult> {
  return creditsOf(store).settle(input)
}

/** {@link Credits.release} without `createCredits`. @example await release(store, { reservationId }) */
export async function release(store: CreditStore, input: ReleaseInput): Promise<ReservationResult> {
  return creditsOf(store).release(input)
}
