import { afterAll, beforeAll, expect, test } from 'vitest'
import { type App, startApp } from './support/app.ts'
import { available, Browser } from './support/browser.ts'

let app: App
beforeAll(async () => {
  app = await startApp({}, { SUPABASE_AUTH_EXTERNAL_GITHUB_CLIENT_ID: 'set' })
})
afterAll(() => app?.stop())

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
const press = (browser: Browser, provider: string, headers: Record<string, string> = {}) =>
  browser.fetch('/auth/oauth', {
    method: 'POST',
    body: new URLSearchParams({ provider, next: '/history' }),
    headers: { ...FORM, ...headers },
  })

/** Fills in the consent page of the development auth server; returns where it leads back to, as a path. */
async function consent(start: string, answer: Record<string, string>): Promise<string> {
  const hop = await fetch(start, { redirect: 'manual' })
  const html = await (await fetch(hop.headers.get('location') ?? start)).text()
  const action = /action="([^"]+)"/.exec(html)?.[1] ?? ''
  const state = /name="state" value="([^"]+)"/.exec(html)?.[1] ?? ''
  const back = await fetch(`${action}?${new URLSearchParams({ state, ...answer })}`, { redirect: 'manual' })
  const url = new URL(back.headers.get('location') ?? '')
  expect(url.origin).toBe(app.url)
  return `${url.pathname}${url.search}`
}

test('a provider whose variable is set has a button; it signs in and leads to where the visitor wanted to go', async () => {
  const browser = new Browser(app)
  const html = await (await browser.fetch('/sign-in')).text()
  expect(html).toContain('Continue with GitHub')
  expect(html).not.toContain('Continue with Google')

  const start = await press(browser, 'github')
  expect(start.status).toBe(303)
  const callback = await consent(start.headers.get('location') ?? '', { email: 'octo@example.test', name: 'Octo' })
  const back = await browser.fetch(callback)
  expect([back.status, back.headers.get('location')]).toEqual([303, '/history'])
  expect(await available(browser)).toBe('50')
})

test('the code of a sign-in provider works only in the browser that asked for it', async () => {
  const start = await press(new Browser(app), 'github')
  const callback = await consent(start.headers.get('location') ?? '', { email: 'stolen@example.test', name: 'x' })
  const thief = new Browser(app)
  expect((await thief.fetch(callback)).headers.get('location')).toBe('/sign-in?error=callback')
  expect((await thief.fetch('/api/credits/balance')).status).toBe(401)
})

test('a visitor who declines at the provider is back at the sign-in page and reads that it did not work', async () => {
  const browser = new Browser(app)
  const start = await press(browser, 'github')
  const callback = await consent(start.headers.get('location') ?? '', { error: 'access_denied' })
  const back = await browser.fetch(callback)
  expect(back.headers.get('location')).toBe('/sign-in?error=callback')
  expect(await (await browser.fetch('/sign-in?error=callback')).text()).toContain('The sign-in did not work')
})

test('another site cannot start a sign-in, and an unknown provider is a 404', async () => {
  const browser = new Browser(app)
  expect((await press(browser, 'github', { origin: 'https://evil.example' })).status).toBe(403)
  for (const provider of ['google', 'gitlab', '__proto__']) expect((await press(browser, provider)).status).toBe(404)
})
