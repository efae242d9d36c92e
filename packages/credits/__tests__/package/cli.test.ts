import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type CommandLine, startCommandLine } from './command-line.ts'

let cli: CommandLine
let userId: string

beforeAll(async () => {
  cli = await startCommandLine()
})
beforeEach(async () => {
  userId = await cli.reset()
})
afterAll(() => cli?.stop())

const email = () => `${userId}@example.test`
const missing = 'postgres://postgres@127.0.0.1:1/postgres'

describe('credits verify', () => {
  it('verify exits 0 on a sound ledger and counts what it has seen', async () => {
    await cli.spend(userId, '3')
    const { code, answer } = await cli.json('verify')
    expect({ code, ...answer }).toMatchObject({ code: 0, ok: true, accounts: 1, transactions: 2, faults: 0 })
    const one = await cli.json('verify', '--user', email())
    expect(one).toMatchObject({ code: 0, answer: { accounts: 1, transactions: 2 } })
  })

  it('verify exits 1 and names the account and the fault when a balance was changed by hand', async () => {
    await cli.admin.query('update public.credit_balances set add_on_credits = 1 where account_id = $1', [userId])
    const { code, stdout } = await cli.run('verify')
    expect(code).toBe(1)
    expect(stdout).toContain(`account ${userId}: sum: expected 50, found 51`)
    const { answer } = await cli.json('verify', '--user', userId)
    expect(answer.listed.map((fault: { fault: string }) => fault.fault)).toContain('sum')
    expect((await cli.run('verify', '--user', await cli.signUp())).code).toBe(0)
  })

  it('verify exits 1 when a transaction was changed behind the triggers', async () => {
    await cli.spend(userId, '3')
    await cli.admin.query(
      `set session_replication_role = replica;
       update public.credit_transactions set feature = 'x' where version = 2`,
    )
    const { code, answer } = await cli.json('verify')
    expect({ code, listed: answer.listed }).toEqual({
      code: 1,
      listed: [{ accountId: userId, version: 2, fault: 'hash' }],
    })
  })

  it('verify exits 2 when it could not look, and says why', async () => {
    const unreachable = await cli.json('verify', '--database-url', missing)
    expect(unreachable).toMatchObject({ code: 2, answer: { error: { code: 'STORE_UNAVAILABLE' } } })
    const noUser = await cli.json('verify', '--user', 'me')
    expect(noUser).toMatchObject({ code: 2, answer: { error: { code: 'INVALID_INPUT' } } })
    expect(noUser.answer.error.message).toContain('--user')
    const noFlag = await cli.json('verify', '--usr', userId)
    expect(noFlag).toMatchObject({ code: 2, answer: { error: { code: 'INVALID_INPUT' } } })
    const unset = await cli.runWith({ DATABASE_URL: '' }, 'verify')
    expect(unset).toMatchObject({ code: 2, stderr: expect.stringContaining('CONFIG_INVALID: DATABASE_URL is not set') })
  })

  it('verify --against accepts the heads that verify --heads wrote, also when the ledger has grown', async () => {
    const heads = join(cli.folder, 'heads.json')
    expect(await cli.json('verify', '--heads', heads)).toMatchObject({ code: 0, answer: { headsWritten: 1 } })
    await cli.spend(userId, '3')
    expect(await cli.json('verify', '--against', heads)).toMatchObject({ code: 0, answer: { headsCompared: 1 } })
  })

  it('verify --against finds a chain that was rewritten so that it is consistent again', async () => {
    await cli.spend(userId, '3')
    const heads = join(cli.folder, 'rewritten.json')
    await cli.run('verify', '--heads', heads)
    const [head] = JSON.parse(readFileSync(heads, 'utf8')).heads
    await rewriteChain()
    expect((await cli.run('verify')).code).toBe(0)
    const { code, answer } = await cli.json('verify', '--against', heads)
    expect({ code, listed: answer.listed }).toMatchObject({
      code: 1,
      listed: [{ accountId: userId, fault: 'hash', expected: head.hash }],
    })
  })

  it('verify --against finds an account that is gone and a version that went back', async () => {
    const heads = join(cli.folder, 'gone.json')
    const gone = crypto.randomUUID()
    await cli.run('verify', '--heads', heads)
    const { heads: [head] } = JSON.parse(readFileSync(heads, 'utf8')) // biome-ignore format: one line
    const earlier = [
      { ...head, version: 9 },
      { accountId: gone, version: 4, hash: 'ab' },
    ]
    writeFileSync(heads, JSON.stringify({ heads: earlier }))
    const { code, answer } = await cli.json('verify', '--against', heads)
    expect(code).toBe(1)
    expect(answer.listed).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ accountId: userId, fault: 'lower_version' }),
        expect.objectContaining({ accountId: gone, fault: 'missing_account' }),
      ]),
    )
  })

  it('verify --heads leaves the file alone when the ledger has a fault', async () => {
    const heads = join(cli.folder, 'kept.json')
    writeFileSync(heads, 'yesterday')
    await cli.admin.query('update public.credit_balances set add_on_credits = 1 where account_id = $1', [userId])
    const { code, stdout } = await cli.run('verify', '--heads', heads)
    expect({ code, stdout }).toMatchObject({ code: 1, stdout: expect.stringContaining('No chain heads were written') })
    expect(readFileSync(heads, 'utf8')).toBe('yesterday')
  })

  it('verify --against refuses a file without heads', async () => {
    const file = join(cli.folder, 'no-heads.json')
    writeFileSync(file, '{}')
    expect((await cli.run('verify', '--against', file)).stderr).toContain('INVALID_INPUT: --against')
    expect((await cli.run('verify', '--against', 'nowhere.json')).stderr).toContain('cannot be read')
  })
})

