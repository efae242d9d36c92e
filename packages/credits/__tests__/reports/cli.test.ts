import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chargeOf } from '../../src/testing/case.ts'
import { callModel, closeStack, type Ground, openGround, SONNET } from './ground.ts'

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts')
const folder = mkdtempSync(join(tmpdir(), 'credits-reports-'))

let ground: Ground
let userId: string

beforeAll(async () => {
  ground = await openGround()
  userId = await ground.signUp('100')
  const { credits } = ground
  await callModel(credits, { userId, model: SONNET, feature: 'chat' })
  const { reservationId } = await credits.reserve({ userId, model: SONNET, amount: '10' })
  const usage = { inputTokens: 2000, outputTokens: 1000 }
  const reported = { costUsd: '0.0231', source: 'market-cost' } as const
  const charge = await credits.price({ model: SONNET, usage, reported, generationId: 'gen-1' })
  await credits.settle({ userId, reservationId, charge })
}, 120_000)
afterAll(async () => {
  await ground?.close()
  await closeStack()
  rmSync(folder, { recursive: true, force: true })
})

interface Ran {
  code: number
  stdout: string
  stderr: string
}

function run(...args: string[]): Promise<Ran> {
  const env = { PATH: process.env.PATH, DATABASE_URL: ground.dbUrl }
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

function file(name: string, content: string): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

describe('credits report', () => {
  it('prints revenue, cost and profit by model, or as asked', async () => {
    const { code, stdout } = await run('report')
    expect(code).toBe(0)
    // 3.36 credits at cost USD 0.021, and 3.696 at a reported cost of USD 0.0231.
    expect(stdout).toMatch(/claude-sonnet-4\.5 +2 +7\.056 +0\.07056 +0\.0441 +0\.02646 +60 %/)
    const { answer } = await json('report', '--by', 'feature', '--from', '2020-01-01')
    expect(answer.by.feature).toMatchObject({ chat: { calls: 1 }, '(none)': { calls: 1 } })
    expect((await run('report', '--from', 'monday')).code).toBe(2)
  })

  it('drift exits 1 beyond the threshold', async () => {
    expect(await json('report', 'drift', '--threshold', '0.2')).toMatchObject({ code: 0, answer: { alerts: 0 } })
    const { code, stdout } = await run('report', 'drift', '--threshold', '0.05')
    expect(code).toBe(1)
    expect(stdout).toMatch(/0\.021 +0\.0231 +10 % +ALERT/)
    expect((await run('report', 'drift', '--threshold', 'five')).code).toBe(2)
  })
})

describe('credits what-if', () => {
  it('shows what other margins would have brought, and changes nothing', async () => {
    const { code, stdout } = await run('what-if', '--margin', '40', '--model-margin', `${SONNET}=100,acme/x=10`)
    expect(code).toBe(0)
    expect(stdout).toMatch(/total +2 +0\.07056 +0\.0882 +0\.02646 +0\.0441 +\+0\.01764/)
    expect((await ground.credits.getMargins()).overrides).toEqual([])
    const plan = await json('what-if', '--plan-margin', 'free=0')
    expect(plan.answer.hypothetical.total.profitUsd).toBe('0')
  })

  it('takes prices from a file, and refuses what says nothing', async () => {
    const list = { data: [{ id: SONNET, type: 'language', pricing: { input: '0', output: '0.00001' } }] }
    const { answer } = await json('what-if', '--rates', file('prices.json', JSON.stringify(list)))
    expect(answer.hypothetical.total.costUsd).toBe('0.02')
    for (const args of [[], ['--model-margin', 'x'], ['--margin', 'NaN'], ['--rates', 'nowhere.json']])
      expect((await run('what-if', ...args)).code, args.join(' ')).toBe(2)
  })
})

describe('credits reconcile-costs', () => {
  it('sets a CSV export against the ledger, naming what only one side knows', async () => {
    const csv = file('export.csv', '\uFEFFGeneration ID;Model;Cost USD\r\n"gen-1";x;0.0231\r\ngen-9;"a;b";0.5\r\n')
    const { code, stdout } = await run('reconcile-costs', '--file', csv)
    expect(code).toBe(1)
    expect(stdout).toContain('not in the ledger  gen-9: 0.5')
    expect(stdout).toContain('not on the bill  no generation id')
    expect(stdout).toContain('1 agree, 0 differ, 1 are not in the ledger, 1 are not on the bill')
  })

  it('reads NDJSON and columns by name; a faulty row is named', async () => {
    const rows = file('export.ndjson', '{"call":"gen-1","price":0.0231}\n\n')
    const named = ['--id-column', 'call', '--cost-column', 'price']
    expect((await json('reconcile-costs', '--file', rows, ...named)).answer).toMatchObject({ matched: 1 })
    const { code, stderr } = await run('reconcile-costs', '--file', rows)
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('row 1') })
    expect((await run('reconcile-costs', '--file', join(folder, 'nowhere.csv'))).code).toBe(2)
    expect((await run('reconcile-costs')).code).toBe(2)
  })

  it('sets the spend report of the gateway against the ledger', async () => {
    const spend = file(
      'spend.json',
      JSON.stringify({ results: [{ model: SONNET, totalCost: 0.0441, requestCount: 2 }] }),
    )
    expect(await json('reconcile-costs', '--spend-report', spend)).toMatchObject({ code: 0, answer: { matched: 1 } })
  })
})

