import { generateText, wrapLanguageModel } from 'ai'
import { MockLanguageModelV4 } from 'ai/test'
import { describe, expect, it } from 'vitest'
import { withCredits } from '../../src/ai/index.ts'
import { usageOf } from './scripted-model.ts'
import { settledReceipt, testAccount } from './test-account.ts'

/** A model that keeps the provider options it was called with. */
function modelOf(provider: string, modelId = 'openai/gpt-test') {
  const model = new MockLanguageModelV4({
    provider,
    modelId,
    doGenerate: async () => ({
      content: [{ type: 'text', text: 'hello' }],
      finishReason: { unified: 'stop', raw: 'stop' },
      usage: usageOf(10, 1),
      warnings: [],
    }),
  })
  return { model, tags: () => model.doGenerateCalls.map(({ providerOptions }) => providerOptions?.gateway?.tags) }
}

describe('a call of the gateway', () => {
  it('carries the tag of its reservation besides the tags and options of the app', async () => {
    const { context } = testAccount()
    const { model } = modelOf('gateway')
    const gateway = { user: 'ann', tags: ['feature:chat'] }
    const providerOptions = { gateway, openai: { store: false } }
    const result = await withCredits(generateText, context)({ model, prompt: 'x', providerOptions })
    const receipt = await settledReceipt(result)
    expect(model.doGenerateCalls[0]?.providerOptions).toEqual({
      gateway: { user: 'ann', tags: ['feature:chat', `credits:${receipt?.reservationId}`] },
      openai: { store: false },
    })
    expect(gateway.tags).toEqual(['feature:chat'])
  })

  it('carries one tag, that of the user who pays, where two users have a meter around it', async () => {
    const outer = testAccount()
    const inner = testAccount()
    const { model, tags } = modelOf('gateway')
    const paid = wrapLanguageModel({ model: withCredits(model, inner.context) as never, middleware: [] })
    await withCredits(generateText, outer.context)({ model: paid, prompt: 'x' })
    const [charge] = await inner.charges()
    expect(tags()).toEqual([[`credits:${charge?.reservationId}`]])
    expect(await outer.charges()).toEqual([])
  })

  it('a call of another provider has the options of the app alone', async () => {
    const { context } = testAccount()
    const { model, tags } = modelOf('openai', 'gpt-test')
    await withCredits(generateText, context)({ model, prompt: 'x' })
    expect(tags()).toEqual([undefined])
  })
})
