import { execFileSync } from 'node:child_process'
import { createReadStream, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
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

const columns = (csv: string) => {
  const [head, ...rows] = csv.trimEnd().split('\n').map((line) => line.split(',')) // biome-ignore format: one line
  return rows.map((row) => Object.fromEntries((head ?? []).map((name, index) => [name, row[index]])))
}

describe('credits export', () => {
  it('export writes rows between an opening and a closing balance that add up, and disarms formulas', async () => {
    await cli.spend(userId, '3.5', { feature: '=cmd()' })
    const [opening, signup, usage, closing] = columns((await cli.run('export', '--user', userId)).stdout)
    expect(opening).toMatchObject({ type: 'opening', balance_after: '0' })
    expect([signup?.amount, usage?.amount]).toEqual(['50', '-3.5'])
    expect(usage?.feature).toBe("'=cmd()")
    expect(closing).toMatchObject({ type: 'closing', balance_after: '46.5' })
  })

  it.each([12, 2_500])('export of an account with %i transactions has each of them once, in order', async (count) => {
    await grantMany(count - 1)
    const { code, stdout } = await cli.run('export')
    const rows = columns(stdout)
    expect(code).toBe(0)
    expect(rows.slice(1, -1).map((row) => Number(row.version))).toEqual(Array.from({ length: count }, (_, i) => i + 1))
    expect(rows.at(-1)).toMatchObject({ type: 'closing', balance_after: String(50 + count - 1) })
  })

  it('export exits 1 and names the account when a row is missing or the balance is another', async () => {
    await grantMany(3)
    await cli.admin.query(
      'set session_replication_role = replica; delete from public.credit_transactions where version = 2',
    )
    const missingRow = await cli.run('export')
    expect(missingRow).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`${userId}: transaction 2 is missing`),
    })
    userId = await cli.reset()
    await cli.admin.query('update public.credit_balances set add_on_credits = 1 where account_id = $1', [userId])
    const other = await cli.run('export')
    expect(other).toMatchObject({ code: 1, stderr: expect.stringContaining('the balance is 51, the rows give 50') })
  })

  it('export opens a period with the balance before it', async () => {
    await cli.spend(userId, '3.5')
    const from = ['--from', '2999-01-01T00:00:00Z']
    const { stdout } = await cli.run('export', '--format', 'ndjson', ...from)
    const rows = stdout.trimEnd().split('\n').map((line) => JSON.parse(line)) // biome-ignore format: one line
    expect(rows.map((row) => [row.type, row.balance_after])).toEqual([
      ['opening', '46.5'],
      ['closing', '46.5'],
    ])
  })

  it('export writes a manifest with the hash of the file and with heads that verify --against accepts', async () => {
    await cli.spend(userId, '3.5')
    const file = join(cli.folder, 'ledger.csv')
    const { answer } = await cli.json('export', '--output', file)
    expect(answer).toMatchObject({ ok: true, accounts: 1, transactions: 2, file })
    const manifest = JSON.parse(readFileSync(`${file}.manifest.json`, 'utf8'))
    expect(manifest.heads).toMatchObject([{ accountId: userId, version: 2 }])
    const sum = execFileSync('sha256sum', [file]).toString().split(' ')[0]
    expect(manifest.sha256).toBe(sum)
    expect((await cli.run('verify', '--against', `${file}.manifest.json`)).code).toBe(0)
  })

  it('export writes rows whose account is gone, as a fault, and exits 1', async () => {
    await asReplica(`delete from public.credit_balances where account_id = '${userId}'`)
    const other = await cli.signUp()
    const { code, stdout, stderr } = await cli.run('export')
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: `account ${userId}: the account is missing\n` })
    expect(
      columns(stdout)
        .map((row) => row.account_id)
        .sort(),
    ).toEqual([userId, userId, userId, other, other, other].sort())
  })

  it('export of a user without an account is ACCOUNT_NOT_FOUND', async () => {
    const { code, answer } = await cli.json('export', '--user', crypto.randomUUID())
    expect({ code, answer }).toMatchObject({ code: 2, answer: { error: { code: 'ACCOUNT_NOT_FOUND' } } })
  })

  it('export and its manifest of 100,000 accounts and 100,000 transactions fit into 40 MB', async () => {
    await fillLedger(100_000, 100_000)
    const file = join(cli.folder, 'large.csv')
    const memory = { NODE_OPTIONS: '--max-old-space-size=40' }
    const exported = await cli.runWith(memory, 'export', '--output', file, '--json')
    expect(exported).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(exported.stdout)).toMatchObject({ accounts: 100_001, transactions: 100_000, faulty: 0 })
    let version = 0
    for await (const line of createInterface({ input: createReadStream(file) })) {
      const [account, number] = line.split(',')
      if (account === userId && number === String(version + 1)) version += 1
    }
    expect(version).toBe(100_000)
    const client = await cli.admin.connect()
    const { rows } = await client.query(
      'select encode(hash, $1) as hash from public.credit_transactions where version = 100000',
      ['hex'],
    )
    client.release()
    const manifest = `${file}.manifest.json`
    expect(JSON.parse(readFileSync(manifest, 'utf8')).heads).toContainEqual({
      accountId: userId,
      version: 100_000,
      hash: rows[0].hash,
    })
    // The rows were not chained, so the heads alone are compared here, by the user.
    const compared = await cli.runWith(memory, 'verify', '--user', userId, '--against', manifest, '--json')
    expect(JSON.parse(compared.stdout)).toMatchObject({ headsCompared: 1 })
  }, 300_000)

  it('export to a file that exists says so and leaves it alone', async () => {
    const file = join(cli.folder, 'existing.csv')
    writeFileSync(file, 'mine')
    const { code, stderr } = await cli.run('export', '--output', file)
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining(`--output: ${file} exists`) })
    expect(readFileSync(file, 'utf8')).toBe('mine')
  })
})

async function grantMany(count: number): Promise<void> {
  await cli.admin.query(
    `select public.credits_grant($1, gen_random_uuid(), 1, 'promo', 'add-on') from generate_series(1, $2::int)`,
    [userId, count],
  )
}

/** Runs a statement without triggers and foreign keys, as the owner of the database could. */
async function asReplica(text: string): Promise<void> {
  const client = await cli.admin.connect()
  try {
    await client.query(`set session_replication_role = replica; ${text}`)
  } finally {
    client.release(true)
  }
}

/** Accounts without transactions, and one with many that add up. */
async function fillLedger(accounts: number, transactions: number): Promise<void> {
  await asReplica(`
    insert into public.credit_balances (account_id, plan_id)
    select gen_random_uuid(), 'free' from generate_series(1, ${accounts});
    insert into public.credit_transactions (
      account_id, version, id, user_id, type, source, amount, balance_after, text_hash, created_at, hash)
    select entry.account_id, number, gen_random_uuid(), entry.user_id, 'grant', 'promo', 1, 49 + number,
      entry.text_hash, entry.created_at, entry.hash
    from public.credit_transactions entry cross join generate_series(2, ${transactions}) number;
    update public.credit_balances set version = ${transactions}, add_on_credits = ${transactions} - 1,
      chain_hash = (select hash from public.credit_transactions limit 1)
    where account_id = '${userId}'`)
}
