import type pg from 'pg'
import { CreditError } from '../core/errors.ts'
import { parseOrThrow } from '../core/money.ts'
import { inputs } from '../credits/inputs.ts'
import { command, databaseArgs } from './command.ts'
import { inSnapshot, withDatabase } from './database.ts'
import { type PriceFindings, verifyPrices } from './verify-prices.ts'

const TRANSACTIONS_PER_PAGE = 5_000
const ACCOUNTS_PER_PAGE = 1_000
/** Books that are broken everywhere must not fill the memory: all faults are counted, these many are named. */
const MOST_FAULTS_LISTED = 1_000
const BEFORE_ALL = '00000000-0000-0000-0000-000000000000'

/** One thing that is not as it must be. */
interface Fault {
  accountId: string
  fault: string
  version?: number
  expected?: string
  actual?: string
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
}

/** `credits verify` */
export const verify = command({
  name: 'verify',
  description: 'Prove the books: every balance is the sum of its transactions, and nobody changed one',
  args: {
    ...databaseArgs,
    user: { type: 'string', description: 'Only this account (UUID)' },
    prices: { type: 'boolean', description: 'Recompute every charge from its own row as well', default: false },
  },
  async run(args, output) {
    const userId = args.user === undefined ? undefined : parseOrThrow(inputs.user.shape.userId, args.user, '--user')
    const started = performance.now()
    const findings = await output.during('Reading the books', () =>
      withDatabase(args['database-url'], (client) =>
        inSnapshot(client, async () => {
          const found = userId === undefined ? await verifyAll(client) : await verifyOne(client, userId)
          if (args.prices) found.prices = await verifyPrices(client, userId, (fault) => note(found, [fault]))
          return found
        }),
      ),
    )
    for (const fault of findings.listed) output.say(sentence(fault))
    const seconds = Math.round(performance.now() - started) / 1000
    const { transactions, accounts, faults, listed, prices } = findings
    if (prices) output.say(`${prices.recomputed} charges recomputed, ${prices.unverifiable} set by the app itself`)
    output.say(`${accounts} accounts, ${transactions} transactions, ${faults} faults, ${seconds} s`)
    output.answer({ ok: faults === 0, accounts, transactions, ...(prices && { prices }), faults, listed, seconds })
    return faults === 0 ? 0 : 1
  },
})

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
  const figures = expected === undefined ? '' : `: expected ${expected}, found ${actual}`
  return `account ${accountId}${row}: ${fault}${figures}`
}

async function transactionPage(
  client: pg.Client,
  account: string | null,
  version: number | null,
): Promise<TransactionPage> {
  const { rows } = await client.query<{ page: TransactionPage }>(
    'select public.credits_verify_transactions($1, $2, $3) as page',
    [account, version, TRANSACTIONS_PER_PAGE],
  )
  return (rows[0] as { page: TransactionPage }).page
}

async function accountPage(client: pg.Client, after: string | null, limit: number): Promise<AccountPage> {
  const { rows } = await client.query<{ page: AccountPage }>('select public.credits_verify_accounts($1, $2) as page', [
    after,
    limit,
  ])
  return (rows[0] as { page: AccountPage }).page
}

/** The id just below, as a 128-bit number: pages start after an id. */
function uuidBefore(id: string): string | null {
  if (id === BEFORE_ALL) return null
  const hex = (BigInt(`0x${id.replaceAll('-', '')}`) - 1n).toString(16).padStart(32, '0')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
