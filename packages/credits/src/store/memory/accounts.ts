import { Decimal } from 'decimal.js'
import { CreditError } from '../../core/errors.ts'
import { compare, isZero, sub } from '../../core/money.ts'
import { addLot, append, expireLots, rollOver } from './lots.ts'
import { type Account, activeReservations, type MemoryPlan, type MemoryReservation } from './state.ts'

const Exact = Decimal.clone({ precision: 60 })

/** Opens an account on a plan; `signupCredits` become its first grant and last for the first period. */
export function openAccount(userId: string, plan: MemoryPlan, signupCredits: string, now: number): Account {
  const account: Account = {
    userId,
    plan,
    nextPlan: null,
    lots: [],
    debt: '0',
    overageLimit: plan.overageLimit ?? '0',
    status: 'active',
    anchorAt: now,
    period: 1,
    periodEndsAt: monthsAfter(now, 1),
    entries: [],
    reservations: new Map(),
  }
  grantPlanCredits(account, 'signup', signupCredits, now)
  return account
}

/** Upgrades at once, downgrades at the end of the period. */
export function changePlan(account: Account, plan: MemoryPlan, now: number): void {
  const old = account.plan
  const more = sub(plan.monthlyCredits, old.monthlyCredits)
  if (compare(more, '0') < 0 || plan.id === old.id) {
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
    startPeriod(account, now)
    return
  }
  // Within a paid period: the difference, for the rest of the period.
  const start = monthsAfter(account.anchorAt, account.period - 1)
  const share = new Exact(account.periodEndsAt - now).div(account.periodEndsAt - start)
  account.overageLimit = plan.overageLimit ?? '0'
  grantPlanCredits(account, 'plan', share.times(more).toDecimalPlaces(6, Decimal.ROUND_HALF_UP).toFixed(), now)
}

function isFree(plan: MemoryPlan): boolean {
  return isZero(plan.priceUsd ?? '0')
}

/** Applies what time has brought: expired reservations, ended periods, expired lots. */
export function applyDue(account: Account, now: number): void {
  for (const reservation of activeReservations(account)) {
    if (reservation.expiresAt <= now) closeReservation(reservation, 'expired', now)
  }
  // Every missed period in turn, so that an unused account ends up like a used one.
  while (account.periodEndsAt <= now) {
    const ended = account.periodEndsAt
    account.period += 1
    account.periodEndsAt = monthsAfter(account.anchorAt, account.period)
    rollOver(account, account.plan.rolloverLimit ?? '0', ended, account.periodEndsAt, now)
    expireLots(account, ended, now)
    account.plan = account.nextPlan ?? account.plan
    account.nextPlan = null
    startPeriod(account, now)
  }
  expireLots(account, now, now)
}

/** Ends a reservation: it keeps nothing back any longer. */
export function closeReservation(
  reservation: MemoryReservation,
  state: Exclude<MemoryReservation['state'], 'active'>,
  now: number,
): void {
  reservation.amount = '0'
  reservation.state = state
  reservation.closedAt = now
}

/** New spending is refused while the account or all spending is frozen; open reservations may still be charged. */
export function requireSpendable(account: Account, spendingFrozen: boolean): void {
  if (account.status === 'frozen') throw new CreditError({ code: 'ACCOUNT_FROZEN' })
  if (spendingFrozen) throw new CreditError({ code: 'SPENDING_FROZEN' })
}

function startPeriod(account: Account, now: number): void {
  account.overageLimit = account.plan.overageLimit ?? '0'
  grantPlanCredits(account, 'plan', account.plan.monthlyCredits, now)
}

function grantPlanCredits(account: Account, source: 'plan' | 'signup', amount: string, now: number): void {
  if (isZero(amount)) return
  const id = crypto.randomUUID()
  addLot(account, { transactionId: id, bucket: 'plan', source, expiresAt: account.periodEndsAt, amount })
  append(account, now, { id, type: 'grant', source, amount })
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
