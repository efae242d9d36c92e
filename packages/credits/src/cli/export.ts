import { createHash, type Hash } from 'node:crypto'
import { createWriteStream, existsSync, writeFileSync } from 'node:fs'
import type { Writable } from 'node:stream'
import type pg from 'pg'
import { invalidInput } from '../core/errors.ts'
import { add, compare } from '../core/money.ts'
import { toMicros } from '../core/time.ts'
import { command, databaseArgs, type ExitCode, type Output } from './command.ts'
import { inSnapshot, userIdOf, withDatabase } from './database.ts'
import { type ChainHead, chainHeads } from './heads.ts'

const PAGE = 1_000
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
type Row = Record<Column, string | null>
const NAMES = Object.keys(COLUMNS) as Column[]
const SELECTED = NAMES.map((name) => `${COLUMNS[name]} as ${name}`).join(', ')

/** The part of the ledger that is exported. */
interface Period {
  from: string
  to: string
}

/** One account's part of the export. */
interface Statement {
  accountId: string
  opening: string
  closing: string
  transactions: number
  /** Why the rows do not add up; undefined when they do. */
  fault: string | undefined
}

/** What was written. */
interface Totals {
  accounts: number
  transactions: number
  faults: { accountId: string; fault: string }[]
}

/** `credits export` */
export const exportLedger = command({
  name: 'export',
  description: 'Write the ledger as CSV or NDJSON from one moment of the database; exit 1 when it does not add up',
  args: {
    ...databaseArgs,
    user: { type: 'string', description: 'UUID or e-mail address. Default: all accounts' },
    from: { type: 'string', description: 'ISO time, inclusive. Default: the beginning' },
    to: { type: 'string', description: 'ISO time, exclusive. Default: now' },
    format: { type: 'enum', options: ['csv', 'ndjson'], default: 'csv' },
    output: { type: 'string', description: 'New file. Default: standard output' },
    manifest: {
      type: 'string',
      description: 'File for totals, hash and chain heads. Default: <output>.manifest.json',
    },
  },
  examples: [
    'export --output ledger.csv',
    'export --user ann@example.com --from 2026-11-01T00:00:00Z',
    'verify --against ledger.csv.manifest.json',
  ],
  async run(args, output) {
    const period = { from: time('--from', args.from) ?? '-infinity', to: time('--to', args.to) ?? 'infinity' }
    const manifest = args.manifest ?? (args.output === undefined ? undefined : `${args.output}.manifest.json`)
    for (const [flag, file] of [['--output', args.output] as const, ['--manifest', manifest] as const])
      if (file !== undefined && existsSync(file)) throw invalidInput(flag, `${file} exists; give a new name`)
    const format = args.format === 'csv' ? csvLine : (row: Row) => JSON.stringify(row)
    const writer = new LineWriter(sinkOf(args.output), format)
    if (args.format === 'csv') await writer.line(NAMES.join(','))
    const totals: Totals = { accounts: 0, transactions: 0, faults: [] }
    const heads: ChainHead[] = []
    await withDatabase(args['database-url'], async (client) => {
      const userId = args.user === undefined ? undefined : await userIdOf(client, args.user)
      await inSnapshot(client, async () => {
        await writeAccounts(client, userId, period, writer, totals)
        if (manifest !== undefined) for await (const head of chainHeads(client, userId)) heads.push(head)
      })
    })
    const sha256 = await writer.end(args.output !== undefined)
    const summary = { ...totals, ...(args.output !== undefined && { file: args.output }), sha256 }
    if (manifest !== undefined) writeManifest(manifest, { ...summary, period, heads })
    return finish(summary, args.output, output)
  },
})

function sinkOf(file: string | undefined): Writable {
  return file === undefined ? process.stdout : createWriteStream(file, { flags: 'wx', mode: 0o600 })
}

function writeManifest(file: string, manifest: object): void {
  writeFileSync(file, `${JSON.stringify(manifest, null, 1)}\n`, { flag: 'wx', mode: 0o600 })
}

/** Without `--output` the rows have standard output for themselves. */
function finish(summary: Totals & { sha256: string }, file: string | undefined, output: Output): ExitCode {
  const { accounts, transactions, faults, sha256 } = summary
  for (const { accountId, fault } of faults) process.stderr.write(`account ${accountId}: ${fault}\n`)
  if (file !== undefined) {
    output.say(`${transactions} transactions of ${accounts} accounts, sha256 ${sha256}`)
    output.answer({ ok: faults.length === 0, ...summary })
  }
  return faults.length === 0 ? 0 : 1
}

async function writeAccounts(
  client: pg.Client,
  userId: string | undefined,
  period: Period,
  writer: LineWriter,
  totals: Totals,
): Promise<void> {
  for await (const accountId of accounts(client, userId)) {
    const { transactions, fault } = await writeAccount(client, accountId, period, writer)
    totals.accounts += 1
    totals.transactions += transactions
    if (fault !== undefined) totals.faults.push({ accountId, fault })
  }
}

async function* accounts(client: pg.Client, userId: string | undefined): AsyncGenerator<string> {
  if (userId !== undefined) return yield userId
  let after: string | null = null
  for (;;) {
    const { rows }: { rows: { account_id: string }[] } = await client.query(
      `select balance.account_id from public.credit_balances balance
       where $1::uuid is null or balance.account_id > $1 order by balance.account_id limit ${PAGE}`,
      [after],
    )
    for (const row of rows) yield row.account_id
    const last = rows.at(-1)
    if (last === undefined) return
    after = last.account_id
  }
}

