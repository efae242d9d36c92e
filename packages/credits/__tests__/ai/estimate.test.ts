import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { likelyTokens } from '../../src/ai/estimate/index.ts'
import { add, compare, mul, round, sub } from '../../src/core/money.ts'
import { estimateOf, listedRate, pricedContext, promptOf, seenParts } from './calls.ts'

const model = 'openai/tiered'
const rates = [
  {
    modelId: model,
    maxOutputTokens: 8192,
    pricing: {
      input: '0.00000125',
      output: '0.00001',
      input_cache_read: '0.000000125',
      input_cache_write: '0.0000015625',
      input_tiers: [
        { cost: '0.00000125', min: 0, max: 5001 },
        { cost: '0.0000025', min: 5001 },
      ],
      output_tiers: [
        { cost: '0.00001', min: 0, max: 5001 },
        { cost: '0.000015', min: 5001 },
      ],
    },
  },
]
const context = pricedContext(rates)

const words = [
  'the',
  'Übergröße',
  '信用',
  'ข้อความ',
  '🦊🦊',
  'aGVsbG8gd29ybGQ=',
  '{"a":1}',
  '    ',
  'internationalisation',
]
const text = fc.array(fc.constantFrom(...words), { maxLength: 400 }).map((list) => list.join(' '))
const utf8 = (value: string) => new TextEncoder().encode(value).length

