import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chargeOf } from '../../src/testing/case.ts'
import { callModel, createTestCredits, SONNET, type TestCredits } from '../kit/credits.ts'
import { stopDatabases } from '../kit/database.ts'

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts')
const folder = mkdtempSync(join(tmpdir(), 'credits-reports-'))

let database: TestCredits
let userId: string

beforeAll(async () => {
  database = await createTestCredits()
  userId = await database.signUp('100')
  const { credits } = database
  await callModel(credits, { userId, model: SONNET, feature: 'chat' })
  const { reservationId } = await credits.reserve({ userId, model: SONNET, amount: '10' })
  const usage = { inputTokens: 2000, outputTokens: 1000 }
  const reported = { costUsd: '0.0231', source: 'market-cost' } as const
  const charge = await credits.price({ model: SONNET, usage, reported, generationId: 'gen-1' })
  await credits.settle({ userId, reservationId, charge })
}, 120_000)
afterAll(async () => {
  await database?.close()
  await stopDatabases()
  rmSync(folder, { recursive: true, force: true })
})

interface Ran {
  code: number
  stdout: string
  stderr: string
}

const run = (...args: string[]): Promise<Ran> => runWith({}, ...args)

function runWith(more: Record<string, string>, ...args: string[]): Promise<Ran> {
  const env = { PATH: process.env.PATH, DATABASE_URL: database.dbUrl, ...more }
  return new Promise((resolve) => {
    execFile('node', [MAIN, ...args], { cwd: folder, env }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr })
    })
  })
}

async function json(...args: string[]) {
  const ran = await run(...args, '--json')
  return { code: ran.code, answer: JSON.parse(ran.stdout || ran.stderr) }
}

