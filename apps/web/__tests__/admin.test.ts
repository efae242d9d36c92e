import { afterAll, beforeAll, expect, test } from 'vitest'
import { type App, startApp } from './support/app.ts'
import { available, newAdmin, newUser } from './support/browser.ts'

let app: App
beforeAll(async () => {
  app = await startApp()
})
afterAll(() => app?.stop())

const MODEL = 'anthropic/claude-sonnet-4.5'
const PROMPT = { prompt: '[dev: input=2000 tokens=1000] hello', model: MODEL }

test('a user whom the library lists is an admin too, until the row is gone', async () => {
  const { browser, id } = await newUser(app)
  const answers = async () => [
    (await browser.fetch('/api/admin/credits/margins')).status,
    (await browser.fetch('/admin')).status,
  ]
  expect(await answers()).toEqual([403, 403])
  await app.sql('insert into public.credit_admins (user_id) values ($1)', [id])
  expect(await answers()).toEqual([200, 200])
  await app.sql('delete from public.credit_admins where user_id = $1', [id])
  expect(await answers()).toEqual([403, 403])
})

test('the next charge follows a new default margin, a new override, and its removal', async () => {
  const admin = await newAdmin(app)
  const charge = async () => {
    const { browser } = await newUser(app)
    expect((await browser.send('POST', '/api/generate', PROMPT)).status).toBe(200)
    return available(browser)
  }
  const override = `/api/admin/credits/margins/${encodeURIComponent(MODEL)}`
  expect(await charge()).toBe('46.64')
  expect((await admin.browser.send('PUT', '/api/admin/credits/margins', { marginPercent: '100' })).status).toBe(200)
  expect(await charge()).toBe('45.8')
  expect((await admin.browser.send('PUT', `/api/admin/credits/margins/${MODEL}`, { marginPercent: 0 })).status).toBe(
    200,
  )
  expect(await charge()).toBe('47.9')
  expect((await admin.browser.fetch(override, { method: 'DELETE' })).status).toBe(200)
  expect(await charge()).toBe('45.8')

  const audit = await (await admin.browser.fetch('/api/admin/credits/audit?limit=3')).json()
  expect(
    audit.data.map((entry: Record<string, unknown>) => [
      entry.target,
      entry.oldMarginPercent,
      entry.newMarginPercent,
      entry.actorId,
    ]),
  ).toEqual([
    [MODEL, '0', null, admin.id],
    [MODEL, null, '0', admin.id],
    ['', '60', '100', admin.id],
  ])
})

test('a user is refused on every admin route and page, and nothing changes', async () => {
  const { browser } = await newUser(app)
  const before = await app.credits.getMargins()
  const refused = [
    await browser.fetch('/api/admin/credits/margins'),
    await browser.fetch('/api/admin/credits/audit'),
    await browser.fetch('/api/admin/credits/rates'),
    await browser.send('PUT', '/api/admin/credits/margins', { marginPercent: '0' }),
    await browser.send('PUT', `/api/admin/credits/margins/${MODEL}`, { marginPercent: '0' }),
    await browser.fetch(`/api/admin/credits/margins/${MODEL}`, { method: 'DELETE' }),
    await browser.fetch('/admin'),
  ]
  expect(refused.map(({ status }) => status)).toEqual([403, 403, 403, 403, 403, 403, 403])
  const after = await app.credits.getMargins()
  expect([after.default, after.overrides]).toEqual([before.default, before.overrides])
})

test('of two admins who decided on the same version, the second gets both versions from real Postgres over HTTP', async () => {
  const { browser } = await newAdmin(app)
  const { default: current } = await (await browser.fetch('/api/admin/credits/margins')).json()
  const put = (marginPercent: string) =>
    browser.send('PUT', '/api/admin/credits/margins', { marginPercent, expectedVersion: current.version })
  const answers = (await Promise.all([put('61'), put('62')])).sort((a, b) => a.status - b.status)
  expect(answers.map(({ status }) => status)).toEqual([200, 409])
  expect(await answers[1]?.json()).toMatchObject({
    code: 'VERSION_CONFLICT',
    expected: current.version,
    actual: current.version + 1,
  })
})

test('no page and no script that a browser gets contains the service key or another secret', async () => {
  const { browser } = await newAdmin(app)
  const secrets = [
    app.stack.secretKey,
    app.stack.serviceRoleKey,
    app.stack.jwtSecret,
    app.stack.gatewayApiKey,
    'SUPABASE_SECRET_KEY',
  ]
  const scripts = new Set<string>()
  for (const path of ['/', '/chat', '/history', '/admin', '/upgrade']) {
    const html = await (await browser.fetch(path)).text()
    for (const [, src] of html.matchAll(/"(\/_next\/[^"\\]+\.js)/g)) scripts.add(src ?? '')
    for (const secret of secrets) expect(html.includes(secret), `${path} contains ${secret.slice(0, 6)}…`).toBe(false)
  }
  expect(scripts.size).toBeGreaterThan(3)
  for (const src of scripts) {
    const code = await (await browser.fetch(src)).text()
    for (const secret of [...secrets, 'service_role'])
      expect(code.includes(secret), `${src} contains ${secret.slice(0, 6)}…`).toBe(false)
  }
})