/** Raises the signup grant and computes every hash again, as the owner of the database could. */
async function rewriteChain(): Promise<void> {
  await cli.admin.query(`
    set session_replication_role = replica;
    do $$
    declare
      entry public.credit_transactions;
      previous bytea := '\\x';
    begin
      update public.credit_transactions set metadata = '{"note": "rewritten"}',
        text_hash = credits_private.text_hash('{"note": "rewritten"}', null) where version = 1;
      for entry in select * from public.credit_transactions order by version loop
        previous := credits_private.transaction_hash(entry, credits_private.find_cost(entry), previous);
        update public.credit_transactions set hash = previous where id = entry.id;
      end loop;
      update public.credit_balances set chain_hash = previous;
    end;
    $$`)
}

describe('credits reconcile', () => {
  it('reconcile finds a missed signup, changes nothing without --apply, and then repairs it once', async () => {
    await cli.admin.query('alter table auth.users disable trigger all')
    const missed = await cli.signUp()
    await cli.admin.query('alter table auth.users enable trigger all')
    expect(await cli.json('reconcile')).toMatchObject({
      code: 1,
      answer: { applied: false, found: { accountsToOpen: [missed] } },
    })
    expect((await cli.run('verify', '--user', missed)).stderr).toContain('ACCOUNT_NOT_FOUND')
    expect(await cli.json('reconcile', '--apply')).toMatchObject({
      code: 0,
      answer: { applied: true, signupGrants: 1 },
    })
    expect(await cli.json('reconcile', '--apply')).toMatchObject({ code: 0, answer: { signupGrants: 0 } })
    expect(await cli.json('verify', '--user', missed)).toMatchObject({ code: 0, answer: { transactions: 1 } })
  })
})

