import { expect, test } from 'vitest'
import { auditSchema, marginSchema, marginsSchema, ratesSchema } from '../../src/http/schemas.ts'
import { type Api, makeApi, problemOf, SONNET } from '../kit/http-api.ts'

const put = (api: Api, path: string, body: unknown) => api.send(path, { as: 'admin', method: 'PUT', body })

test('an admin reads and changes the default margin, and the audit log says who, from what to what and why', async () => {
  const api = makeApi()
  const before = marginsSchema.parse(await (await api.send('/admin/credits/margins', { as: 'admin' })).json())
  expect(before.default?.marginPercent).toBe('60')

  const body = { marginPercent: '75.5', expectedVersion: before.default?.version, reason: 'costs rose' }
  const changed = await put(api, '/admin/credits/margins', body)

  expect(changed.status).toBe(200)
  expect(marginSchema.parse(await changed.json())).toMatchObject({
    scope: 'default',
    target: '',
    marginPercent: '75.5',
  })
  const audit = auditSchema.parse(await (await api.send('/admin/credits/audit', { as: 'admin' })).json())
  expect(audit.data[0]).toMatchObject({
    oldMarginPercent: '60',
    newMarginPercent: '75.5',
    actorId: api.adminId,
    reason: 'costs rose',
  })
})

test('the slash of a model id may come raw or encoded, and both address the same override', async () => {
  const api = makeApi()
  expect((await put(api, `/admin/credits/margins/${SONNET}`, { marginPercent: '20' })).status).toBe(200)
  const encoded = await put(api, `/admin/credits/margins/${encodeURIComponent(SONNET)}`, { marginPercent: '30' })
  expect(await encoded.json()).toMatchObject({ scope: 'model', target: SONNET, marginPercent: '30', version: 2 })

  const { overrides } = await (await api.send('/admin/credits/margins', { as: 'admin' })).json()
  expect(overrides).toHaveLength(1)

  const removed = await api.send(`/admin/credits/margins/${encodeURIComponent(SONNET)}?expectedVersion=2`, {
    as: 'admin',
    method: 'DELETE',
  })
  expect(removed.status).toBe(200)
  const after = await (await api.send('/admin/credits/margins', { as: 'admin' })).json()
  expect(after.overrides).toEqual([])
})

test('a margin may also be set for a provider, a feature or a plan', async () => {
  const api = makeApi()
  for (const [scope, target] of [
    ['provider', 'anthropic'],
    ['feature', 'chat'],
    ['plan', 'pro'],
  ]) {
    const response = await put(api, `/admin/credits/margins/${target}?scope=${scope}`, { marginPercent: 10 })
    expect(await response.json()).toMatchObject({ scope, target, marginPercent: '10' })
  }
  expect((await put(api, '/admin/credits/margins/x?scope=default', { marginPercent: '1' })).status).toBe(422)
})

test('of two admins who decided on the same version, the second gets a conflict that names both versions', async () => {
  const api = makeApi()
  const { default: current } = await (await api.send('/admin/credits/margins', { as: 'admin' })).json()
  const body = { marginPercent: '70', expectedVersion: current.version }
  expect((await put(api, '/admin/credits/margins', body)).status).toBe(200)
  const second = await put(api, '/admin/credits/margins', { ...body, marginPercent: '80' })
  const { status, code, body: conflict } = await problemOf(second)
  expect([status, code]).toEqual([409, 'VERSION_CONFLICT'])
  expect(conflict).toMatchObject({ expected: current.version, actual: current.version + 1 })
  const { default: now } = await (await api.send('/admin/credits/margins', { as: 'admin' })).json()
  expect(now.marginPercent).toBe('70')
})

test('an override for a model that does not exist is refused, and the answer names the model', async () => {
  const api = makeApi()
  for (const target of ['anthropic/claude-sonnet-4.6', 'constructor', '__proto__', '..%2f..', 'a%00b']) {
    const response = await put(api, `/admin/credits/margins/${target}`, { marginPercent: '5' })
    const { status, body } = await problemOf(response)
    expect([status, String(body.detail).includes(decodeURIComponent(target))], target).toEqual([422, true])
  }
  expect((await put(api, '/admin/credits/margins/acme/unpriced', { marginPercent: '5' })).status).toBe(200)
  expect(await problemOf(await put(api, '/admin/credits/margins/%ff', { marginPercent: '5' }))).toMatchObject({
    status: 422,
    code: 'INVALID_INPUT',
  })
})

test('the rates can be searched, and they say which models have no price', async () => {
  const { send } = makeApi()
  const all = ratesSchema.parse(await (await send('/admin/credits/rates', { as: 'admin' })).json())
  expect(all.data.map(({ modelId, known }) => [modelId, known])).toEqual([
    ['acme/unpriced', false],
    [SONNET, true],
    ['openai/gpt-5', true],
  ])
  const found = ratesSchema.parse(
    await (await send('/admin/credits/rates?search=SONNET&limit=1', { as: 'admin' })).json(),
  )
  expect(found).toMatchObject({ total: 1, data: [{ modelId: SONNET, pricing: { input: '0.000003' } }] })
})

test('the audit log pages through every change once', async () => {
  const api = makeApi()
  for (let i = 1; i <= 7; i++) await put(api, '/admin/credits/margins', { marginPercent: i })
  const seen: number[] = []
  let cursor: string | null = null
  do {
    const response = await api.send(`/admin/credits/audit?limit=3${cursor ? `&cursor=${cursor}` : ''}`, { as: 'admin' })
    const page = auditSchema.parse(await response.json())
    seen.push(...page.data.map(({ id }) => id))
    cursor = page.nextCursor
  } while (cursor)
  expect(new Set(seen).size).toBe(seen.length)
  expect(seen.length).toBeGreaterThanOrEqual(7)
})
