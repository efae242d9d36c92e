import { afterAll, beforeAll, expect, test } from 'vitest'
import { type App, startApp } from './support/app.ts'
import { newUser } from './support/browser.ts'

let app: App
beforeAll(async () => {
  app = await startApp()
})
afterAll(() => app?.stop())

test.each(['/', '/sign-in', '/upgrade', '/nowhere'])(
  '%s lets only scripts with the nonce of this answer run',
  async (path) => {
    const first = await fetch(`${app.url}${path}`)
    const policy = first.headers.get('content-security-policy') ?? ''
    const [, nonce] = /script-src [^;]*'nonce-([^']+)'/.exec(policy) ?? []
    expect(nonce).toBeDefined()
    expect(policy).toContain("default-src 'self'")
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).not.toMatch(/script-src [^;]*'unsafe-(inline|eval)'/)
    const html = await first.text()
    const scripts = [...html.matchAll(/<script\b([^>]*)>/g)].map(([, attributes]) => attributes ?? '')
    expect(scripts.length).toBeGreaterThan(2)
    for (const attributes of scripts) expect(attributes).toContain(`nonce="${nonce}"`)
    const second = await fetch(`${app.url}${path}`)
    expect(second.headers.get('content-security-policy')).not.toContain(String(nonce))
  },
)

test('every answer sets the security headers, and the API is no page', async () => {
  for (const path of ['/', '/api/credits/balance', '/api/health']) {
    const { headers } = await fetch(`${app.url}${path}`)
    expect(headers.get('x-content-type-options'), path).toBe('nosniff')
    expect(headers.get('strict-transport-security'), path).toMatch(/max-age=\d{8}/)
    expect(headers.get('permissions-policy'), path).toContain('camera=()')
    expect(headers.get('x-frame-options'), path).toBe('DENY')
  }
  const policy = (await fetch(`${app.url}/api/credits/balance`)).headers.get('content-security-policy')
  expect(policy).toBe("default-src 'none'; frame-ancestors 'none'")
})

test('no answer with data of an account may be kept by a cache', async () => {
  const { browser } = await newUser(app)
  const chat = { messages: [{ role: 'user', parts: [{ type: 'text', text: 'hi' }] }] }
  const answers = [
    await browser.fetch('/api/credits/balance'),
    await browser.fetch('/api/credits/history'),
    await browser.send('POST', '/api/generate', { prompt: 'hi' }),
    await browser.send('POST', '/api/chat', chat),
    await browser.fetch('/chat'),
    await browser.fetch('/history'),
    await browser.fetch('/api/auth/sign-out', { method: 'POST' }),
  ]
  for (const { status, url, headers } of answers) {
    expect([status, headers.get('cache-control')], url).toEqual([200, expect.stringContaining('no-store')])
  }
})

test('pages without a title of their own still say what they are', async () => {
  const { browser } = await newUser(app)
  const title = async (path: string) => /<title>([^<]*)/.exec(await (await browser.fetch(path)).text())?.[1]
  expect(await title('/nowhere')).toBe('Not found · Layers')
  expect(await title('/admin')).toBe('Admins only · Layers')
  expect((await fetch(`${app.url}/robots.txt`)).status).toBe(200)
})
