import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { calculateCredits, createCredits } from '../../src/index.ts'
import type { PricingSnapshot } from '../../src/store/port.ts'
import { supabaseStore } from '../../src/store/supabase.ts'
import { createTestStack, type TestStack } from '../kit/stack.ts'

interface Example {
  id: string
  model: string
  usage: Record<string, number>
  note: string
  expected_usd: string
  expected_credits_margin60: string
}

const read = <T>(path: string) =>
  JSON.parse(readFileSync(new URL(`../../../../supabase/rates/${path}`, import.meta.url), 'utf8')) as T

describe('seed-rates', () => {
  let test: TestStack
  let pricing: PricingSnapshot
  beforeAll(async () => {
    test = await createTestStack()
    pricing = await supabaseStore(test.service).getPricing()
  })
  afterAll(() => test?.stop())

  it('every model of the seed data with a known price has a rate that prices its usage', () => {
    const known = pricing.rates.filter((rate) => rate.known)
    expect(pricing.rates.length).toBeGreaterThanOrEqual(511)
    expect(known.length).toBeGreaterThanOrEqual(440)
    const language = known.filter(({ type }) => type === 'language')
    expect(language.length).toBeGreaterThanOrEqual(300)
    for (const rate of language) {
      const { credits } = calculateCredits({ inputTokens: 1000, outputTokens: 1000 }, { rate, marginPercent: '60' })
      expect(Number(credits), rate.modelId).toBeGreaterThanOrEqual(0)
    }
  })

  it('input, output, caches, tiers and other modalities are priced to the last digit of the worked examples', () => {
    const { examples } = read<{ examples: Example[] }>('worked-examples.json')
    const prices = new Map(
      read<{ data: { id: string; pricing: object }[] }>('gateway-models.json').data.map((m) => [m.id, m.pricing]),
    )
    expect(examples).toHaveLength(20)
    for (const { id, model, usage, note, expected_usd, expected_credits_margin60 } of examples) {
      const served = {
        ...usage,
        ...(note === 'fast' ? { fast: true } : {}),
        ...(note.includes('flex') ? { serviceTier: 'flex' } : {}),
      }
      const charge = calculateCredits(served, {
        rate: prices.get(model) as Record<string, unknown>,
        marginPercent: '60',
      })
      expect([id, charge.costUsd, charge.exactCredits]).toEqual([id, expected_usd, expected_credits_margin60])
    }
  })

  it('a default margin of 60 % is seeded', () => {
    expect(pricing.margins.filter(({ scope }) => scope === 'default')).toMatchObject([
      { target: '', marginPercent: '60' },
    ])
  })

  it('a model without a known price is refused with UNKNOWN_MODEL, never free', async () => {
    const credits = createCredits({ store: supabaseStore(test.service) })
    const { id: userId } = await test.createUser()
    const unknown = pricing.rates.find((rate) => !rate.known)
    expect(unknown).toBeDefined()
    for (const model of [unknown?.modelId ?? '', 'nobody/never-heard-of-it']) {
      await expect(credits.price({ model, usage: { inputTokens: 1 } })).rejects.toMatchObject({ code: 'UNKNOWN_MODEL' })
      await expect(credits.reserve({ userId, model, amount: '1' })).rejects.toMatchObject({ code: 'UNKNOWN_MODEL' })
    }
    expect((await credits.getBalance({ userId })).reserved).toBe('0')
  })
})
