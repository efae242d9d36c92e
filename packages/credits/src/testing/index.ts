import { memoryStore } from '../store/memory/index.ts'
import { captureCases } from './captures.ts'
import type { ContractCase, StoreHarness } from './case.ts'
import { correctionCases } from './corrections.ts'
import { estimateCases } from './estimates.ts'
import { extensionCases } from './extensions.ts'
import { grantCases } from './grants.ts'
import { inputCases } from './inputs.ts'
import { pricingCases } from './pricing.ts'
import { reportCases } from './reports.ts'
import { reservationCases } from './reservations.ts'
import { settlementCases } from './settlements.ts'

export type { ContractCase, StoreHarness } from './case.ts'

/** What the suite needs of a test runner: vitest, jest, `node:test` and bun have it under these names. */
export interface TestRunner {
  describe(name: string, body: () => void): unknown
  it(name: string, body: () => Promise<void>): unknown
}

/** The claims of the store port by chapter, each with its test: for runners that have no `describe`. */
export const storeContract: Readonly<Record<string, readonly ContractCase[]>> = {
  reservations: reservationCases,
  extensions: extensionCases,
  captures: captureCases,
  settlements: settlementCases,
  grants: grantCases,
  corrections: correctionCases,
  estimates: estimateCases,
  inputs: inputCases,
  pricing: pricingCases,
  reports: reportCases,
}

/**
 * Declares the contract of the store port as tests of a store: all of the package's own stores pass it, and so must
 * a store of yours. Each case opens accounts of its own, so one database serves them all.
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
  describe(name, () => {
    for (const { claim, run } of Object.values(storeContract).flat()) it(claim, async () => run(await once()))
  })
}

/**
 * A harness around a new memory store: for trying the suite, and as the oracle for a store of yours.
 *
 * @example
 * ```ts
 * describeCreditStore('memory', memoryHarness, { describe, it })
 * ```
 */
export function memoryHarness(): StoreHarness {
  const free = { id: 'free', monthlyCredits: '50' }
  const variants = ['0', '20'].flatMap((overageLimit) =>
    [true, false].map((reversalDebt) => ({
      ...free,
      id: `overage-${overageLimit}-${reversalDebt}`,
      overageLimit,
      reversalDebt,
    })),
  )
  const store = memoryStore({ plans: [free, ...variants] })
  return {
    store,
    createUser: async () => store.createAccount().userId,
    async changePlan(userId, { overageLimit = '0', reversalDebt = true }) {
      store.setPlan({ userId, planId: `overage-${overageLimit}-${reversalDebt}` })
    },
    advance: async (_userId, seconds) => store.advance(seconds),
    freezeAccount: async (userId, frozen) => store.freezeAccount({ userId, frozen }),
    freezeSpending: async (frozen) => store.freezeSpending(frozen),
  }
}
