import { afterAll, beforeAll, expect, test } from 'vitest'
import { type App, startApp } from './support/app.ts'
import { available, Browser, newUser, PASSWORD } from './support/browser.ts'

let app: App
beforeAll(async () => {
  // So short that auth-js refreshes at every look at the session.
  app = await startApp({ auth: { jwtExpirySeconds: 75 } })
})
afterAll(() => app?.stop())

test('a person signs up, has 50 credits, signs out, is refused, signs in again and finds the same balance', async () => {
  const { browser, email } = await newUser(app)
  expect(await available(browser)).toBe('50')
  expect((await browser.fetch('/chat')).status).toBe(200)

  expect((await browser.fetch('/api/auth/sign-out', { method: 'POST' })).status).toBe(200)
  expect((await browser.fetch('/api/credits/balance')).status).toBe(401)
  const page = await browser.fetch('/history')
  expect([page.status, page.headers.get('location')]).toEqual([307, '/sign-in?next=%2Fhistory'])

  expect((await browser.send('POST', '/api/auth/sign-in', { email, password: PASSWORD })).status).toBe(200)
  expect(await available(browser)).toBe('50')
})

test('the proxy refreshes a session that runs out, and the new one works', async () => {
  const { browser } = await newUser(app)
  const before = browser.session().refresh_token
  expect((await browser.fetch('/chat')).status).toBe(200)
  expect(browser.session().refresh_token).not.toBe(before)
  expect((await browser.fetch('/api/credits/balance')).status).toBe(200)
})

test('cookies of a session cannot be read by scripts and do not travel to other sites', async () => {
  const browser = new Browser(app)
  const response = await browser.send('POST', '/api/auth/sign-up', { email: 'cookie@example.test', password: PASSWORD })
  const cookies = response.headers.getSetCookie().filter((line) => line.includes('-auth-token'))
  expect(cookies.length).toBeGreaterThan(0)
  for (const cookie of cookies) expect(cookie).toMatch(/HttpOnly.*SameSite=lax/i)
  expect(response.headers.get('cache-control')).toContain('no-store')
})

test('a cookie that was copied before the sign-out is worthless after it', async () => {
  const { browser } = await newUser(app)
  const thief = new Browser(app)
  thief.setSession(browser.session())
  expect((await thief.fetch('/api/credits/balance')).status).toBe(200)
  await browser.fetch('/api/auth/sign-out', { method: 'POST' })
  const stale = new Browser(app)
  stale.setSession({ ...thief.session(), refresh_token: 'gone' })
  expect((await stale.fetch('/api/credits/balance')).status).toBe(401)
  expect((await stale.send('POST', '/api/generate', { prompt: 'hi' })).status).toBe(401)
})

test('a deleted user’s live token and cookies are refused', async () => {
  const { browser, id, token } = await newUser(app)
  const { error } = await app.service.auth.admin.deleteUser(id)
  expect(error).toBeNull()
  expect((await browser.fetch('/api/credits/balance')).status).toBe(401)
  const bearer = await fetch(`${app.url}/api/credits/balance`, { headers: { authorization: `Bearer ${token}` } })
  expect(bearer.status).toBe(401)
})

test('wrong passwords, weak passwords and malformed addresses are refused in words, with a code', async () => {
  const { email } = await newUser(app)
  const browser = new Browser(app)
  const answer = async (path: string, body: unknown) => {
    const response = await browser.send('POST', path, body)
    return { status: response.status, ...((await response.json()) as { code: string; detail: string }) }
  }
  expect(await answer('/api/auth/sign-in', { email, password: 'wrong-password' })).toMatchObject({
    status: 401,
    code: 'UNAUTHENTICATED',
    detail: 'The e-mail address or the password is wrong.',
  })
  const unknown = await answer('/api/auth/sign-in', { email: 'nobody@example.test', password: 'wrong-password' })
  expect(unknown.detail).toBe('The e-mail address or the password is wrong.')
  expect(await answer('/api/auth/sign-up', { email: 'weak@example.test', password: 'short' })).toMatchObject({
    status: 422,
    code: 'INVALID_INPUT',
  })
  expect((await answer('/api/auth/sign-up', { email: 'x', password: PASSWORD })).status).toBe(422)
  expect(
    (await answer('/api/auth/sign-up', { email: 'a@example.test', password: PASSWORD, role: 'admin' })).status,
  ).toBe(422)
})

test('another site can neither sign a visitor in nor out', async () => {
  const { browser, email } = await newUser(app)
  const foreign = { origin: 'https://evil.example' }
  const signIn = await browser.send('POST', '/api/auth/sign-in', { email, password: PASSWORD }, foreign)
  expect(signIn.status).toBe(403)
  const signOut = await browser.fetch('/api/auth/sign-out', { method: 'POST', headers: foreign })
  expect(signOut.status).toBe(403)
  expect(await available(browser)).toBe('50')
})

test('Google and GitHub have no button and no route until their variables are set', async () => {
  const browser = new Browser(app)
  expect(await (await browser.fetch('/sign-in')).text()).not.toMatch(/Continue with/)
  const form = new URLSearchParams({ provider: 'github' })
  const response = await browser.fetch('/auth/oauth', {
    method: 'POST',
    body: form,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })
  expect(response.status).toBe(404)
})

test('signing up with an address that has an account does not tell that there is one', async () => {
  const { email } = await newUser(app)
  const browser = new Browser(app)
  const response = await browser.send('POST', '/api/auth/sign-up', { email, password: PASSWORD })
  expect([response.status, await response.json()]).toEqual([200, { confirmationNeeded: true }])
  expect((await browser.fetch('/api/credits/balance')).status).toBe(401)
})

test('signing in never leads to another site', async () => {
  const { browser } = await newUser(app)
  const hostile = ['https://evil.example', '//evil.example', '/\\evil.example', 'javascript:alert(1)']
  for (const next of [...hostile, '/.//evil.example/login', '/a/..//evil.example']) {
    const response = await browser.fetch(`/sign-in?next=${encodeURIComponent(next)}`)
    expect(response.headers.get('location'), next).toBe('/chat')
  }
})