/** Serves a file as the price list of a gateway. */
async function serve(path: string): Promise<{ url: string; close: () => void }> {
  const text = readFileSync(path, 'utf8')
  const server = createServer((_, response) => response.end(text)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/v1/models`, close: () => server.close() }
}

function file(name: string, content: string): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

describe('credits report', () => {
  it('report prints revenue, cost and profit by model, or by what was asked', async () => {
    const { code, stdout } = await run('report')
    expect(code).toBe(0)
    // 3.36 credits at cost USD 0.021, and 3.696 at a reported cost of USD 0.0231.
    expect(stdout).toMatch(/claude-sonnet-4\.5 +2 +7\.056 +0\.07056 +0\.0441 +0\.02646 +60 %/)
    const { answer } = await json('report', '--by', 'feature', '--from', '2020-01-01')
    expect(answer.by.feature).toMatchObject({ chat: { calls: 1 }, '(none)': { calls: 1 } })
    expect((await run('report', '--from', 'monday')).code).toBe(2)
  })

  it('report drift exits 1 beyond the threshold', async () => {
    expect(await json('report', 'drift', '--threshold', '0.2')).toMatchObject({ code: 0, answer: { alerts: 0 } })
    const { code, stdout } = await run('report', 'drift', '--threshold', '0.05')
    expect(code).toBe(1)
    expect(stdout).toMatch(/0\.021 +0\.0231 +10 % +ALERT/)
    expect((await run('report', 'drift', '--threshold', 'five')).code).toBe(2)
  })
})

describe('credits what-if', () => {
  it('what-if shows what other margins would have brought, and changes nothing', async () => {
    const { code, stdout } = await run('what-if', '--margin', '40', '--model-margin', `${SONNET}=100,acme/x=10`)
    expect(code).toBe(0)
    expect(stdout).toMatch(/total +2 +0\.07056 +0\.0882 +0\.02646 +0\.0441 +\+0\.01764/)
    expect((await database.credits.getMargins()).overrides).toEqual([])
    const plan = await json('what-if', '--plan-margin', 'free=0')
    expect(plan.answer.hypothetical.total.profitUsd).toBe('0')
  })

  it('what-if takes prices from a file, and refuses arguments without a change', async () => {
    const list = { data: [{ id: SONNET, type: 'language', pricing: { input: '0', output: '0.00001' } }] }
    const { answer } = await json('what-if', '--rates', file('prices.json', JSON.stringify(list)))
    expect(answer.hypothetical.total.costUsd).toBe('0.02')
    for (const args of [[], ['--model-margin', 'x'], ['--margin', 'NaN'], ['--rates', 'nowhere.json']])
      expect((await run('what-if', ...args)).code, args.join(' ')).toBe(2)
  })
})

describe('credits compare-costs', () => {
  it('compare-costs compares a CSV export with the ledger and names what only one side knows', async () => {
    const csv = file('export.csv', '\uFEFFGeneration ID;Model;Cost USD\r\n"gen-1";x;0.0231\r\ngen-9;"a;b";0.5\r\n')
    const { code, stdout } = await run('compare-costs', '--file', csv)
    expect(code).toBe(1)
    expect(stdout).toContain('not in the ledger  gen-9: 0.5')
    expect(stdout).toContain('not on the bill  no generation id')
    expect(stdout).toContain('1 agree, 0 differ, 1 are not in the ledger, 1 are not on the bill')
  })

  it('compare-costs reads NDJSON and columns by name, and names a faulty row', async () => {
    const rows = file('export.ndjson', '{"call":"gen-1","price":0.0231}\n\n')
    const named = ['--id-column', 'call', '--cost-column', 'price']
    expect((await json('compare-costs', '--file', rows, ...named)).answer).toMatchObject({ matched: 1 })
    const { code, stderr } = await run('compare-costs', '--file', rows)
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('row 1') })
    expect((await run('compare-costs', '--file', join(folder, 'nowhere.csv'))).code).toBe(2)
    expect((await run('compare-costs')).code).toBe(2)
  })

  it('compare-costs compares the spend report of the gateway with the ledger', async () => {
    const spend = file(
      'spend.json',
      JSON.stringify({ results: [{ model: SONNET, totalCost: 0.0441, requestCount: 2 }] }),
    )
    expect(await json('compare-costs', '--spend-report', spend)).toMatchObject({ code: 0, answer: { matched: 1 } })
  })
})

describe('credits rates', () => {
  const list = (input: string) =>
    file(
      'list.json',
      JSON.stringify({ data: [{ id: 'acme/cli', type: 'language', pricing: { input, output: '0.00001' } }] }),
    )

  it('rates lists by default, prices any usage, and shows the history of a model', async () => {
    expect((await json('rates', '--match', 'claude-sonnet-4.5')).answer.length).toBeGreaterThan(0)
    const priced = await json(
      'rates',
      'price',
      SONNET,
      '--input',
      '2000',
      '--usage',
      '{"cacheReadTokens":1000,"outputTokens":1000}',
    )
    expect(priced.answer).toMatchObject({ costUsd: '0.0183' })
    expect((await json('rates', 'history', SONNET)).answer).toHaveLength(1)
    expect((await run('rates', 'history', 'no-one/knows')).stderr).toContain('UNKNOWN_MODEL')
  })

  it('rates sync from a list that lacks most models changes nothing until a change is accepted', async () => {
    const { url, close } = await serve(list('0.000001'))
    const sync = (...args: string[]) => json('rates', 'sync', '--url', url, ...args)
    expect(await sync('--dry-run')).toMatchObject({
      code: 1,
      answer: { written: null, held: [{ modelId: 'acme/cli' }] },
    })
    expect(await sync()).toMatchObject({ code: 1, answer: { written: 0 } })
    const accepted = await sync('--accept', 'acme/cli')
    expect(accepted).toMatchObject({ code: 0, answer: { written: 1, accepted: [{ modelId: 'acme/cli' }] } })
    expect((await json('rates', 'history', 'acme/cli')).answer).toMatchObject([{ source: url, known: true }])
    close()
  })

  it('rates sync of a file with one model of the app raises no alarm and calls no model gone', async () => {
    const own = { data: [{ id: 'acme/own', type: 'language', pricing: { input: '0.000001', output: '0.000002' } }] }
    const { code, answer } = await json('rates', 'sync', '--file', file('own.json', JSON.stringify(own)))
    expect({ code, ...answer }).toMatchObject({ code: 0, written: 1, inserted: ['acme/own'], held: [], gone: [] })
    expect((await json('rates', 'history', 'acme/own')).answer).toMatchObject([{ source: 'own.json', known: true }])
  })

  it('rates sync --bundled reads the list of the package without a network, and changes nothing after the seed', async () => {
    const { code, answer } = await json('rates', 'sync', '--bundled', '--dry-run')
    expect(code).toBe(0)
    expect(answer.listed).toBeGreaterThan(700)
    const nothing = { inserted: [], changed: [], held: [], renamed: {} }
    expect(answer).toMatchObject({ ...nothing, unchanged: answer.listed, written: null })
    // The models that the tests above have added are in no list.
    expect(answer.gone.filter((id: string) => !id.startsWith('acme/'))).toEqual([])
  })

  it('rates sync asks the gateway that AI_GATEWAY_BASE_URL names, and says what to do without a network', async () => {
    const { url, close } = await serve(list('0.000001'))
    const base = { AI_GATEWAY_BASE_URL: url.replace('/v1/models', '/v4/ai') }
    const { stdout } = await runWith(base, 'rates', 'sync', '--dry-run', '--json')
    expect(JSON.parse(stdout)).toMatchObject({ source: url, listed: 1 })
    close()
    const { code, stderr } = await runWith(base, 'rates', 'sync')
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('--bundled') })
  })

  it('rates sync refuses a malformed file with the path of the fault', async () => {
    const { code, stderr } = await run('rates', 'sync', '--file', list('-1'))
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('data[0].pricing.input') })
    expect((await run('rates', 'sync', '--file', 'a', '--url', 'b')).code).toBe(2)
    expect((await run('rates', 'sync', '--file', 'nowhere.json')).stderr).toContain('cannot be read')
  })
})

describe('credits verify --prices', () => {
  it('verify --prices recomputes every charge from its own row', async () => {
    expect(await json('verify', '--prices')).toMatchObject({
      code: 0,
      answer: { ok: true, prices: { recomputed: 2, unverifiable: 0 } },
    })
    expect((await run('verify', '--prices', '--user', userId)).stdout).toContain('2 charges recomputed')
  })

  it('verify --prices exits 1 and names the charge whose amount does not follow from its row', async () => {
    const { reservationId } = await database.credits.reserve({ userId, amount: '5' })
    const charge = await database.credits.price({ model: SONNET, usage: { inputTokens: 2000, outputTokens: 1000 } })
    await database.store.settle({ userId, reservationId, charge: { ...charge, amount: '3.37' } })
    const manual = await database.credits.reserve({ userId, amount: '5' })
    await database.store.settle({
      userId,
      reservationId: manual.reservationId,
      charge: chargeOf('1', { pricing: null, costSource: 'manual' }),
    })
    const { code, answer } = await json('verify', '--prices')
    expect({ code, ...answer }).toMatchObject({
      code: 1,
      faults: 1,
      listed: [{ accountId: userId, fault: 'price: amount', expected: '3.36', actual: '3.37' }],
      prices: { recomputed: 2, unverifiable: 1 },
    })
    // The ledger itself adds up: no row was changed.
    expect((await run('verify')).code).toBe(0)
  })
})
