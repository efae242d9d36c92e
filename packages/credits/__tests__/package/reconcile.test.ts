import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createGateway } from '@ai-sdk/gateway'
import { generateText } from 'ai'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { reservationTag } from '../../src/ai/meter/gateway-tag.ts'
import { postgresStore } from '../../src/store/postgres.ts'
import { chargeOf } from '../../src/testing/case.ts'
import { type CommandLine, startCommandLine } from './command-line.ts'

const MODEL = 'anthropic/claude-sonnet-4.5'
// 2,000 tokens in and 1,000 out: USD 0.021, 3.36 credits at a margin of 60 %.
const PROMPT = '[dev: input=2000 tokens=1000] Tell me about honey.'

let cli: CommandLine
let userId: string

beforeAll(async () => {
  cli = await startCommandLine()
})
beforeEach(async () => {
  userId = await cli.reset()
})
afterAll(() => cli?.stop())

const variables = () => ({ AI_GATEWAY_BASE_URL: cli.stack.gatewayUrl, AI_GATEWAY_API_KEY: cli.stack.gatewayApiKey })

async function reconcile(...args: string[]) {
  const { code, stdout, stderr } = await cli.runWith(variables(), 'reconcile', ...args, '--json')
  return { code, answer: JSON.parse(stdout || stderr) }
}

/** Calls the model without the wrapper; the gateway keeps a record of it. */
async function callModel(tags: string[] = []): Promise<string> {
  const gateway = createGateway({ baseURL: cli.stack.gatewayUrl, apiKey: cli.stack.gatewayApiKey })
  const providerOptions = { gateway: { tags } }
  const { providerMetadata } = await generateText({ model: gateway(MODEL), prompt: PROMPT, providerOptions })
  return String(providerMetadata?.gateway?.generationId)
}

async function available(): Promise<string> {
  return (await postgresStore(cli.admin).getBalance({ userId })).available
}

describe('credits reconcile --estimates', () => {
  async function estimate(amount: string): Promise<void> {
    const generationId = await callModel()
    await cli.spend(userId, amount, { costSource: 'estimate', generationId, model: MODEL })
  }

  it('reconcile --estimates lists what it would correct and changes nothing without --apply', async () => {
    await estimate('1')
    expect(await reconcile('--estimates')).toMatchObject({
      code: 1,
      answer: { applied: false, estimates: [{ userId }] },
    })
    expect(await available()).toBe('49')
  })

  it.each([
    ['too little', '1', '2.36'],
    ['too much', '5', '-1.64'],
  ])('reconcile --estimates corrects a charge that was %s from the record of the gateway, once', async (_, was, by) => {
    await estimate(was)
    const { code, answer } = await reconcile('--estimates', '--apply')
    expect({ code, ...answer }).toMatchObject({
      code: 0,
      corrected: 1,
      results: [{ difference: by, uncollected: '0' }],
    })
    expect(await available()).toBe('46.64')
    expect(await reconcile('--estimates', '--apply')).toMatchObject({ code: 0, answer: { corrected: 0 } })
    expect((await cli.run('verify')).code).toBe(0)
  })

  it('reconcile --estimates records what the account cannot pay as uncollected', async () => {
    await estimate('1')
    await cli.spend(userId, '48')
    const { answer } = await reconcile('--estimates', '--apply')
    expect(answer.results).toMatchObject([{ outcome: 'corrected', difference: '2.36', uncollected: '1.36' }])
    expect(await available()).toBe('0')
  })
})

