import { invalidInput, parseOrThrow, round, USD_PLACES } from '../core/money.ts'
import { exactAmount } from '../core/pricing/gateway-costs.ts'
import type { EffectiveMargin } from '../core/pricing/margins.ts'
import { parsePricing } from '../core/pricing/schema.ts'
import { driftTally, type ReportedCall, reconcileCosts } from '../core/reports/cost-comparison.ts'
import { profitTally } from '../core/reports/profit.ts'
import { spendTally } from '../core/reports/spend-comparison.ts'
import { type WhatIf, whatIfTally } from '../core/reports/what-if.ts'
import type { MarginRow, PricingSnapshot, StoredCharge } from '../store/types.ts'
import type { UseCaseContext } from './context.ts'
import { inputs } from './inputs.ts'
import type { ChargesInput, CreditsReports, WhatIfInput } from './report-types.ts'

const PAGE = 1_000
/** What-if prices count as always in force, so that a period of any age can be replayed under them. */
const ALWAYS = '1970-01-01T00:00:00Z'

/** Reports for operators. The ledger is read page by page, and only sums are kept. */
export function reports(context: UseCaseContext): CreditsReports {
  const charges = (input?: ChargesInput) => chargesOf(context, input)
  return {
    charges,
    async report(input = {}) {
      const tally = profitTally()
      for await (const charge of charges(input)) tally.add(charge, charge)
      return tally.report()
    },
    async whatIf(input) {
      const { margins, rates, ...period } = parseOrThrow(inputs.whatIf, input)
      const tally = whatIfTally(changeOf({ margins, rates }, await context.store.getPricing()))
      for await (const charge of charges(period)) tally.add(charge)
      return tally.report()
    },
    async drift(input = {}) {
      const { thresholdPercent, ...period } = parseOrThrow(inputs.drift, input)
      const tally = driftTally({ thresholdPercent })
      let notCompared = 0
      for await (const charge of charges(period)) {
        if (charge.computedCostUsd === null || charge.reportedCostUsd === null) notCompared++
        tally.add(charge)
      }
      const rows = tally.report()
      return { rows, alerts: rows.filter((row) => row.alert).length, notCompared }
    },
    async reconcileCosts({ reported, ...input }) {
      const lines = []
      let place = 0
      for await (const line of reported) lines.push(reportedCall(line, place++))
      const ledger = []
      for await (const charge of charges(input)) if (isCall(charge)) ledger.push(charge)
      return reconcileCosts({ reported: lines, ledger })
    },
    async reconcileSpend({ spend, ...input }) {
      const { results } = parseOrThrow(inputs.spendReport, spend, 'spend')
      const tally = spendTally(
        results.map(({ model, totalCost, marketCost, requestCount }, index) => ({
          model,
          costUsd: usd(marketCost ?? totalCost, `spend.results[${index}].totalCost`),
          calls: requestCount,
        })),
      )
      for await (const charge of charges(input)) if (isCall(charge)) tally.add(charge)
      return tally.report()
    },
  }
}

function reportedCall(line: ReportedCall, place: number): ReportedCall {
  const { generationId, costUsd } = parseOrThrow(inputs.reportedCall, line, `reported[${place}]`)
  return { generationId, costUsd: usd(costUsd, `reported[${place}].costUsd`) }
}

/** Bills may be finer than the ledger, which rounds a cost up. */
function usd(amount: unknown, path: string): string {
  const exact = exactAmount(amount)
  if (exact === null) throw invalidInput(path, 'expected an amount of USD')
  return round(exact, USD_PLACES, 'up')
}

/** A charge whose amount the app set itself is on no provider's bill. */
function isCall({ costSource }: StoredCharge): boolean {
  return costSource !== 'manual'
}

async function* chargesOf(
  context: UseCaseContext,
  input?: ChargesInput,
): AsyncGenerator<StoredCharge, void, undefined> {
  const { from, to, details, maxCharges = Number.POSITIVE_INFINITY } = parseOrThrow(inputs.charges, input)
  let left = maxCharges
  for (let after: StoredCharge | undefined; ; ) {
    const position = after && positionOf(after)
    const page = await context.store.getCharges({ from, to, limit: PAGE, details, after: position })
    left -= page.data.length
    if (left < 0) throw invalidInput('from', `the period has more than ${maxCharges} charges: ask for a shorter one`)
    yield* page.data
    after = page.data.at(-1)
    if (page.next === null) return
  }
}

function positionOf({ createdAt, accountId, version }: StoredCharge) {
  return { createdAt, accountId, version }
}

function changeOf({ margins, rates }: Pick<WhatIfInput, 'margins' | 'rates'>, now: PricingSnapshot): WhatIf {
  const change: WhatIf = {}
  if (margins !== undefined) {
    change.margins = margins.map(({ scope, target = '', marginPercent }) => always({ scope, target, marginPercent }))
    change.kept = inForce(now, now.margins, ({ scope, target }) => `${scope}:${target}`).map(always)
  }
  if (rates !== undefined) {
    change.aliases = now.aliases
    const rows =
      rates === 'current'
        ? inForce(now, now.rates, ({ modelId }) => modelId)
        : rates.map((rate, index) => ({ ...rate, ...readPricing(rate.pricing, `rates[${index}].pricing`) }))
    change.rates = rows.map(({ modelId, pricing, known }) => ({ modelId, pricing, known, effectiveFrom: ALWAYS }))
  }
  return change
}

function readPricing(raw: unknown, path: string) {
  return { pricing: parsePricing(raw, path).pricing, known: true }
}

function always({
  scope,
  target,
  marginPercent,
}: Pick<MarginRow, 'scope' | 'target' | 'marginPercent'>): EffectiveMargin {
  return { scope, target, marginPercent, version: 1, effectiveFrom: ALWAYS }
}

/** Per key the row in force: a snapshot has scheduled rows too. */
export function inForce<Row extends { effectiveFrom: string; version?: number }>(
  { asOf }: PricingSnapshot,
  rows: readonly Row[],
  keyOf: (row: Row) => string,
): Row[] {
  const found = new Map<string, Row>()
  for (const row of rows) {
    if (row.effectiveFrom > asOf) continue
    const other = found.get(keyOf(row))
    if (other === undefined || isLater(row, other)) found.set(keyOf(row), row)
  }
  return [...found.values()]
}

/** Margins are decided by version, as in the database; rates by time. */
function isLater<Row extends { effectiveFrom: string; version?: number }>(row: Row, other: Row): boolean {
  if (row.version !== undefined && other.version !== undefined) return row.version > other.version
  return row.effectiveFrom > other.effectiveFrom
}
