import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ClonedDatabase, type Stack, startStack } from '@layers/local-stack'
import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { postgresStore } from '../../src/store/postgres.ts'
import { chargeOf } from '../../src/testing/case.ts'
import { openPool, signUp } from '../store/sql-harness.ts'

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts')
// A folder of its own, so that no .env of the repository is read.
const folder = mkdtempSync(join(tmpdir(), 'credits-cli-'))

let stack: Stack
let database: ClonedDatabase
let admin: pg.Pool
let userId: string

beforeAll(async () => {
  stack = await startStack({ ephemeral: true })
})
beforeEach(async () => {
  await admin?.end()
  database = await stack.cloneDatabase()
  admin = openPool(database.adminDbUrl)
  userId = await signUp(admin)
})
afterAll(async () => {
  await admin?.end()
  await stack?.stop()
  rmSync(folder, { recursive: true, force: true })
})

interface Ran {
  code: number
  stdout: string
  stderr: string
}

function credits(...args: string[]): Promise<Ran> {
  const env = { PATH: process.env.PATH, DATABASE_URL: database.dbUrl }
  return new Promise((resolve) => {
    execFile('node', [MAIN, ...args], { cwd: folder, env }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr })
    })
  })
}

async function json(...args: string[]) {
  const ran = await credits(...args, '--json')
  return { code: ran.code, answer: JSON.parse(ran.stdout || ran.stderr) }
}

async function spend(amount: string): Promise<void> {
  const store = postgresStore(admin)
  const reservationId = crypto.randomUUID()
  await store.reserve({ reservationId, userId, amount, ttlSeconds: 60 })
  await store.settle({ userId, reservationId, charge: chargeOf(amount, { feature: '=cmd()' }) })
}

describe('credits verify', () => {
  it('exits 0 on true books, and counts what it has seen', async () => {
    await spend('3')
    const { code, answer } = await json('verify')
    expect({ code, ...answer }).toMatchObject({ code: 0, ok: true, accounts: 1, transactions: 2, faults: 0 })
    expect(await json('verify', '--user', userId)).toMatchObject({ code: 0, answer: { accounts: 1, transactions: 2 } })
  })

  it('exits 1 and names the account and the fault when a balance was changed by hand', async () => {
    await admin.query('update public.credit_balances set add_on_credits = 1 where account_id = $1', [userId])
    const { code, stdout } = await credits('verify')
    expect(code).toBe(1)
    expect(stdout).toContain(`account ${userId}: sum: expected 50.000000, found 51.000000`)
    expect(
      (await json('verify', '--user', userId)).answer.listed.map((fault: { fault: string }) => fault.fault),
    ).toContain('sum')
    expect((await credits('verify', '--user', await signUp(admin))).code).toBe(0)
  })

  it('exits 1 when a transaction was changed behind the triggers', async () => {
    await spend('3')
    await admin.query(
      `set session_replication_role = replica; update public.credit_transactions set reason = 'x' where version = 2`,
    )
    const { code, answer } = await json('verify')
    expect({ code, listed: answer.listed }).toEqual({
      code: 1,
      listed: [{ accountId: userId, version: 2, fault: 'hash' }],
    })
  })

  it('exits 2 when it could not look', async () => {
    const unreachable = await json('verify', '--database-url', 'postgres://postgres@127.0.0.1:1/postgres')
    expect(unreachable).toMatchObject({ code: 2, answer: { error: { code: 'STORE_UNAVAILABLE' } } })
    expect(await json('verify', '--user', 'me')).toMatchObject({
      code: 2,
      answer: { error: { code: 'INVALID_INPUT' } },
    })
    expect(await json('verify', '--usr', userId)).toMatchObject({
      code: 2,
      answer: { error: { code: 'INVALID_INPUT' } },
    })
    const unset = await credits('verify', '--database-url', '')
    expect(unset).toMatchObject({ code: 2, stderr: expect.stringContaining('CONFIG_INVALID: DATABASE_URL is not set') })
  })
})

describe('credits reconcile', () => {
  it('finds a missed signup, changes nothing until told, and then heals it once', async () => {
    await admin.query('alter table auth.users disable trigger all')
    const missed = await signUp(admin)
    await admin.query('alter table auth.users enable trigger all')
    expect(await json('reconcile')).toMatchObject({
      code: 1,
      answer: { applied: false, found: { accountsToOpen: [missed] } },
    })
    expect((await credits('verify', '--user', missed)).stderr).toContain('ACCOUNT_NOT_FOUND')
    expect(await json('reconcile', '--apply')).toMatchObject({ code: 0, answer: { applied: true, signupGrants: 1 } })
    expect(await json('reconcile', '--apply')).toMatchObject({ code: 0, answer: { signupGrants: 0 } })
    expect(await json('verify', '--user', missed)).toMatchObject({ code: 0, answer: { transactions: 1 } })
  })
})

