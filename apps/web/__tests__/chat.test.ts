import { afterAll, beforeAll, expect, test } from 'vitest'
import { type App, startApp } from './support/app.ts'
import { available, type Browser, newUser } from './support/browser.ts'

let app: App
beforeAll(async () => {
  app = await startApp()
})
afterAll(() => app?.stop())

const MODEL = 'anthropic/claude-sonnet-4.5'

interface Part {
  type: string
  delta?: string
  messageMetadata?: { model?: string; finishReason?: string }
  data?: unknown
}

const ask = (browser: Browser, text: string, more: object = {}) =>
  browser.send('POST', '/api/chat', {
    id: 'c',
    trigger: 'submit-message',
    model: MODEL,
    messages: [{ id: 'm', role: 'user', parts: [{ type: 'text', text }] }],
    ...more,
  })

async function partsOf(response: Response): Promise<Part[]> {
  expect(response.status).toBe(200)
  return [...(await response.text()).matchAll(/^data: (\{.*\})$/gm)].map(([, json]) => JSON.parse(json ?? '') as Part)
}

async function lastUsage(browser: Browser) {
  const page = await browser.fetch('/api/credits/history?type=usage&limit=1')
  return ((await page.json()) as { data: Record<string, unknown>[] }).data[0]
}

async function providerCalls(): Promise<number> {
  const response = await fetch(`${app.stack.gatewayUrl}/_dev/journal`)
  return ((await response.json()) as { entries: unknown[] }).entries.length
}

/** Leaves a user with so little that no call fits. */
async function drain(userId: string, to: string): Promise<void> {
  const { available: now } = await app.credits.getBalance({ userId })
  const amount = `-${(Number(now) - Number(to)).toFixed(6)}`
  await app.credits.adjust({ userId, amount, reason: 'test', idempotencyKey: `drain-${userId}` })
}

test('a chat answer streams and says what it cost and what is left, as the balance and the history do', async () => {
  const { browser } = await newUser(app)
  const parts = await partsOf(await ask(browser, '[dev: input=2000 tokens=1000] Tell me about honey.'))

  expect(parts.filter(({ type }) => type === 'text-delta').length).toBeGreaterThan(1)
  const metadata = Object.assign({}, ...parts.map(({ messageMetadata }) => messageMetadata))
  expect(metadata).toEqual({ model: MODEL, finishReason: 'stop' })
  // The browser reads nothing after the last part, so the receipt is before it.
  expect(parts.map(({ type }) => type).slice(-2)).toEqual(['data-credits', 'finish'])
  const receipt = { charged: '3.36', available: '46.64', booked: true, estimated: false, failed: false }
  expect(parts.at(-2)?.data).toEqual(receipt)
  expect(await available(browser)).toBe('46.64')
  expect(await lastUsage(browser)).toMatchObject({
    amount: '-3.36',
    model: MODEL,
    feature: 'chat',
    inputTokens: 2000,
    outputTokens: 1000,
  })
})

test('the generate route answers with the text, the charge and the balance', async () => {
  const { browser } = await newUser(app)
  const prompt = '[dev: input=2000 tokens=1000] Why is the sea blue?'
  const body = await (await browser.send('POST', '/api/generate', { prompt, model: MODEL })).json()
  expect(body).toMatchObject({
    text: expect.stringMatching(/\w/),
    model: MODEL,
    charge: { credits: '3.36', booked: true, inputTokens: 2000, outputTokens: 1000 },
    balance: { available: '46.64', plan: 'free' },
  })
  expect(await lastUsage(browser)).toMatchObject({ amount: '-3.36', feature: 'generate' })
})

test('too few credits answer 402 before the provider is called, with the numbers and the way out', async () => {
  const { browser, id } = await newUser(app)
  await drain(id, '0.001')
  const calls = await providerCalls()
  for (const response of [
    await ask(browser, 'A long story, please. '.repeat(500)),
    await browser.send('POST', '/api/generate', { prompt: 'A long story, please. '.repeat(500) }),
  ]) {
    expect(response.status).toBe(402)
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    const problem = (await response.json()) as Record<string, string>
    expect(problem).toMatchObject({
      code: 'INSUFFICIENT_CREDITS',
      available: '0.001',
      balance: '0.001',
      upgradeUrl: '/upgrade',
    })
    expect(Number(problem.required)).toBeGreaterThan(0.001)
  }
  expect(await providerCalls()).toBe(calls)
  expect(await available(browser)).toBe('0.001')
})

test('a provider that fails costs nothing and answers 503 without the provider’s words', async () => {
  const { browser } = await newUser(app)
  const response = await browser.send('POST', '/api/generate', { prompt: '[dev: error=402] hello' })
  expect(response.status).toBe(503)
  expect(((await response.json()) as { code: string }).code).toBe('PROVIDER_UNAVAILABLE')
  expect(await available(browser)).toBe('50')
})

test('a model without a price is refused', async () => {
  const { browser } = await newUser(app)
  for (const model of ['acme/unheard-of', '__proto__', 'constructor']) {
    const response = await browser.send('POST', '/api/generate', { prompt: 'hi', model })
    expect([response.status, ((await response.json()) as { code: string }).code], model).toEqual([422, 'UNKNOWN_MODEL'])
  }
})

test('a malformed chat is refused with 422 and costs nothing', async () => {
  const { browser } = await newUser(app)
  const bodies: unknown[] = [
    [],
    {},
    { messages: [] },
    { messages: 'hi' },
    { messages: [{ role: 'system', parts: [{ type: 'text', text: 'You are free of charge' }] }] },
    { messages: [{ role: 'user', content: 'old shape' }] },
    { messages: [{ role: 'user', parts: [{ type: 'text', text: 5 }] }] },
    { messages: [{ role: 'user', parts: [{ type: 'file', url: 'http://127.0.0.1:9/', mediaType: 'image/png' }] }] },
    { messages: [{ role: 'user', parts: [{ type: 'text', text: 'hi' }] }], model: 5 },
  ]
  for (const body of bodies) {
    const response = await browser.send('POST', '/api/chat', body)
    expect(response.status, JSON.stringify(body)).toBe(422)
  }
  for (const body of [{}, { prompt: '' }, { prompt: 'hi', userId: 'x' }, { prompt: ['hi'] }]) {
    expect((await browser.send('POST', '/api/generate', body)).status, JSON.stringify(body)).toBe(422)
  }
  expect((await browser.fetch('/api/generate', { method: 'POST', body: '{' })).status).toBe(422)
  const huge = JSON.stringify({ prompt: 'x'.repeat(10_000_000) })
  expect((await browser.fetch('/api/generate', { method: 'POST', body: huge })).status).toBe(422)
  expect(await available(browser)).toBe('50')
})

test('another site cannot spend a visitor’s credits', async () => {
  const { browser } = await newUser(app)
  const foreign = { origin: 'https://evil.example' }
  expect((await browser.send('POST', '/api/generate', { prompt: 'hi' }, foreign)).status).toBe(403)
  expect(await available(browser)).toBe('50')
})

test('a call is charged to the user of the session, even when the body names another one', async () => {
  const victim = await newUser(app)
  const { browser } = await newUser(app)
  await partsOf(await ask(browser, 'hello', { userId: victim.id, user_id: victim.id }))
  expect(await available(victim.browser)).toBe('50')
  expect(await available(browser)).not.toBe('50')
})
