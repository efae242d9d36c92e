import type pg from 'pg'
import { CreditError } from '../core/errors.ts'
import { command, databaseArgs, type Output } from './command.ts'
import { callFunction, inSnapshot, userIdOf, withDatabase } from './database.ts'
import { chainHeads, compareHeads, readHeads, writeHeads } from './heads.ts'
import { type PriceFindings, verifyPrices } from './verify-prices.ts'

const TRANSACTIONS_PER_PAGE = 5_000
const ACCOUNTS_PER_PAGE = 1_000
/** All faults are counted, these many are named: a ledger that is broken everywhere must not fill the memory. */
const MOST_FAULTS_LISTED = 1_000
const BEFORE_ALL = '00000000-0000-0000-0000-000000000000'

/** A row or an account that breaks a rule. */
interface Fault {
  accountId: string
  fault: string
  version?: number
  expected?: string | null
  actual?: string | null
}

interface TransactionPage {
  transactions: number
  faults: Fault[]
  next: { accountId: string; version: number } | null
}

interface AccountPage {
  accounts: number
  faults: Fault[]
  next: string | null
}

/** What was looked at, and what was found. */
interface Findings {
  transactions: number
  accounts: number
  faults: number
  listed: Fault[]
  /** With `--prices`. */
  prices?: PriceFindings
  /** With `--against`: heads that were compared. With `--heads`: heads that were written. */
  headsCompared?: number
  headsWritten?: number
}

/** `credits verify` */
export const verify = command({
  name: 'verify',
  description: 'Verify the ledger: every balance is the sum of its transactions, and none was changed',
  args: {
    ...databaseArgs,
    user: { type: 'string', description: 'Only this account: UUID or e-mail address' },
    prices: { type: 'boolean', description: 'Also recompute every charge from its own row', default: false },
    against: { type: 'string', description: 'File with chain heads of an earlier day, which must still be true' },
    heads: { type: 'string', description: 'Write the chain heads of now to this file, unless a fault was found' },
  },
  examples: ['verify', 'verify --user ann@example.com', 'verify --against heads.json --heads heads.json'],
  async run(args, output) {
    const earlier = args.against === undefined ? undefined : readHeads(args.against)
    const started = performance.now()
    const findings = await output.during('Reading the ledger', () =>
      withDatabase(args['database-url'], async (client) => {
        const userId = args.user === undefined ? undefined : await userIdOf(client, args.user)
        return inSnapshot(client, async () => {
          const found = userId === undefined ? await verifyAll(client) : await verifyOne(client, userId)
          if (args.prices) found.prices = await verifyPrices(client, userId, (fault) => note(found, [fault]))
          if (earlier !== undefined) {
            const heads = userId === undefined ? earlier : earlier.filter((head) => head.accountId === userId)
            note(found, await compareHeads(client, heads))
            found.headsCompared = heads.length
          }
          if (args.heads !== undefined && found.faults === 0)
            found.headsWritten = await writeHeads(args.heads, chainHeads(client, userId))
          return found
        })
      }),
    )
    const seconds = Math.round(performance.now() - started) / 1000
    printFindings(findings, seconds, args.heads, output)
    return findings.faults === 0 ? 0 : 1
  },
})

function printFindings(findings: Findings, seconds: number, file: string | undefined, output: Output): void {
  const { transactions, accounts, faults, listed, prices, headsCompared, headsWritten } = findings
  for (const fault of listed) output.say(sentence(fault))
  if (prices) output.say(`${prices.recomputed} charges recomputed, ${prices.unverifiable} set by the app itself`)
  if (headsCompared !== undefined) output.say(`${headsCompared} chain heads compared`)
  if (headsWritten !== undefined) output.say(`${headsWritten} chain heads written to ${file}`)
  else if (file !== undefined) output.say(`No chain heads were written: ${file} is unchanged.`)
  output.say(`${accounts} accounts, ${transactions} transactions, ${faults} faults, ${seconds} s`)
  output.answer({ ok: faults === 0, ...findings, seconds })
}

async function verifyAll(client: pg.Client): Promise<Findings> {
  const findings: Findings = { transactions: 0, accounts: 0, faults: 0, listed: [] }
  let from: TransactionPage['next'] = null
  do {
    const page: TransactionPage = await transactionPage(client, from?.accountId ?? null, from?.version ?? null)
    findings.transactions += page.transactions
    note(findings, page.faults)
    from = page.next
  } while (from !== null)
  let after: string | null = null
  do {
    const page: AccountPage = await accountPage(client, after, ACCOUNTS_PER_PAGE)
    findings.accounts += page.accounts
    note(findings, page.faults)
    after = page.next
  } while (after !== null)
  return findings
}

/** Pages run over all accounts in order: this one's rows begin at its own id and end with the first other id. */
async function verifyOne(client: pg.Client, userId: string): Promise<Findings> {
  const findings: Findings = { transactions: 0, accounts: 0, faults: 0, listed: [] }
  const { rows } = await client.query<{ count: string }>(
    'select count(*) from public.credit_transactions where account_id = $1',
    [userId],
  )
  findings.transactions = Number(rows[0]?.count)
  let version = 0
  for (;;) {
    const page = await transactionPage(client, userId, version)
    note(
      findings,
      page.faults.filter((fault) => fault.accountId === userId),
    )
    if (page.next?.accountId !== userId) break
    version = page.next.version
  }
  const exists = await client.query('select from public.credit_balances where account_id = $1', [userId])
  if (exists.rowCount === 0) throw new CreditError({ code: 'ACCOUNT_NOT_FOUND', details: { userId } })
  const { faults } = await accountPage(client, uuidBefore(userId), 1)
  findings.accounts = 1
  note(findings, faults)
  return findings
}

function note(findings: Findings, faults: readonly Fault[]): void {
  findings.faults += faults.length
  findings.listed.push(...faults.slice(0, MOST_FAULTS_LISTED - findings.listed.length))
}

function sentence({ accountId, fault, version, expected, actual }: Fault): string {
  const row = version === undefined ? '' : ` transaction ${version}`
  const figures = expected == null ? '' : `: expected ${expected}, found ${actual ?? 'none'}`
  return `account ${accountId}${row}: ${fault}${figures}`
}

function transactionPage(client: pg.Client, account: string | null, version: number | null): Promise<TransactionPage> {
  return callFunction(client, 'credits_verify_transactions', [account, version, TRANSACTIONS_PER_PAGE])
}

function accountPage(client: pg.Client, after: string | null, limit: number): Promise<AccountPage> {
  return callFunction(client, 'credits_verify_accounts', [after, limit])
}

/** The id just below, as a 128-bit number: pages start after an id. */
function uuidBefore(id: string): string | null {
  if (id === BEFORE_ALL) return null
  const hex = (BigInt(`0x${id.replaceAll('-', '')}`) - 1n).toString(16).padStart(32, '0')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
