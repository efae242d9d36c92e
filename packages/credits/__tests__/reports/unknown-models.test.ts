import { createGateway } from '@ai-sdk/gateway'
import { type Stack, startStack } from '@layers/local-stack'
import { generateText } from 'ai'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { withCredits } from '../../src/ai/index.ts'
import { CreditError } from '../../src/core/errors.ts'
import { verifyCharge } from '../../src/core/pricing/verify-charge.ts'
import type { Credits } from '../../src/credits/types.ts'
import { createCredits } from '../../src/credits.ts'
import { postgresStore } from '../../src/store/postgres.ts'
import { openPool, signUp } from '../kit/database.ts'

// Served by the gateway, but its list has no price for it.
const UNPRICED = 'thinkingmachines/inkling-2-small'

let stack: Stack
let admin: pg.Pool
let direct: pg.Pool
let strict: Credits
let lenient: Credits

beforeAll(async () => {
  stack = await startStack({ ephemeral: true })
  admin = openPool(stack.adminDbUrl)
  direct = openPool(stack.dbUrl, { max: 4 })
  const store = postgresStore(direct)
  strict = createCredits({ store })
  lenient = createCredits({ store, unknownModels: { ceilingCredits: '5' } })
}, 120_000)
afterAll(async () => {
  await Promise.all([admin?.end(), direct?.end()])
  await stack?.stop()
})

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'succeeded',
    (error: unknown) => (CreditError.isInstance(error) ? error.code : String(error)),
  )
const usage = { inputTokens: 2000, outputTokens: 1000 }
const gateway = () => createGateway({ baseURL: stack.gatewayUrl, apiKey: stack.gatewayApiKey })
const available = async (userId: string) => (await strict.getBalance({ userId })).available
const charges = async (credits: Credits, userId: string) => {
  const rows = []
  for await (const row of credits.charges({ details: true })) if (row.userId === userId) rows.push(row)
  return rows
}

describe('a model without a known price', () => {
  it('is refused before anything is reserved or called', async () => {
    const userId = await signUp(admin)
    expect(await codeOf(strict.reserve({ userId, model: UNPRICED, amount: '5' }))).toBe('UNKNOWN_MODEL')
    expect(await codeOf(strict.estimate({ model: UNPRICED, inputTokens: 10 }))).toBe('UNKNOWN_MODEL')
    expect(await codeOf(strict.price({ model: 'nobody/knows-it', usage }))).toBe('UNKNOWN_MODEL')
    const call = withCredits(generateText, { credits: strict, userId })
    expect(await codeOf(call({ model: gateway()(UNPRICED), prompt: 'Hi' }))).toBe('UNKNOWN_MODEL')
    expect(await available(userId)).toBe('50')
  })

  it('costs what the gateway reports, with the margin in force, if a ceiling is set', async () => {
    const reported = { costUsd: '0.0125', source: 'market-cost' } as const
    const charge = await lenient.price({ model: UNPRICED, usage, reported })
    expect(charge).toMatchObject({ amount: '2', costSource: 'market-cost', rateId: null, computedCostUsd: null })
    expect(charge.marginId).not.toBeNull()
  })

  it('reserves the ceiling, and is charged it as an estimate when no one says what it cost: never free', async () => {
    const userId = await signUp(admin)
    const { reservationId, amount, rateId, marginId } = await lenient.reserve({
      userId,
      model: UNPRICED,
      estimate: { inputTokens: 10 },
    })
    expect({ amount, rateId }).toEqual({ amount: '5', rateId: null })
    expect(marginId).not.toBeNull()
    await lenient.settle({ userId, reservationId, usage })
    const [row] = await charges(lenient, userId)
    expect(row).toMatchObject({ amount: '5', costUsd: '0.03125', costSource: 'estimate', estimated: true })
    if (row) expect(verifyCharge(row)).toEqual({ verdict: 'ok' })
  })

  it('leaves the prices of all other models as they are', async () => {
    expect(await lenient.price({ model: 'anthropic/claude-sonnet-4.5', usage })).toMatchObject({ amount: '3.36' })
    expect(await lenient.estimate({ model: 'anthropic/claude-sonnet-4.5', inputTokens: 10 })).toMatchObject({
      rateId: expect.any(String),
    })
  })

  it('can be called through withCredits under the ceiling', async () => {
    const userId = await signUp(admin)
    const { text } = await withCredits(generateText, { credits: lenient, userId, feature: 'try' })({
      model: gateway()(UNPRICED),
      prompt: 'Say [dev: tokens=5]',
    })
    expect(text).not.toBe('')
    expect(await charges(lenient, userId)).toMatchObject([
      { amount: '5', model: UNPRICED, feature: 'try', estimated: true, generationId: expect.any(String) },
    ])
    expect(await available(userId)).toBe('45')
  })

  it('is refused when not even the ceiling is there', async () => {
    const userId = await signUp(admin)
    const dear = createCredits({ store: postgresStore(direct), unknownModels: { ceilingCredits: '51' } })
    const call = withCredits(generateText, { credits: dear, userId })
    expect(await codeOf(call({ model: gateway()(UNPRICED), prompt: 'Hi' }))).toBe('INSUFFICIENT_CREDITS')
  })

  it('needs a ceiling that is an amount', () => {
    for (const ceilingCredits of ['0', '-1', 'NaN', '1e3', '']) {
      expect(() => createCredits({ store: postgresStore(direct), unknownModels: { ceilingCredits } })).toThrow(
        expect.objectContaining({ code: 'CONFIG_INVALID' }),
      )
    }
  })
})
