import { readFileSync } from 'node:fs'
import { calcPrice, type ModelPrice } from '@pydantic/genai-prices'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mul } from '../money.ts'
import { parseModelList, type RateCandidate } from '../price-list/parse.ts'
import { calculateCredits } from './calculate.ts'
import type { Usage } from './usage.ts'

// Some of their prices depend on the time of day; a Sunday noon lies in no window.
const NOON = new Date('2026-11-08T12:00:00Z')

// An independent price library with its own data, in floats. Prices there are per million tokens, tiers start above
// a threshold; here they are per token and a tier starts at its first token.
const VENDORS: Record<string, string> = {
  amazon: 'aws',
  anthropic: 'anthropic',
  cohere: 'cohere',
  deepseek: 'deepseek',
  google: 'google',
  mistral: 'mistral',
  moonshotai: 'moonshotai',
  openai: 'openai',
  perplexity: 'perplexity',
  spacexai: 'x-ai',
}
const DIMENSIONS = [
  ['input', 'input_mtok'],
  ['output', 'output_mtok'],
  ['input_cache_read', 'cache_read_mtok'],
  ['input_cache_write', 'cache_write_mtok'],
] as const

interface Shared {
  rate: RateCandidate
  provider: string
  model: string
  card: ModelPrice
}

function find(rate: RateCandidate): Shared | undefined {
  const [vendor = '', name = ''] = rate.modelId.split('/')
  const provider = VENDORS[vendor]
  const tries = [
    [provider, name],
    [provider, name.replaceAll('.', '-')],
    ['openrouter', rate.modelId],
  ] as const
  for (const [providerId, model] of tries) {
    const price = providerId && calcPrice({ input_tokens: 0, output_tokens: 0 }, model, { providerId, timestamp: NOON })
    // A match by prefix is another model: "-fast" variants cost more.
    if (price && !(rate.modelId.endsWith('-fast') && !price.model.id.endsWith('-fast'))) {
      return { rate, provider: providerId, model, card: price.model_price }
    }
  }
  return undefined
}

/** A price dimension as text, tiers included, so that the two lists can be compared. */
function theirs(card: ModelPrice, key: string): string {
  const price = card[key]
  if (price === undefined) return '-'
  if (typeof price === 'number') return String(price)
  return [String(price.base), ...price.tiers.map((tier) => `${tier.price}>${tier.start}`)].join(' ')
}

function ours({ pricing }: RateCandidate, key: (typeof DIMENSIONS)[number][0]): string {
  const base = pricing?.[key]
  if (pricing === null || base === undefined) return '-'
  const tiers = (pricing[`${key}_tiers`] ?? []).filter((tier) => (tier.min ?? 0) > 0 && tier.cost !== base)
  const million = (cost: string) => String(Number(mul(cost, '1000000')))
  return [million(base), ...tiers.map((tier) => `${million(tier.cost)}>${(tier.min ?? 0) - 1}`)].join(' ')
}

function differences({ rate, card }: Shared): string[] {
  return DIMENSIONS.flatMap(([here, there]) => {
    const [a, b] = [ours(rate, here), theirs(card, there)]
    return a === b ? [] : [`${here} ${a} vs ${b}`]
  })
}

const list = readFileSync(new URL('../../../../../supabase/rates/gateway-models.json', import.meta.url), 'utf8')
const rates = parseModelList(JSON.parse(list)).filter((rate) => rate.known && rate.type === 'language')
const shared = rates.map(find).filter((found) => found !== undefined)

const sameCard = shared.filter((found) => differences(found).length === 0)

/** Counts that do not contradict each other, on both sides of every threshold. */
const usages = fc
  .record({
    total: fc.oneof(fc.nat(10_000), fc.nat(400_000), fc.constantFrom(200_000, 200_001, 272_000, 272_001)),
    read: fc.nat(1000),
    write: fc.nat(1000),
    hour: fc.nat(1000),
    output: fc.nat(65_536),
    searches: fc.nat(5),
  })
  .map(({ total, read, write, hour, output, searches }): Usage => {
    const cacheReadTokens = Math.floor((total * read) / 1000)
    const cacheWriteTokens = Math.floor(((total - cacheReadTokens) * write) / 1000)
    const cacheWrite1hTokens = Math.floor((cacheWriteTokens * hour) / 1000)
    return {
      inputTokens: total,
      cacheReadTokens,
      cacheWriteTokens,
      cacheWrite1hTokens,
      outputTokens: output,
      webSearches: searches,
    }
  })

