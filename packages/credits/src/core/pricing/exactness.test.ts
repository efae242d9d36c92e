import fc from 'fast-check'
import { expect, it } from 'vitest'
import { sum } from '../money.ts'
import { calculateCredits } from './calculate.ts'
import { recomputeCharge } from './charge.ts'
import type { Usage } from './usage.ts'

// 1e5 charges on every run, 1e6 where CREDITS_EXACT_CHARGES says so.
const CHARGES = Number(process.env.CREDITS_EXACT_CHARGES ?? 100_000)
const USAGES_PER_RATE = 100

// --- The model: fractions of BigInts, and the rules of the price list written down a second time. ---

type Fraction = readonly [bigint, bigint]

const fraction = (text: string): Fraction => {
  const [whole = '', digits = ''] = text.split('.')
  return [BigInt(whole + digits), 10n ** BigInt(digits.length)]
}
const plus = (a: Fraction, b: Fraction): Fraction => [a[0] * b[1] + b[0] * a[1], a[1] * b[1]]
const times = (a: Fraction, b: Fraction): Fraction => [a[0] * b[0], a[1] * b[1]]
const whole = (value: number): Fraction => [BigInt(value), 1n]

interface Prices {
  input: string
  output: string
  input_cache_read?: string
  input_cache_write?: string
}
interface Tiered extends Prices {
  above?: { from: number; prices: Prices; firstWithoutMin: boolean; onlyUpper: boolean }
}
interface Rate extends Tiered {
  web_search?: string
  flex?: Prices & { long?: { from: number; prices: Prices } }
  fast?: Tiered
  batch?: Tiered
  eu?: Tiered
  peak?: { multiplier: number; from: number; to: number }
}

const tierOf = (source: Tiered, total: number): Prices =>
  source.above && total >= source.above.from ? { ...source, ...source.above.prices } : source

function pick(rate: Rate, usage: Usage, total: number): Prices {
  if (usage.batch && rate.batch) return tierOf(rate.batch, total)
  if (usage.serviceTier === 'flex' && rate.flex) {
    return rate.flex.long && total >= rate.flex.long.from ? rate.flex.long.prices : rate.flex
  }
  let source: Tiered = rate
  if (usage.region === 'eu' && rate.eu) source = rate.eu
  if (usage.fast && rate.fast) source = rate.fast
  return tierOf(source, total)
}

const less = (a: Fraction, b: Fraction) => (a[0] * b[1] < b[0] * a[1] ? a : b)

/** A price that is derived from others has 18 places, rounded half up. */
const toPrice = ([top, bottom]: Fraction): Fraction => [(top * 2n * 10n ** 18n + bottom) / (bottom * 2n), 10n ** 18n]

/** Reads from a cache that the set has no price for: the base price, no dearer than the set's input. */
function readPrice(set: Prices, base: Prices): Fraction {
  if (set.input_cache_read) return fraction(set.input_cache_read)
  const input = fraction(set.input)
  return base.input_cache_read ? less(fraction(base.input_cache_read), input) : input
}

/** Writes that the set has no price for: as much above the input as in the base. */
function writePrice(set: Prices, base: Prices): Fraction {
  if (set.input_cache_write) return fraction(set.input_cache_write)
  const [input, baseInput] = [fraction(set.input), fraction(base.input)]
  if (!base.input_cache_write || baseInput[0] === 0n) return input
  const write = fraction(base.input_cache_write)
  return toPrice([input[0] * write[0] * baseInput[1], input[1] * write[1] * baseInput[0]])
}