describe('credits reconcile --gateway', () => {
  async function expiredReservation(): Promise<string> {
    const reservationId = crypto.randomUUID()
    await postgresStore(cli.admin).reserve({ reservationId, userId, amount: '10', ttlSeconds: 1, model: MODEL })
    return reservationId
  }
  const untilExpired = () => new Promise((resolve) => setTimeout(resolve, 1_200))

  it('reconcile --gateway lists reservations that expired without a settle, with their greatest cost', async () => {
    const reservationId = await expiredReservation()
    await untilExpired()
    expect(await reconcile('--gateway')).toMatchObject({
      code: 1,
      answer: { greatest: '10', expired: [{ reservationId, userId, reserved: '10' }] },
    })
  })

  it("reconcile --gateway charges what the gateway's report knows of a call that never settled, once", async () => {
    const reservationId = await expiredReservation()
    await callModel([reservationTag(reservationId)])
    await untilExpired()
    const { code, answer } = await reconcile('--gateway', '--apply')
    expect({ code, ...answer }).toMatchObject({ code: 0, charged: [{ reservationId, costUsd: '0.021' }], unknown: [] })
    expect(await available()).toBe('46.64')
    expect(await reconcile('--gateway', '--apply')).toMatchObject({ code: 0, answer: { charged: [] } })
    expect((await cli.run('verify', '--prices')).code).toBe(0)
  })

  it('reconcile --gateway exits 1 for a reservation that the report does not know', async () => {
    const reservationId = await expiredReservation()
    await untilExpired()
    const { code, answer } = await reconcile('--gateway', '--apply')
    expect({ code, ...answer }).toMatchObject({ code: 1, charged: [], unknown: [reservationId] })
    expect(await available()).toBe('50')
  })

  it('reconcile --gateway takes off what earlier steps have charged, and closes what needs no more', async () => {
    const reservationId = await expiredReservation()
    await callModel([reservationTag(reservationId)])
    const charge = chargeOf('3.36', { costUsd: '0.021' })
    await postgresStore(cli.admin).capture({ userId, reservationId, captureId: crypto.randomUUID(), charge })
    await untilExpired()
    const { code, answer } = await reconcile('--gateway', '--apply')
    expect({ code, ...answer }).toMatchObject({ code: 0, charged: [], closed: [reservationId], unknown: [] })
    expect(await available()).toBe('46.64')
    expect(await reconcile('--gateway')).toMatchObject({ code: 0, answer: { expired: [] } })
  })
})

describe('an app that is killed with kill -9', () => {
  const SCRIPT = join(import.meta.dirname, 'killed-app.script.ts')

  /** @returns the signal that ended the app */
  async function runUntilKilled(how: string): Promise<NodeJS.Signals | null> {
    const env = { ...process.env, ...variables(), DATABASE_URL: cli.database.dbUrl }
    const app = spawn(process.execPath, [SCRIPT, userId, MODEL, how], { env, stdio: ['ignore', 'ignore', 'inherit'] })
    const [, signal] = await once(app, 'exit')
    return signal
  }

  const bill = async () => {
    const query = '/v1/report?start_date=2020-01-01&end_date=9&group_by=model'
    const headers = { authorization: `Bearer ${cli.stack.gatewayApiKey}` }
    const { results } = (await (await fetch(new URL(query, cli.stack.gatewayUrl), { headers })).json()) as {
      results: { market_cost: number }[]
    }
    return results.reduce((total, row) => total + row.market_cost, 0)
  }

  it.each([
    ['between the answer and the settlement', 'before-settle'],
    ['in the middle of a stream', 'in-a-stream'],
    ['after a step of a loop was charged', 'after-a-step'],
  ])('%s is charged what the gateway billed by reconcile --gateway, once', async (_, how) => {
    const before = await bill()
    expect(await runUntilKilled(how)).toBe('SIGKILL')
    await new Promise((resolve) => setTimeout(resolve, 2_500))
    expect(await reconcile('--gateway')).toMatchObject({ code: 1, answer: { expired: [{ userId }] } })
    expect(await reconcile('--gateway', '--apply')).toMatchObject({ code: 0, answer: { unknown: [] } })
    expect(await reconcile('--gateway', '--apply')).toMatchObject({ code: 0, answer: { charged: [] } })
    const cost = (await bill()) - before
    expect(cost).toBeGreaterThan(0)
    // USD to credits at a margin of 60 %.
    expect(50 - Number(await available())).toBeCloseTo(cost * 160, 4)
    expect((await postgresStore(cli.admin).getBalance({ userId })).reserved).toBe('0')
    expect((await cli.run('verify', '--prices')).code).toBe(0)
  })
})
