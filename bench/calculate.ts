/**
 * Exact pricing beside the plain float formula, in one run: `node bench/calculate.ts [--json]`.
 * The float formula is the floor that nobody should charge money with; the ratio says what exactness costs.
 */
import { readFileSync } from 'node:fs'
import { calculateCredits } from '../packages/credits/src/core/calculate.ts'
import { parseModelList } from '../packages/credits/src/core/feed.ts'
import { selectRate } from '../packages/credits/src/core/rates.ts'

/** Calls per second and what they compare to. */
export interface CalculateResult {
  exactPerSecond: number
  floatPerSecond: number
  /** How many float formulas fit into one exact charge. */
  ratio: number
  /** Exact charges per second with the rate looked up among all models first. */
  withLookupPerSecond: number
  /** Checking and preparing all rates of the list, once per process. */
  prepareAllMs: number
  models: number
  target: number
  passed: boolean
}

const TARGET = 500_000
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

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

/** Measures; rounds alternate between the formulas, so that a busy machine slows both. */
export function run(): CalculateResult {
  const list = JSON.parse(readFileSync(new URL('../supabase/rates/gateway-models.json', import.meta.url), 'utf8'))
  const effectiveFrom = '2026-01-01T00:00:00Z'
  const rates = parseModelList(list).map((rate) => ({ ...rate, effectiveFrom }))
  const snapshot = { rates, aliases: {}, asOf: '2026-11-13T00:00:00Z' }
  const start = performance.now()
  for (const rate of rates) if (rate.known) calculateCredits({}, { rate, marginPercent: '60' })
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
  const exactPerSecond = Math.round(median(exact))
  const floatPerSecond = Math.round(median(plain))
  return {
    exactPerSecond,
    floatPerSecond,
    ratio: Math.round(floatPerSecond / exactPerSecond),
    withLookupPerSecond: Math.round(median(lookup)),
    prepareAllMs: Math.round(prepareAllMs),
    models: rates.length,
    target: TARGET,
    passed: exactPerSecond >= TARGET && Number.isFinite(sink),
  }
}

if (import.meta.main) {
  const result = run()
  const lines = [
    `exact       ${result.exactPerSecond.toLocaleString('en')} charges/s (target ${TARGET.toLocaleString('en')})`,
    `with lookup ${result.withLookupPerSecond.toLocaleString('en')} charges/s among ${result.models} models`,
    `float       ${result.floatPerSecond.toLocaleString('en')} formulas/s, ${result.ratio} per exact charge`,
    `preparing   ${result.prepareAllMs} ms for all ${result.models} rates, once per process`,
  ]
  process.stdout.write(process.argv.includes('--json') ? `${JSON.stringify(result)}\n` : `${lines.join('\n')}\n`)
  process.exitCode = result.passed ? 0 : 1
}
