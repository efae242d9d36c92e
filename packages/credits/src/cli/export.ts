import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import type { Writable } from 'node:stream'
import type pg from 'pg'
import { add } from '../core/money.ts'
import { toMicros } from '../core/time.ts'
import { command, databaseArgs } from './command.ts'
import { inSnapshot, withDatabase } from './database.ts'
import { userIdOf } from './grant.ts'

const PAGE = 1_000
const iso = (column: string): string => `to_char(${column} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
const canonical = (column: string): string => `trim_scale(${column})::text`
const text = (column: string): string => `${column}::text`

/** What is written of a transaction, and how it becomes text. */
const COLUMNS = {
  account_id: text,
  version: text,
  created_at: iso,
  type: text,
  source: text,
  amount: canonical,
  balance_after: canonical,
  uncollected: canonical,
  feature: text,
  model: text,
  input_tokens: text,
  output_tokens: text,
  reservation_id: text,
  reverses_id: text,
  reason: text,
  id: text,
} as const
const NAMES = Object.keys(COLUMNS) as (keyof typeof COLUMNS)[]
const SELECTED = NAMES.map((name) => `${COLUMNS[name](name)} as ${name}`).join(', ')

type Row = Record<keyof typeof COLUMNS, string | null>

/** One account's part of the export: it must add up by itself. */
interface Statement {
  accountId: string
  opening: string
  closing: string
  transactions: number
}

/** `credits export` */
export const exportLedger = command({
  name: 'export',
  description: 'Write the ledger as CSV or NDJSON, with opening and closing balances, from one moment of the database',
  args: {
    ...databaseArgs,
    user: { type: 'string', description: 'UUID or e-mail address. Default: all accounts' },
    from: { type: 'string', description: 'ISO time, inclusive. Default: the beginning' },
    to: { type: 'string', description: 'ISO time, exclusive. Default: now' },
    format: { type: 'enum', options: ['csv', 'ndjson'], default: 'csv' },
    output: { type: 'string', description: 'File. Default: standard output' },
  },
  async run(args, output) {
    const period = { from: time('--from', args.from) ?? '-infinity', to: time('--to', args.to) ?? 'infinity' }
    const sink =
      args.output === undefined ? process.stdout : createWriteStream(args.output, { flags: 'wx', mode: 0o600 })
    const writer = lineWriter(sink, args.format === 'csv' ? csvLine : (row) => JSON.stringify(row))
    if (args.format === 'csv') await writer.line(NAMES.join(','))
    const totals = { accounts: 0, transactions: 0 }
    await withDatabase(args['database-url'], async (client) => {
      const userId = args.user === undefined ? undefined : await userIdOf(client, args.user)
      await inSnapshot(client, async () => {
        for await (const accountId of accounts(client, userId)) {
          const statement = await writeAccount(client, accountId, period, writer)
          totals.accounts += 1
          totals.transactions += statement.transactions
        }
      })
    })
    const sha256 = await writer.end(args.output !== undefined)
    // The manifest must not end up among the rows.
    if (args.output !== undefined)
      output.say(`${totals.transactions} transactions of ${totals.accounts} accounts, sha256 ${sha256}`)
    if (args.output !== undefined) output.answer({ ...totals, file: args.output, sha256 })
    return 0
  },
})

async function* accounts(client: pg.Client, userId: string | undefined): AsyncGenerator<string> {
  if (userId !== undefined) return yield userId
  let after: string | null = null
  for (;;) {
    const { rows }: { rows: { account_id: string }[] } = await client.query(
      `select account_id from public.credit_balances
       where $1::uuid is null or account_id > $1 order by account_id limit ${PAGE}`,
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
  period: { from: string; to: string },
  writer: LineWriter,
): Promise<Statement> {
  const opening = await openingBalance(client, accountId, period.from)
  await writer.row(edge(accountId, 'opening', opening))
  let closing = opening
  let after = '0'
  let transactions = 0
  for (;;) {
    const { rows } = await client.query<Row>(
      `select ${SELECTED} from public.credit_transactions
       where account_id = $1 and version > $2 and created_at >= $3 and created_at < $4
       order by version limit ${PAGE}`,
      [accountId, after, period.from, period.to],
    )
    for (const row of rows) {
      await writer.row(row)
      closing = add(closing, row.amount ?? '0')
    }
    transactions += rows.length
    const last = rows.at(-1)
    if (last === undefined) break
    after = last.version ?? after
  }
  await writer.row(edge(accountId, 'closing', closing))
  return { accountId, opening, closing, transactions }
}

async function openingBalance(client: pg.Client, accountId: string, from: string): Promise<string> {
  const { rows } = await client.query<{ balance: string }>(
    `select trim_scale(balance_after)::text as balance from public.credit_transactions
     where account_id = $1 and created_at < $2 order by version desc limit 1`,
    [accountId, from],
  )
  return rows[0]?.balance ?? '0'
}

function edge(accountId: string, type: 'opening' | 'closing', balance: string): Row {
  const empty = Object.fromEntries(NAMES.map((column) => [column, null])) as Row
  return { ...empty, account_id: accountId, type, balance_after: balance }
}

interface LineWriter {
  line(text: string): Promise<void>
  row(row: Row): Promise<void>
  /** Gives the hash of everything written. */
  end(close: boolean): Promise<string>
}

function lineWriter(sink: Writable, format: (row: Row) => string): LineWriter {
  const hash = createHash('sha256')
  const failed = new Promise<never>((_, reject) => sink.once('error', reject))
  failed.catch(() => undefined)
  const line = async (text: string): Promise<void> => {
    hash.update(`${text}\n`)
    // Waits where the reader is slower than the database.
    if (!sink.write(`${text}\n`)) await Promise.race([new Promise((resolve) => sink.once('drain', resolve)), failed])
  }
  return {
    line,
    row: (row) => line(format(row)),
    async end(close) {
      if (close) await Promise.race([new Promise<void>((resolve) => sink.end(resolve)), failed])
      return hash.digest('hex')
    },
  }
}

function csvLine(row: Row): string {
  return NAMES.map((column) => csvField(row[column])).join(',')
}

/** Quoted where needed; a leading = + @ would make a spreadsheet compute, so text that begins so gets a quote mark. */
function csvField(value: string | null): string {
  if (value === null) return ''
  const safe = /^[=+@\t\r]/.test(value) || /^-[^\d]/.test(value) ? `'${value}` : value
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

function time(flag: string, text: string | undefined): string | undefined {
  if (text !== undefined) toMicros(text, flag)
  return text
}
