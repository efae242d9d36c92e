import { expect, test } from 'vitest'
import { createCreditsHandlers } from '../../src/http/index.ts'
import { CreditError } from '../../src/index.ts'
import { calls, makeApi, ORIGIN, problemOf, SONNET } from '../kit/http-api.ts'

const protectedCalls = calls.filter(({ route }) => route.access !== 'public')
const adminCalls = calls.filter(({ route }) => route.access === 'admin')
const userCalls = calls.filter(({ route }) => route.access === 'user')
const publicCalls = calls.filter(({ route }) => route.access === 'public')
const reads = calls.filter(({ route }) => route.method === 'GET')

test.each(calls)('$name answers an admin with a body of its schema, never cached', async ({ path, init, route }) => {
  const { send, credits } = makeApi()
  if (route.method === 'DELETE') await credits.setMargin({ scope: 'model', target: SONNET, marginPercent: '5' })
  const response = await send(path, { ...init, as: 'admin' })
  const body = await response.json()
  expect(response.status, JSON.stringify(body)).toBe(200)
  expect(response.headers.get('cache-control')).toBe('no-store')
  expect(route.response.safeParse(body).error).toBeUndefined()
})

test.each(protectedCalls)('$name answers 401 without a session and says how to sign in', async ({ path, init }) => {
  const { send } = makeApi()
  const response = await send(path, { ...init, as: 'nobody' })
  expect(response.headers.get('www-authenticate')).toBe('Bearer')
  expect(await problemOf(response)).toMatchObject({ status: 401, code: 'UNAUTHENTICATED' })
})

test.each(adminCalls)(
  '$name answers 403 to a user who is not an admin, and nothing changes',
  async ({ path, init }) => {
    const { send, credits } = makeApi()
    const before = await credits.getMargins()
    expect(await problemOf(await send(path, init))).toMatchObject({ status: 403, code: 'FORBIDDEN' })
    const after = await credits.getMargins()
    expect([after.default, after.overrides]).toEqual([before.default, before.overrides])
    expect((await credits.getMarginAudit()).data).toHaveLength((await makeApi().credits.getMarginAudit()).data.length)
  },
)

test.each(userCalls)('$name answers a user who is not an admin', async ({ path, init }) => {
  expect((await makeApi().send(path, init)).status).toBe(200)
})

test.each(publicCalls)('$name answers without a session', async ({ path, init }) => {
  expect((await makeApi().send(path, { ...init, as: 'nobody' })).status).toBe(200)
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
])('the admin routes stay closed when isAdmin is %s', async (_, isAdmin) => {
  const { adminId, credits } = makeApi()
  const handlers = createCreditsHandlers({ credits, getUser: () => ({ id: adminId, isAdmin: isAdmin as never }) })
  expect((await handlers.GET(new Request(`${ORIGIN}/api/admin/credits/margins`))).status).toBe(403)
})

test('credits given as a function are made at the first request of a signed-in user, not before', async () => {
  const { credits, userId } = makeApi()
  let made = 0
  const { GET } = createCreditsHandlers({
    credits: () => {
      made++
      return credits
    },
    getUser: (request) => (request.headers.has('cookie') ? { id: userId } : null),
  })
  const read = (headers: Record<string, string>) => GET(new Request(`${ORIGIN}/api/credits/balance`, { headers }))
  expect((await read({})).status).toBe(401)
  expect(made).toBe(0)
  expect((await read({ cookie: 'session=user' })).status).toBe(200)
  expect(made).toBe(1)
})

test('a function that cannot make the credits answers with its own code', async () => {
  const { userId } = makeApi()
  const { GET } = createCreditsHandlers({
    credits: () => {
      throw new CreditError({ code: 'CONFIG_INVALID', details: { missing: ['SUPABASE_SECRET_KEY'] } })
    },
    getUser: () => ({ id: userId }),
    onError: () => undefined,
  })
  const { code, body } = await problemOf(await GET(new Request(`${ORIGIN}/api/credits/balance`)))
  expect([code, body.missing]).toEqual(['CONFIG_INVALID', ['SUPABASE_SECRET_KEY']])
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
])('the address %s, which is not exactly a route, is a 404 even for an admin', async (path) => {
  const { send } = makeApi()
  expect(await problemOf(await send(path, { as: 'admin' }))).toMatchObject({ status: 404, code: 'NOT_FOUND' })
})

test('headers about routing, methods or identity change nothing', async () => {
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

test('HEAD is answered like GET and needs the same session', async () => {
  const { send } = makeApi()
  expect((await send('/credits/balance', { method: 'HEAD' })).status).toBe(200)
  expect((await send('/credits/balance', { method: 'HEAD', as: 'nobody' })).status).toBe(401)
})

test('no answer allows another origin to read it', async () => {
  const { send } = makeApi()
  for (const { path } of reads) {
    const response = await send(path, { as: 'admin', headers: { origin: 'https://evil.example' } })
    expect([...response.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
  }
})

test('a getUser that fails answers 503 when its error says so, else 500 without a word about why', async () => {
  const { credits } = makeApi()
  const fail = (error: unknown) =>
    createCreditsHandlers({
      credits,
      onError: () => undefined,
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