describe('credits grant', () => {
  it('grant gives once per key, to a user by e-mail address too', async () => {
    const args = ['grant', '--user', email(), '--amount', '12.5', '--key', 'order-1'] as const
    expect(await cli.json(...args)).toMatchObject({
      code: 0,
      answer: { replayed: false, balance: { available: '62.5' } },
    })
    expect(await cli.json(...args)).toMatchObject({
      code: 0,
      answer: { replayed: true, balance: { available: '62.5' } },
    })
    const other = await cli.json('grant', '--user', userId, '--amount', '13', '--key', 'order-1')
    expect(other).toMatchObject({ code: 2, answer: { error: { code: 'IDEMPOTENCY_MISMATCH' } } })
  })

  it('grant prints a receipt with the transaction that is in the ledger', async () => {
    const { stdout } = await cli.run('grant', '--user', userId, '--amount', '12.5', '--key', 'order-2')
    const { rows } = await cli.admin.query('select id, version from public.credit_transactions where version = 2')
    expect(stdout).toContain(`transaction ${rows[0].id} (number 2 of account ${userId})`)
    expect(stdout).toMatch(/amount +\+12\.5 credits, promo/)
    expect(stdout).toMatch(/available now 62\.5/)
    const again = await cli.run('grant', '--user', userId, '--amount', '12.5', '--key', 'order-2')
    expect(again.stdout).toContain('nothing was given now')
  })

  it('grant names the flag as it was typed when a value is wrong', async () => {
    const grant = (...more: string[]) => cli.run('grant', '--key', 'k', ...more)
    expect((await grant('--user', userId, '--amount', '1e3')).stderr).toContain('INVALID_INPUT: --amount')
    expect((await grant('--user', 'zzz', '--amount', '1')).stderr).toContain('INVALID_INPUT: --user')
    expect((await grant('--user', 'a@b.c', '--amount', '1')).stderr).toContain('ACCOUNT_NOT_FOUND')
    const days = await grant('--user', userId, '--amount', '1', '--expires-in-days', 'abc')
    expect(days.stderr).toContain('INVALID_INPUT: --expires-in-days')
  })

  it('grant names every missing flag at once', async () => {
    const { code, stderr } = await cli.run('grant', '--user', userId)
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('--amount, --key') })
  })

  it('an error is printed once', async () => {
    await cli.run('grant', '--user', userId, '--amount', '1', '--key', 'k')
    const { stderr } = await cli.run('grant', '--user', userId, '--amount', '2', '--key', 'k')
    expect(stderr.match(/IDEMPOTENCY_MISMATCH/g)).toHaveLength(1)
  })
})

describe('accounts', () => {
  it('admin add and remove change credit_admins, and admin list shows it', async () => {
    expect((await cli.json('admin', 'list')).answer).toEqual([])
    expect(await cli.json('admin', 'add', email())).toMatchObject({ code: 0, answer: { userId, isAdmin: true } })
    expect((await cli.json('admin', 'list')).answer).toMatchObject([{ userId, email: email() }])
    expect(await cli.json('admin', 'remove', userId)).toMatchObject({ code: 0, answer: { isAdmin: false } })
    expect((await cli.json('admin', 'list')).answer).toEqual([])
    expect((await cli.run('admin', 'add', 'no-one@example.test')).stderr).toContain('ACCOUNT_NOT_FOUND')
  })

  it('plan set moves an account, and names the plan that was meant when the id is misspelt', async () => {
    expect(await cli.json('plan', 'set', email(), 'pro')).toMatchObject({ code: 0, answer: { planId: 'pro' } })
    const { code, stderr } = await cli.run('plan', 'set', email(), 'startr')
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('did you mean starter?') })
    expect((await cli.json('plan', 'list')).answer.map(({ id }: { id: string }) => id)).toContain('pro')
  })

  it('freeze stops one account or all, and --off allows spending again', async () => {
    expect(await cli.json('freeze', '--user', email(), '--reason', 'chargeback')).toMatchObject({
      answer: { status: 'frozen' },
    })
    expect(await cli.json('freeze', '--user', email(), '--off')).toMatchObject({ answer: { status: 'active' } })
    expect(await cli.json('freeze', '--all')).toMatchObject({ answer: { spendingFrozen: true } })
    expect(await cli.json('freeze', '--all', '--off')).toMatchObject({ answer: { spendingFrozen: false } })
    expect((await cli.run('freeze')).code).toBe(2)
    expect((await cli.run('freeze', '--all', '--user', userId)).code).toBe(2)
  })

  it('erase removes free text, says what stays, and the ledger stays sound', async () => {
    await cli.run('grant', '--user', userId, '--amount', '1', '--key', 'k', '--reason', 'sorry, Anna')
    const { code, stdout } = await cli.run('erase', '--user', email())
    expect(code).toBe(0)
    const [, stays = ''] = stdout.split('What stays:')
    const tables = ['credit_transactions', 'credit_transaction_costs', 'credit_reservations', 'credit_balances']
    for (const name of [...tables, 'credit_lots', 'credit_audit_log', 'signup_claims', 'person_accounts'])
      expect(stays).toContain(name)
    const { rows } = await cli.admin.query(
      'select reason from public.credit_transaction_costs where reason is not null',
    )
    expect(rows).toEqual([])
    expect((await cli.run('verify')).code).toBe(0)
  })
})

