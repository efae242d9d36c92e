import { CreditError } from './core/errors.ts'
import { parseOrThrow } from './core/money.ts'
import type { UseCaseContext } from './credits/context.ts'
import { failOpen } from './credits/fail-open.ts'
import { inputs } from './credits/inputs.ts'
import { margins } from './credits/margins.ts'
import { pricing, pricingLookup } from './credits/pricing.ts'
import { pricingCache } from './credits/pricing-cache.ts'
import { reports } from './credits/reports.ts'
import { reservations } from './credits/reservations.ts'
import { transactions } from './credits/transactions.ts'
import type {
  Credits,
  CreditsOptions,
  ErrorContext,
  OnError,
  ReleaseInput,
  ReserveInput,
  ReserveResult,
  SettleInput,
} from './credits/types.ts'
import type { CreditStore } from './store/port.ts'
import type { ReservationResult, SettleResult } from './store/types.ts'

/**
 * The use cases over a store: validation, idempotency keys and prices. Make one per process and keep it, because it
 * caches rates and margins.
 *
 * @throws CreditError `CONFIG_INVALID` when an option is missing or out of range
 * @example
 * ```ts
 * const credits = createCredits({ store: () => supabaseStore(serviceClient()), upgradeUrl: '/upgrade' })
 * const { reservationId } = await credits.reserve({ userId, amount: '10', model: 'anthropic/claude-sonnet-4.5' })
 * await credits.settle({ userId, reservationId, usage: result.usage })
 * ```
 */
export function createCredits(options: CreditsOptions): Credits {
  const { store, settings } = checked(options)
  const storeOf = typeof store === 'function' ? onFirstUse(store) : () => store
  const onError = withoutThrowing(options.onError ?? logError)
  const cache = pricingCache({
    storeOf,
    ttlSeconds: settings.pricingTtlSeconds,
    onError: (error) => onError(error, { operation: 'pricing' }),
  })
  const context: UseCaseContext = {
    get store() {
      return storeOf()
    },
    cache,
    pricing: pricingLookup({ storeOf, cache, ceilingCredits: settings.unknownModels?.ceilingCredits }),
    upgradeUrl: settings.upgradeUrl,
    ttlSeconds: settings.reservationTtlSeconds,
    failOpen: settings.failOpen && failOpen(storeOf, settings.failOpen),
    onError,
  }
  return {
    ...reservations(context),
    ...transactions(context),
    ...pricing(context),
    ...margins(context),
    ...reports(context),
    onError,
  }
}

/** Calls the app's function once; one that fails is called again by the next operation. */
function onFirstUse(make: () => CreditStore): () => CreditStore {
  let made: CreditStore | undefined
  return () => {
    if (made !== undefined) return made
    try {
      made = requireStore(make())
      return made
    } catch (error) {
      throw invalidOptions(error)
    }
  }
}

/** The default `onError`: what costs money must not fail in silence. */
function logError(error: unknown, context: ErrorContext): void {
  // biome-ignore lint/suspicious/noConsole: the default handler, used where the app has set none
  console.error('credits:', error, context)
}

/** An `onError` that throws must not break the operation that reports to it. */
function withoutThrowing(handler: OnError): OnError {
  return (error, context) => {
    try {
      handler(error, context)
    } catch (thrown) {
      logError(error, context)
      logError(thrown, { operation: 'onError' })
    }
  }
}

function checked(options: CreditsOptions) {
  try {
    const { store, onError, ...rest } = options
    if (onError !== undefined && typeof onError !== 'function') throw new TypeError('onError: expected a function')
    return {
      store: typeof store === 'function' ? store : requireStore(store),
      settings: parseOrThrow(inputs.options, rest),
    }
  } catch (error) {
    throw invalidOptions(error)
  }
}

function requireStore(store: CreditStore): CreditStore {
  if (typeof store?.reserve !== 'function') throw new TypeError('store: expected a credits store')
  return store
}

function invalidOptions(error: unknown): CreditError {
  return new CreditError({
    code: 'CONFIG_INVALID',
    message: `createCredits: ${error instanceof Error ? error.message : 'expected options'}`,
    cause: error,
  })
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

/** {@link Credits.settle} without `createCredits`. @example await settle(store, { userId, reservationId, amount: '3.36' }) */
export async function settle(store: CreditStore, input: SettleInput): Promise<SettleResult> {
  return creditsOf(store).settle(input)
}

/** {@link Credits.release} without `createCredits`. @example await release(store, { userId, reservationId }) */
export async function release(store: CreditStore, input: ReleaseInput): Promise<ReservationResult> {
  return creditsOf(store).release(input)
}
