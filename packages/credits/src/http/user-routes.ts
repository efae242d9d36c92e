import { add, sub } from '../core/money.ts'
import type { Credits } from '../credits/types.ts'
import type { RouteContext } from './route.ts'
import type * as schemas from './schemas.ts'

type Balance = Awaited<ReturnType<Credits['getBalance']>>
type Transaction = Awaited<ReturnType<Credits['getHistory']>>['data'][number]

/** `GET /credits/balance` */
export async function getBalance({ credits, user }: RouteContext<undefined, undefined>): Promise<schemas.BalanceBody> {
  return toBalanceBody(await credits.getBalance({ userId: user.id }))
}

/** `GET /credits/history` */
export async function getHistory({
  credits,
  user,
  query,
}: RouteContext<schemas.HistoryQuery, undefined>): Promise<schemas.HistoryBody> {
  const { data, nextCursor } = await credits.getHistory({ ...query, userId: user.id })
  return { data: data.map(toTransactionBody), nextCursor }
}

/**
 * The balance as the API shows it.
 * @example Response.json(toBalanceBody(await credits.getBalance({ userId })))
 */
export function toBalanceBody(balance: Balance): schemas.BalanceBody {
  const { available, planCredits, addOnCredits, reserved, debt, overageLimit, planId, status, periodEndsAt } = balance
  return {
    available,
    balance: sub(add(planCredits, addOnCredits), debt),
    planCredits,
    addOnCredits,
    reserved,
    debt,
    overageLimit,
    plan: planId,
    status,
    periodEndsAt,
  }
}

/** Named one by one, so that a column added to the ledger never becomes public by itself. */
function toTransactionBody(transaction: Transaction): schemas.TransactionBody {
  const { id, version, type, source, amount, balanceAfter, uncollected, reservationId, reversesId } = transaction
  const { feature, model, inputTokens, outputTokens, estimated, late, createdAt } = transaction
  return {
    id,
    version,
    type,
    source,
    amount,
    balanceAfter,
    uncollected,
    reservationId,
    reversesId,
    feature,
    model,
    inputTokens,
    outputTokens,
    estimated,
    late,
    createdAt,
  }
}
