import { uuidFor } from '../core/ids.ts'
import { parseOrThrow } from '../core/money.ts'
import type { CreditStore } from '../store/port.ts'
import { decodeCursor, encodeCursor } from './cursor.ts'
import { inputs } from './inputs.ts'
import { explain, idFor } from './spend.ts'
import type { Credits } from './types.ts'

type Books = Pick<Credits, 'grant' | 'refund' | 'adjust' | 'getBalance' | 'getHistory'>

/** Giving, correcting and reading. */
export function books(store: CreditStore): Books {
  return {
    async grant(input) {
      const { idempotencyKey, ...grant } = parseOrThrow(inputs.grant, input)
      const transactionId = await uuidFor('grant', grant.userId, idempotencyKey)
      return store.grant({ ...grant, transactionId }).catch(explain({ transactionId }))
    },
    async refund(input) {
      const { idempotencyKey, transactionId: originalId, ...refund } = parseOrThrow(inputs.refund, input)
      const transactionId = await idFor('refund', originalId, idempotencyKey)
      return store.refund({ ...refund, transactionId, originalId }).catch(explain({ transactionId }))
    },
    async adjust(input) {
      const { idempotencyKey, ...adjustment } = parseOrThrow(inputs.adjust, input)
      const transactionId = await idFor('adjust', adjustment.userId, idempotencyKey)
      return store.adjust({ ...adjustment, transactionId }).catch(explain({ transactionId }))
    },
    async getBalance(input) {
      return store.getBalance(parseOrThrow(inputs.user, input))
    },
    async getHistory(input) {
      const { cursor, ...query } = parseOrThrow(inputs.history, input)
      const { userId, type, from, to } = query
      const listing = ['history', userId, type, from, to].join(' ')
      const before = cursor === undefined ? undefined : decodeCursor(cursor, listing)
      const { data, nextBefore } = await store.getHistory({ ...query, before })
      return { data, nextCursor: nextBefore === null ? null : encodeCursor(nextBefore, listing) }
    },
  }
}
