import { expect, test } from 'vitest'
import { makeApi, type SendInit, SONNET } from './setup.ts'

const WRITES: [string, SendInit][] = [
  ['/admin/credits/margins', { method: 'PUT', body: { marginPercent: '1' } }],
  [`/admin/credits/margins/${SONNET}`, { method: 'PUT', body: { marginPercent: '1' } }],
  [`/admin/credits/margins/${SONNET}`, { method: 'DELETE' }],
]

const FOREIGN: [string, Record<string, string | null>][] = [
  ['another site', { origin: 'https://evil.example' }],
  ['a subdomain', { origin: 'https://x.app.example' }],
  ['a name that ends alike', { origin: 'https://evil-app.example' }],
  ['a name that begins alike', { origin: 'https://app.example.evil.example' }],
  ['another port', { origin: 'https://app.example:8443' }],
  ['plain http on an https app', { origin: 'http://app.example' }],
  ['null', { origin: 'null' }],
  ['absent', { origin: null }],
  ['empty', { origin: '' }],
  ['two origins', { origin: 'https://app.example, https://evil.example' }],
  ['a forged forwarded host', { origin: 'https://evil.example', 'x-forwarded-host': 'evil.example' }],
  ['a referer instead', { origin: null, referer: 'https://app.example/admin' }],
  ['a cookie beside a foreign bearer', { origin: 'https://evil.example', authorization: 'Bearer admin' }],
]

test.each(FOREIGN)('a state-changing cookie request is refused when its Origin is %s', async (_, headers) => {
  const api = makeApi()
  await api.credits.setMargin({ scope: 'model', target: SONNET, marginPercent: '33' })
  for (const [path, init] of WRITES) {
    const response = await api.send(path, { ...init, as: 'admin', headers })
    expect(response.status, `${init.method} ${path}`).toBe(403)
  }
  const { default: current, overrides } = await api.credits.getMargins()
  expect([current?.marginPercent, overrides[0]?.marginPercent]).toEqual(['60', '33'])
})

test('the app itself, and origins the operator named, may change things', async () => {
  const api = makeApi({ allowedOrigins: ['https://admin.example'] })
  for (const origin of ['https://app.example', 'https://admin.example']) {
    const response = await api.send('/admin/credits/margins', {
      as: 'admin',
      method: 'PUT',
      body: { marginPercent: '61' },
      headers: { origin },
    })
    expect(response.status, origin).toBe(200)
  }
})

test('an http page is trusted only where the app itself is served over http', async () => {
  const change = (proto: string) =>
    makeApi().send('/admin/credits/margins', {
      as: 'admin',
      method: 'PUT',
      body: { marginPercent: '61' },
      headers: { origin: 'http://app.example', 'x-forwarded-proto': proto },
    })
  expect((await change('http')).status).toBe(200)
  expect((await change('https')).status).toBe(403)
})

test('a bearer token needs no Origin, because no browser attaches it by itself', async () => {
  for (const origin of [null, 'https://evil.example']) {
    const response = await makeApi().send('/admin/credits/margins', {
      as: 'nobody',
      method: 'PUT',
      body: { marginPercent: '61' },
      headers: { origin, authorization: 'Bearer admin' },
    })
    expect(response.status).toBe(200)
  }
})

test('content types that a form of another site can send are refused', async () => {
  const api = makeApi()
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/json',
    '',
  ]) {
    const response = await api.send('/admin/credits/margins', {
      as: 'admin',
      method: 'PUT',
      raw: '{"marginPercent":"1"}',
      headers: { 'content-type': type || null },
    })
    expect(response.status, type).toBe(422)
  }
  expect((await api.credits.getMargins()).default?.marginPercent).toBe('60')
})

test('reading never needs an Origin and never changes anything', async () => {
  const { send } = makeApi()
  expect((await send('/credits/balance', { headers: { origin: null } })).status).toBe(200)
})
