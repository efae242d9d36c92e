import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type App, startApp } from './support/app.ts'
import { Browser, newAdmin, newUser, setRole } from './support/browser.ts'

let app: App
beforeAll(async () => {
  app = await startApp()
})
afterAll(() => app?.stop())

const ROUTES: [string, string, unknown?][] = [
  ['GET', '/api/credits/balance'],
  ['GET', '/api/credits/history'],
  ['POST', '/api/generate', { prompt: 'hi' }],
  ['POST', '/api/chat', { messages: [{ role: 'user', parts: [{ type: 'text', text: 'hi' }] }] }],
  ['GET', '/api/admin/credits/margins'],
  ['PUT', '/api/admin/credits/margins', { marginPercent: '1' }],
  ['GET', '/api/admin/credits/audit'],
]

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const decode = (part = '') => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>

/** Tokens that claim to be `token`'s owner, or the admin, without the auth server's signature. */
function forgeries(token: string, adminId: string, jwks: unknown, legacySecret: string): Record<string, string> {
  const [head = '', payload = '', signature = ''] = token.split('.')
  const header = decode(head)
  const claims = decode(payload)
  const asAdmin = { ...claims, sub: adminId, role: 'authenticated', app_metadata: { role: 'admin' } }
  const hmac = (key: string, body: string) => `${body}.${createHmac('sha256', key).update(body).digest('base64url')}`
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const es256 = (body: string) =>
    `${body}.${sign('sha256', Buffer.from(body), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
  const unsigned = (alg: string) => `${encode({ ...header, alg })}.${encode(asAdmin)}.`
  return {
    'alg none': unsigned('none'),
    'alg None': unsigned('None'),
    'alg nOnE': unsigned('nOnE'),
    'no signature': `${head}.${payload}.`,
    'two parts': `${head}.${payload}`,
    'swapped payload': `${head}.${encode(asAdmin)}.${signature}`,
    'a byte flipped': `${head}.${payload}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`,
    'HS256 with an empty key': hmac('\0', `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(asAdmin)}`),
    'HS256 with a guessed key': hmac('secret', `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(asAdmin)}`),
    'HS256 with the public key as secret': hmac(
      JSON.stringify(jwks),
      `${encode({ ...header, alg: 'HS256' })}.${encode(asAdmin)}`,
    ),
    'a session that never was': hmac(
      legacySecret,
      `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ ...asAdmin, session_id: crypto.randomUUID() })}`,
    ),
    'another key': es256(`${head}.${encode(asAdmin)}`),
    'a key the token brings along': es256(
      `${encode({ ...header, jku: 'https://evil.example/jwks.json' })}.${encode(asAdmin)}`,
    ),
    expired: es256(`${head}.${encode({ ...asAdmin, exp: 1 })}`),
    'no subject': es256(`${head}.${encode({ ...claims, sub: undefined })}`),
    'not a token': 'abc',
    SQL: "' or 1=1 --",
  }
}

test('every route refuses every forged token, as a bearer and as a cookie', async () => {
  const user = await newUser(app)
  const admin = await newAdmin(app)
  const jwks = await (await fetch(`${app.stack.url}/auth/v1/.well-known/jwks.json`)).json()
  const real = user.browser.session()
  let tried = 0
  for (const [name, token] of Object.entries(forgeries(user.token, admin.id, jwks, app.stack.jwtSecret))) {
    const forger = new Browser(app)
    forger.setSession({ ...real, access_token: token, refresh_token: 'forged', user: { id: admin.id, role: 'admin' } })
    for (const [method, path, body] of ROUTES) {
      const init = { method, ...(body ? { body: JSON.stringify(body) } : {}) }
      const asCookie = await forger.fetch(path, init)
      expect(asCookie.status, `${name} as a cookie: ${method} ${path}`).toBe(401)
      const asBearer = await new Browser(app).fetch(path, { ...init, headers: { authorization: `Bearer ${token}` } })
      expect(asBearer.status, `${name} as a bearer: ${method} ${path}`).toBe(401)
      tried += 2
    }
  }
  expect(tried).toBe(17 * ROUTES.length * 2)
  expect((await app.credits.getMargins()).default).toMatchObject({ marginPercent: '60' })
})

test('the publishable key, the secret key and their JWTs are no session', async () => {
  const { publishableKey, secretKey, anonKey, serviceRoleKey } = app.stack
  for (const key of [publishableKey, secretKey, anonKey, serviceRoleKey]) {
    const headers = { authorization: `Bearer ${key}` }
    for (const path of ['/api/credits/balance', '/api/admin/credits/margins']) {
      expect((await fetch(`${app.url}${path}`, { headers })).status).toBe(401)
    }
  }
})

test('a bearer token works without cookies and without an Origin', async () => {
  const { token } = await newAdmin(app)
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const balance = await fetch(`${app.url}/api/credits/balance`, { headers })
  expect(((await balance.json()) as { available: string }).available).toBe('50')
  const body = JSON.stringify({ marginPercent: '60' })
  expect((await fetch(`${app.url}/api/admin/credits/margins`, { method: 'PUT', headers, body })).status).toBe(200)
})

test('an admin who was demoted is refused at once, with the same token and cookies', async () => {
  const { browser, id, token } = await newAdmin(app)
  const bearer = { authorization: `Bearer ${token}` }
  const statuses = async () => [
    (await browser.fetch('/api/admin/credits/margins')).status,
    (await browser.fetch('/admin')).status,
    (await fetch(`${app.url}/api/admin/credits/margins`, { headers: bearer })).status,
    (await browser.send('PUT', '/api/admin/credits/margins', { marginPercent: '60' })).status,
  ]
  expect(await statuses()).toEqual([200, 200, 200, 200])
  await setRole(app, id, 'user')
  expect(await statuses()).toEqual([403, 403, 403, 403])
})

test('calling oneself an admin, in user metadata or in the profile, opens nothing', async () => {
  const { browser, token, id } = await newUser(app)
  const { createClient } = await import('@supabase/supabase-js')
  const own = createClient(app.stack.url, app.stack.publishableKey, {
    global: { headers: { authorization: `Bearer ${token}` } },
  })
  await fetch(`${app.stack.url}/auth/v1/user`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${token}`, apikey: app.stack.publishableKey, 'content-type': 'application/json' },
    body: JSON.stringify({ data: { role: 'admin', is_admin: true } }),
  })
  await own.from('profiles').update({ role: 'admin' }).eq('user_id', id)
  expect((await browser.fetch('/api/admin/credits/margins')).status).toBe(403)
  expect((await browser.fetch('/admin')).status).toBe(403)
})

test('headers about routing open no page and no route', async () => {
  const { browser } = await newUser(app)
  const subrequests = ['proxy', 'src/proxy', 'middleware', 'src/middleware'].flatMap((name) => [
    name,
    Array.from({ length: 5 }, () => name).join(':'),
  ])
  const hostile: Record<string, string>[] = [
    ...subrequests.map((value) => ({ 'x-middleware-subrequest': value })),
    { 'x-invoke-path': '/api/health' },
    { 'x-matched-path': '/api/health' },
    { 'x-rewrite-url': '/api/health' },
    { 'x-forwarded-host': 'evil.example', 'x-forwarded-for': '127.0.0.1' },
    { 'x-http-method-override': 'PUT' },
    { 'next-action': '0'.repeat(42) },
    { 'x-nextjs-data': '1' },
  ]
  for (const headers of hostile) {
    const label = JSON.stringify(headers)
    expect((await fetch(`${app.url}/api/credits/balance`, { headers })).status, label).toBe(401)
    expect((await browser.fetch('/api/admin/credits/margins', { headers })).status, label).toBe(403)
    expect([307, 401, 404], label).toContain((await fetch(`${app.url}/admin`, { headers, redirect: 'manual' })).status)
  }
})
