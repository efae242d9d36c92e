import { memoryStore } from '../store/memory.ts'
import type { ContractCase, StoreHarness } from './case.ts'
import { chargeCases } from './charges.ts'
import { ledgerCases } from './ledger.ts'
import { pricingCases } from './pricing.ts'
import { reportCases } from './reports.ts'
import { reservationCases } from './reservations.ts'

export {
  type MemoryPlan,
  type MemoryStore,
  type MemoryStoreOptions,
  memoryStore,
  type NewRate,
} from '../store/memory.ts'
export type { ContractCase, StoreHarness } from './case.ts'

/** What the suite needs of a test runner: vitest, jest, `node:test` and bun have it under these names. */
export interface TestRunner {
  describe(name: string, body: () => void): unknown
  it(name: string, body: () => Promise<void>): unknown
}

/** The promises of the store port by chapter, each with its test: for runners that have no `describe`. */
export const storeContract: Readonly<Record<string, readonly ContractCase[]>> = {
  reservations: reservationCases,
  charges: chargeCases,
  ledger: ledgerCases,
  pricing: pricingCases,
  reports: reportCases,
}

/**
 * Declares the contract of the store port as tests of a store: all of the package's own stores pass it, and so must
 * one of yours. Each case opens accounts of its own, so one database serves them all.
 *
 * @param harness makes the store and its helpers; called once, when the first case runs
 * @example
 * ```ts
 * import { describe, it } from 'vitest'
 * describeCreditStore('my store', async () => ({ store: myStore(), createUser, advance, ... }), { describe, it })
 * ```
 */
export function describeCreditStore(
  name: string,
  harness: () => StoreHarness | Promise<StoreHarness>,
  { describe, it }: TestRunner,
): void {
  let made: Promise<StoreHarness> | undefined
  const once = (): Promise<StoreHarness> => {
    made ??= Promise.resolve().then(harness)
    return made
  }
  describe(`${name} keeps the contract of a credits store`, () => {
    for (const [chapter, cases] of Object.entries(storeContract)) {
      describe(chapter, () => {
        for (const { claim, run } of cases) it(claim, async () => run(await once()))
      })
    }
  })
}

/**
 * A harness around a fresh {@link memoryStore}: for trying the suite, and as the oracle beside a store of yours.
 *
 * @example
 * ```ts
 * describeCreditStore('memory', memoryHarness, { describe, it })
 * ```
 */
export function memoryHarness(): StoreHarness {
  const free = { id: 'free', monthlyCredits: '50' }
  const store = memoryStore({ plans: [free, { ...free, id: 'overage-20', overageLimit: '20' }] })
  return {
    store,
    createUser: async () => store.createAccount().userId,
    async allowOverage(userId, limit) {
      store.setPlan({ userId, planId: `overage-${limit}` })
    },
    advance: async (_userId, seconds) => store.advance(seconds),
    freezeAccount: async (userId, frozen) => store.freezeAccount({ userId, frozen }),
    freezeSpending: async (frozen) => store.freezeSpending(frozen),
  }
}
