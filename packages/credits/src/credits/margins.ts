import { parseOrThrow } from '../core/money.ts'
import type { MarginRow } from '../store/types.ts'
import type { UseCaseContext } from './context.ts'
import { decodeCursor, encodeCursor } from './cursor.ts'
import { inputs } from './inputs.ts'
import type { Credits, Margins } from './types.ts'

type MarginOperations = Pick<Credits, 'getMargins' | 'setMargin' | 'removeMargin' | 'getMarginAudit' | 'getRateHistory'>

/** Margins, their changes, and the rates of a model over time. */
export function margins(context: UseCaseContext): MarginOperations {
  return {
    getMargins: async () => overview(await context.store.getPricing()),
    async setMargin(input) {
      const margin = parseOrThrow(inputs.setMargin, input)
      const row = await context.store.setMargin({ ...margin, target: margin.target ?? '' })
      context.cache.clear()
      return row
    },
    async removeMargin(input) {
      const margin = parseOrThrow(inputs.removeMargin, input)
      const row = await context.store.setMargin({ ...margin, marginPercent: null })
      context.cache.clear()
      return row
    },
    async getMarginAudit(input = {}) {
      const { limit, cursor } = parseOrThrow(inputs.page, input)
      const before = cursor === undefined ? undefined : decodeCursor(cursor, 'margin-audit')
      const { data, nextBefore } = await context.store.getMarginAudit({ limit, before })
      return { data, nextCursor: nextBefore === null ? null : encodeCursor(nextBefore, 'margin-audit') }
    },
    async getRateHistory(input) {
      const { model: modelId, limit } = parseOrThrow(inputs.rateHistory, input)
      return context.store.getRateHistory({ modelId, limit })
    },
  }
}

function overview({ margins, asOf }: { margins: MarginRow[]; asOf: string }): Margins {
  const now = Date.parse(asOf)
  const inForce = margins.filter((row) => Date.parse(row.effectiveFrom) <= now)
  return {
    default: inForce.find((row) => row.scope === 'default') ?? null,
    // A row without a percentage says that the override was removed.
    overrides: inForce.filter((row) => row.scope !== 'default' && row.marginPercent !== null),
    scheduled: margins.filter((row) => Date.parse(row.effectiveFrom) > now),
    asOf,
  }
}
