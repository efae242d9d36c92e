import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type App, startApp } from './support/app.ts'
import { newAdmin, newUser, PATIENT } from './support/browser.ts'
import { inBrowser, launchChrome } from './support/chrome.ts'

const MODEL = 'anthropic/claude-sonnet-4.5'

let app: App
let chrome: Browser
beforeAll(async () => {
  app = await startApp()
  chrome = await launchChrome()
  const { browser } = await newUser(app)
  const prompt = { prompt: '[dev: input=2000 tokens=1000] hello', model: MODEL }
  for (let call = 0; call < 2; call++) await browser.send('POST', '/api/generate', prompt)
})
afterAll(async () => {
  await chrome?.close()
  await app?.stop()
})

test('the report of the API contains what the calls of the app were charged and cost', async () => {
  const { browser } = await newAdmin(app)
  const report = await (await browser.fetch('/api/admin/credits/report')).json()
  expect(report.by.model[MODEL]).toMatchObject({ calls: 2, credits: '6.72', costUsd: '0.042', profitUsd: '0.0252' })
})

test('a user who is not an admin sees neither the page of the reports nor their figures', async () => {
  const { browser } = await newUser(app)
  for (const path of [
    '/admin/reports',
    '/api/admin/credits/report',
    '/api/admin/credits/what-if',
    '/api/admin/credits/drift',
  ])
    expect((await browser.fetch(path)).status, path).toBe(403)
})

inBrowser('an admin reads the profit and replays the period under another margin', async () => {
  const admin = await newAdmin(app)
  for (const width of [1280, 390]) {
    const context = await chrome.newContext({ viewport: { width, height: 900 } })
    await context.addCookies([...admin.browser.cookies].map(([name, value]) => ({ name, value, url: app.url })))
    const page = await context.newPage()
    await page.goto(`${app.url}/admin/reports`)
    const total = page.getByRole('row', { name: /^Total/ })
    await total.waitFor()
    expect(await total.textContent()).toContain('$0.0252')
    await page.getByLabel('Default margin').fill('100')
    await page.getByRole('button', { name: 'Replay' }).click()
    await expect.poll(() => total.textContent(), PATIENT).toContain('$0.0420')
    // On a phone the page may not be wider than the screen.
    expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBe(0)
    await context.close()
  }
})
