import { expect, test } from 'vitest'
import { calls, makeApi, ORIGIN, problemOf, SONNET } from '../kit/http-api.ts'

const writes = calls.filter(({ route }) => route.method !== 'GET')

const FOREIGN: [string, Record<string, string | null>][] = [
  ['that of another site', { origin: 'https://evil.example' }],
  ['that of a subdomain', { origin: 'https://x.app.example' }],
  ['a name with the same ending', { origin: 'https://evil-app.example' }],
  ['a name with the same beginning', { origin: 'https://app.example.evil.example' }],
  ['another port', { origin: 'https://app.example:8443' }],
  ['plain http on an https app', { origin: 'http://app.example' }],
  ['null', { origin: 'null' }],
  ['absent', { origin: null }],
  ['empty', { origin: '' }],
  ['two origins', { origin: 'https://app.example, https://evil.example' }],
  [
    'foreign and X-Forwarded-Host agrees with it',
    { origin: 'https://evil.example', 'x-forwarded-host': 'evil.example' },
  ],
  ['absent and only a Referer is sent', { origin: null, referer: 'https://app.example/admin' }],
  [
    'foreign although a bearer token is sent with the cookie',
    { origin: 'https://evil.example', authorization: 'Bearer admin' },
  ],
]

test.each(FOREIGN)('a state-changing cookie request is refused when its Origin is %s', async (_, headers) => {
  const api = makeApi()
  await api.credits.setMargin({ scope: 'model', target: SONNET, marginPercent: '33' })
  expect(writes.length).toBeGreaterThan(2)
  for (const { name, path, init } of writes) {
    const response = await api.send(path, { ...init, as: 'admin', headers })
    expect(response.status, name).toBe(403)
  }
  const { default: current, overrides } = await api.credits.getMargins()
  expect([current?.marginPercent, overrides[0]?.marginPercent]).toEqual(['60', '33'])
})

test('pages of the app itself and of the allowed origins may change things', async () => {
  const api = makeApi({ allowedOrigins: ['https://admin.example'] })
  const lazy = makeApi({ allowedOrigins: () => ['https://admin.example'] })
  for (const [origin, { send }] of [
    ['https://app.example', api],
    ['https://admin.example', api],
    ['https://admin.example', lazy],
  ] as const) {
    const response = await send('/admin/credits/margins', {
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

test('a request with a bearer token and no cookie needs no Origin', async () => {
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

test('a read needs no Origin', async () => {
  const { send } = makeApi()
  expect((await send('/credits/balance', { headers: { origin: null } })).status).toBe(200)
})

test('a request without Origin is told what to send, and a foreign one which origin is expected', async () => {
  const refusal = async (origin: string | null) => {
    const init = { as: 'admin', method: 'PUT', body: { marginPercent: '1' }, headers: { origin } } as const
    return (await problemOf(await makeApi().send('/admin/credits/margins', init))).body
  }
  const absent = await refusal(null)
  expect(absent).toMatchObject({ code: 'FORBIDDEN', expected: ORIGIN })
  expect(absent.detail).toContain(`Origin: ${ORIGIN}`)
  const foreign = await refusal('https://evil.example')
  expect(foreign).toMatchObject({ code: 'FORBIDDEN', expected: ORIGIN, origin: 'https://evil.example' })
  expect(foreign.detail).toContain('allowedOrigins')
})
