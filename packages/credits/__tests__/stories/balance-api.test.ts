import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestApp, send, type TestApp } from '../kit/web.ts'

interface Page {
  data: { version: number; amount: string }[]
  nextCursor: string | null
}

describe('balance-api', () => {
  let test: TestApp
  beforeAll(async () => {
    test = await createTestApp()
  })
  afterAll(() => test?.stop())

  it("GET /api/credits/balance answers with the signed-in user's balance", async () => {
    const [ann, bob] = [await test.createUser(), await test.createUser()]
    await test.service.rpc('credits_adjust', {
      p_transaction_id: crypto.randomUUID(),
      p_account_id: bob.id,
      p_amount: '-20.5',
      p_reason: 'story',
    })
    const [forAnn, forBob] = [await test.signedIn(ann), await test.signedIn(bob)]
    expect(await (await send(forAnn, 'GET', '/api/credits/balance')).json()).toMatchObject({
      available: '50',
      plan: 'free',
    })
    const response = await send(forBob, 'GET', `/api/credits/balance?userId=${ann.id}`)
    expect(await response.json()).toMatchObject({ available: '29.5' })
    expect(response.headers.get('cache-control')).toContain('no-store')
  })

  it('GET /api/credits/history pages through every transaction once', async () => {
    const person = await test.createUser()
    for (let n = 1; n <= 11; n++) {
      const { error } = await test.service.rpc('credits_adjust', {
        p_transaction_id: crypto.randomUUID(),
        p_account_id: person.id,
        p_amount: String(n),
        p_reason: `number ${n}`,
      })
      expect(error).toBeNull()
    }
    const session = await test.signedIn(person)
    const versions: number[] = []
    let pages = 0
    for (let cursor: string | null = ''; cursor !== null; pages++) {
      const page = await send(session, 'GET', `/api/credits/history?limit=5${cursor && `&cursor=${cursor}`}`)
      const body = (await page.json()) as Page
      versions.push(...body.data.map(({ version }) => version))
      cursor = body.nextCursor
    }
    expect([versions, pages]).toEqual([[12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1], 3])
  })

  it('both answer 401 without a session', async () => {
    for (const path of ['/api/credits/balance', '/api/credits/history']) {
      for (const headers of [
        {},
        { authorization: `Bearer ${test.stack.anonKey}` },
        { authorization: 'Bearer nonsense' },
      ]) {
        const response = await fetch(new URL(path, test.web.url), { headers })
        expect([response.status, response.headers.get('content-type')]).toEqual([401, 'application/problem+json'])
        expect(await response.json()).toMatchObject({ code: 'UNAUTHENTICATED' })
      }
    }
  })
})
