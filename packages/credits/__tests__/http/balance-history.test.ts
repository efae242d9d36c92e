import { expect, test } from 'vitest'
import { balanceSchema, historySchema } from '../../src/http/schemas.ts'
import { makeApi, problemOf } from '../kit/http-api.ts'

test('a signed-in user reads exactly their own balance, in decimal strings', async () => {
  const { send, credits, userId, otherId } = makeApi()
  await credits.grant({ userId, amount: '12.5', source: 'purchase', idempotencyKey: 'p1' })
  await credits.grant({ userId: otherId, amount: '1000', source: 'purchase', idempotencyKey: 'p2' })
  await credits.reserve({ userId, amount: '2.5' })

  const response = await send(`/credits/balance?userId=${otherId}&user_id=${otherId}`)

  expect(response.status).toBe(200)
  expect(response.headers.get('cache-control')).toBe('no-store')
  const body = await response.json()
  expect(balanceSchema.strict().parse(body)).toMatchObject({
    available: '60',
    balance: '62.5',
    planCredits: '50',
    addOnCredits: '12.5',
    reserved: '2.5',
    debt: '0',
    overageLimit: '0',
    plan: 'free',
    status: 'active',
  })
})

test('the history pages through every transaction once, newest first', async () => {
  const { send, credits, userId } = makeApi()
  for (let i = 1; i <= 12; i++) {
    await credits.grant({ userId, amount: String(i), source: 'promo', idempotencyKey: `g${i}` })
  }
  const versions: number[] = []
  let cursor: string | null = null
  let pages = 0
  do {
    const response: Response = await send(`/credits/history?limit=5${cursor ? `&cursor=${cursor}` : ''}`)
    const page = historySchema.strict().parse(await response.json())
    versions.push(...page.data.map(({ version }) => version))
    cursor = page.nextCursor
    pages++
  } while (cursor)
  expect(versions).toEqual(Array.from({ length: 13 }, (_, i) => 13 - i))
  expect(pages).toBe(3)
})

test('a line of the history names no user, cost, margin, provider, metadata or operator’s reason', async () => {
  const { send, credits, userId } = makeApi()
  await credits.grant({
    userId,
    amount: '1',
    source: 'promo',
    idempotencyKey: 'g',
    reason: 'written by an operator',
    metadata: { secret: 'internal' },
  })
  const text = await (await send('/credits/history')).text()
  expect(text).not.toMatch(/cost|margin|provider|metadata|internal|pricing|operator/i)
  expect(text).not.toContain(userId)
})

test('the history is that of the session, even when the query names another user', async () => {
  const { send, credits, userId, otherId } = makeApi()
  await credits.grant({ userId: otherId, amount: '777', source: 'purchase', idempotencyKey: 'theirs' })
  const plain = await (await send('/credits/history')).json()
  const asked = await (await send(`/credits/history?userId=${otherId}&user_id=${otherId}`)).json()
  expect(asked).toEqual(plain)
  expect((await credits.getHistory({ userId })).data.map(({ id }) => id)).toEqual(
    plain.data.map(({ id }: { id: string }) => id),
  )
})

test('the history filters by type and time', async () => {
  const { send, credits, store, userId } = makeApi()
  const { reservationId } = await credits.reserve({ userId, amount: '2' })
  await credits.settle({ userId, reservationId, amount: '2' })
  const usage = await (await send('/credits/history?type=usage')).json()
  expect(usage.data.map(({ amount }: { amount: string }) => amount)).toEqual(['-2'])

  store.advance(3600)
  await credits.grant({ userId, amount: '1', source: 'promo', idempotencyKey: 'later' })
  const [latest] = (await (await send('/credits/history')).json()).data
  const from = encodeURIComponent(latest.createdAt)
  expect((await (await send(`/credits/history?from=${from}`)).json()).data).toHaveLength(1)
  expect((await (await send(`/credits/history?to=${from}`)).json()).data).toHaveLength(2)
})

test.each([
  'limit=0',
  'limit=201',
  'limit=1000000',
  'limit=-1',
  'limit=1.5',
  'limit=ten',
  'limit=1&limit=2',
  'type=everything',
  'type=usage&type=grant',
  'from=yesterday',
  'from=2026-13-45T00:00:00Z',
  'cursor=',
  'cursor=AAAA',
  'cursor=eyJiZWZvcmUiOi0xfQ',
  "cursor=1'%20or%20'1'%3D'1",
  `cursor=${'A'.repeat(600)}`,
])('the history query %s is refused with 422', async (query) => {
  const { send } = makeApi()
  expect(await problemOf(await send(`/credits/history?${query}`))).toMatchObject({ status: 422, code: 'INVALID_INPUT' })
})

test('a cursor with any one character changed never shows a row twice and never fails with a 500', async () => {
  const { send, credits, userId } = makeApi()
  for (let i = 0; i < 5; i++) await credits.grant({ userId, amount: '1', source: 'promo', idempotencyKey: `g${i}` })
  const { nextCursor } = await (await send('/credits/history?limit=2')).json()
  for (let i = 0; i < nextCursor.length; i++) {
    const tampered = `${nextCursor.slice(0, i)}${nextCursor[i] === 'A' ? 'B' : 'A'}${nextCursor.slice(i + 1)}`
    const response = await send(`/credits/history?limit=2&cursor=${encodeURIComponent(tampered)}`)
    expect([200, 422]).toContain(response.status)
  }
})

test('a cursor of one user is refused to another', async () => {
  const { send, credits, userId } = makeApi()
  for (let i = 0; i < 5; i++) await credits.grant({ userId, amount: '1', source: 'promo', idempotencyKey: `g${i}` })
  const { nextCursor } = await (await send('/credits/history?limit=2')).json()
  expect((await send(`/credits/history?cursor=${nextCursor}`)).status).toBe(200)
  const response = await send(`/credits/history?cursor=${nextCursor}`, { as: 'other' })
  expect(await problemOf(response)).toMatchObject({ status: 422, code: 'INVALID_INPUT' })
})
