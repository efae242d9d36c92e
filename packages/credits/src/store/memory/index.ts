import type { CreditStore } from '../port.ts'
import type { Balance } from '../types.ts'
import { applyDue, changePlan, openAccount } from './accounts.ts'
import { charges } from './charges.ts'
import { correctEstimate, estimates } from './estimates.ts'
import {
  addRates,
  type MemoryPricing,
  marginAudit,
  type NewRate,
  rateHistory,
  setMargin,
  setRates,
  snapshot,
} from './pricing.ts'
import { capture, extend, open, release, reserve, settle } from './reservations.ts'
import { accountOf, balanceOf, type MemoryPlan, type MemoryState, reservationOf } from './state.ts'
import { adjust, grant, history, refund, reverse } from './transactions.ts'

export type { NewRate } from './pricing.ts'
export type { MemoryPlan } from './state.ts'

/** What {@link memoryStore} is made from. Everything has a default. */
export interface MemoryStoreOptions {
  /** Milliseconds since 1970. Default: the machine's clock. */
  clock?: (() => number) | undefined
  /** Default: `free` (50 a month), `starter` (500), `pro` (3000), `team` (7500), as seeded in SQL. */
  plans?: readonly MemoryPlan[] | undefined
  /** First grant of a new account, in credits. Default `"50"`. */
  signupCredits?: string | undefined
  rates?: readonly NewRate[] | undefined
  /** Default `"60"`, as seeded in SQL. */
  defaultMarginPercent?: string | undefined
  /** Open reservations an account may have at once. Default 100. */
  maxOpenReservations?: number | undefined
}

/** A store in memory, with what a test needs beyond the port. */
export interface MemoryStore extends CreditStore {
  /** Opens an account with its signup grant, as the trigger on `auth.users` does. */
  createAccount(input?: { userId?: string | undefined; planId?: string | undefined }): Balance
  /** Moves an account to another plan: up at once, down at the end of the period. */
  setPlan(input: { userId: string; planId: string }): Balance
  freezeAccount(input: { userId: string; frozen: boolean }): void
  freezeSpending(frozen: boolean): void
  /** Puts rates in force from now. */
  setRates(rates: readonly NewRate[]): void
  /** Moves this store's clock forward. */
  advance(seconds: number): void
}

const PLANS: readonly MemoryPlan[] = [
  { id: 'free', monthlyCredits: '50' },
  { id: 'starter', priceUsd: '20', monthlyCredits: '500' },
  { id: 'pro', priceUsd: '100', monthlyCredits: '3000' },
  { id: 'team', priceUsd: '200', monthlyCredits: '7500' },
]

/**
 * The whole store port in memory: the same answers and refusals as the SQL functions, for tests and demos.
 * Nothing is kept when the process ends. Every operation runs without an `await` inside, so it is atomic.
 *
 * @example
 * ```ts
 * const store = memoryStore({ rates: [{ modelId: 'openai/gpt-5', pricing: { input: '0.00000125', output: '0.00001' } }] })
 * const { userId } = store.createAccount()
 * const credits = createCredits({ store })
 * ```
 */
export function memoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  const { clock = Date.now, signupCredits = '50', maxOpenReservations = 100 } = options
  const plans = new Map((options.plans ?? PLANS).map((plan) => [plan.id, plan]))
  let shift = 0
  const now = () => clock() + shift
  const state: MemoryState = { accounts: new Map(), spendingFrozen: false, maxOpenReservations, now }
  const pricing: MemoryPricing = { rates: [], margins: [], audit: [], aliases: {}, now }
  setMargin(pricing, { scope: 'default', target: '', marginPercent: options.defaultMarginPercent ?? '60' })
  setRates(pricing, options.rates ?? [])

  const planOf = (id: string): MemoryPlan => {
    const plan = plans.get(id)
    if (plan === undefined) throw new RangeError(`memoryStore: there is no plan ${JSON.stringify(id)}`)
    return plan
  }
  return {
    ...portOf(state, pricing),
    createAccount({ userId = crypto.randomUUID(), planId = 'free' } = {}) {
      const existing = state.accounts.get(userId)
      const account = existing ?? openAccount(userId, planOf(planId), signupCredits, now())
      state.accounts.set(userId, account)
      return balanceOf(account)
    },
    setPlan({ userId, planId }) {
      const account = accountOf(state, userId)
      applyDue(account, now())
      changePlan(account, planOf(planId), now())
      return balanceOf(account)
    },
    freezeAccount({ userId, frozen }) {
      accountOf(state, userId).status = frozen ? 'frozen' : 'active'
    },
    freezeSpending(frozen) {
      state.spendingFrozen = frozen
    },
    setRates: (rates) => setRates(pricing, rates),
    advance(seconds) {
      shift += seconds * 1000
    },
  }
}

// `async` although nothing is awaited: a refusal must reach the caller as a rejected promise, as from a real store.
function portOf(state: MemoryState, pricing: MemoryPricing): CreditStore {
  return {
    reserve: async (input) => reserve(state, input),
    extend: async (input) => extend(state, input),
    capture: async (input) => capture(state, input),
    settle: async (input) => settle(state, input),
    release: async (input) => release(state, input),
    getReservation: async (input) => reservationOf(open(state, input).reservation),
    grant: async (input) => grant(state, input),
    refund: async (input) => refund(state, input),
    reverse: async (input) => reverse(state, input),
    adjust: async (input) => adjust(state, input),
    async getBalance({ userId }) {
      const account = accountOf(state, userId)
      applyDue(account, state.now())
      return balanceOf(account)
    },
    getHistory: async (input) => history(state, input),
    getPricing: async ({ ids } = {}) => snapshot(pricing, ids),
    setMargin: async (input) => setMargin(pricing, input),
    getMarginAudit: async (input) => marginAudit(pricing, input),
    addRates: async (input) => addRates(pricing, input),
    getRateHistory: async ({ modelId, limit = 100 }) => rateHistory(pricing, modelId, limit),
    getCharges: async (input) => charges(state, input),
    getEstimates: async (input) => estimates(state, input),
    correctEstimate: async (input) => correctEstimate(state, input),
  }
}
