import { existsSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type App, startApp } from './support/app.ts'
import { newAdmin, newUser, PASSWORD, PATIENT } from './support/browser.ts'

const executablePath = [process.env.CHROMIUM_PATH, '/usr/bin/chromium', '/usr/bin/google-chrome'].find(
  (path) => path !== undefined && existsSync(path),
)
const inBrowser = test.skipIf(!executablePath)

let app: App
let chrome: Browser
beforeAll(async () => {
  if (!executablePath) return
  app = await startApp()
  chrome = await chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-sync',
    ],
  })
})
afterAll(async () => {
  await chrome?.close()
  await app?.stop()
})

/** A page that fails the test when the app reports an error in it. */
async function openPage(): Promise<Page> {
  const context = await chrome.newContext({ baseURL: app.url })
  const page = await context.newPage()
  page.on('pageerror', (error) => {
    throw error
  })
  return page
}

/** Signs in or up by the form and waits until the page it leads to listens to clicks. */
async function enter(page: Page, path: string, email: string, arrival: string): Promise<void> {
  await page.goto(path, { waitUntil: 'networkidle' })
  await page.getByLabel('E-mail').fill(email)
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await page.keyboard.press('Enter')
  await page.waitForURL(arrival)
  await page.waitForLoadState('networkidle')
}

async function ask(page: Page, text: string): Promise<void> {
  await page.getByLabel('Your question').fill(text)
  await page.keyboard.press('Enter')
}

inBrowser(
  'a visitor signs up, asks, sees what the answer cost, and the balance in the header follows at once',
  async () => {
    const page = await openPage()
    await enter(page, '/sign-up', 'visitor@example.test', '**/chat')
    const badge = page.getByTestId('balance')
    expect(await badge.textContent()).toBe('50')

    await ask(page, '[dev: input=2000 tokens=1000] Tell me about honey.')
    const receipt = page.locator('[data-credits]')
    await receipt.waitFor()
    expect(await receipt.getAttribute('data-credits')).toBe('3.36')
    await expect.poll(() => badge.textContent(), PATIENT).toBe('46.64')

    await page.getByRole('link', { name: 'History', exact: true }).click()
    const rows = page.getByRole('row')
    await expect.poll(() => rows.count(), PATIENT).toBe(3)
    expect(await rows.nth(1).textContent()).toContain('anthropic/claude-sonnet-4.5')
    expect(await rows.nth(1).textContent()).toContain('-3.36')
  },
)

inBrowser('who has too few credits is told what is missing, in words, with the way to more', async () => {
  const { email, id } = await newUser(app)
  await app.credits.adjust({ userId: id, amount: '-49.999', reason: 'test', idempotencyKey: 'drain' })
  const page = await openPage()
  await enter(page, '/sign-in', email, '**/chat')
  await ask(page, 'A long story, please. '.repeat(200))
  const message = page.getByTestId('not-enough')
  await message.waitFor()
  expect(await message.textContent()).toMatch(/needs up to [\d.]+ credits and you have 0\.001\. Nothing was charged/)
  await message.getByRole('link', { name: 'Get more credits' }).click()
  await page.waitForURL('**/upgrade')
  expect(await page.getByRole('heading', { level: 2 }).allTextContents()).toEqual(['Free', 'Starter', 'Pro', 'Team'])
})

inBrowser('an admin changes the default margin and a model’s own, and the log shows both', async () => {
  const { email } = await newAdmin(app)
  const page = await openPage()
  await enter(page, '/sign-in?next=/admin', email, '**/admin')
  const defaults = page.getByRole('region', { name: 'Default' })
  await defaults.getByLabel('Margin on cost').fill('75')
  await defaults.getByLabel('Reason').fill('costs rose')
  await defaults.getByRole('button', { name: 'Save' }).click()
  const log = page.getByRole('region', { name: 'Audit log' })
  await log.getByText('60 % → 75 %').waitFor()

  const overrides = page.getByRole('region', { name: 'Overrides' })
  await overrides.getByLabel('Model').fill('claude-haiku-4.5')
  await page.getByRole('option', { name: 'anthropic/claude-haiku-4.5', exact: true }).click()
  await overrides.getByLabel('Margin on cost').fill('12.5')
  await page.keyboard.press('Enter')
  await log.getByText('none → 12.5 %').waitFor()
  await overrides.getByRole('button', { name: 'Remove the margin of anthropic/claude-haiku-4.5' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Remove', exact: true }).click()
  await log.getByText('12.5 % → none').waitFor()
  expect((await app.credits.getMargins()).default?.marginPercent).toBe('75')
})

inBrowser('signing out leads home and the back button shows nothing of the account', async () => {
  const { email } = await newUser(app)
  const page = await openPage()
  await enter(page, '/sign-in?next=/history', email, '**/history')
  await page.getByRole('button', { name: 'Account menu' }).click()
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  await page.waitForURL(`${app.url}/`)
  await page.goBack()
  await page.waitForURL('**/sign-in**')
})
