import { expect, test } from 'vitest'
import { createCreditsHandlers } from '../../src/http/index.ts'
import { CreditError } from '../../src/index.ts'
import { makeApi, ORIGIN, problemOf, type SendInit, SONNET } from './setup.ts'

const READS = ['/credits/balance', '/credits/history']
const ADMIN_READS = ['/admin/credits/margins', '/admin/credits/audit', '/admin/credits/rates']
const WRITES: [string, SendInit][] = [
  ['/admin/credits/margins', { method: 'PUT', body: { marginPercent: '1' } }],
  [`/admin/credits/margins/${SONNET}`, { method: 'PUT', body: { marginPercent: '1' } }],
  [`/admin/credits/margins/${encodeURIComponent(SONNET)}`, { method: 'DELETE' }],
]

test('every route answers 401 without a session and says how to sign in', async () => {
  const { send } = makeApi()
  for (const [path, init] of [...READS, ...ADMIN_READS].map((p): [string, SendInit] => [p, {}]).concat(WRITES)) {
    const response = await send(path, { ...init, as: 'nobody' })
    expect(response.headers.get('www-authenticate'), path).toBe('Bearer')
    expect(await problemOf(response), path).toMatchObject({ status: 401, code: 'UNAUTHENTICATED' })
  }
})

test('every admin route answers 403 to a user and nothing changes', async () => {
  const { send, credits } = makeApi()
  const before = await credits.getMargins()
  for (const [path, init] of ADMIN_READS.map((p): [string, SendInit] => [p, {}]).concat(WRITES)) {
    expect(await problemOf(await send(path, init)), path).toMatchObject({ status: 403, code: 'FORBIDDEN' })
  }
  const after = await credits.getMargins()
  expect([after.default, after.overrides]).toEqual([before.default, before.overrides])
  expect((await credits.getMarginAudit()).data).toHaveLength((await makeApi().credits.getMarginAudit()).data.length)
})

test('the right of an admin is asked for on each request, so taking it away works at once', async () => {
  let isAdmin = true
  const { adminId, credits } = makeApi()
  const handlers = createCreditsHandlers({ credits, getUser: () => ({ id: adminId, isAdmin: async () => isAdmin }) })
  const read = () => handlers.GET(new Request(`${ORIGIN}/api/admin/credits/margins`))
  expect((await read()).status).toBe(200)
  isAdmin = false
  expect((await read()).status).toBe(403)
})

test.each([
  ['truthy but not true', 'yes'],
  ['absent', undefined],
])('only a true isAdmin opens the admin routes: %s', async (_, isAdmin) => {
  const { adminId, credits } = makeApi()
  const handlers = createCreditsHandlers({ credits, getUser: () => ({ id: adminId, isAdmin: isAdmin as never }) })
  expect((await handlers.GET(new Request(`${ORIGIN}/api/admin/credits/margins`))).status).toBe(403)
})

test.each([
  ['/credits/balance', 'PUT', 'GET'],
  ['/credits/history', 'DELETE', 'GET'],
  ['/admin/credits/margins', 'DELETE', 'GET, PUT'],
  ['/admin/credits/margins', 'POST', 'GET, PUT'],
  [`/admin/credits/margins/${SONNET}`, 'PATCH', 'PUT, DELETE'],
  [`/admin/credits/margins/${SONNET}`, 'GET', 'PUT, DELETE'],
])('%s answers 405 to %s and names the verbs it has', async (path, method, allow) => {
  const { send } = makeApi()
  const response = await send(path, { as: 'admin', method })
  expect(response.headers.get('allow')).toBe(allow)
  expect(await problemOf(response)).toMatchObject({ status: 405, code: 'METHOD_NOT_ALLOWED' })
})

test.each([
  '/credits',
  '/credits/',
  '/credits/balance/',
  '/credits/Balance',
  '/credits/balance.',
  '/credits//balance',
  '/credits/balance%2f..',
  '/credits/x/admin/credits/margins',
  '/admin/credits/margins/',
  '/creditsX/balance',
])('an address that is not exactly a route is a 404 for everyone: %s', async (path) => {
  const { send } = makeApi()
  expect(await problemOf(await send(path, { as: 'admin' }))).toMatchObject({ status: 404, code: 'NOT_FOUND' })
})

test('headers that speak about routing, methods or identity change nothing', async () => {
  const { send, userId, adminId } = makeApi()
  const hostile = {
    'x-middleware-subrequest': 'proxy:proxy:proxy:proxy:proxy',
    'x-invoke-path': '/api/health',
    'x-rewrite-url': '/api/health',
    'x-original-url': '/api/health',
    'x-user-id': adminId,
    'x-role': 'admin',
    'next-action': 'x',
  }
  for (const [name, value] of Object.entries(hostile)) {
    const headers = { [name]: value }
    expect((await send('/admin/credits/margins', { headers })).status, name).toBe(403)
    expect((await send('/credits/balance', { as: 'nobody', headers })).status, name).toBe(401)
  }
  const overridden = await send('/admin/credits/margins', { as: 'admin', headers: { 'x-http-method-override': 'PUT' } })
  expect(overridden.status).toBe(200)
  expect((await overridden.json()).default.marginPercent).toBe('60')
  expect(userId).not.toBe(adminId)
})

test('HEAD is GET and needs the same session', async () => {
  const { send } = makeApi()
  expect((await send('/credits/balance', { method: 'HEAD' })).status).toBe(200)
  expect((await send('/credits/balance', { method: 'HEAD', as: 'nobody' })).status).toBe(401)
})

test('no answer allows another origin to read it', async () => {
  const { send } = makeApi()
  for (const path of [...READS, ...ADMIN_READS]) {
    const response = await send(path, { as: 'admin', headers: { origin: 'https://evil.example' } })
    expect([...response.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
  }
})

test('a getUser that fails is a 503 when it says so and a 500 without a word otherwise', async () => {
  const { credits } = makeApi()
  const fail = (error: unknown) =>
    createCreditsHandlers({
      credits,
      getUser: () => {
        throw error
      },
    }).GET(new Request(`${ORIGIN}/api/credits/balance`))
  const busy = await fail(new CreditError({ code: 'STORE_UNAVAILABLE', message: 'connect ECONNREFUSED 10.0.0.7:5432' }))
  expect(busy.headers.get('retry-after')).toBe('2')
  expect(await problemOf(busy.clone())).toMatchObject({ status: 503, code: 'STORE_UNAVAILABLE' })
  expect(await busy.text()).not.toContain('10.0.0.7')
  const broken = await fail(new Error('select * from auth.users failed at db.internal'))
  expect(await problemOf(broken.clone())).toMatchObject({ status: 500, code: 'INTERNAL' })
  expect(await broken.text()).not.toMatch(/select|db\.internal|stack/)
})
