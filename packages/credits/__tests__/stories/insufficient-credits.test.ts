import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CreditError, createCredits } from '../../src/index.ts'
import { supabaseStore } from '../../src/store/supabase.ts'
import { createTestApp, send, type TestApp } from '../kit/web.ts'

describe('insufficient-credits', () => {
  let test: TestApp
  beforeAll(async () => {
    test = await createTestApp()
  })
  afterAll(() => test?.stop())

  it('CreditError INSUFFICIENT_CREDITS carries the current balance and the required credits', async () => {
    const credits = createCredits({ store: supabaseStore(test.service), upgradeUrl: 'https://example.test/upgrade' })
    const { id: userId } = await test.createUser()
    const error = await credits.reserve({ userId, amount: '50.000001' }).catch((reason: unknown) => reason)
    expect(CreditError.isInstance(error)).toBe(true)
    expect(error).toMatchObject({
      code: 'INSUFFICIENT_CREDITS',
      status: 402,
      retryable: false,
      details: { balance: '50', available: '50', required: '50.000001', upgradeUrl: 'https://example.test/upgrade' },
    })
  })

  it('HTTP answers 402 with balance, required and an upgrade URL', async () => {
    const person = await test.createUser()
    await test.service.rpc('credits_adjust', {
      p_transaction_id: crypto.randomUUID(),
      p_account_id: person.id,
      p_amount: '-49.999',
      p_reason: 'story',
    })
    const session = await test.signedIn(person)
    const body = { model: 'anthropic/claude-sonnet-4.5', prompt: 'Write a long story. '.repeat(100) }
    const response = await send(session, 'POST', '/api/generate', body)
    expect([response.status, response.headers.get('content-type')]).toEqual([402, 'application/problem+json'])
    const problem = (await response.json()) as Record<string, string>
    expect(problem).toMatchObject({ code: 'INSUFFICIENT_CREDITS', status: 402, balance: '0.001', available: '0.001' })
    expect(Number(problem.required)).toBeGreaterThan(0.001)
    expect(problem.upgradeUrl).toMatch(/upgrade/)
    expect(problem.type).toMatch(/errors.*#insufficient_credits/)
  })
})