function model(rate: Rate, usage: Usage, margin: string): { costUsd: Fraction; credits: string } {
  const { inputTokens = 0, cacheReadTokens = 0, cacheWriteTokens = 0, cacheWrite1hTokens = 0, outputTokens = 0 } = usage
  const price = pick(rate, usage, inputTokens)
  const base = tierOf(rate, inputTokens)
  const input = fraction(price.input)
  const parts: Fraction[] = [
    times(whole(inputTokens - cacheReadTokens - cacheWriteTokens), input),
    times(whole(cacheReadTokens), readPrice(price, base)),
    times(whole(cacheWriteTokens - cacheWrite1hTokens), writePrice(price, base)),
    times(whole(cacheWrite1hTokens), times(input, [2n, 1n])),
    times(whole(outputTokens), fraction(price.output)),
  ]
  let cost = parts.reduce(plus)
  const minute = new Date(usage.startedAt ?? 0).getUTCHours() * 60
  if (rate.peak && minute >= rate.peak.from && minute < rate.peak.to) cost = times(cost, whole(rate.peak.multiplier))
  if (usage.batch && !rate.batch) cost = times(cost, [1n, 2n])
  if (rate.web_search)
    cost = plus(cost, times(whole(usage.webSearches ?? 0), times(fraction(rate.web_search), [1n, 1000n])))
  const [top, bottom] = times(cost, plus([100n, 1n], fraction(margin)))
  let millionths = (top * 2_000_000n + bottom) / (bottom * 2n)
  if (millionths === 0n && top > 0n) millionths = 1n
  const text = millionths.toString().padStart(7, '0')
  const credits = `${text.slice(0, -6)}.${text.slice(-6)}`.replace(/\.?0+$/, '')
  return { costUsd: cost, credits }
}

// --- The same rate in the gateway's shape. ---

const DIMENSIONS = ['input', 'output', 'input_cache_read', 'input_cache_write'] as const

function tiered(source: Tiered): Record<string, unknown> {
  const shape: Record<string, unknown> = {}
  for (const key of DIMENSIONS) {
    const cost = source[key]
    if (cost === undefined) continue
    shape[key] = cost
    const upper = source.above?.prices[key]
    if (source.above === undefined || upper === undefined) continue
    const { from, firstWithoutMin, onlyUpper } = source.above
    const lower = { cost, ...(firstWithoutMin ? {} : { min: 0 }), max: from }
    shape[`${key}_tiers`] = [...(onlyUpper ? [] : [lower]), { cost: upper, min: from }]
  }
  return shape
}

function gatewayShape(rate: Rate): Record<string, unknown> {
  const { flex, fast, batch, eu, peak, web_search } = rate
  return {
    ...tiered(rate),
    ...(web_search && { web_search }),
    ...(flex && {
      service_tiers: {
        flex: {
          ...tiered(flex),
          ...(flex.long && { long_context: { ...flex.long.prices, threshold: flex.long.from } }),
        },
      },
    }),
    ...(fast && { fast: tiered(fast) }),
    ...(batch && { batch: tiered(batch) }),
    ...(eu && { regional: { eu: tiered(eu) } }),
    ...(peak && {
      peak_pricing: {
        multiplier: peak.multiplier,
        windows: [{ start_minute_utc: peak.from, end_minute_utc: peak.to }],
      },
    }),
  }
}

// --- What is tried. ---

const price = fc.integer({ min: 0, max: 900_000_000 }).map((units) => {
  const text = units.toString().padStart(13, '0')
  return `${text.slice(0, -12)}.${text.slice(-12)}`
})
const prices = fc.record(
  { input: price, output: price, input_cache_read: price, input_cache_write: price },
  { requiredKeys: ['input', 'output'] },
)
const from = fc.constantFrom(1, 1000, 32_001, 200_001, 272_000)
// A dimension may have tiers only where it has a base price.
const above = fc.record({ from, prices, firstWithoutMin: fc.boolean(), onlyUpper: fc.boolean() })
const tieredPrices = fc.tuple(prices, fc.option(above, { nil: undefined })).map(([base, tier]): Tiered => {
  if (tier === undefined) return base
  const kept = Object.fromEntries(Object.entries(tier.prices).filter(([key]) => key in base)) as unknown as Prices
  return { ...base, above: { ...tier, prices: kept } }
})
const option = <Value>(arbitrary: fc.Arbitrary<Value>) => fc.option(arbitrary, { nil: undefined, freq: 2 })
const rates = fc
  .record({
    base: tieredPrices,
    web_search: option(fc.constantFrom('10', '2.5', '14')),
    flex: option(fc.record({ prices, long: option(fc.record({ from, prices })) })),
    fast: option(tieredPrices),
    batch: option(tieredPrices),
    eu: option(tieredPrices),
    peak: option(
      fc.record({ multiplier: fc.constantFrom(2, 3), from: fc.nat(700), to: fc.integer({ min: 701, max: 1440 }) }),
    ),
  })
  .map(({ base, web_search, flex, fast, batch, eu, peak }): Rate => {
    const rate: Rate = { ...base }
    if (web_search) rate.web_search = web_search
    if (flex) rate.flex = { ...flex.prices, ...(flex.long && { long: flex.long }) }
    if (fast) rate.fast = fast
    if (batch) rate.batch = batch
    if (eu) rate.eu = eu
    if (peak) rate.peak = peak
    return rate
  })
