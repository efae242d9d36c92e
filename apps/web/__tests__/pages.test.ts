import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type App, startApp } from './support/app.ts'
import { newAdmin, newUser, PASSWORD, PATIENT } from './support/browser.ts'
import { inBrowser, launchChrome, watchFaults } from './support/chrome.ts'

let app: App
let chrome: Browser
beforeAll(async () => {
  app = await startApp()
  chrome = await launchChrome()
})
afterAll(async () => {
  await chrome?.close()
  await app?.stop()
})

/** The faults of every page that a test opened. */
const faults: string[] = []

/** A page in a browser of its own. An error in it fails the test. */
async function openPage(): Promise<Page> {
  const context = await chrome.newContext({ baseURL: app.url })
  const page = await context.newPage()
  const seen = watchFaults(page)
  page.on('close', () => faults.push(...seen))
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

inBrowser('a visitor signs up, asks and sees what the answer cost, and the balance in the header follows', async () => {
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
})

inBrowser('a user with too few credits reads what is missing and gets to the plans', async () => {
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

inBrowser(
  'the audit log shows the changes that an admin makes to the default margin and to that of a model',
  async () => {
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
  },
)

inBrowser('signing out leads home, and the back button shows nothing of the account', async () => {
  const { email } = await newUser(app)
  const page = await openPage()
  await enter(page, '/sign-in?next=/history', email, '**/history')
  await page.getByRole('button', { name: 'Account menu' }).click()
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  await page.waitForURL(`${app.url}/`)
  await page.goBack()
  await page.waitForURL('**/sign-in**')
})

inBrowser('a page renders without an error for a visitor who has chosen the dark scheme', async () => {
  const { email } = await newUser(app)
  const page = await openPage()
  const seen = watchFaults(page)
  await enter(page, '/sign-in', email, '**/chat')
  await page.getByRole('button', { name: 'Switch between light and dark' }).click()
  expect(await page.evaluate(() => document.documentElement.dataset.mantineColorScheme)).toBe('dark')
  for (const path of ['/', '/chat', '/history', '/upgrade']) {
    await page.goto(path, { waitUntil: 'networkidle' })
    expect(await page.evaluate(() => document.documentElement.dataset.mantineColorScheme), path).toBe('dark')
  }
  expect(seen).toEqual([])
})

inBrowser('a double click on Send asks the question and does not stop it', async () => {
  const { email } = await newUser(app)
  const page = await openPage()
  await enter(page, '/sign-in', email, '**/chat')
  await page.getByLabel('Your question').fill('[dev: input=20 tokens=40] Tell me about honey.')
  const send = await page.getByRole('button', { name: 'Send' }).boundingBox()
  if (!send) throw new Error('no button')
  const [x, y] = [send.x + send.width / 2, send.y + send.height / 2]
  await page.mouse.click(x, y)
  await page.waitForTimeout(120)
  await page.mouse.click(x, y)
  await page.locator('[data-credits]').waitFor()
})

inBrowser('stopping an answer returns the focus to the question and says what became of the cost', async () => {
  const { email } = await newUser(app)
  const page = await openPage()
  await enter(page, '/sign-in', email, '**/chat')
  await ask(page, '[dev: input=20 tokens=2000 delay=20] A long story.')
  await page.waitForTimeout(1_500)
  await page.getByRole('button', { name: 'Stop' }).click()
  await page.getByText(/^Stopped/).waitFor()
  expect(await page.evaluate(() => document.activeElement?.getAttribute('aria-label'))).toBe('Your question')
})

inBrowser('a failed call says that nothing was charged, and not that it was stopped', async () => {
  const { email } = await newUser(app)
  const page = await openPage()
  await enter(page, '/sign-in', email, '**/chat')
  await ask(page, '[dev: error=500] hello')
  await page.getByRole('alert').filter({ hasText: 'There is no answer' }).waitFor()
  expect(await page.getByText(/^Stopped/).count()).toBe(0)
})

inBrowser('an answer that reached the length limit says so', async () => {
  const { email } = await newUser(app)
  const page = await openPage()
  await enter(page, '/sign-in', email, '**/chat')
  await ask(page, '[dev: input=20 tokens=30 finish=length] A story.')
  await page.getByText(/reached the length limit/).waitFor()
})

inBrowser('a question beyond the length limit is not cut but refused, with its length', async () => {
  const { email } = await newUser(app)
  const page = await openPage()
  await enter(page, '/sign-in', email, '**/chat')
  await page.getByLabel('Your question').fill('x'.repeat(20_001))
  await page.getByText('20,001 / 20,000').waitFor()
  expect(await page.getByRole('button', { name: 'Send' }).isDisabled()).toBe(true)
  await page.getByLabel('Your question').fill('x'.repeat(20_000))
  expect(await page.getByRole('button', { name: 'Send' }).isDisabled()).toBe(false)
})

inBrowser('every model with a price is in the list, and the choice is remembered', async () => {
  const { email } = await newUser(app)
  const page = await openPage()
  await enter(page, '/sign-in', email, '**/chat')
  const { snapshot } = await app.credits.pricing()
  const ids = snapshot.rates.filter(
    ({ type, known, modelId }) => type === 'language' && known && !modelId.endsWith('-batch'),
  )
  await page.getByRole('combobox', { name: 'Model' }).click()
  expect(await page.getByRole('option').count()).toBe(new Set(ids.map(({ modelId }) => modelId)).size)
  await page.getByRole('option', { name: 'anthropic/claude-haiku-4.5', exact: true }).click()
  await page.reload({ waitUntil: 'networkidle' })
  await expect
    .poll(() => page.getByRole('combobox', { name: 'Model' }).inputValue(), PATIENT)
    .toBe('anthropic/claude-haiku-4.5')
})

inBrowser('of two admins who changed the same margin, the second keeps the input and reads both versions', async () => {
  const { email } = await newAdmin(app)
  const page = await openPage()
  await enter(page, '/sign-in?next=/admin', email, '**/admin')
  const defaults = page.getByRole('region', { name: 'Default' })
  const field = defaults.getByLabel('Margin on cost')
  const before = (await app.credits.getMargins()).default
  await field.fill('72')
  await app.credits.setMargin({ scope: 'default', marginPercent: '71' })
  await defaults.getByRole('button', { name: 'Save' }).click()
  const refusal = defaults.getByRole('alert')
  await refusal.waitFor()
  const version = before?.version ?? 0
  expect(await refusal.textContent()).toContain(`Version ${version + 1} is in force`)
  expect(await refusal.textContent()).toContain(`version ${version}`)
  expect(await field.inputValue()).toBe('72')
  expect((await app.credits.getMargins()).default?.marginPercent).toBe('71')
  await defaults.getByRole('button', { name: 'Save' }).click()
  await expect.poll(async () => (await app.credits.getMargins()).default?.marginPercent, PATIENT).toBe('72')
})

inBrowser('a change of the default margin by more than 20 points is confirmed first', async () => {
  const { email } = await newAdmin(app)
  const page = await openPage()
  await enter(page, '/sign-in?next=/admin', email, '**/admin')
  const before = (await app.credits.getMargins()).default?.marginPercent
  const defaults = page.getByRole('region', { name: 'Default' })
  await defaults.getByLabel('Margin on cost').fill('600')
  await defaults.getByRole('button', { name: 'Save' }).click()
  await defaults.getByRole('alert').waitFor()
  expect((await app.credits.getMargins()).default?.marginPercent).toBe(before)
  await defaults.getByRole('button', { name: 'Set it to 600 %' }).click()
  await expect.poll(async () => (await app.credits.getMargins()).default?.marginPercent, PATIENT).toBe('600')
})

inBrowser('a margin that is scheduled for later is shown with its time', async () => {
  const { email } = await newAdmin(app)
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString()
  await app.credits.setMargin({ scope: 'feature', target: 'chat', marginPercent: '33.25', effectiveFrom: tomorrow })
  const page = await openPage()
  await enter(page, '/sign-in?next=/admin', email, '**/admin')
  const row = page.getByRole('region', { name: 'Scheduled' }).getByRole('row', { name: /chat/ })
  expect(await row.textContent()).toContain('33.25 %')
})

inBrowser('a tab whose session was ended elsewhere leads to the sign-in page', async () => {
  const { email } = await newUser(app)
  const page = await openPage()
  await enter(page, '/sign-in?next=/history', email, '**/history')
  await page.context().request.post('/api/auth/sign-out', { headers: { origin: app.url } })
  // SWR reads again when the window gets the focus.
  // The page may be on its way already.
  await page.evaluate(() => window.dispatchEvent(new Event('focus'))).catch(() => undefined)
  await page.waitForURL('**/sign-in**')
})

inBrowser('a sign-up with an address that has an account looks like any other', async () => {
  const { email } = await newUser(app)
  const page = await openPage()
  await page.goto('/sign-up', { waitUntil: 'networkidle' })
  await page.getByLabel('E-mail').fill(email)
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await page.keyboard.press('Enter')
  await page.getByText('Look into your mailbox').waitFor()
})

test('no page of these tests had an error in its scripts or its console', () => {
  expect(faults).toEqual([])
})