describe('credits grant', () => {
  it('gives once per key, to a user by e-mail address too', async () => {
    const args = ['grant', '--user', `${userId}@example.test`, '--amount', '12.5', '--key', 'order-1'] as const
    expect(await json(...args)).toMatchObject({ code: 0, answer: { replayed: false, balance: { available: '62.5' } } })
    expect(await json(...args)).toMatchObject({ code: 0, answer: { replayed: true, balance: { available: '62.5' } } })
    const other = await json('grant', '--user', userId, '--amount', '13', '--key', 'order-1')
    expect(other).toMatchObject({ code: 2, answer: { error: { code: 'IDEMPOTENCY_MISMATCH' } } })
  })

  it('refuses what is no amount, no user and no key', async () => {
    expect((await credits('grant', '--user', userId, '--amount', '1e3', '--key', 'k')).stderr).toContain(
      'INVALID_INPUT: amount',
    )
    expect((await credits('grant', '--user', 'a@b.c', '--amount', '1', '--key', 'k')).stderr).toContain(
      'ACCOUNT_NOT_FOUND',
    )
    expect(await credits('grant', '--user', userId, '--amount', '1')).toMatchObject({ code: 2 })
  })
})

describe('credits export', () => {
  it('writes rows between an opening and a closing balance that add up, and disarms formulas', async () => {
    await spend('3.5')
    const { stdout } = await credits('export', '--user', userId)
    const [head, opening, signup, usage, closing] = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(','))
    const column = (row: string[] | undefined, name: string) => row?.[head?.indexOf(name) ?? -1]
    expect([column(opening, 'type'), column(opening, 'balance_after')]).toEqual(['opening', '0'])
    expect([column(signup, 'amount'), column(usage, 'amount')]).toEqual(['50', '-3.5'])
    expect(column(usage, 'feature')).toBe("'=cmd()")
    expect([column(closing, 'type'), column(closing, 'balance_after')]).toEqual(['closing', '46.5'])
  })

  it('opens a period with the balance before it, and writes a file once with its hash', async () => {
    await spend('3.5')
    const file = join(folder, 'ledger.ndjson')
    const args = ['export', '--format', 'ndjson', '--from', '2999-01-01T00:00:00Z', '--output', file]
    const { answer } = await json(...args)
    expect(answer).toMatchObject({ accounts: 1, transactions: 0, file })
    const rows = readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(rows.map((row) => [row.type, row.balance_after])).toEqual([
      ['opening', '46.5'],
      ['closing', '46.5'],
    ])
    expect((await credits(...args)).code).toBe(2)
  })
})

describe('credits doctor', () => {
  const states = async (): Promise<Record<string, string>> => {
    const { answer } = await json('doctor')
    return Object.fromEntries(answer.checks.map((check: { name: string; state: string }) => [check.name, check.state]))
  }

  it('finds the schema in order', async () => {
    expect(await states()).toMatchObject({
      node: 'ok',
      database: 'ok',
      schema: 'ok',
      'row level security on every table': 'ok',
      'no API role writes a table': 'ok',
      'only the service role executes the functions': 'ok',
      'a default margin is in force': 'ok',
    })
  })

  it('finds a table without row level security, a writing role and an open function', async () => {
    await admin.query('alter table public.credit_balances disable row level security')
    await admin.query('grant update on public.credit_balances to authenticated')
    await admin.query('grant execute on function public.credits_release(uuid) to anon')
    expect(await states()).toMatchObject({
      'row level security on every table': 'fail',
      'no API role writes a table': 'fail',
      'only the service role executes the functions': 'fail',
    })
    expect((await credits('doctor')).code).toBe(1)
  })
})

describe('credits rates', () => {
  it('prices a call as the library would', async () => {
    const rate = {
      modelId: 'test/model',
      type: 'language',
      source: 'test',
      pricing: { input: '0.000003', output: '0.000015' },
    }
    await admin.query('select public.credits_set_rates($1)', [JSON.stringify([rate])])
    const priced = await json('rates', 'price', 'test/model', '--input', '2000', '--output', '1000')
    expect(priced).toMatchObject({ code: 0, answer: { amount: '3.36', costUsd: '0.021' } })
    expect((await json('rates', 'show', 'test/model')).answer.margin.marginPercent).toBe('60')
    expect((await json('rates', 'list', '--match', 'test/')).answer).toHaveLength(1)
    expect((await credits('rates', 'price', 'nobody/knows')).stderr).toContain('UNKNOWN_MODEL')
  })
})
