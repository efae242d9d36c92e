import { afterAll, beforeAll, expect, test } from 'vitest'
import { type App, startApp } from './support/app.ts'
import { available, newUser } from './support/browser.ts'

const SECRET = 'cron-secret-of-the-test'
const MODEL = 'anthropic/claude-sonnet-4.5'

let app: App
beforeAll(async () => {
  app = await startApp({}, { CRON_SECRET: SECRET })
})
afterAll(() => app?.stop())

const run = (secret?: string) =>
  fetch(`${app.url}/api/cron/credits`, { headers: secret === undefined ? {} : { authorization: `Bearer ${secret}` } })

test('a request without the secret of the scheduler is refused, that of a signed-in user included', async () => {
  const { browser, token } = await newUser(app)
  const answers = [
    await run(),
    await run(''),
    await run('undefined'),
    await run(`${SECRET}x`),
    await run(token),
    await browser.fetch('/api/cron/credits'),
  ]
  expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 401, 401, 401])
  expect(await answers[0]?.json()).toMatchObject({ code: 'UNAUTHENTICATED' })
})

test('a reservation past its time is marked as expired, once', async () => {
  const { id: userId } = await newUser(app)
  const { reservationId } = await app.credits.reserve({ userId, model: MODEL, amount: '5', ttlSeconds: 1 })
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  const answer = await run(SECRET)
  expect(answer.status).toBe(200)
  expect(await answer.json()).toMatchObject({ reservationsExpired: 1, accountsTouched: 1, accountsFailed: 0 })
  const rows = await app.sql('select state, reserved::text from public.credit_reservations where id = $1', [
    reservationId,
  ])
  expect(rows).toMatchObject([{ state: 'expired' }])
  expect(await (await run(SECRET)).json()).toMatchObject({ reservationsExpired: 0, accountsTouched: 0 })
})

test('a charge that was estimated is corrected to the record of the gateway, once', async () => {
  const { browser, id: userId } = await newUser(app)
  const text = '[dev: input=2000 tokens=600 delay=0 nofinish] A long story.'
  const messages = [{ id: 'm', role: 'user', parts: [{ type: 'text', text }] }]
  await (await browser.send('POST', '/api/chat', { id: 'c', model: MODEL, messages })).text()
  const { data: estimates } = await app.credits.getEstimates()
  expect(estimates).toMatchObject([{ userId, model: MODEL, feature: 'chat' }])

  const first = await run(SECRET)
  expect(first.status).toBe(200)
  expect(await first.json()).toMatchObject({ estimates: { exact: 0, corrected: 1, pending: 0, failed: 0 } })
  // 2,000 tokens in at $3 and 600 out at $15 a million, and 60 % on it: 2.4 credits.
  expect(await available(browser)).toBe('47.6')
  expect(await (await run(SECRET)).json()).toMatchObject({ estimates: { corrected: 0 } })
  expect(await available(browser)).toBe('47.6')
})

test('an estimate whose correction fails makes the run answer 500, and the next run corrects it', async () => {
  const { browser, id: userId } = await newUser(app)
  const messages = [
    {
      id: 'm',
      role: 'user',
      parts: [{ type: 'text', text: '[dev: input=2000 tokens=600 delay=0 nofinish] A story.' }],
    },
  ]
  await (await browser.send('POST', '/api/chat', { id: 'c', model: MODEL, messages })).text()
  // The function that corrects is away for a while.
  const name = 'public.credits_correct(uuid, uuid, uuid, jsonb)'
  await app.sql(`revoke execute on function ${name} from service_role`)
  try {
    const failed = await run(SECRET)
    expect(failed.status).toBe(500)
    expect(await failed.json()).toMatchObject({ estimates: { corrected: 0, failed: 1 } })
    expect(app.output()).toContain('"operation":"reconcileEstimates"')
  } finally {
    await app.sql(`grant execute on function ${name} to service_role`)
  }
  expect(await (await run(SECRET)).json()).toMatchObject({ estimates: { corrected: 1, failed: 0 } })
  expect((await app.credits.getBalance({ userId })).available).toBe('47.6')
})
