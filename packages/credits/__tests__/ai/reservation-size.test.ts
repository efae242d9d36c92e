import { generateText, streamText } from 'ai'
import { describe, expect, it } from 'vitest'
import { withCredits } from '../../src/ai/index.ts'
import type { Delivery } from '../../src/ai/types.ts'
import { compare, min, sub } from '../../src/core/money.ts'
import { estimateOf, pricedContext, promptOf, seedRate } from './calls.ts'
import { finish, provider, textParts } from './scripted-model.ts'
import { settledReceipt, testAccount } from './test-account.ts'

/** The models with their own output limits and a chat of each: output tokens, reasoning included. */
const MODELS: ReadonlyArray<[model: string, maxOutputTokens: number, answer: number]> = [
  ['anthropic/claude-sonnet-4.5', 64_000, 450],
  ['anthropic/claude-haiku-4.5', 64_000, 450],
  ['anthropic/claude-opus-5', 128_000, 450],
  ['anthropic/claude-sonnet-5', 128_000, 450],
  ['openai/gpt-5', 128_000, 1_150],
  ['openai/gpt-5-mini', 128_000, 950],
  ['openai/gpt-6-sol', 128_000, 850],
  ['openai/gpt-4.1', 32_768, 450],
  ['google/gemini-2.5-pro', 65_536, 1_350],
  ['google/gemini-2.5-flash', 65_536, 750],
  ['google/gemini-3.1-pro-preview', 65_536, 1_350],
  ['google/gemini-3-flash', 65_536, 750],
  ['deepseek/deepseek-v4.1-flash', 393_216, 1_000],
  ['spacexai/grok-4.3', 1_000_000, 950],
  ['mistral/mistral-large-3', 65_536, 450],
]

/** About 2.3 kB of English: 610 tokens by the tokenizers of the providers. */
const SENTENCE = 'Please summarise the following report for the board in three short paragraphs, with figures. '
const CHAT = SENTENCE.repeat(25)
const CHAT_TOKENS = 610

const context = pricedContext(MODELS.map(([model, maxOutputTokens]) => seedRate(model, { maxOutputTokens })))

async function chatCharge(model: string, outputTokens: number): Promise<string> {
  const { amount } = await context.credits.price({ model, usage: { inputTokens: CHAT_TOKENS, outputTokens } })
  return amount
}

interface Reserved {
  amount: string
  maxOutputTokens: number | undefined
}

/** Calls that run side by side on one balance: each sees what the others left, as the store grants it. */
async function sideBySide(model: string, delivery: Delivery, balance: string): Promise<Reserved[]> {
  const calls: Reserved[] = []
  let left = balance
  while (calls.length < 20) {
    const estimate = await estimateOf({ prompt: promptOf(CHAT) }, { model, context, delivery, available: left })
    if (compare(left, estimate.minimumAmount) < 0) break
    const amount = min(left, estimate.amount)
    left = sub(left, amount)
    const payable = delivery === 'stream' ? balance : amount
    calls.push({ amount, maxOutputTokens: estimate.maxOutputTokensFor(payable) })
  }
  return calls
}

describe('50 credits run at least four calls of a model side by side', () => {
  describe.each<Delivery>(['stream', 'whole'])('%s', (delivery) => {
    it.each(MODELS)('%s', async (model, _, answer) => {
      const calls = await sideBySide(model, delivery, '50')
      process.stdout.write(
        `${delivery} ${model}: ${calls
          .slice(0, 5)
          .map(({ amount, maxOutputTokens }) => `${amount}/${maxOutputTokens}`)
          .join(' ')} (${calls.length})\n`,
      )
      expect(calls.length).toBeGreaterThanOrEqual(4)
      // Each of the four has room for the chat.
      for (const { maxOutputTokens } of calls.slice(0, 4))
        expect(maxOutputTokens ?? answer).toBeGreaterThanOrEqual(answer)
    })
  })
})

