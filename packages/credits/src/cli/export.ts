import { createWriteStream, existsSync } from 'node:fs'
import { invalidInput } from '../core/errors.ts'
import { toMicros } from '../core/time.ts'
import { command, databaseArgs, type ExitCode, type Output } from './command.ts'
import { inSnapshot, requireAccount, userIdOf, withDatabase } from './database.ts'
import { COLUMN_NAMES, type Row, type Totals, writeLedger } from './export-ledger.ts'
import { chainHeads, writeDocument } from './heads.ts'
import { LineWriter } from './lines.ts'

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
    const { output: file, user } = args
    const manifest = args.manifest ?? (file === undefined ? undefined : `${file}.manifest.json`)
    for (const [flag, name] of [['--output', file] as const, ['--manifest', manifest] as const])
      if (name !== undefined && existsSync(name)) throw invalidInput(flag, `${name} exists; give a new name`)
    const lineOf = args.format === 'csv' ? csvLine : (row: Row) => JSON.stringify(row)
    const sink = file === undefined ? process.stdout : createWriteStream(file, { flags: 'wx', mode: 0o600 })
    const writer = new LineWriter(sink)
    return withDatabase(args['database-url'], async (client) => {
      const userId = user === undefined ? undefined : await userIdOf(client, user)
      return inSnapshot(client, async () => {
        if (userId !== undefined) await requireAccount(client, userId)
        if (args.format === 'csv') await writer.line(COLUMN_NAMES.join(','))
        const totals = await writeLedger(client, { userId, ...period }, (row) => writer.line(lineOf(row)))
        const sha256 = await writer.end(file === undefined)
        const summary = { ...totals, ...(file !== undefined && { file }), sha256 }
        if (manifest !== undefined) await writeDocument(manifest, { ...summary, period }, chainHeads(client, userId))
        return finish(summary, file, output)
      })
    })
  },
})

/** Without `--output` the rows have standard output for themselves. */
function finish(summary: Totals & { sha256: string }, file: string | undefined, output: Output): ExitCode {
  const { accounts, transactions, faulty, faults, sha256 } = summary
  for (const { accountId, fault } of faults) process.stderr.write(`account ${accountId}: ${fault}\n`)
  if (faulty > faults.length) process.stderr.write(`and ${faulty - faults.length} more accounts\n`)
  if (file !== undefined) {
    output.say(`${transactions} transactions of ${accounts} accounts, sha256 ${sha256}`)
    output.answer({ ok: faulty === 0, ...summary })
  }
  return faulty === 0 ? 0 : 1
}

function csvLine(row: Row): string {
  return COLUMN_NAMES.map((column) => csvField(row[column])).join(',')
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
