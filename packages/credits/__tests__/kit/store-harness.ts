import type pg from 'pg'
import type { CreditStore } from '../../src/store/port.ts'
import type { StoreHarness } from '../../src/testing/index.ts'
import { advance, signUp } from './database.ts'

/** What the contract suite needs besides the store, over an admin connection that the store does not know. */
export function sqlHarness(store: CreditStore, admin: pg.Pool): StoreHarness {
  return {
    store,
    createUser: () => signUp(admin),
    async changePlan(userId, { overageLimit = '0', reversalDebt = true }) {
      const planId = `overage-${overageLimit}-${reversalDebt}`
      await admin.query(
        `insert into public.credit_plans (id, name, price_usd, monthly_credits, overage_limit, reversal_debt)
         values ($1, $1, 0, 50, $2, $3) on conflict do nothing`,
        [planId, overageLimit, reversalDebt],
      )
      await admin.query('select public.credits_set_plan($1, $2)', [userId, planId])
    },
    advance: (userId, seconds) => advance(admin, userId, `${seconds} seconds`),
    async freezeAccount(userId, frozen) {
      await admin.query('select public.credits_freeze_account($1, $2, null, $3)', [userId, frozen, 'contract test'])
    },
    async freezeSpending(frozen) {
      await admin.query('select public.credits_freeze_spending($1, null, $2)', [frozen, 'contract test'])
    },
  }
}
