import { uuidFor, uuidv7 } from '../core/ids.ts'
import type { CreditStore } from '../store/port.ts'
import type { FailOpen } from './fail-open.ts'
import type { PricingLookup } from './pricing.ts'
import type { PricingCache } from './pricing-cache.ts'
import type { OnError } from './types.ts'

/** What the use cases work with: the checked options of `createCredits` and what is shared between calls. */
export interface UseCaseContext {
  /** Resolved at the first operation, so it is read from the context each time. */
  readonly store: CreditStore
  readonly cache: PricingCache
  readonly pricing: PricingLookup
  readonly upgradeUrl: string | undefined
  readonly ttlSeconds: number
  readonly failOpen: FailOpen | undefined
  readonly onError: OnError
}

/** The id of an operation: the same for the same key, always; without a key, every call is an operation of its own. */
export async function operationId(
  operation: string,
  accountId: string,
  ...key: (string | undefined)[]
): Promise<string> {
  const parts = key.filter((part) => part !== undefined)
  return parts.length < key.length ? uuidv7({ accountId }) : uuidFor(operation, accountId, ...parts)
}
