import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Credits, createCredits } from '../../src/index.ts'
import { supabaseStore } from '../../src/store/supabase.ts'
import { createTestStack, type TestStack } from '../kit/stack.ts'

describe('reserve-flow', () => {
  let test: TestStack
  let credits: Credits
  beforeAll(async () => {
    test = await createTestStack()
    credits = createCredits({ store: supabaseStore(test.service) })
  })
  afterAll(() => test?.stop())

  const seconds = ({ createdAt, expiresAt }: { createdAt: string; expiresAt: string }) =>
    Math.round((Date.parse(expiresAt) - Date.parse(createdAt)) / 1000)

  it('reserve holds credits for five minutes unless configured otherwise', async () => {
    const { id: userId } = await test.createUser()
    const held = await credits.reserve({ userId, amount: '10' })
    expect([held.state, seconds(held), held.balance.reserved, held.balance.available]).toEqual([
      'active',
      300,
      '10',
      '40',
    ])
    const short = await credits.reserve({ userId, amount: '1', ttlSeconds: 20 })
    expect(seconds(short)).toBe(20)
    const configured = createCredits({ store: supabaseStore(test.service), reservationTtlSeconds: 60 })
    expect(seconds(await configured.reserve({ userId, amount: '1' }))).toBe(60)
  })

  it('settle charges the actual amount and returns the rest', async () => {
    const { id: userId } = await test.createUser()
    const { reservationId } = await credits.reserve({ userId, amount: '10' })
    const settled = await credits.settle({ userId, reservationId, amount: '7' })
    expect(settled.balance).toMatchObject({ planCredits: '43', reserved: '0', available: '43' })
    const rows = await test.sql(
      'select state, reserved::text, captured::text from public.credit_reservations where id = $1',
      [reservationId],
    )
    expect(rows).toEqual([{ state: 'settled', reserved: expect.any(String), captured: '7.000000' }])
  })

  it('release frees the reservation', async () => {
    const { id: userId } = await test.createUser()
    const { reservationId } = await credits.reserve({ userId, amount: '50' })
    const released = await credits.release({ userId, reservationId })
    expect([released.state, released.balance.available]).toEqual(['released', '50'])
    expect((await credits.getHistory({ userId })).data).toHaveLength(1)
  })

  it('an expired reservation no longer counts, without any scheduler', async () => {
    const cron = await test.sql(`select 1 from pg_extension where extname = 'pg_cron'`)
    expect(cron).toEqual([])
    const { id: userId } = await test.createUser()
    const { reservationId } = await credits.reserve({ userId, amount: '50', ttlSeconds: 1 })
    await expect(credits.reserve({ userId, amount: '1' })).rejects.toMatchObject({ code: 'INSUFFICIENT_CREDITS' })
    await sleep(1_200)
    expect((await credits.getBalance({ userId })).available).toBe('50')
    const again = await credits.reserve({ userId, amount: '50' })
    expect(again.state).toBe('active')
    expect((await credits.getReservation({ userId, reservationId })).state).toBe('expired')
  })
})
