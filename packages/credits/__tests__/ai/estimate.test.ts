import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { demandOf } from '../../src/ai/demand.ts'
import { affordable, micros, quoteFor } from '../../src/ai/quote.ts'
import { likelyTokens } from '../../src/ai/tokens.ts'
import { deskOf } from '../../src/credits/desk.ts'
import { books } from './books.ts'

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

// Its own desk, and the public methods, which are asked where somebody replaced one of them.
describe.each(['the use cases', 'replaced use cases'])('the hold, bound by %s', (which) => {
  const { credits, context } = books({ rates })
  const payer = { context, desk: deskOf(which === 'the use cases' ? credits : { ...credits }) }

  it('is never below the charge for a text within the clamp, whatever the tokenizer, cache and tier', async () => {
    const call = fc.record({
      system: text,
      user: text,
      maxOutputTokens: fc.integer({ min: 1, max: 8192 }),
      // Byte-level tokenizers: from one token for several bytes to one token a byte.
      density: fc.double({ min: 0.1, max: 1, noNaN: true }),
      used: fc.double({ min: 0, max: 1, noNaN: true }),
      cached: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    await fc.assert(
      fc.asyncProperty(call, async ({ system, user, maxOutputTokens, density, used, cached }) => {
        const prompt = [
          { role: 'system', content: system },
          { role: 'user', content: [{ type: 'text', text: user }] },
        ]
        const quote = await quoteFor(payer, model, demandOf(context, 'language', model, { prompt, maxOutputTokens }))
        const inputTokens = Math.ceil((utf8(system) + utf8(user)) * density) + 8
        const outputTokens = Math.round(maxOutputTokens * used)
        const cacheWriteTokens = Math.floor(inputTokens * cached)
        const { amount } = await credits.price({ model, usage: { inputTokens, outputTokens, cacheWriteTokens } })
        expect(quote.full >= micros(amount)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  it('is a few times the charge of an ordinary chat', async () => {
    const sentence = 'Please summarise the following report for the board in three short paragraphs, with the figures. '
    const ratios: number[] = []
    for (let sample = 0; sample < 200; sample++) {
      const prompt = [{ role: 'user', content: [{ type: 'text', text: sentence.repeat(1 + (sample % 40)) }] }]
      const demand = demandOf(context, 'language', model, { prompt, maxOutputTokens: 1000 })
      const quote = await quoteFor(payer, model, demand)
      // English: 17 tokens a sentence; answers of 5 to 100 percent of what is allowed.
      const usage = { inputTokens: 17 * (1 + (sample % 40)) + 8, outputTokens: 50 * (1 + (sample % 20)) }
      const { amount } = await credits.price({ model, usage })
      ratios.push(Number(quote.full) / Number(micros(amount)))
    }
    const median = ratios.toSorted((a, b) => a - b)[100] ?? 0
    process.stdout.write(`median of hold to charge: ${median.toFixed(2)}\n`)
    expect(median).toBeGreaterThan(1)
    expect(median).toBeLessThan(4)
  })

  it('clamped to an amount, it still covers what the clamp allows', async () => {
    const call = fc.record({ user: text, share: fc.double({ min: 0, max: 1, noNaN: true }) })
    await fc.assert(
      fc.asyncProperty(call, async ({ user, share }) => {
        const params = { prompt: [{ role: 'user', content: [{ type: 'text', text: user }] }] }
        const demand = demandOf(context, 'language', model, params)
        const quote = await quoteFor(payer, model, demand)
        const amount = quote.least + BigInt(Math.floor(Number(quote.full - quote.least) * share))
        const outputTokens = affordable(quote, amount)
        const usage = { inputTokens: utf8(user) + 8, outputTokens }
        const charge = await credits.price({ model, usage })
        expect(micros(charge.amount) <= amount).toBe(true)
      }),
      { numRuns: 200 },
    )
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
