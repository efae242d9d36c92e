import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { calculateCredits, createCredits } from '../../src/index.ts'
import { supabaseStore } from '../../src/store/supabase.ts'
import { createTestStack, type TestStack } from '../kit/stack.ts'

const MODEL = 'anthropic/claude-sonnet-4.5'
const USAGE = { inputTokens: 2000, outputTokens: 1000 }
const SONNET = { input: '0.000003', output: '0.000015' }

describe('rate-calculation', () => {
  let test: TestStack
  beforeAll(async () => {
    test = await createTestStack()
  })
  afterAll(() => test?.stop())

  // A new instance each time: prices are cached for a short life.
  const price = () => createCredits({ store: supabaseStore(test.service) }).price({ model: MODEL, usage: USAGE })
  const setMargin = async (scope: string, target: string, percent: string) => {
    const { error } = await test.service.rpc('credits_set_margin', {
      p_scope: scope,
      p_target: target,
      p_margin_percent: percent,
    })
    expect(error).toBeNull()
  }

  it('Claude Sonnet 4.5 with 2,000 input and 1,000 output tokens costs USD 0.021, 2.1 credits at cost and 3.36 with 60 %', async () => {
    expect(calculateCredits(USAGE, { rate: SONNET, marginPercent: '0' })).toMatchObject({
      costUsd: '0.021',
      credits: '2.1',
    })
    expect(calculateCredits(USAGE, { rate: SONNET, marginPercent: '60' })).toMatchObject({
      costUsd: '0.021',
      credits: '3.36',
    })
    expect(await price()).toMatchObject({ costUsd: '0.021', amount: '3.36', marginPercent: '60' })
  })

  it('the default margin is data: changing the row changes the next charge', async () => {
    await setMargin('default', '', '100')
    expect(await price()).toMatchObject({ amount: '4.2', marginPercent: '100' })
  })

  it("a model's own margin wins over the default", async () => {
    await setMargin('model', MODEL, '0')
    expect(await price()).toMatchObject({ amount: '2.1', marginPercent: '0' })
  })

  it('the arithmetic is exact: a million-fold sum has no float error', async () => {
    // Ten charges of 0.1 are 1 in decimals and 0.9999999999999999 in floats.
    const { credits } = calculateCredits(
      { inputTokens: 1 },
      { rate: { input: '0.001', output: '0' }, marginPercent: '0' },
    )
    expect(credits).toBe('0.1')
    const { id } = await test.createUser()
    await test.sql(
      `do $$ begin
         for n in 1..1000 loop
           perform public.credits_adjust(gen_random_uuid(), '${id}', 0.000001, 'story');
         end loop;
       end $$`,
    )
    const { data } = await test.service.rpc('credits_get_balance', { p_account_id: id })
    expect(data).toMatchObject({ available: '50.001' })
    const million = calculateCredits(
      { inputTokens: 1_000_000 },
      { rate: { input: '0.000000001', output: '0' }, marginPercent: '0' },
    )
    expect(million.credits).toBe('0.1')
  })
})
