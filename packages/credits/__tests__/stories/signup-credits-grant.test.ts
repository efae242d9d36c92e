import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestStack, type TestStack } from '../kit/stack.ts'

describe('signup-credits-grant', () => {
  let test: TestStack
  beforeAll(async () => {
    test = await createTestStack()
  })
  afterAll(() => test?.stop())

  const balance = async (userId: string) =>
    (await test.service.rpc('credits_get_balance', { p_account_id: userId })).data
  const grants = (userId: string) =>
    test.sql(`select type, source, amount::text from public.credit_transactions where account_id = $1`, [userId])

  it('a signup makes a balance row with plan free, 50 credits available and a grant transaction of source signup', async () => {
    const { id } = await test.createUser()
    const rows = await test.sql('select plan_id from public.credit_balances where user_id = $1', [id])
    expect(rows).toEqual([{ plan_id: 'free' }])
    expect(await grants(id)).toEqual([{ type: 'grant', source: 'signup', amount: '50.000000' }])
    expect(await balance(id)).toMatchObject({ planId: 'free', available: '50' })
  })

  it('the amount is data', async () => {
    await test.sql('update public.credit_settings set signup_credits = 12.5')
    const { id } = await test.createUser()
    await test.sql('update public.credit_settings set signup_credits = 50')
    expect(await balance(id)).toMatchObject({ available: '12.5' })
  })

  it('a failure in the grant never blocks a signup and reconcile heals it once', async () => {
    await test.sql('alter table public.credit_transactions rename to hidden')
    const { id } = await test.createUser()
    await test.sql('alter table public.hidden rename to credit_transactions')
    expect(await grants(id)).toEqual([])
    for (let run = 0; run < 2; run++) {
      const { error } = await test.service.rpc('credits_reconcile', { p_apply: true })
      expect(error).toBeNull()
    }
    expect(await grants(id)).toEqual([{ type: 'grant', source: 'signup', amount: '50.000000' }])
    expect(await balance(id)).toMatchObject({ available: '50' })
  })
})