describe('credits rates', () => {
  const list = (input: string) =>
    file(
      'list.json',
      JSON.stringify({ data: [{ id: 'acme/cli', type: 'language', pricing: { input, output: '0.00001' } }] }),
    )

  it('lists by default, prices any usage, and shows the history of a model', async () => {
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
    expect((await run('rates', 'history', 'nobody/knows')).stderr).toContain('UNKNOWN_MODEL')
  })

  it('sync tells without writing, holds everything from a list that lacks most models, and writes what is accepted', async () => {
    const dry = await json('rates', 'sync', '--file', list('0.000001'), '--dry-run')
    expect(dry).toMatchObject({ code: 1, answer: { written: null, held: [{ modelId: 'acme/cli' }] } })
    expect(await json('rates', 'sync', '--file', list('0.000001'))).toMatchObject({ code: 1, answer: { written: 0 } })
    const accepted = await json('rates', 'sync', '--file', list('0.000001'), '--accept', 'acme/cli')
    expect(accepted).toMatchObject({ code: 0, answer: { written: 1, accepted: [{ modelId: 'acme/cli' }] } })
    expect((await json('rates', 'history', 'acme/cli')).answer).toMatchObject([{ source: 'list.json', known: true }])
  })

  it('sync refuses a malformed file with the path of the fault', async () => {
    const { code, stderr } = await run('rates', 'sync', '--file', list('-1'))
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('data[0].pricing.input') })
    expect((await run('rates', 'sync', '--file', 'a', '--url', 'b')).code).toBe(2)
    expect((await run('rates', 'sync', '--file', 'nowhere.json')).stderr).toContain('cannot be read')
  })
})

describe('credits verify --prices', () => {
  it('recomputes every charge from its own row', async () => {
    expect(await json('verify', '--prices')).toMatchObject({
      code: 0,
      answer: { ok: true, prices: { recomputed: 2, unverifiable: 0 } },
    })
    expect((await run('verify', '--prices', '--user', userId)).stdout).toContain('2 charges recomputed')
  })

  it('exits 1 and names the charge whose amount does not follow from its row', async () => {
    const { reservationId } = await ground.credits.reserve({ userId, amount: '5' })
    const charge = await ground.credits.price({ model: SONNET, usage: { inputTokens: 2000, outputTokens: 1000 } })
    await ground.store.settle({ userId, reservationId, charge: { ...charge, amount: '3.37' } })
    const manual = await ground.credits.reserve({ userId, amount: '5' })
    await ground.store.settle({
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
    // The books themselves add up: nobody changed a row.
    expect((await run('verify')).code).toBe(0)
  })
})
