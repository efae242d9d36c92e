import { afterAll, beforeAll, expect, test } from 'vitest'
import { type App, startApp } from './support/app.ts'
import { Browser, PASSWORD } from './support/browser.ts'
import { type Relay, startRelay } from './support/relay.ts'

let app: App
let relay: Relay
beforeAll(async () => {
  relay = await startRelay()
  app = await startApp({}, { CLIENT_IP_HEADER: 'x-real-ip' }, relay)
})
afterAll(async () => {
  await app?.stop()
  await relay?.stop()
})

const CLIENT = { 'x-real-ip': '203.0.113.7' }

test('the auth server learns the address of the client, with the secret key and without its rights', async () => {
  const browser = new Browser(app)
  const body = { email: 'far@example.test', password: PASSWORD }
  expect((await browser.send('POST', '/api/auth/sign-up', body, CLIENT)).status).toBe(200)
  relay.requests.length = 0
  expect((await browser.send('POST', '/api/auth/sign-in', body, CLIENT)).status).toBe(200)
  const [signIn] = relay.requests.filter(({ path }) => path.startsWith('/auth/v1/token'))
  expect(signIn?.headers).toMatchObject({ 'sb-forwarded-for': '203.0.113.7', apikey: app.stack.secretKey })
  // With the secret key as its authorization the auth server would skip the captcha.
  expect(String(signIn?.headers.authorization)).not.toContain(app.stack.secretKey)
})

test('a request to the database never carries the secret key in the name of a user', async () => {
  const browser = new Browser(app)
  await browser.send('POST', '/api/auth/sign-up', { email: 'near@example.test', password: PASSWORD }, CLIENT)
  relay.requests.length = 0
  expect((await browser.fetch('/api/admin/credits/margins', { headers: CLIENT })).status).toBe(403)
  const reads = relay.requests.filter(({ path }) => path.startsWith('/rest/v1/profiles'))
  expect(reads).toHaveLength(1)
  expect(reads[0]?.headers.apikey).toBe(app.stack.publishableKey)
  expect(reads[0]?.headers['sb-forwarded-for']).toBeUndefined()
})

test('the refresh of a page’s session names the client too', async () => {
  const browser = new Browser(app)
  await browser.send('POST', '/api/auth/sign-up', { email: 'stay@example.test', password: PASSWORD }, CLIENT)
  browser.setSession({ ...browser.session(), expires_at: 1 })
  relay.requests.length = 0
  expect((await browser.fetch('/chat', { headers: CLIENT })).status).toBe(200)
  const refresh = relay.requests.find(({ path }) => path.includes('grant_type=refresh_token'))
  expect(refresh?.headers['sb-forwarded-for']).toBe('203.0.113.7')
})

test('the token of a captcha is passed on at sign-up and at sign-in', async () => {
  const browser = new Browser(app)
  const body = { email: 'human@example.test', password: PASSWORD, captchaToken: 'token-of-the-widget' }
  relay.requests.length = 0
  expect((await browser.send('POST', '/api/auth/sign-up', body)).status).toBe(200)
  expect((await browser.send('POST', '/api/auth/sign-in', body)).status).toBe(200)
  const sent = relay.requests
    .filter(({ path }) => /signup|grant_type=password/.test(path))
    .map(({ body }) => JSON.parse(body))
  expect(sent).toHaveLength(2)
  for (const { gotrue_meta_security: security } of sent) expect(security.captcha_token).toBe('token-of-the-widget')
})
