import { defineCommand } from 'citty'
import { invalidInput, mul } from '../core/money.ts'
import type { ProfitGroup, ProfitTotals } from '../core/reports/profit.ts'
import { command, databaseArgs } from './command.ts'
import { withCreditsOf } from './database.ts'
import { periodArgs, periodOf } from './period.ts'
import { table } from './table.ts'

const GROUPS: ProfitGroup[] = ['model', 'feature', 'plan', 'day']

/** How a report is broken down. */
export const groupArg = {
  by: { type: 'enum' as const, options: GROUPS, description: 'What to break it down by', default: 'model' as const },
}

const profitArgs = { ...databaseArgs, ...periodArgs, ...groupArg }

const profit = command({
  name: 'profit',
  description: 'Revenue, cost and profit of a period. A credit counts as USD 0.01, not what it was sold for',
  args: profitArgs,
  examples: ['report --from 2026-11-01 --by feature'],
  async run(args, output) {
    const report = await output.during('Reading the ledger', () =>
      withCreditsOf(args['database-url'], (credits) => credits.report(periodOf(args))),
    )
    const groups = Object.entries(report.by[args.by]).sort(([a], [b]) => a.localeCompare(b))
    const rows = [...groups, ['total', report.total] as const]
    for (const line of table(
      [args.by, 'calls', 'credits', 'revenue USD', 'cost USD', 'profit USD', 'on cost'],
      rows.map(([name, totals]) => [name, ...figures(totals)]),
    ))
      output.say(line)
    const { refunded, uncollected } = report.total
    output.say(`Not included: ${refunded} credits refunded, ${uncollected} never collected.`)
    output.say('Revenue counts a credit as USD 0.01; what customers paid for one is not known here.')
    output.answer(report)
    return 0
  },
})

function figures({ calls, credits, revenueUsd, costUsd, profitUsd, profitPercent }: ProfitTotals): string[] {
  return [String(calls), credits, revenueUsd, costUsd, profitUsd, profitPercent === null ? '-' : `${profitPercent} %`]
}

const drift = command({
  name: 'drift',
  description: 'Cost computed from the rates against the cost that was reported; exit 1 beyond the threshold',
  args: {
    ...databaseArgs,
    ...periodArgs,
    threshold: { type: 'string', description: 'Share of the computed cost, up or down', default: '0.05' },
  },
  examples: ['report drift --threshold 0.05'],
  async run(args, output) {
    const thresholdPercent = percent('--threshold', args.threshold)
    const report = await output.during('Reading the ledger', () =>
      withCreditsOf(args['database-url'], (credits) => credits.drift({ ...periodOf(args), thresholdPercent })),
    )
    const rows = report.rows.map(({ model, day, calls, computedUsd, reportedUsd, driftPercent, alert }) => [
      `${day} ${model}`,
      String(calls),
      computedUsd,
      reportedUsd,
      driftPercent === null ? '-' : `${driftPercent} %`,
      alert ? 'ALERT' : '',
    ])
    for (const line of table(['day and model', 'calls', 'computed USD', 'reported USD', 'drift', ''], rows))
      output.say(line)
    output.say(
      `${report.alerts} beyond ${thresholdPercent} %, ${report.notCompared} calls know only one of the figures`,
    )
    output.answer(report)
    return report.alerts === 0 ? 0 : 1
  },
})

function percent(flag: string, share: string): string {
  if (!/^\d{1,3}(\.\d{1,6})?$/.test(share)) throw invalidInput(flag, 'expected a share such as 0.05')
  return mul(share, '100')
}

/** `credits report` */
export const report = defineCommand({
  meta: { name: 'report', description: 'What the calls of a period brought in and cost; how far the rates are off' },
  // Otherwise the value of a flag would be taken for the name of a command.
  args: profitArgs,
  default: 'profit',
  subCommands: { profit, drift },
})