const usages = fc
  .record({
    total: fc.oneof(
      fc.nat(3000),
      fc.nat(500_000),
      fc.constantFrom(0, 1, 999, 1000, 200_000, 200_001, 271_999, 272_000),
    ),
    read: fc.nat(100),
    write: fc.nat(100),
    hour: fc.nat(100),
    outputTokens: fc.oneof(fc.nat(100), fc.nat(200_000)),
    webSearches: fc.nat(9),
    serviceTier: fc.constantFrom(undefined, 'flex', 'default'),
    fast: fc.boolean(),
    region: fc.constantFrom(undefined, 'eu'),
    batch: fc.boolean(),
    hourOfDay: fc.nat(23),
  })
  .map(({ total, read, write, hour, hourOfDay, ...rest }): Usage => {
    const cacheReadTokens = Math.floor((total * read) / 100)
    const cacheWriteTokens = Math.floor(((total - cacheReadTokens) * write) / 100)
    const cacheWrite1hTokens = Math.floor((cacheWriteTokens * hour) / 100)
    const startedAt = `2026-11-13T${String(hourOfDay).padStart(2, '0')}:00:00Z`
    return { inputTokens: total, cacheReadTokens, cacheWriteTokens, cacheWrite1hTokens, startedAt, ...rest }
  })
const margins = fc.integer({ min: -999_999, max: 5_000_000 }).map((units) => {
  const text = Math.abs(units).toString().padStart(5, '0')
  return `${units < 0 ? '-' : ''}${text.slice(0, -4)}.${text.slice(-4)}`
})

it(`charges exactly what a model of fractions charges, ${CHARGES} times`, { timeout: 600_000 }, () => {
  fc.assert(
    fc.property(
      rates,
      margins,
      fc.array(usages, { minLength: USAGES_PER_RATE, maxLength: USAGES_PER_RATE }),
      (rate, marginPercent, calls) => {
        const shape = gatewayShape(rate)
        for (const call of calls) {
          // A search without a price is refused, which is another test's claim.
          const usage = rate.web_search ? call : { ...call, webSearches: undefined }
          const expected = model(rate, usage, marginPercent)
          const charge = calculateCredits(usage, { rate: shape, marginPercent })
          if (charge.credits !== expected.credits) {
            expect.fail(
              `${JSON.stringify({ shape, usage, marginPercent })}: ${charge.credits}, not ${expected.credits}`,
            )
          }
          const items = fraction(sum(charge.items.map((item) => item.costUsd)))
          if (items[0] * expected.costUsd[1] !== expected.costUsd[0] * items[1]) {
            expect.fail(`the items of ${JSON.stringify({ shape, usage })} do not add up to the cost`)
          }
          const again = recomputeCharge({ usage, pricing: charge.pricing })
          if (again.credits !== charge.credits || again.costUsd !== charge.costUsd) {
            expect.fail(`${JSON.stringify({ shape, usage })} does not recompute: ${again.credits}`)
          }
        }
      },
    ),
    { numRuns: Math.ceil(CHARGES / USAGES_PER_RATE) },
  )
})
