import { CreditError } from '../../core/errors.ts'
import { type Micros, micros } from './amounts.ts'
import { addLot, append, expireLots, nextLotExpiry, rollOver } from './ledger.ts'
import type { Account, Held, MemoryPlan } from './state.ts'

/** Opens an account on a plan; `signupCredits` become its first grant and last for the first period. */
export function openAccount(userId: string, plan: MemoryPlan, signupCredits: string, now: number): Account {
  const account: Account = {
    userId,
    plan,
    nextPlan: null,
    lots: [],
    lotsMade: 0,
    planCredits: 0n,
    addOnCredits: 0n,
    debt: 0n,
    reserved: 0n,
    overageLimit: micros('overageLimit', plan.overageLimit ?? '0', 0n),
    status: 'active',
    anchorAt: now,
    period: 1,
    periodEndsAt: monthsAfter(now, 1),
    ledger: [],
    active: new Set(),
    nextDueAt: monthsAfter(now, 1),
  }
  grantPlan(account, 'signup', micros('signupCredits', signupCredits, 0n), now)
  return account
}

/** Upgrades at once, downgrades at the end of the period. */
export function changePlan(account: Account, plan: MemoryPlan, now: number): void {
  const old = account.plan
  const more = micros('monthlyCredits', plan.monthlyCredits, 0n) - micros('monthlyCredits', old.monthlyCredits, 0n)
  if (more < 0n || plan.id === old.id) {
    account.nextPlan = plan.id === old.id ? null : plan
    return
  }
  account.plan = plan
  account.nextPlan = null
  if (isFree(old) && !isFree(plan)) {
    // The first paid period starts with the payment, whole; unused free credits stay until their own expiry.
    account.anchorAt = now
    account.period = 1
    account.periodEndsAt = monthsAfter(now, 1)
    account.nextDueAt = Math.min(account.nextDueAt, account.periodEndsAt)
    startPeriod(account, now)
    return
  }
  // Within a paid period: the difference, for the rest of the period.
  const start = monthsAfter(account.anchorAt, account.period - 1)
  const whole = BigInt(account.periodEndsAt - start)
  account.overageLimit = micros('overageLimit', plan.overageLimit ?? '0', 0n)
  grantPlan(account, 'plan', (more * BigInt(account.periodEndsAt - now) * 2n + whole) / (whole * 2n), now)
}

function isFree(plan: MemoryPlan): boolean {
  return micros('priceUsd', plan.priceUsd ?? '0', 0n) === 0n
}

/** Applies what time has brought: expired reservations, ended periods, expired lots. */
export function applyDue(account: Account, now: number): void {
  if (now < account.nextDueAt) return
  for (const held of account.active) if (held.expiresAt <= now) closeHold(account, held, 'expired', now)
  // Every missed period in turn, so that an account nobody touched ends up as one that was.
  while (account.periodEndsAt <= now) {
    const ended = account.periodEndsAt
    account.period += 1
    account.periodEndsAt = monthsAfter(account.anchorAt, account.period)
    const limit = micros('rolloverLimit', account.plan.rolloverLimit ?? '0', 0n)
    rollOver(account, limit, ended, account.periodEndsAt, now)
    expireLots(account, ended, now)
    account.plan = account.nextPlan ?? account.plan
    account.nextPlan = null
    startPeriod(account, now)
  }
  expireLots(account, now, now)
  let next = Math.min(nextLotExpiry(account), account.periodEndsAt)
  for (const held of account.active) next = Math.min(next, held.expiresAt)
  account.nextDueAt = next
}

/** Ends a hold: it no longer counts against what is available. */
export function closeHold(account: Account, held: Held, state: Held['state'], now: number): void {
  if (held.state === 'active') account.reserved -= held.amount
  account.active.delete(held)
  held.amount = 0n
  held.state = state
  held.closedAt = now
}

/** New reservations are refused while the account or all spending is frozen; what is open may still be charged. */
export function requireSpendable(account: Account, spendingFrozen: boolean): void {
  if (account.status === 'frozen') throw new CreditError({ code: 'ACCOUNT_FROZEN' })
  if (spendingFrozen) throw new CreditError({ code: 'SPENDING_FROZEN' })
}

function startPeriod(account: Account, now: number): void {
  const { plan } = account
  account.overageLimit = micros('overageLimit', plan.overageLimit ?? '0', 0n)
  grantPlan(account, 'plan', micros('monthlyCredits', plan.monthlyCredits, 0n), now)
}

function grantPlan(account: Account, source: 'plan' | 'signup', amount: Micros, now: number): void {
  if (amount === 0n) return
  addLot(account, { bucket: 'plan', source, priority: 100, expiresAt: account.periodEndsAt, remaining: amount })
  append(account, now, { type: 'grant', source, change: amount })
}

/** The same day some months later, or that month's last day. In UTC. */
function monthsAfter(time: number, months: number): number {
  const date = new Date(time)
  const day = date.getUTCDate()
  date.setUTCDate(1)
  date.setUTCMonth(date.getUTCMonth() + months)
  const lastDay = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate()
  return date.setUTCDate(Math.min(day, lastDay))
}