describe('four calls that are under way together on 50 credits are all served and paid', () => {
  describe.each<Delivery>(['stream', 'whole'])('%s', (delivery) => {
    it.each(MODELS)('%s', async (modelId, maxOutputTokens, answer) => {
      const rates = [seedRate(modelId, { maxOutputTokens })]
      const { context: user, charges, balance, trips } = testAccount({ available: '50', rates })
      const parts = [...textParts(10), finish('stop', CHAT_TOKENS, answer)]
      const { model } = provider([{ parts, delayMs: 5 }], modelId)
      const call = async () => {
        if (delivery === 'whole') return settledReceipt(await withCredits(generateText, user)({ model, prompt: CHAT }))
        const result = await withCredits(streamText, user)({ model, prompt: CHAT })
        await result.consumeStream()
        return settledReceipt(result)
      }
      // A whole answer reserves by the balance, which is known once the store has answered.
      if (delivery === 'whole') await call()
      trips.length = 0
      const receipts = await Promise.all([call(), call(), call(), call()])
      expect(trips.slice(0, 4)).toEqual(['reserve', 'reserve', 'reserve', 'reserve'])
      expect(receipts.every((receipt) => receipt?.booked && receipt.stopped === undefined)).toBe(true)
      expect((await charges()).every(({ uncollected }) => uncollected === '0')).toBe(true)
      const { available, reserved } = await balance()
      expect(reserved).toBe('0')
      expect(compare(available, '0')).toBe(1)
    })
  })
})

describe('5 credits pay for one short chat', () => {
  describe.each<Delivery>(['stream', 'whole'])('%s', (delivery) => {
    it.each(MODELS)('%s', async (model, _, answer) => {
      const [call] = await sideBySide(model, delivery, '5')
      expect(call?.maxOutputTokens ?? answer).toBeGreaterThanOrEqual(answer)
    })
  })
})

/** A PDF of ten pages and two megabytes, as far as its pages are counted. */
function tenPages(): Uint8Array {
  const bytes = new Uint8Array(2 * 1024 * 1024).fill(0x20)
  const pages = Array.from({ length: 10 }, (_, page) => `${page + 3} 0 obj << /Type /Page /Parent 2 0 R >> endobj\n`)
  const head = `%PDF-1.4\n2 0 obj << /Type /Pages /Count 10 >> endobj\n${pages.join('')}`
  bytes.set(new TextEncoder().encode(head))
  return bytes
}

const pdf = () => [
  {
    role: 'user',
    content: [
      { type: 'text', text: 'What does it say?' },
      { type: 'file', mediaType: 'application/pdf', data: tenPages() },
    ],
  },
]
const english = (length: number) => promptOf(SENTENCE.repeat(Math.ceil(length / SENTENCE.length)).slice(0, length))

describe('a call that the balance pays for is not refused', () => {
  it.each([
    ['20 kB of English', 'anthropic/claude-sonnet-4.5', () => english(20_000), 5_000, 450, '5'],
    ['300 kB of English', 'anthropic/claude-sonnet-4.5', () => english(300_000), 75_000, 450, '50'],
    ['80 kB of English', 'openai/gpt-5', () => english(80_000), 20_000, 200, '5'],
    ['a PDF of ten pages', 'anthropic/claude-sonnet-4.5', pdf, 20_000, 450, '50'],
    ['a PDF of ten pages', 'openai/gpt-5', pdf, 20_000, 200, '5'],
  ])('%s to %s', async (_, model, prompt, inputTokens, outputTokens, balance) => {
    const { amount } = await context.credits.price({ model, usage: { inputTokens, outputTokens } })
    expect(compare(amount, balance)).toBe(-1)
    for (const delivery of ['stream', 'whole'] as const) {
      const estimate = await estimateOf({ prompt: prompt() }, { model, context, delivery, available: balance })
      expect(compare(estimate.minimumAmount, balance)).toBeLessThanOrEqual(0)
      const limit = estimate.maxOutputTokensFor(min(estimate.amount, balance))
      expect(limit ?? outputTokens).toBeGreaterThanOrEqual(outputTokens)
    }
  })
})

it('the median of reserved to charged is at most 4 for chats of the fifteen models', async () => {
  const ratios = await Promise.all(
    MODELS.map(async ([model, _, answer]) => {
      const estimate = await estimateOf({ prompt: promptOf(CHAT) }, { model, context, available: '50' })
      return Number(estimate.amount) / Number(await chatCharge(model, answer))
    }),
  )
  const sorted = ratios.toSorted((a, b) => a - b)
  process.stdout.write(`${ratios.map((ratio) => ratio.toFixed(1)).join(' ')}\n`)
  expect(sorted[7]).toBeLessThanOrEqual(4)
})