/** Leaves out what only one of the two lists has a price for. */
function sharedUsage({ card, rate }: Shared, usage: Usage): Usage {
  const { inputTokens, outputTokens } = usage
  const cacheReadTokens = card.cache_read_mtok === undefined ? 0 : usage.cacheReadTokens
  const cacheWriteTokens = card.cache_write_mtok === undefined ? 0 : usage.cacheWriteTokens
  const cacheWrite1hTokens = card.cache_write_1h_mtok === undefined ? 0 : usage.cacheWrite1hTokens
  const same = String(card.web_searches_kcount) === rate.pricing?.web_search
  const webSearches = same ? usage.webSearches : undefined
  return { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, cacheWrite1hTokens, webSearches }
}

function oracle({ provider, model }: Shared, usage: Usage): number {
  const price = calcPrice(
    {
      input_tokens: usage.inputTokens,
      output_tokens: usage.outputTokens,
      cache_read_tokens: usage.cacheReadTokens,
      cache_write_tokens: usage.cacheWriteTokens,
      cache_write_1h_tokens: usage.cacheWrite1hTokens,
      web_searches: usage.webSearches,
    },
    model,
    { providerId: provider, timestamp: NOON },
  )
  return price?.total_price ?? Number.NaN
}

function expectAgreement(rate: object, found: Shared, usage: Usage): void {
  const exact = Number(calculateCredits(usage, { rate: rate as RateCandidate, marginPercent: '0' }).costUsd)
  const theirs = oracle(found, usage)
  const tolerance = 1e-12 * Math.max(Math.abs(exact), Math.abs(theirs))
  const close = Math.abs(exact - theirs) <= tolerance
  if (!close) expect.fail(`${found.rate.modelId} ${JSON.stringify(usage)}: ${exact} here, ${theirs} there`)
}

/** The other library's card in the gateway's shape: then only the formulas are compared. */
function theirCard({ card, rate }: Shared) {
  const pricing: Record<string, unknown> = {}
  for (const [here, there] of DIMENSIONS) {
    const price = card[there]
    if (price === undefined) continue
    const perToken = (million: number) => mul(String(million), '0.000001')
    if (typeof price === 'number') pricing[here] = perToken(price)
    else {
      pricing[here] = perToken(price.base)
      const tiers = [{ start: -1, price: price.base }, ...price.tiers]
      pricing[`${here}_tiers`] = tiers.map(({ start, price: cost }, index) => {
        const next = tiers[index + 1]
        return { cost: perToken(cost), min: start + 1, ...(next && { max: next.start + 1 }) }
      })
    }
  }
  return { modelId: rate.modelId, type: 'language', pricing }
}

describe('agreement with an independent price library', () => {
  it('shares more than 100 models with it, at least 70 of them with the same prices in both lists', () => {
    expect(shared.length).toBeGreaterThanOrEqual(100)
    expect(sameCard.length).toBeGreaterThanOrEqual(70)
  })

  it('gives the same cost for every model with the same prices, over 12,000 random usages', () => {
    fc.assert(
      fc.property(fc.constantFrom(...sameCard), usages, (found, usage) => {
        expectAgreement(found.rate, found, sharedUsage(found, usage))
      }),
      { numRuns: 12_000 },
    )
  })

  it("gives the same cost for every shared model when both use that library's prices, over 12,000 random usages", () => {
    const cards = shared
      // A fee per request is a dimension the gateway's shape does not have.
      .filter(({ card }) => card.input_mtok !== undefined && card.requests_kcount === undefined)
      .map((found) => ({ found, rate: theirCard(found) }))
    fc.assert(
      fc.property(fc.constantFrom(...cards), usages, ({ found, rate }, usage) => {
        expectAgreement(rate, found, { ...sharedUsage(found, usage), webSearches: undefined })
      }),
      { numRuns: 12_000 },
    )
  })

  it('differs only where the two lists have different prices, and each difference is on record', async () => {
    const lines = shared
      .filter((found) => differences(found).length > 0)
      .map((found) => `${found.rate.modelId} (${found.provider}): ${differences(found).join('; ')}`)
    await expect(`${lines.sort().join('\n')}\n`).toMatchFileSnapshot('./__snapshots__/genai-prices-differences.txt')
  })
})
