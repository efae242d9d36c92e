import axe from 'axe-core'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, expect } from 'vitest'
import { type App, startApp } from './support/app.ts'
import { newAdmin, newUser, PATIENT } from './support/browser.ts'
import { inBrowser, launchChrome } from './support/chrome.ts'

let app: App
let chrome: Browser
let user: Awaited<ReturnType<typeof newUser>>
let admin: Awaited<ReturnType<typeof newUser>>
beforeAll(async () => {
  app = await startApp()
  chrome = await launchChrome()
  user = await newUser(app)
  admin = await newAdmin(app)
  await user.browser.send('POST', '/api/generate', { prompt: '[dev: input=2000 tokens=1000] hello' })
  await app.credits.setMargin({ scope: 'model', target: 'anthropic/claude-haiku-4.5', marginPercent: '20' })
})
afterAll(async () => {
  await chrome?.close()
  await app?.stop()
})

const ask = async (page: Page, text: string) => {
  await page.getByLabel('Your question').fill(text)
  await page.keyboard.press('Enter')
}

const MARKDOWN =
  'A list:\n\n```js\nlet a = 1 // a line that is too long for the screen of a phone, so that its block scrolls\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |'

/** A state of the app that is looked at: whose session, which page, and what is done there. */
interface State {
  as: 'visitor' | 'user' | 'admin'
  path: string
  act?: (page: Page) => Promise<void>
  /** Default: a phone and a desk. */
  widths?: number[]
}

const STATES: Record<string, State> = {
  'the landing page': { as: 'visitor', path: '/' },
  'the sign-in page': { as: 'visitor', path: '/sign-in?error=callback' },
  'the sign-up page': { as: 'visitor', path: '/sign-up' },
  'the plans': { as: 'user', path: '/upgrade' },
  'the empty chat': { as: 'user', path: '/chat' },
  'a chat with an answer': {
    as: 'user',
    path: '/chat',
    act: async (page) => {
      await ask(page, `[dev: text=${JSON.stringify(MARKDOWN)} finish=length] Show code.`)
      await page.locator('[data-credits]').waitFor(PATIENT)
    },
  },
  'a chat that failed': {
    as: 'user',
    path: '/chat',
    act: async (page) => {
      await ask(page, '[dev: error=500] hello')
      await page.getByText('There is no answer').waitFor(PATIENT)
    },
  },
  'a chat without enough credits': {
    as: 'user',
    path: '/chat',
    act: async (page) => {
      await page.route('**/api/chat', (route) =>
        route.fulfill({
          status: 402,
          contentType: 'application/problem+json',
          body: JSON.stringify({
            type: '/api/credits/errors#insufficient_credits',
            title: 'Not enough credits',
            status: 402,
            detail: 'Not enough credits',
            code: 'INSUFFICIENT_CREDITS',
            available: '0.001',
            required: '2',
            upgradeUrl: '/upgrade',
          }),
        }),
      )
      await ask(page, 'hello')
      await page.getByTestId('not-enough').waitFor(PATIENT)
    },
  },
  'the history': {
    as: 'user',
    path: '/history',
    act: async (page) => {
      await page.getByRole('row').nth(2).waitFor(PATIENT)
    },
  },
  'the account menu': {
    as: 'user',
    path: '/history',
    act: async (page) => {
      await page.getByRole('button', { name: 'Account menu' }).click()
      await page.getByRole('menuitem', { name: 'Sign out' }).waitFor()
    },
  },
  'the navigation of a phone': {
    as: 'user',
    path: '/history',
    widths: [390],
    act: async (page) => {
      await page.getByRole('button', { name: 'Open navigation' }).click()
      await page.getByRole('dialog').waitFor()
    },
  },
  'the margins': {
    as: 'admin',
    path: '/admin',
    act: async (page) => {
      await page.getByRole('button', { name: /^Remove the margin/ }).waitFor(PATIENT)
    },
  },
  'the dialog of a margin': {
    as: 'admin',
    path: '/admin',
    act: async (page) => {
      await page.getByRole('button', { name: /^Change the margin/ }).click()
      await page.getByRole('dialog').waitFor()
    },
  },
  'the reports': {
    as: 'admin',
    path: '/admin/reports',
    act: async (page) => {
      await page.getByRole('row', { name: /^Total/ }).waitFor(PATIENT)
    },
  },
  'the page for admins only': { as: 'user', path: '/admin' },
  'a page that does not exist': { as: 'visitor', path: '/nowhere' },
}

const SCHEMES = ['light', 'dark'] as const
const WIDTHS = [390, 1280]

async function contextOf(as: 'visitor' | 'user' | 'admin'): Promise<BrowserContext> {
  const context = await chrome.newContext({
    baseURL: app.url,
    viewport: { width: WIDTHS[0] ?? 390, height: 900 },
    reducedMotion: 'reduce',
    // axe is put into the page as a script of its own.
    bypassCSP: true,
  })
  const { browser } = as === 'admin' ? admin : user
  if (as !== 'visitor') {
    await context.addCookies([...browser.cookies].map(([name, value]) => ({ name, value, url: app.url })))
  }
  return context
}

/** The violations of WCAG 2.0 to 2.2, A and AA, and of the best practices that axe knows: rule, and where. */
async function violations(page: Page): Promise<string[]> {
  return page.evaluate(async () => {
    // biome-ignore lint/suspicious/noExplicitAny: axe was put into the page
    const { violations: found } = await (globalThis as any).axe.run()
    return found.flatMap(({ id, nodes }: { id: string; nodes: { html: string; failureSummary: string }[] }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary.slice(0, 300)}`),
    )
  })
}

for (const [name, { as, path, act, widths = WIDTHS }] of Object.entries(STATES)) {
  inBrowser(`${name}: axe finds no accessibility fault, light or dark, on a phone or a desk`, async () => {
    const context = await contextOf(as)
    try {
      const page = await context.newPage()
      await page.goto(path, { waitUntil: 'networkidle' })
      await act?.(page)
      await page.addScriptTag({ content: axe.source })
      // A colour half-way between two schemes would be looked at.
      await page.addStyleTag({ content: '* { transition: none !important }' })
      for (const width of widths) {
        await page.setViewportSize({ width, height: 900 })
        for (const colorScheme of SCHEMES) {
          await page.emulateMedia({ colorScheme })
          await page.waitForFunction(
            (scheme) => document.documentElement.dataset.mantineColorScheme === scheme,
            colorScheme,
          )
          expect(await violations(page), `${colorScheme}, ${width} pixels`).toEqual([])
        }
      }
    } finally {
      await context.close()
    }
  })
}
