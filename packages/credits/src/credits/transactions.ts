import { parseOrThrow } from '../core/money.ts'
import { operationId, type UseCaseContext } from './context.ts'
import { decodeCursor, encodeCursor } from './cursor.ts'
import { withIds } from './errors.ts'
import { inputs } from './inputs.ts'
import type { Credits, RefundInput } from './types.ts'

type Transactions = Pick<
  Credits,
  'grant' | 'refund' | 'reverse' | 'adjust' | 'getEstimates' | 'correctEstimate' | 'getBalance' | 'getHistory'
>

/** Giving and correcting credits, and reading them. */
export function transactions(context: UseCaseContext): Transactions {
  return {
    async grant(input) {
      const { idempotencyKey, ...grant } = parseOrThrow(inputs.grant, input)
      const transactionId = await operationId('grant', grant.userId, idempotencyKey)
      return withIds({ transactionId }, () => context.store.grant({ ...grant, transactionId }))
    },
    refund: (input) => correct(context, 'refund', input),
    reverse: (input) => correct(context, 'reverse', input),
    async adjust(input) {
      const { idempotencyKey, ...adjustment } = parseOrThrow(inputs.adjust, input)
      const transactionId = await operationId('adjust', adjustment.userId, idempotencyKey)
      return withIds({ transactionId }, () => context.store.adjust({ ...adjustment, transactionId }))
    },
    getEstimates: async (input) => context.store.getEstimates(parseOrThrow(inputs.estimates, input)),
    async correctEstimate(input) {
      const { idempotencyKey, transactionId: originalId, ...rest } = parseOrThrow(inputs.correctEstimate, input)
      const transactionId = await operationId('correct', rest.userId, originalId, idempotencyKey)
      return withIds({ transactionId }, () => context.store.correctEstimate({ ...rest, transactionId, originalId }))
    },
    getBalance: async (input) => context.store.getBalance(parseOrThrow(inputs.user, input)),
    async getHistory(input) {
      const { cursor, ...query } = parseOrThrow(inputs.history, input)
      const { userId, type, from, to } = query
      const listing = ['history', userId, type, from, to].join(' ')
      const before = cursor === undefined ? undefined : decodeCursor(cursor, listing)
      const { data, nextBefore } = await context.store.getHistory({ ...query, before })
      return { data, nextCursor: nextBefore === null ? null : encodeCursor(nextBefore, listing) }
    },
  }
}

async function correct(context: UseCaseContext, operation: 'refund' | 'reverse', input: RefundInput) {
  const { idempotencyKey, transactionId: originalId, ...rest } = parseOrThrow(inputs.correction, input)
  const transactionId = await operationId(operation, rest.userId, originalId, idempotencyKey)
  return withIds({ transactionId }, () => context.store[operation]({ ...rest, transactionId, originalId }))
}
