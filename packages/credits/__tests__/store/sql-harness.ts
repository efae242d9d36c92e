import type { Stack } from '@layers/local-stack'
import { createClient } from '@supabase/supabase-js'
import pg from 'pg'
import type { CreditStore } from '../../src/store/port.ts'
import type { StoreHarness } from '../../src/testing/index.ts'

/** A supabase-js client that may move credits. */
export function serviceClient(stack: Pick<Stack, 'url' | 'secretKey'>) {
  return createClient(stack.url, stack.secretKey, { auth: { persistSession: false, autoRefreshToken: false } })
}

/** A supabase-js client that talks to a PostgREST without a front door before it. */
export function restClient({ serviceRoleKey }: Pick<Stack, 'serviceRoleKey'>, { url }: { url: string }) {
  const direct: typeof fetch = (input, init) => fetch(String(input).replace('/rest/v1', ''), init)
  const auth = { persistSession: false, autoRefreshToken: false }
  return createClient(url, serviceRoleKey, { auth, global: { fetch: direct } })
}

/**
 * A pool for tests. A connection that the server ends, while idle or just after `end()`, emits an error event, and one
 * without a listener would end the process.
 */
export function openPool(connectionString: string, max = 2): pg.Pool {
  const pool = new pg.Pool({ connectionString, max })
  pool.on('error', () => undefined)
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}

/** Signs a user up the way the auth server does: the trigger on `auth.users` opens the account. */
export async function signUp(admin: pg.Pool): Promise<string> {
  const userId = crypto.randomUUID()
  const email = `${userId}@example.test`
  await admin.query(
    `insert into auth.users (id, aud, role, email, email_confirmed_at, created_at, updated_at)
     values ($1, 'authenticated', 'authenticated', $2, now(), now(), now())`,
    [userId, email],
  )
  return userId
}

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
    // Time is the database's, so instead of moving its clock everything that waits is moved towards now.
    async advance(userId, seconds) {
      await admin.query(
        `with shift as (select make_interval(secs => $2) as by),
         lots as (
           update public.credit_lots set expires_at = expires_at - by from shift where account_id = $1
         ),
         reservations as (
           update public.credit_reservations set created_at = created_at - by, expires_at = expires_at - by
           from shift where account_id = $1
         )
         update public.credit_balances
         set next_due_at = next_due_at - by, expired_until = expired_until - by,
             plan_anchor_at = plan_anchor_at - by, plan_period_ends_at = plan_period_ends_at - by
         from shift where account_id = $1`,
        [userId, seconds],
      )
    },
    async freezeAccount(userId, frozen) {
      await admin.query('select public.credits_freeze_account($1, $2, null, $3)', [userId, frozen, 'contract test'])
    },
    async freezeSpending(frozen) {
      await admin.query('select public.credits_freeze_spending($1, null, $2)', [frozen, 'contract test'])
    },
  }
}