describe('credits rates', () => {
  const setTestRate = () => cli.run('rates', 'set', 'test/model', '--input', '3', '--output', '15')

  it('rates set writes a price per million tokens, and price charges as the library would', async () => {
    expect(await setTestRate()).toMatchObject({ code: 0, stdout: expect.stringContaining('In force from now on') })
    const priced = await cli.json('rates', 'price', 'test/model', '--input', '2000', '--output', '1000')
    expect(priced).toMatchObject({ code: 0, answer: { amount: '3.36', costUsd: '0.021' } })
    expect((await cli.json('rates', 'show', 'test/model')).answer.margin.marginPercent).toBe('60')
    expect((await cli.json('rates', 'list', '--match', 'test/')).answer).toHaveLength(1)
    expect((await setTestRate()).stdout).toContain('Unchanged')
  })

  it('rates set refuses a number that is no price, no price at all, and a zero that was not meant', async () => {
    const set = async (...args: string[]) => (await cli.run('rates', 'set', 'test/x', ...args)).stderr
    expect(await set('--input', '1e-6')).toContain('INVALID_INPUT: --input')
    expect(await set()).toContain('INVALID_INPUT: --input')
    expect(await set('--input', '0', '--output', '0')).toContain('INVALID_INPUT: --free')
    expect(await set('--pricing', '{"input": 1}')).toContain('INVALID_INPUT: --pricing.input')
    expect((await cli.run('rates', 'set', 'test/x', '--free')).code).toBe(0)
  })

  it('an unknown model is named with the models it may have been meant to be', async () => {
    const { code, stderr } = await cli.run('rates', 'price', 'anthropic/claude-sonet-4.5')
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('UNKNOWN_MODEL') })
    expect(stderr).toContain('Did you mean anthropic/claude-sonnet-4.5')
    expect((await cli.run('rates', 'price', 'no-one/knows')).stderr).toContain('credits rates set')
  })
})

describe('the command', () => {
  it('a closed pipe ends a command without a stack trace', async () => {
    const main = join(import.meta.dirname, '../../src/cli/main.ts')
    const script = `"${process.execPath}" "${main}" rates | head -1`
    const env = { PATH: process.env.PATH, DATABASE_URL: cli.database.dbUrl }
    const printed = execFileSync('sh', ['-c', `{ ${script}; } 2>&1`], { cwd: cli.folder, env }).toString()
    expect(printed.trim().split('\n')).toHaveLength(1)
    expect(printed).not.toMatch(/EPIPE|at .*node:/)
  })

  it('help shows the path of a nested command and its examples, without colours in a pipe', async () => {
    const { stdout } = await cli.run('rates', 'sync', '--help')
    expect(stdout).toContain('credits rates sync')
    expect(stdout).toContain('npx @layers/credits rates sync --bundled')
    expect(stdout).not.toContain('\u001b[')
    expect((await cli.run('help', 'plan', 'set')).stdout).toContain('credits plan set')
  })

  it('every command has a description and an example', async () => {
    const { stdout } = await cli.run('--help')
    for (const name of ['init', 'doctor', 'verify', 'export', 'compare-costs', 'uninstall', 'erase', 'freeze'])
      expect((await cli.run(name, '--help')).stdout, name).toContain('EXAMPLES')
    expect(stdout).toContain('compare-costs')
  })

  it('a misspelt command is answered with the one that was meant', async () => {
    const { code, stderr } = await cli.run('grnt')
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('did you mean "grant"?') })
  })

  it('a wrong password, a wrong database and an unreachable server have messages of their own', async () => {
    const url = new URL(cli.database.dbUrl)
    const other = (change: (url: URL) => void) => {
      const changed = new URL(url)
      change(changed)
      return cli.run('verify', '--database-url', changed.href)
    }
    expect((await other((changed) => (changed.pathname = '/none'))).stderr).toMatch(
      /CONFIG_INVALID: .*database.*exist/i,
    )
    expect((await cli.run('verify', '--database-url', missing)).stderr).toContain('ECONNREFUSED')
    expect((await cli.run('verify', '--database-url', 'not a url')).stderr).toMatch(
      /^(INVALID_INPUT|STORE_UNAVAILABLE)/,
    )
  })
})
