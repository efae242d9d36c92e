import { generateText } from 'ai'
import { describe, expect, it } from 'vitest'
import { withCredits } from '../../src/ai/index.ts'
import { createCredits, memoryStore } from '../../src/index.ts'
import type { CreditStore } from '../../src/store/port.ts'
import { finish, provider, textParts } from './scripted-model.ts'

/** A price of the AI Gateway: source names it. */
const gatewayRate = (modelId: string) => ({
  modelId,
  pricing: { input: '0.000003', output: '0.000015' },
  source: 'https://ai-gateway.vercel.sh/v1/models',
  maxOutputTokens: 4096,
})
const RATES = [
  gatewayRate('anthropic/claude-sonnet-4.5'),
  gatewayRate('openai/gpt-oss-120b'),
  { ...gatewayRate('groq:openai/gpt-oss-120b'), pricing: { input: '0.000001', output: '0.000002' }, source: 'own' },
]

/** A call of a model under the name and id that its provider package gives it. */
async function call(named: { provider: string; modelId: string }, { gatewayPrices }: { gatewayPrices?: boolean } = {}) {
  const store = memoryStore({ rates: RATES, signupCredits: '1000' })
  const { userId } = store.createAccount()
  const trips: string[] = []
  const counted = new Proxy(store, {
    get: (target, name: keyof CreditStore) => (input: never) => {
      trips.push(name)
      return target[name](input)
    },
  })
  const credits = createCredits({ store: counted, gatewayPrices })
  await credits.pricing()
  trips.length = 0
  const { model } = provider([{ parts: [...textParts(500), finish('stop', 100, 500)] }])
  Object.assign(model, { provider: named.provider, modelId: named.modelId })
  const wrapped = withCredits(generateText, { credits, userId })
  await wrapped({ model, prompt: 'Hello' })
  const charges: { amount: string; model: string | null }[] = []
  for await (const charge of credits.charges()) charges.push(charge)
  return { charges, settled: trips.slice(0, 2) }
}

describe('the id of a model finds its price', () => {
  it.each([
    ['anthropic.messages', 'claude-sonnet-4-5'],
    ['anthropic.messages', 'claude-sonnet-4-5-20250929'],
    ['google.vertex.chat', 'claude-sonnet-4-5@20250929'],
    ['amazon-bedrock', 'us.anthropic.claude-sonnet-4-5-20250929-v1:0'],
    ['openrouter.chat', 'anthropic/claude-sonnet-4.5'],
  ])('%s %s has the price of the gateway, in two round trips', async (name, modelId) => {
    const { charges, settled } = await call({ provider: name, modelId })
    expect(charges).toMatchObject([{ amount: '1.248', model: expect.stringContaining(modelId) }])
    expect(settled).toEqual(['reserve', 'settle'])
  })

  it('a provider’s own price comes before the gateway’s', async () => {
    const { charges } = await call({ provider: 'groq.chat', modelId: 'openai/gpt-oss-120b' })
    expect(charges).toMatchObject([{ amount: '0.176', model: 'groq:openai/gpt-oss-120b' }])
  })

  it('the gateway’s own model keeps its id and is not flagged', async () => {
    const { charges } = await call({ provider: 'gateway', modelId: 'anthropic/claude-sonnet-4.5' })
    expect(charges).toMatchObject([{ amount: '1.248', model: 'anthropic/claude-sonnet-4.5' }])
  })

  it('a model without a price of its provider is refused where the gateway’s price is turned off', async () => {
    const direct = { provider: 'anthropic.messages', modelId: 'claude-sonnet-4-5' }
    await expect(call(direct, { gatewayPrices: false })).rejects.toMatchObject({ code: 'UNKNOWN_MODEL' })
    const own = await call({ provider: 'groq.chat', modelId: 'openai/gpt-oss-120b' }, { gatewayPrices: false })
    expect(own.charges).toHaveLength(1)
  })

  it('a name that the app gave to a model is resolved by `deployments`', async () => {
    const rates = [gatewayRate('openai/gpt-5')]
    const store = memoryStore({ rates, signupCredits: '1000' })
    const { userId } = store.createAccount()
    const { model } = provider([{ parts: [...textParts(500), finish('stop', 100, 500)] }])
    Object.assign(model, { provider: 'azure.chat', modelId: 'my-deployment' })
    const context = { credits: createCredits({ store }), userId, deployments: { 'my-deployment': 'gpt-5' } }
    expect((await withCredits(generateText, context)({ model, prompt: 'Hello' })).text).toHaveLength(1500)
  })
})

describe('a charge at the gateway’s price for another provider', () => {
  it('is flagged gateway_price', async () => {
    const charged: unknown[] = []
    const store = memoryStore({ rates: RATES, signupCredits: '1000' })
    const { userId } = store.createAccount()
    const settle: CreditStore['settle'] = (input) => {
      charged.push(input.charge)
      return store.settle(input)
    }
    const credits = createCredits({ store: { ...store, settle } })
    for (const [name, modelId] of [
      ['anthropic.messages', 'claude-sonnet-4-5'],
      ['gateway', 'anthropic/claude-sonnet-4.5'],
    ] as const) {
      const { model } = provider([{ parts: [...textParts(500), finish('stop', 100, 500)] }])
      Object.assign(model, { provider: name, modelId })
      await withCredits(generateText, { credits, userId })({ model, prompt: 'Hello' })
    }
    expect(charged).toMatchObject([{ flags: ['gateway_price'] }, { flags: [] }])
  })

  it('has the margin that was set for the gateway’s id of the model', async () => {
    const store = memoryStore({ rates: RATES })
    const credits = createCredits({ store })
    const target = 'anthropic/claude-sonnet-4.5'
    await credits.setMargin({ scope: 'model', target, marginPercent: '10' })
    const { marginPercent } = await credits.findPricing({ model: 'anthropic:claude-sonnet-4-5' })
    expect(marginPercent).toBe('10')
  })
})
