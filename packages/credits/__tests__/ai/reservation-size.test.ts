import { describe, expect, it } from 'vitest'
import type { Delivery } from '../../src/ai/types.ts'
import { compare, min, sub } from '../../src/core/money.ts'
import { estimateOf, pricedContext, promptOf, seedRate } from './calls.ts'

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
