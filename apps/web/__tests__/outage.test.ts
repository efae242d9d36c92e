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
