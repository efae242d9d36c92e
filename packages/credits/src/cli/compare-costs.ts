import { readFile } from 'node:fs/promises'
import { invalidInput } from '../core/errors.ts'
import type { PeriodInput, ReconcileSpendInput } from '../credits/report-types.ts'
import type { Credits } from '../credits/types.ts'
import { command, databaseArgs, type ExitCode, type Output } from './command.ts'
import { type CostExport, readCostExport } from './cost-export.ts'
import { withCreditsOf } from './database.ts'
import { loadGateway } from './gateway.ts'
import { periodArgs, periodOf } from './period.ts'
import { table } from './table.ts'

/** Most that are named of a kind; all are counted, and `--json` has them all. */
const MOST_NAMED = 20

/** `credits compare-costs` */
export const compareCosts = command({
  name: 'compare-costs',
  description: "Compare a provider's bill with the ledger, naming what only one side knows; exit 1 when they differ",
  args: {
    ...databaseArgs,
    ...periodArgs,
    file: { type: 'string', description: "The provider's cost export, a row per call" },
    format: { type: 'enum', options: ['csv', 'ndjson'], description: 'Default: by the name of the file' },
    'id-column': { type: 'string', description: 'Column of the generation id, if it is not called so' },
    'cost-column': { type: 'string', description: 'Column of the cost in USD' },
    'spend-report': { type: 'string', description: 'A file with the answer of getSpendReport({ groupBy: "model" })' },
    gateway: { type: 'boolean', description: 'Ask the gateway for that report; needs --from and --to', default: false },
  },
  examples: [
    'compare-costs --file export.csv',
    'compare-costs --file calls.ndjson --id-column call --cost-column price',
    'compare-costs --gateway --from 2026-11-01 --to 2026-12-01',
  ],
  async run(args, output) {
    const period = periodOf(args)
    const { file, gateway } = args
    const spendFile = args['spend-report']
    if (Number(file !== undefined) + Number(spendFile !== undefined) + Number(gateway) !== 1)
      throw invalidInput('--file', 'give one of --file, --spend-report, --gateway')
    if (file === undefined) {
      const spend = spendFile === undefined ? await gatewaySpend(period) : await readJson(spendFile)
      return withCreditsOf(args['database-url'], (credits) => byModel(credits, { ...period, spend }, output))
    }
    const format = args.format ?? (/\.(nd)?jsonl?$/i.test(file) ? 'ndjson' : 'csv')
    const source = { file, format, idColumn: args['id-column'], costColumn: args['cost-column'] }
    return withCreditsOf(args['database-url'], (credits) => byCall(credits, period, source, output))
  },
})

async function byCall(credits: Credits, period: PeriodInput, source: CostExport, output: Output): Promise<ExitCode> {
  const result = await output.during('Comparing', () =>
    credits.reconcileCosts({ ...period, reported: readCostExport(source) }),
  )
  const { matched, differing, missingInLedger, missingInReport } = result
  name(
    output,
    differing,
    ({ generationId, ledgerUsd, reportedUsd }) =>
      `differs  ${generationId}: ledger ${ledgerUsd}, billed ${reportedUsd}`,
  )
  name(output, missingInLedger, ({ generationId, costUsd }) => `not in the ledger  ${generationId}: ${costUsd}`)
  name(
    output,
    missingInReport,
    ({ transactionId, generationId, costUsd }) =>
      `not on the bill  ${generationId ?? 'no generation id'}, transaction ${transactionId}: ${costUsd}`,
  )
  const ledger = `${missingInLedger.length} are not in the ledger`
  const bill = `${missingInReport.length} are not on the bill`
  output.say(`${matched} agree, ${differing.length} differ, ${ledger}, ${bill}`)
  output.answer(result)
  return differing.length + missingInLedger.length + missingInReport.length === 0 ? 0 : 1
}

async function byModel(credits: Credits, input: ReconcileSpendInput, output: Output): Promise<ExitCode> {
  const result = await output.during('Comparing', () => credits.reconcileSpend(input))
  const { matched, differing, missingInLedger, missingInReport } = result
  const rows = [
    ...differing.map((line) => ['differs', line] as const),
    ...missingInLedger.map((line) => ['not in the ledger', line] as const),
    ...missingInReport.map((line) => ['not on the bill', line] as const),
  ].map(([what, line]) => [
    line.model,
    what,
    String(line.ledgerCalls),
    line.reportedCalls === null ? '-' : String(line.reportedCalls),
    line.ledgerUsd,
    line.reportedUsd,
    line.differencePercent === null ? '-' : `${line.differencePercent} %`,
  ])
  if (rows.length > 0)
    for (const line of table(['model', '', 'calls', 'billed', 'ledger USD', 'billed USD', 'difference'], rows))
      output.say(line)
  output.say(`${matched} models agree, ${rows.length} do not`)
  output.answer(result)
  return rows.length === 0 ? 0 : 1
}

function name<Item>(output: Output, items: readonly Item[], sentence: (item: Item) => string): void {
  for (const item of items.slice(0, MOST_NAMED)) output.say(sentence(item))
  if (items.length > MOST_NAMED) output.say(`... and ${items.length - MOST_NAMED} more; see --json`)
}

/** The gateway counts whole days, both inclusive. */
async function gatewaySpend({ from, to }: PeriodInput): Promise<ReconcileSpendInput['spend']> {
  if (from === undefined || to === undefined) throw invalidInput('--from', '--gateway needs --from and --to')
  if (![from, to].every((time) => /T00:00:00Z$/.test(time))) throw invalidInput('--from', '--gateway counts whole days')
  const last = new Date(Date.parse(to) - 1).toISOString().slice(0, 10)
  const gateway = await loadGateway()
  const { results } = await gateway.getSpendReport({ startDate: from.slice(0, 10), endDate: last, groupBy: 'model' })
  return { results }
}

async function readJson(file: string): Promise<ReconcileSpendInput['spend']> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch {
    throw invalidInput('--spend-report', `${file} is no file of JSON`)
  }
}
