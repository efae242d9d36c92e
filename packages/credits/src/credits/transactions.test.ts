import { describe, expect, it } from 'vitest'
import { errorOf, fault, setup } from './__fixtures__/setup.ts'

describe('grant, refund, reverse and adjust', () => {
  it('a grant with the same key is given once', async () => {
    const { credits, userId } = setup()
    const purchase = { userId, amount: '100', source: 'purchase', idempotencyKey: 'payment-1' } as const
    const { transaction } = await credits.grant(purchase)
    expect(await credits.grant(purchase)).toMatchObject({ replayed: true, transaction: { id: transaction.id } })
    expect((await credits.getBalance({ userId })).available).toBe('150')
  })

  it('reverse takes a disputed purchase back once, and leaves a debt for what was spent', async () => {
    const { credits, userId } = setup()
    const { transaction } = await credits.grant({ userId, amount: '100', source: 'purchase', idempotencyKey: 'p' })
    const { reservationId } = await credits.reserve({ userId, amount: '120' })
    await credits.settle({ userId, reservationId, amount: '120' })
    const dispute = { userId, transactionId: transaction.id, reason: 'Disputed', idempotencyKey: 'dispute-1' }
    const reversed = await credits.reverse(dispute)
    expect(reversed.transaction).toMatchObject({ type: 'reversal', amount: '-100', reversesId: transaction.id })
    expect(reversed.balance).toMatchObject({ debt: '70', available: '-70' })
    expect(await credits.reverse(dispute)).toMatchObject({ replayed: true })
    expect((await errorOf(credits.reserve({ userId, amount: '1' }))).code).toBe('INSUFFICIENT_CREDITS')
  })

  it('a refund and a reversal with the same key are two operations', async () => {
    const { credits, userId } = setup()
    const { transaction } = await credits.grant({ userId, amount: '9', source: 'purchase', idempotencyKey: 'p' })
    const { reservationId } = await credits.reserve({ userId, amount: '5' })
    const usage = (await credits.settle({ userId, reservationId, amount: '5' })).transaction?.id ?? ''
    const input = { userId, reason: 'test', idempotencyKey: 'same' }
    await credits.refund({ ...input, transactionId: usage })
    await credits.reverse({ ...input, transactionId: transaction.id })
    expect(await credits.getBalance({ userId })).toMatchObject({ available: '50', version: 5 })
  })

  it('an unknown outcome carries the id of the transaction', async () => {
    const { credits, userId, faults } = setup()
    const purchase = { userId, amount: '100', source: 'purchase', idempotencyKey: 'payment-1' } as const
    faults.grant = [fault('OUTCOME_UNKNOWN')]
    const { details } = await errorOf(credits.grant(purchase))
    const { transaction } = await credits.grant(purchase)
    expect(details).toMatchObject({ transactionId: transaction.id })
  })
})

describe('getHistory', () => {
  it('continues at its cursor, which fits its own listing only', async () => {
    const { credits, memory, userId } = setup()
    for (const key of ['a', 'b', 'c']) {
      await credits.grant({ userId, amount: '1', source: 'promo', idempotencyKey: key })
    }
    const first = await credits.getHistory({ userId, limit: 3 })
    expect(first.data.map((row) => row.version)).toEqual([4, 3, 2])
    const cursor = first.nextCursor ?? ''
    const second = await credits.getHistory({ userId, limit: 3, cursor })
    expect(second).toMatchObject({ data: [{ version: 1 }], nextCursor: null })
    const other = memory.createAccount().userId
    expect((await errorOf(credits.getHistory({ userId: other, cursor }))).code).toBe('INVALID_INPUT')
    expect((await errorOf(credits.getHistory({ userId, type: 'grant', cursor }))).code).toBe('INVALID_INPUT')
  })

  it('refuses a cursor with any changed character', async () => {
    const { credits, userId } = setup()
    await credits.grant({ userId, amount: '1', source: 'promo', idempotencyKey: 'a' })
    const cursor = (await credits.getHistory({ userId, limit: 1 })).nextCursor ?? ''
    for (let index = 0; index < cursor.length; index += 1) {
      const changed = cursor.slice(0, index) + (cursor[index] === 'A' ? 'B' : 'A') + cursor.slice(index + 1)
      expect((await errorOf(credits.getHistory({ userId, cursor: changed }))).code).toBe('INVALID_INPUT')
    }
  })
})
