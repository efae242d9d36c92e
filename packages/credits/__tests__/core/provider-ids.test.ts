import { readFileSync } from 'node:fs'
import { calcPrice } from '@pydantic/genai-prices'
import { expect, it } from 'vitest'
import { parseAliases, parseModelList } from '../../src/core/price-list/parse.ts'
import { findRate } from '../../src/core/pricing/find-rate.ts'
import { modelKey } from '../../src/core/pricing/model-ids.ts'
import { type ListedModel, listedModels, PACKAGES } from './provider-ids.ts'

const list: unknown = JSON.parse(readFileSync(new URL('../../rates/models.json', import.meta.url), 'utf8'))
const from = { source: 'AI Gateway', effectiveFrom: '2026-01-01T00:00:00Z' }
const snapshot = {
  rates: parseModelList(list).map((rate) => ({ ...rate, ...from })),
  aliases: parseAliases(list),
  asOf: '2026-11-13T00:00:00Z',
}

const NAMES: Readonly<Record<string, string>> = {
  'amazon-bedrock': 'aws',
  'google-vertex': 'google',
  togetherai: 'together',
  xai: 'x-ai',
}

/** Whether an independent price library knows what the provider charges for the model. */
function hasPublicPrice({ provider, modelId }: ListedModel): boolean {
  const found = calcPrice({ input_tokens: 1 }, modelId, { providerId: NAMES[provider] ?? provider })
  return found !== null && Object.keys(found.model_price).length > 0
}

it('at least 95 % of the ids in the type lists of the provider packages that have a public price find one', () => {
  const counts = PACKAGES.map((provider) => {
    const models = listedModels(provider)
    const resolved = models.filter((model) => findRate(snapshot, { modelId: modelKey(model) })?.rate.known)
    const missing = models.filter((model) => !resolved.includes(model) && hasPublicPrice(model))
    return {
      provider,
      listed: models.length,
      resolved: resolved.length,
      missing: missing.map(({ modelId }) => modelId),
    }
  })
  const resolved = counts.reduce((sum, count) => sum + count.resolved, 0)
  const priced = resolved + counts.reduce((sum, count) => sum + count.missing.length, 0)
  const lines = counts.map(
    (count) => `${count.provider}: ${count.resolved} of ${count.listed} ${count.missing.join(' ')}`,
  )
  process.stdout.write(`${lines.join('\n')}\n${resolved} of ${priced} ids with a public price resolve\n`)
  // An empty list would prove nothing.
  for (const { provider, listed } of counts) expect({ provider, some: listed > 1 }).toEqual({ provider, some: true })
  expect(resolved / priced).toBeGreaterThanOrEqual(0.95)
})

it('no id of a host takes the price of another host, or the price of the gateway without a flag', () => {
  for (const provider of ['cerebras', 'fireworks', 'groq', 'togetherai'] as const) {
    for (const model of listedModels(provider)) {
      const found = findRate(snapshot, { modelId: modelKey(model) })
      if (found === null) continue
      const own = found.rate.modelId.startsWith(`${provider}:`)
      expect({ model, flagged: own || found.flags.includes('gateway_price') }).toEqual({ model, flagged: true })
    }
  }
})
