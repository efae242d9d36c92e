import { applyDue, changePlan, openAccount } from './memory/accounts.ts'
import { type Bank, makeBank } from './memory/bank.ts'
import { charges } from './memory/charges.ts'
import {
  addRates,
  marginAudit,
  type NewRate,
  type PriceBook,
  rateHistory,
  setMargin,
  setRates,
  snapshot,
} from './memory/pricing.ts'
import { capture, extend, open, release, reserve, settle } from './memory/reservations.ts'
import { balanceOf, type MemoryPlan, reservationOf } from './memory/state.ts'
import { adjust, grant, history, refund } from './memory/transactions.ts'
import type { Balance, CreditStore } from './port.ts'

export type { NewRate } from './memory/pricing.ts'
export type { MemoryPlan } from './memory/state.ts'

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
  const bank = makeBank({ maxOpenReservations, now })
  const book: PriceBook = { rates: [], margins: [], audit: [], aliases: {}, now }
  setMargin(book, { scope: 'default', target: '', marginPercent: options.defaultMarginPercent ?? '60' })
  setRates(book, options.rates ?? [])

  const planOf = (id: string): MemoryPlan => {
    const plan = plans.get(id)
    if (plan === undefined) throw new RangeError(`memoryStore: there is no plan ${JSON.stringify(id)}`)
    return plan
  }
  return {
    ...portOf(bank, book),
    createAccount({ userId = crypto.randomUUID(), planId = 'free' } = {}) {
      const existing = bank.accounts.get(userId)
      const account = existing ?? openAccount(userId, planOf(planId), signupCredits, now())
      bank.accounts.set(userId, account)
      return balanceOf(account)
    },
    setPlan({ userId, planId }) {
      const account = bank.account(userId)
      applyDue(account, now())
      changePlan(account, planOf(planId), now())
      return balanceOf(account)
    },
    freezeAccount({ userId, frozen }) {
      bank.account(userId).status = frozen ? 'frozen' : 'active'
    },
    freezeSpending(frozen) {
      bank.spendingFrozen = frozen
    },
    setRates: (rates) => setRates(book, rates),
    advance(seconds) {
      shift += seconds * 1000
    },
  }
}

// `async` although nothing is awaited: a refusal must reach the caller as a rejected promise, as from a real store.
function portOf(bank: Bank, book: PriceBook): CreditStore {
  return {
    reserve: async (input) => reserve(bank, input),
    extend: async (input) => extend(bank, input),
    capture: async (input) => capture(bank, input),
    settle: async (input) => settle(bank, input),
    release: async ({ reservationId }) => release(bank, reservationId),
    async getReservation({ reservationId }) {
      return reservationOf(open(bank, reservationId).held)
    },
    grant: async (input) => grant(bank, input),
    refund: async (input) => refund(bank, input),
    adjust: async (input) => adjust(bank, input),
    async getBalance({ userId }) {
      const account = bank.account(userId)
      applyDue(account, bank.now())
      return balanceOf(account)
    },
    getHistory: async (input) => history(bank, input),
    getPricing: async ({ ids } = {}) => snapshot(book, ids),
    setMargin: async (input) => setMargin(book, input),
    getMarginAudit: async (input) => marginAudit(book, input),
    addRates: async ({ rates }) => addRates(book, rates),
    getRateHistory: async ({ modelId, limit = 100 }) => rateHistory(book, modelId, limit),
    getCharges: async (input) => charges(bank, input),
  }
}
