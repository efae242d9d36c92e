import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { parse } from 'csv-parse'
import { CreditError } from '../core/errors.ts'
import { invalidInput } from '../core/money.ts'
import type { ReportedCall } from '../core/reports/cost-comparison.ts'

/** Names under which exports keep the two columns that matter, likeliest first. */
const ID_COLUMNS = ['generation_id', 'generationid', 'generation', 'request_id', 'requestid', 'id']
const COST_COLUMNS = [
  'market_cost',
  'marketcost',
  'cost_usd',
  'costusd',
  'total_cost',
  'totalcost',
  'cost',
  'amount_usd',
  'amount',
]

/** What to read, and from which columns where their names are unusual. */
export interface CostExport {
  file: string
  format: 'csv' | 'ndjson'
  idColumn?: string | undefined
  costColumn?: string | undefined
}

/**
 * Reads a provider's cost export line by line.
 * @throws CreditError `INVALID_INPUT` with the line of the fault
 */
export async function* readCostExport(source: CostExport): AsyncGenerator<ReportedCall, void, undefined> {
  const rows = source.format === 'csv' ? csvRows(source.file) : jsonRows(source.file)
  let line = 0
  try {
    for await (const row of rows) {
      line++
      yield callOf(row, source, line)
    }
  } catch (error) {
    if (CreditError.isInstance(error)) throw error
    const message = error instanceof Error ? error.message : String(error)
    throw new CreditError({ code: 'INVALID_INPUT', message: `--file: ${message}`, cause: error })
  }
}

type Row = Readonly<Record<string, unknown>>

function csvRows(file: string): AsyncIterable<Row> {
  const input = createReadStream(file)
  const parser = parse({ columns: true, bom: true, skip_empty_lines: true, trim: true, delimiter: [',', ';', '\t'] })
  // Without this a file that cannot be read would be an unhandled error of the stream.
  input.on('error', (error) => parser.destroy(error))
  return input.pipe(parser)
}

async function* jsonRows(file: string): AsyncGenerator<Row> {
  const input = createReadStream(file)
  let line = 0
  for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    line++
    if (text.trim() === '') continue
    yield asRow(text, line)
  }
}

function asRow(text: string, line: number): Row {
  let row: unknown
  try {
    row = JSON.parse(text)
  } catch {
    row = undefined
  }
  if (typeof row !== 'object' || row === null || Array.isArray(row))
    throw invalidInput(`--file line ${line}`, 'is not a JSON object')
  return row as Row
}

function callOf(row: Row, { idColumn, costColumn }: CostExport, line: number): ReportedCall {
  const generationId = column(row, idColumn, ID_COLUMNS)
  const cost = column(row, costColumn, COST_COLUMNS)
  if (typeof generationId !== 'string' || generationId === '')
    throw invalidInput(
      `--file row ${line}`,
      `has no generation id${idColumn ? '' : '; name its column with --id-column'}`,
    )
  if ((typeof cost !== 'string' && typeof cost !== 'number') || cost === '')
    throw invalidInput(`--file row ${line}`, `has no cost${costColumn ? '' : '; name its column with --cost-column'}`)
  return { generationId, costUsd: String(cost).replace(/^\$/, '') }
}

function column(row: Row, named: string | undefined, usual: readonly string[]): unknown {
  if (named !== undefined) return row[named]
  const byName = new Map(
    Object.entries(row).map(([name, value]) => [name.trim().toLowerCase().replaceAll(' ', '_'), value]),
  )
  const name = usual.find((candidate) => byName.has(candidate))
  return name === undefined ? undefined : byName.get(name)
}
