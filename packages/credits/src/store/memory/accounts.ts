import { CreditError } from '../../core/errors.ts'
import { least, micros } from './amounts.ts'
import { addLot, append, expireLots, nextLotExpiry } from './ledger.ts'
import { type Account, type Held, type MemoryPlan, NEVER } from './state.ts'

/** Opens an account on a plan; `signupCredits` become its first grant. */
export function openAccount(userId: string, plan: MemoryPlan, signupCredits: string, now: number): Account {
  const account: Account = {
    userId,
    plan,
    lots: [],
    planCredits: 0n,
    addOnCredits: 0n,
    debt: 0n,
    reserved: 0n,
    overageLimit: micros('overageLimit', plan.overageLimit ?? '0', 0n),
    status: 'active',
    periodEndsAt: NEVER,
    ledger: [],
    active: new Set(),
    nextDueAt: NEVER,
  }
  startPeriod(account, now)
  const amount = micros('signupCredits', signupCredits, 0n)
  if (amount > 0n) {
    addLot(account, { bucket: 'plan', priority: 100, expiresAt: account.periodEndsAt, sequence: 0, remaining: amount })
    append(account, now, { type: 'grant', source: 'signup', change: amount })
  }
  return account
}

/** Moves to another plan: its credits come at once, what is left of the old plan's stays until the period ends. */
export function changePlan(account: Account, plan: MemoryPlan, now: number): void {
  account.plan = plan
  account.overageLimit = micros('overageLimit', plan.overageLimit ?? '0', 0n)
  startPeriod(account, now)
  grantMonth(account, now)
}

/** Applies what time has brought: expired reservations, expired lots, a new period. */
export function applyDue(account: Account, now: number): void {
  if (now < account.nextDueAt) return
  for (const held of account.active) if (held.expiresAt <= now) closeHold(account, held, 'expired', now)
  const renew = account.periodEndsAt <= now
  if (renew) rollOver(account, now)
  expireLots(account, now)
  if (renew) {
    startPeriod(account, now)
    grantMonth(account, now)
  }
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
  if (spendingFrozen) throw new CreditError({ code: 'SPENDING_FROZEN' })
  if (account.status === 'frozen') throw new CreditError({ code: 'ACCOUNT_FROZEN' })
}

function startPeriod(account: Account, now: number): void {
  if (account.plan.monthlyCredits === '0') {
    account.periodEndsAt = NEVER
    return
  }
  let from = account.periodEndsAt === NEVER || account.periodEndsAt > now ? now : account.periodEndsAt
  while (from <= now) from = monthAfter(from)
  account.periodEndsAt = from
  if (from < account.nextDueAt) account.nextDueAt = from
}

function grantMonth(account: Account, now: number): void {
  const amount = micros('monthlyCredits', account.plan.monthlyCredits, 0n)
  if (amount === 0n) return
  const { periodEndsAt } = account
  addLot(account, {
    bucket: 'plan',
    priority: 100,
    expiresAt: periodEndsAt,
    sequence: account.ledger.length,
    remaining: amount,
  })
  append(account, now, { type: 'grant', source: 'plan', change: amount })
}

/** Lets unused plan credits live one month more, up to the plan's cap. */
function rollOver(account: Account, now: number): void {
  let room = micros('rolloverCap', account.plan.rolloverCap ?? '0', 0n)
  const until = monthAfter(now)
  for (const lot of [...account.lots]) {
    if (room === 0n || lot.bucket !== 'plan' || lot.expiresAt > now) continue
    const kept = least(room, lot.remaining)
    room -= kept
    if (kept === lot.remaining) lot.expiresAt = until
    else {
      lot.remaining -= kept
      account.planCredits -= kept
      addLot(account, { ...lot, remaining: kept, expiresAt: until })
    }
  }
}

/** The same day of the next month, or its last day. */
function monthAfter(time: number): number {
  const date = new Date(time)
  const day = date.getUTCDate()
  date.setUTCDate(1)
  date.setUTCMonth(date.getUTCMonth() + 1)
  const lastDay = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate()
  return date.setUTCDate(Math.min(day, lastDay))
}