async function writeAccount(
  client: pg.Client,
  accountId: string,
  period: Period,
  writer: LineWriter,
): Promise<Statement> {
  const start = await lastBefore(client, accountId, period.from)
  const statement: Statement = {
    accountId,
    opening: start.balance,
    closing: start.balance,
    transactions: 0,
    fault: undefined,
  }
  await writer.row(edge(accountId, 'opening', statement.opening))
  let version = start.version
  for (;;) {
    const rows = await page(client, accountId, version, period)
    for (const row of rows) {
      await writer.row(row)
      statement.closing = add(statement.closing, row.amount ?? '0')
      statement.fault ??= rowFault(row, BigInt(version), statement.closing)
      version = row.version ?? version
    }
    statement.transactions += rows.length
    if (rows.length < PAGE) break
  }
  const end = await lastBefore(client, accountId, period.to)
  statement.fault ??= endFault(statement, version, end)
  await writer.row(edge(accountId, 'closing', statement.closing))
  return statement
}

/** By number, which is the order of the chain. `entry.version` is the number itself: the selected one is a text. */
async function page(client: pg.Client, accountId: string, after: string, period: Period): Promise<Row[]> {
  const { rows } = await client.query<Row>(
    `select ${SELECTED} from public.credit_transactions entry
     left join public.credit_transaction_costs cost
       on cost.account_id = entry.account_id and cost.version = entry.version
     where entry.account_id = $1 and entry.version > $2 and entry.created_at >= $3 and entry.created_at < $4
     order by entry.version limit ${PAGE}`,
    [accountId, after, period.from, period.to],
  )
  return rows
}

function rowFault(row: Row, before: bigint, balance: string): string | undefined {
  if (BigInt(row.version ?? 0) !== before + 1n) return `transaction ${before + 1n} is missing`
  if (compare(row.balance_after ?? '0', balance) !== 0)
    return `transaction ${row.version}: the balance after it is ${row.balance_after}, its rows add up to ${balance}`
  return undefined
}

function endFault(
  { closing }: Statement,
  version: string,
  end: { version: string; balance: string },
): string | undefined {
  if (version !== end.version) return `the last transaction is ${end.version}, the last row is ${version}`
  return compare(closing, end.balance) === 0 ? undefined : `the balance is ${end.balance}, the rows give ${closing}`
}

/** The state of an account at a moment. Without an end it is the account itself, so that missing last rows are found. */
async function lastBefore(
  client: pg.Client,
  accountId: string,
  moment: string,
): Promise<{ version: string; balance: string }> {
  const source =
    moment === 'infinity'
      ? `select balance.version, balance.plan_credits + balance.add_on_credits - balance.debt as balance
         from public.credit_balances balance where balance.account_id = $1 and $2::timestamptz is not null`
      : `select entry.version, entry.balance_after as balance from public.credit_transactions entry
         where entry.account_id = $1 and entry.created_at < $2 order by entry.version desc limit 1`
  const { rows } = await client.query<{ version: string; balance: string }>(
    `select state.version::text, trim_scale(state.balance)::text as balance from (${source}) state`,
    [accountId, moment],
  )
  return rows[0] ?? { version: '0', balance: '0' }
}

function edge(accountId: string, type: 'opening' | 'closing', balance: string): Row {
  const empty = Object.fromEntries(NAMES.map((column) => [column, null])) as Row
  return { ...empty, account_id: accountId, type, balance_after: balance }
}

/** Writes rows as lines and hashes them. Waits where the reader is slower than the database. */
class LineWriter {
  readonly #sink: Writable
  readonly #format: (row: Row) => string
  readonly #hash: Hash = createHash('sha256')
  readonly #failed: Promise<never>

  constructor(sink: Writable, format: (row: Row) => string) {
    this.#sink = sink
    this.#format = format
    this.#failed = new Promise<never>((_, reject) => sink.once('error', reject))
    this.#failed.catch(() => undefined)
  }

  async line(text: string): Promise<void> {
    this.#hash.update(`${text}\n`)
    if (this.#sink.write(`${text}\n`)) return
    await Promise.race([new Promise((resolve) => this.#sink.once('drain', resolve)), this.#failed])
  }

  row(row: Row): Promise<void> {
    return this.line(this.#format(row))
  }

  /** The hash of everything that was written. */
  async end(close: boolean): Promise<string> {
    if (close) await Promise.race([new Promise<void>((resolve) => this.#sink.end(resolve)), this.#failed])
    return this.#hash.digest('hex')
  }
}

function csvLine(row: Row): string {
  return NAMES.map((column) => csvField(row[column])).join(',')
}

/**
 * Quoted where needed. A spreadsheet computes text that begins with = + - @ or a tab, so such text gets an apostrophe
 * unless it is a number.
 */
function csvField(value: string | null): string {
  if (value === null) return ''
  const computes = /^[=+\-@\t\r]/.test(value) && !/^-?\d+(\.\d+)?$/.test(value)
  const safe = computes ? `'${value}` : value
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

function time(flag: string, text: string | undefined): string | undefined {
  if (text !== undefined) toMicros(text, flag)
  return text
}