describe('the amount that is reserved', () => {
  it('is never below the charge of a text within its limit, with any tokenizer, cache and tier', async () => {
    const call = fc.record({
      system: text,
      user: text,
      maxOutputTokens: fc.integer({ min: 1, max: 3_072 }),
      // Byte-level tokenizers: from one token for several bytes to one token a byte.
      density: fc.double({ min: 0.1, max: 1, noNaN: true }),
      used: fc.double({ min: 0, max: 1, noNaN: true }),
      cached: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    // A tokenizer of the app makes the bound exact, whichever it is.
    const bytes = { ...context, countTokens: utf8 }
    await fc.assert(
      fc.asyncProperty(call, async ({ system, user, maxOutputTokens, density, used, cached }) => {
        const prompt = [{ role: 'system', content: system }, ...promptOf(user)]
        const estimate = await estimateOf({ prompt, maxOutputTokens }, { model, context: bytes, available: '1000' })
        const inputTokens = Math.ceil((utf8(system) + utf8(user)) * density) + 8
        const outputTokens = Math.round(maxOutputTokens * used)
        const cacheWriteTokens = Math.floor(inputTokens * cached)
        const usage = { inputTokens, outputTokens, cacheWriteTokens }
        const { amount } = await context.credits.price({ model, usage })
        expect(compare(estimate.amount, amount)).toBeGreaterThanOrEqual(0)
      }),
      { numRuns: 300 },
    )
  })

  it('pays for all output that it is said to pay for', async () => {
    const call = fc.record({ user: text, share: fc.double({ min: 0, max: 1, noNaN: true }) })
    const bytes = { ...context, countTokens: utf8 }
    await fc.assert(
      fc.asyncProperty(call, async ({ user, share }) => {
        const estimate = await estimateOf({ prompt: promptOf(user) }, { model, context: bytes, available: '1000' })
        const { amount: full, minimumAmount: least } = estimate
        const amount = add(least, round(mul(sub(full, least), share.toFixed(6)), 6, 'down'))
        const outputTokens = estimate.outputTokensFor(amount)
        const usage = { inputTokens: utf8(user) + 8, outputTokens }
        const charge = await context.credits.price({ model, usage })
        // A short answer is never refused for the margin of the input's bound.
        if (outputTokens > 64) expect(compare(charge.amount, amount)).toBeLessThanOrEqual(0)
      }),
      { numRuns: 200 },
    )
  })

  it('doubles as a stream outgrows it, up to the limit of the model that keeps to it', async () => {
    const params = { prompt: promptOf('Hi') }
    let estimate = await estimateOf(params, { model, context, available: '1000' })
    const outputs = [estimate.likelyOutputTokens]
    for (let step = 0; step < 3; step++) {
      const seen = seenParts([{ type: 'text', text: 'x'.repeat(4 * (estimate.likelyOutputTokens - 1)) }])
      estimate = estimate.extendBy(seen)
      outputs.push(estimate.likelyOutputTokens)
    }
    expect(outputs).toEqual([3_072, 6_144, 8_192, 8_192])
  })
})

describe('the limit that is sent with a call', () => {
  const params = { prompt: promptOf('Hi') }
  const estimate = (more: object = {}, input: object = {}) =>
    estimateOf({ ...params, ...more }, { model, context, available: '1000', ...input })

  it('is left to the app while the credits pay for all that the model can produce', async () => {
    expect((await estimate()).maxOutputTokensFor('1000')).toBeUndefined()
    expect((await estimate({ maxOutputTokens: 500 })).maxOutputTokensFor('1000')).toBeUndefined()
  })

  it('is what the credits pay for where that is less', async () => {
    const call = await estimate()
    const limit = call.maxOutputTokensFor('2') ?? 0
    expect(limit).toBe(call.outputTokensFor('2'))
    expect(limit).toBeGreaterThan(1_000)
    expect(limit).toBeLessThan(1_250)
  })

  it('leaves room for a thinking budget, which the provider adds to it', async () => {
    const providerOptions = { anthropic: { thinking: { type: 'enabled', budgetTokens: 1_000 } } }
    const plain = await estimate({ maxOutputTokens: 500 })
    const thinking = await estimate({ maxOutputTokens: 500, providerOptions })
    expect([plain.outputLimit, thinking.outputLimit]).toEqual([500, 1_500])
    expect(compare(thinking.minimumAmount, plain.amount)).toBe(1)
    expect(thinking.maxOutputTokensFor('1000')).toBeUndefined()
    expect(thinking.maxOutputTokensFor('2')).toBe(thinking.outputTokensFor('2') - 1_000)
  })

  it('is that of the context where the app sets none', async () => {
    const limited = { context: { ...context, maxOutputTokens: 700 } }
    expect((await estimate({}, limited)).maxOutputTokensFor('1000')).toBe(700)
    expect((await estimate({ maxOutputTokens: 300 }, limited)).maxOutputTokensFor('1000')).toBeUndefined()
  })

  it('keeps a whole answer within its reservation where the model’s own limit is not known', async () => {
    const unlimited = pricedContext([{ modelId: model, pricing: { input: '0.000001', output: '0.000002' } }])
    const sent = async (delivery: 'whole' | 'stream') =>
      (await estimateOf(params, { model, context: unlimited, delivery, available: '1000' })).maxOutputTokensFor('1000')
    expect(await sent('whole')).toBe(8_192)
    expect(await sent('stream')).toBeUndefined()
  })
})

describe('an estimate covers', () => {
  const dear = { modelId: 'openai/dear', pricing: { input: '0.00001', output: '0.0001' }, maxOutputTokens: 8192 }
  const images = ['google/gemini-2.5-flash-image', 'google/gemini-3.1-flash-image', 'google/gemini-3-pro-image']
  const all = pricedContext([...rates, dear, ...images.map(listedRate), listedRate('anthropic/claude-opus-5')])
  const prompt = promptOf('Hello')

  it('the dearest of the fallback models that the gateway may take', async () => {
    const providerOptions = { gateway: { models: ['openai/unknown', 'openai/dear'] } }
    const asked = await estimateOf({ prompt }, { model, context: all, available: '1000' })
    const fallback = await estimateOf({ prompt, providerOptions }, { model, context: all, available: '1000' })
    const direct = await estimateOf({ prompt }, { model: 'openai/dear', context: all, available: '1000' })
    expect(fallback.amount).toBe(direct.amount)
    expect(compare(fallback.amount, asked.amount)).toBe(1)
    expect(fallback.outputTokensFor('5')).toBe(direct.outputTokensFor('5'))
  })

  it.each(images)('a picture that %s draws', async (id) => {
    const estimate = await estimateOf({ prompt }, { model: id, context: all })
    const usage = { inputTokens: 20, outputTokens: 1_000, images: 1 }
    const { amount } = await all.credits.price({ model: id, usage })
    expect(compare(estimate.amount, amount)).toBe(1)
  })

  it('fast mode and the region that are asked for', async () => {
    const id = 'anthropic/claude-opus-5'
    const asked = {
      prompt,
      providerOptions: { anthropic: { speed: 'fast', inferenceGeo: 'us' } },
      maxOutputTokens: 1000,
    }
    const estimate = await estimateOf(asked, { model: id, context: all, available: '1000' })
    const usage = { inputTokens: 20, outputTokens: 1000, fast: true, region: 'us' }
    const { amount } = await all.credits.price({ model: id, usage })
    expect(compare(estimate.amount, amount)).toBeGreaterThanOrEqual(0)
  })

  it('each chunk of a long list of embeddings by its own size', async () => {
    const embed = pricedContext([{ modelId: 'openai/embed', type: 'embedding', pricing: { input: '0.001' } }])
    const call = { model: 'openai/embed', context: embed, modality: 'embedding' as const, delivery: 'whole' as const }
    const values = Array.from({ length: 10 }, (_, index) => `value ${index}`)
    const whole = await estimateOf({ values }, call)
    const chunks = await Promise.all(values.map((value) => estimateOf({ values: [value] }, call)))
    expect(chunks.map(({ amount }) => amount).reduce(add)).toBe(whole.amount)
  })

  it('a picture in a tool result as a picture, under its deprecated name too', async () => {
    const resultOf = (type: string) => [
      {
        role: 'tool',
        content: [
          {
            type: 'tool-result',
            toolCallId: '1',
            toolName: 'shot',
            output: { type: 'content', value: [{ type, data: 'A'.repeat(200_000), mediaType: 'image/png' }] },
          },
        ],
      },
    ]
    const tokens = async (type: string) =>
      (await estimateOf({ prompt: resultOf(type) }, { model, context: all })).inputTokens
    expect(await tokens('image-data')).toBe(await tokens('file'))
    expect(await tokens('image-data')).toBeLessThan(5_000)
  })

  it('a prompt on which the app’s tokenizer throws', async () => {
    const countTokens = () => {
      throw new Error('special token')
    }
    const estimate = await estimateOf({ prompt }, { model, context: { ...context, countTokens } })
    expect(estimate.inputTokens).toBeGreaterThan(0)
  })
})

describe('the tokens a text probably has', () => {
  it.each([
    ['The quick brown fox jumps over the lazy dog and runs away.', 13],
    ['const total = items.reduce((sum, item) => sum + item.price, 0)', 16],
    ['信用点数不足，请充值后再试。', 11],
  ])('%s', (sample, tokens) => {
    expect(likelyTokens(sample)).toBeGreaterThan(tokens * 0.6)
    expect(likelyTokens(sample)).toBeLessThan(tokens * 1.6)
  })
})

describe('streamed output is counted', () => {
  it('as one token a part where the provider streams token by token', () => {
    const seen = seenParts(Array.from({ length: 100 }, () => ({ type: 'text-delta', delta: 'hi ' })))
    expect(seen.tokens).toBe(100)
  })

  it('by its characters where a part of Chinese has several tokens', () => {
    const seen = seenParts(Array.from({ length: 100 }, () => ({ type: 'text-delta', delta: '信用点数不足请充' })))
    expect(seen.tokens).toBeGreaterThanOrEqual(560)
    expect(seen.exceeds(400)).toBe(true)
  })

  it('as empty until something came that costs', () => {
    expect(seenParts([{ type: 'stream-start' }, { type: 'text-start', id: '1' }]).empty).toBe(true)
    for (const part of [
      { type: 'text-delta', delta: 'a' },
      { type: 'tool-call', toolCallId: '1', toolName: 'look', input: '' },
      { type: 'file', mediaType: 'image/png', data: 'AAAA' },
      { type: 'source', sourceType: 'url', url: 'https://example.com' },
    ]) {
      expect(seenParts([part]).empty).toBe(false)
    }
  })
})
