import type pg from 'pg'
import { add, compare } from '../core/money.ts'
import { uuidBefore } from './database.ts'

const ACCOUNTS_PER_PAGE = 1_000
const ROWS_PER_PAGE = 5_000
/** All faults are counted, these many are named. */
const MOST_FAULTS_LISTED = 1_000
const iso = (column: string): string => `to_char(${column} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
const canonical = (column: string): string => `trim_scale(${column})::text`
const text = (column: string): string => `${column}::text`

/** What is written of a transaction, and how it becomes text. An operator's reason is in the side table of costs. */
const COLUMNS = {
  account_id: text('entry.account_id'),
  version: text('entry.version'),
  created_at: iso('entry.created_at'),
  type: text('entry.type'),
  source: text('entry.source'),
  amount: canonical('entry.amount'),
  balance_after: canonical('entry.balance_after'),
  uncollected: canonical('entry.uncollected'),
  feature: text('entry.feature'),
  model: text('entry.model'),
  input_tokens: text('entry.input_tokens'),
  output_tokens: text('entry.output_tokens'),
  reservation_id: text('entry.reservation_id'),
  reverses_id: text('entry.reverses_id'),
  reason: text('cost.reason'),
  id: text('entry.id'),
} as const
type Column = keyof typeof COLUMNS

/** A transaction, or the opening or closing balance of an account. */
export type Row = Record<Column, string | null>
/** The columns in their order. */
export const COLUMN_NAMES = Object.keys(COLUMNS) as Column[]
const SELECTED = COLUMN_NAMES.map((name) => `${COLUMNS[name]} as ${name}`).join(', ')

/** The part of the ledger that is exported. */
export interface Part {
  userId: string | undefined
  /** Inclusive. */
  from: string
  /** Exclusive. */
  to: string
}

/** What was written. */
export interface Totals {
  accounts: number
  transactions: number
  /** Accounts whose rows do not add up. */
  faulty: number
  faults: { accountId: string; fault: string }[]
}

/** An account with its state before the first row and after the last one. */
interface Account {
  accountId: string
  openingVersion: string
  opening: string
  closingVersion: string
  closing: string
}

type Rows = AsyncGenerator<Row, undefined>
type Next = IteratorResult<Row, undefined>

/**
 * Writes every account between its opening and its closing balance, a page of accounts and a page of rows at a time, so
 * that memory does not grow with the ledger. Rows whose account is gone are written too, as a fault.
 */
export async function writeLedger(client: pg.Client, part: Part, write: (row: Row) => Promise<void>): Promise<Totals> {
  const ledger = new LedgerExport(write)
  const { userId } = part
  let after = userId === undefined ? null : uuidBefore(userId)
  for (;;) {
    const accounts = await accountsAfter(client, after, part)
    const full = userId === undefined && accounts.length === ACCOUNTS_PER_PAGE
    const last = full ? (accounts.at(-1)?.accountId ?? null) : (userId ?? null)
    await ledger.writePage(accounts, rowsBetween(client, after, last, part))
    if (!full) return ledger.totals
    after = last
  }
}

class LedgerExport {
  readonly totals: Totals = { accounts: 0, transactions: 0, faulty: 0, faults: [] }
  readonly #write: (row: Row) => Promise<void>

  constructor(write: (row: Row) => Promise<void>) {
    this.#write = write
  }

  /** Accounts and rows are both in the order of the account ids. */
  async writePage(accounts: readonly Account[], rows: Rows): Promise<void> {
    let next: Next = await rows.next()
    for (const account of accounts) {
      next = await this.#writeMissing(next, rows, account.accountId)
      next = await this.#writeAccount(account, next, rows)
    }
    await this.#writeMissing(next, rows, undefined)
  }

  async #writeMissing(next: Next, rows: Rows, before: string | undefined): Promise<Next> {
    while (!next.done && (before === undefined || (next.value.account_id ?? '') < before)) {
      const accountId = next.value.account_id ?? ''
      const none = { openingVersion: '0', opening: '0', closingVersion: '0', closing: '0' }
      next = await this.#writeAccount({ accountId, ...none }, next, rows, 'the account is missing')
    }
    return next
  }

  async #writeAccount(account: Account, first: Next, rows: Rows, known?: string): Promise<Next> {
    const { accountId } = account
    let fault = known
    let balance = account.opening
    let version = BigInt(account.openingVersion)
    let next = first
    await this.#write(edge(accountId, 'opening', balance))
    while (!next.done && next.value.account_id === accountId) {
      const row = next.value
      balance = add(balance, row.amount ?? '0')
      fault ??= rowFault(row, version, balance)
      version = BigInt(row.version ?? 0)
      this.totals.transactions += 1
      await this.#write(row)
      next = await rows.next()
    }
    fault ??= endFault(account, version, balance)
    await this.#write(edge(accountId, 'closing', balance))
    this.totals.accounts += 1
    if (fault !== undefined) {
      this.totals.faulty += 1
      if (this.totals.faults.length < MOST_FAULTS_LISTED) this.totals.faults.push({ accountId, fault })
    }
    return next
  }
}

function rowFault(row: Row, before: bigint, balance: string): string | undefined {
  if (BigInt(row.version ?? 0) !== before + 1n) return `transaction ${before + 1n} is missing`
  if (compare(row.balance_after ?? '0', balance) !== 0)
    return `transaction ${row.version}: the balance after it is ${row.balance_after}, its rows add up to ${balance}`
  return undefined
}

function endFault({ closing, closingVersion }: Account, version: bigint, balance: string): string | undefined {
  if (version !== BigInt(closingVersion)) return `the last transaction is ${closingVersion}, the last row is ${version}`
  return compare(closing, balance) === 0 ? undefined : `the balance is ${closing}, the rows give ${balance}`
}

function edge(accountId: string, type: 'opening' | 'closing', balance: string): Row {
  const empty = Object.fromEntries(COLUMN_NAMES.map((column) => [column, null])) as Row
  return { ...empty, account_id: accountId, type, balance_after: balance }
}

/** Without an end, the closing state is that of the account itself, so that missing last rows are found. */
async function accountsAfter(client: pg.Client, after: string | null, part: Part): Promise<Account[]> {
  const { rows } = await client.query<Account>(
    `select account.account_id::text as "accountId",
       coalesce(opening.version, 0)::text as "openingVersion",
       trim_scale(coalesce(opening.balance_after, 0))::text as opening,
       coalesce(closing.version, 0)::text as "closingVersion",
       trim_scale(coalesce(closing.balance_after, 0))::text as closing
     from (
       select balance.account_id, balance.version,
         balance.plan_credits + balance.add_on_credits - balance.debt as balance_after
       from public.credit_balances balance
       where ($1::uuid is null or balance.account_id > $1) and ($2::uuid is null or balance.account_id = $2)
       order by balance.account_id limit ${ACCOUNTS_PER_PAGE}) account
     left join lateral (${lastBefore('$3')}) opening on true
     left join lateral (
       select account.version, account.balance_after where $4::timestamptz = 'infinity'
       union all (${lastBefore('$4')})) closing on true
     order by account.account_id`,
    [after, part.userId ?? null, part.from, part.to],
  )
  return rows
}

const lastBefore = (moment: string): string =>
  `select entry.version, entry.balance_after from public.credit_transactions entry
   where isfinite(${moment}::timestamptz) and entry.account_id = account.account_id and entry.created_at < ${moment}
   order by entry.version desc limit 1`

/**
 * Rows by account and number, which is the order of the chain. `entry.version` is the number itself: the selected one
 * is a text.
 */
async function* rowsBetween(client: pg.Client, after: string | null, last: string | null, part: Part): Rows {
  let position: [string | null, string] = [after, '9223372036854775807']
  for (;;) {
    const { rows }: { rows: Row[] } = await client.query<Row>(
      `select ${SELECTED} from public.credit_transactions entry
       left join public.credit_transaction_costs cost
         on cost.account_id = entry.account_id and cost.version = entry.version
       where ($1::uuid is null or (entry.account_id, entry.version) > ($1, $2))
         and ($3::uuid is null or entry.account_id <= $3) and entry.created_at >= $4 and entry.created_at < $5
       order by entry.account_id, entry.version limit ${ROWS_PER_PAGE}`,
      [...position, last, part.from, part.to],
    )
    yield* rows
    const end = rows.at(-1)
    if (rows.length < ROWS_PER_PAGE || end === undefined) return undefined
    position = [end.account_id, end.version ?? '0']
  }
}
