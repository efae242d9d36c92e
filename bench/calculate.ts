/**
 * Exact pricing compared with the plain float formula, in one run: `pnpm bench calculate`.
 * The float formula is the floor: too inexact to charge money with. The ratio says what exactness costs.
 */
import { readFileSync } from 'node:fs'
import { parseModelList } from '../packages/credits/src/core/price-list/parse.ts'
import { calculateCredits } from '../packages/credits/src/core/pricing/calculate.ts'
import { compileRate } from '../packages/credits/src/core/pricing/compile.ts'
import { selectRate } from '../packages/credits/src/core/pricing/rates.ts'
import { type BenchReport, median } from './report.ts'

const TARGET = 20_000
const ROUNDS = 9
const CALLS = 100_000
const MODEL = 'anthropic/claude-sonnet-4.5'

const usages = Array.from({ length: 1000 }, (_, index) => ({
  inputTokens: 20_000 + index * 397,
  cacheReadTokens: index * 13,
  cacheWriteTokens: index * 3,
  outputTokens: 500 + index * 7,
}))

function float(usage: (typeof usages)[number]): number {
  const tier = usage.inputTokens >= 200_001 ? 2 : 1
  const fresh = usage.inputTokens - usage.cacheReadTokens - usage.cacheWriteTokens
  const input = fresh * 0.000003 + usage.cacheReadTokens * 0.0000003 + usage.cacheWriteTokens * 0.00000375
  const output = usage.outputTokens * (tier === 1 ? 0.000015 : 0.0000225)
  return ((input * tier + output) / 0.01) * (1 + 60 / 100)
}

let sink = 0

function perSecond(work: (usage: (typeof usages)[number]) => number): number {
  const start = performance.now()
  for (let call = 0; call < CALLS; call++) sink += work(usages[call % usages.length] as (typeof usages)[number])
  return (CALLS / (performance.now() - start)) * 1000
}

/** Measures; rounds alternate between the formulas, so that a busy machine slows both. */
export async function run(): Promise<BenchReport> {
  const list = JSON.parse(readFileSync(new URL('../supabase/rates/gateway-models.json', import.meta.url), 'utf8'))
  const effectiveFrom = '2026-01-01T00:00:00Z'
  const rates = parseModelList(list).map((rate) => ({ ...rate, effectiveFrom }))
  const snapshot = { rates, aliases: {}, asOf: '2026-11-13T00:00:00Z' }
  const start = performance.now()
  for (const rate of rates) if (rate.known) compileRate(rate)
  const prepareAllMs = performance.now() - start
  const rate = selectRate(snapshot, { modelId: MODEL })
  if (rate === null) throw new Error(`${MODEL} is not in the list`)
  const exact: number[] = []
  const plain: number[] = []
  const lookup: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    exact.push(perSecond((usage) => calculateCredits(usage, { rate, marginPercent: '60' }).credits.length))
    plain.push(perSecond(float))
    lookup.push(
      perSecond((usage) => {
        const found = selectRate(snapshot, { modelId: MODEL })
        return found === null ? 0 : calculateCredits(usage, { rate: found, marginPercent: '60' }).credits.length
      }),
    )
  }
  const figure = (perSecond: number) => Math.round(perSecond).toLocaleString('en')
  const [exactly, found, floats] = [median(exact), median(lookup), median(plain)]
  return {
    name: 'calculate',
    rows: [
      {
        what: 'exact charges of a text model on one core',
        of: `the goal of ${figure(TARGET)} a second`,
        ratio: exactly / TARGET,
        goal: { atLeast: 1 },
        measured: `${figure(exactly)} charges/s`,
      },
      {
        what: 'exact charges, each with its rate looked up',
        of: 'the exact charge alone',
        ratio: found / exactly,
        measured: `${figure(found)} charges/s among ${rates.length} models`,
      },
      {
        what: 'the plain float formula',
        of: 'the exact charge',
        ratio: floats / exactly,
        measured: `${figure(floats)} formulas/s (kept sum ${Number.isFinite(sink)})`,
      },
    ],
    notes: [`Preparing all ${rates.length} rates takes ${Math.round(prepareAllMs)} ms, once per process.`],
  }
}
