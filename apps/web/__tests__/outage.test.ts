import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type App, startApp } from './support/app.ts'
import { newUser, PASSWORD, PATIENT } from './support/browser.ts'
import { inBrowser, launchChrome } from './support/chrome.ts'
import { type Relay, startRelay } from './support/relay.ts'

let app: App
let chrome: Browser
let relay: Relay
beforeAll(async () => {
  relay = await startRelay()
  app = await startApp({}, {}, relay)
  chrome = await launchChrome()
})
afterAll(async () => {
  await chrome?.close()
  await app?.stop()
  await relay?.stop()
})

inBrowser('after an outage, "Try again" on the error page shows the page', async () => {
  const page = await (await chrome.newContext({ baseURL: app.url })).newPage()
  relay.isUp = false
  await page.goto('/upgrade')
  await page.getByRole('heading', { name: 'This page cannot be shown now' }).waitFor()
  relay.isUp = true
  await page.getByRole('button', { name: 'Try again' }).click()
  await page.getByRole('heading', { name: 'Plans' }).waitFor(PATIENT)
})

inBrowser('during an outage the sign-in form says to try later and names no part of the server', async () => {
  const { email } = await newUser(app)
  const page = await (await chrome.newContext({ baseURL: app.url })).newPage()
  await page.goto('/sign-in', { waitUntil: 'networkidle' })
  relay.isUp = false
  try {
    await page.getByLabel('E-mail').fill(email)
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
    await page.keyboard.press('Enter')
    const alert = page.getByRole('alert').filter({ hasText: 'Try again' })
    await alert.waitFor()
    expect(await alert.textContent()).not.toMatch(/store|auth server|database/)
  } finally {
    relay.isUp = true
  }
})

inBrowser('an answer whose charge is not in the ledger yet says so, and the balance follows later', async () => {
  const { email } = await newUser(app)
  const page = await (await chrome.newContext({ baseURL: app.url })).newPage()
  await page.goto('/sign-in', { waitUntil: 'networkidle' })
  await page.getByLabel('E-mail').fill(email)
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await page.keyboard.press('Enter')
  await page.waitForURL('**/chat')
  await page.waitForLoadState('networkidle')
  try {
    await page.getByLabel('Your question').fill('[dev: input=2000 tokens=1000 delay=2] Tell me about honey.')
    await page.keyboard.press('Enter')
    // The credits are reserved as soon as the first words are there.
    await page.getByTestId('receipt').waitFor({ state: 'attached' })
    relay.isUp = false
    await page.getByText('This is not in your history yet.').waitFor(PATIENT)
    expect(await page.locator('[data-credits]').getAttribute('data-credits')).toBe('3.36')
  } finally {
    relay.isUp = true
  }
  await expect.poll(() => page.getByTestId('balance').textContent(), PATIENT).toBe('46.64')
})

test('a 500 of an API route is written to the log of the server, with what was asked for', async () => {
  const { browser } = await newUser(app)
  relay.isUp = false
  try {
    expect((await browser.fetch('/api/credits/balance')).status).toBe(503)
  } finally {
    relay.isUp = true
  }
  await expect.poll(() => app.output(), PATIENT).toContain('"operation":"GET /api/credits/balance"')
})

test('the health is asked of the database once in some seconds, without the price list', async () => {
  await new Promise((resolve) => setTimeout(resolve, 3_100))
  relay.requests.length = 0
  for (let i = 0; i < 20; i++) expect((await fetch(`${app.url}/api/health`)).status).toBe(200)
  expect(relay.requests.map(({ path }) => path)).toEqual(['/rest/v1/rpc/credits_schema_version'])
})

// Ends the server, so it is the last one.
test('a server that is stopped first writes the charge of a reader who has left', async () => {
  const { browser, id: userId } = await newUser(app)
  const text = '[dev: input=2000 tokens=1000 delay=10] A long story.'
  const messages = [{ id: 'm', role: 'user', parts: [{ type: 'text', text }] }]
  const reader = new AbortController()
  const body = JSON.stringify({ id: 'c', model: 'anthropic/claude-sonnet-4.5', messages })
  const response = await browser.fetch('/api/chat', { method: 'POST', body, signal: reader.signal })
  await response.body?.getReader().read()
  relay.isUp = false
  let ended: Promise<void>
  try {
    reader.abort()
    await new Promise((resolve) => setTimeout(resolve, 300))
    ended = app.stopServer()
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect((await app.credits.getHistory({ userId, type: 'usage' })).data).toEqual([])
  } finally {
    relay.isUp = true
  }
  await ended
  const { data } = await app.credits.getHistory({ userId, type: 'usage' })
  expect(data).toMatchObject([{ feature: 'chat', estimated: true }])
  expect((await app.credits.getBalance({ userId })).reserved).toBe('0')
})
