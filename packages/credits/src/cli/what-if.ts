import { readFile } from 'node:fs/promises'
import { invalidInput, sub } from '../core/money.ts'
import { parseModelList } from '../core/price-list/parse.ts'
import type { WhatIfInput } from '../credits/report-types.ts'
import { command, databaseArgs } from './command.ts'
import { withCreditsOf } from './database.ts'
import { periodArgs, periodOf } from './period.ts'
import { groupArg } from './report.ts'
import { table } from './table.ts'

const SCOPES = ['model', 'provider', 'feature', 'plan'] as const
const override = (scope: string) =>
  ({ type: 'string', description: `Margins by ${scope}: name=percent, separated by commas` }) as const

/** `credits what-if` */
export const whatIf = command({
  name: 'what-if',
  description: 'Replay the calls of a period under other margins or prices. Changes nothing',
  args: {
    ...databaseArgs,
    ...periodArgs,
    ...groupArg,
    margin: { type: 'string', description: 'Default margin in percent' },
    'model-margin': override('model'),
    'provider-margin': override('provider'),
    'feature-margin': override('feature'),
    'plan-margin': override('plan'),
    rates: { type: 'string', description: '"current", or a file in the form of /v1/models' },
  },
  examples: ['what-if --from 2026-11-01 --margin 40', 'what-if --model-margin openai/gpt-5=10 --by model'],
  async run(args, output) {
    const change = { margins: marginsOf(args), rates: await ratesOf(args.rates) }
    if (change.margins === undefined && change.rates === undefined)
      throw invalidInput('--margin', 'say what to change: a margin, or --rates')
    const { actual, hypothetical, unchanged } = await output.during('Replaying the ledger', () =>
      withCreditsOf(args['database-url'], (credits) => credits.whatIf({ ...periodOf(args), ...change })),
    )
    const names = Object.keys(actual.by[args.by]).sort()
    const pairs = names.map((name) => [name, actual.by[args.by][name], hypothetical.by[args.by][name]] as const)
    const rows = [...pairs, ['total', actual.total, hypothetical.total] as const].map(([name, was, would]) => [
      name,
      String(was?.calls ?? 0),
      was?.revenueUsd ?? '0',
      would?.revenueUsd ?? '0',
      was?.profitUsd ?? '0',
      would?.profitUsd ?? '0',
      signed(sub(would?.profitUsd ?? '0', was?.profitUsd ?? '0')),
    ])
    const headings = [args.by, 'calls', 'revenue', 'would be', 'profit', 'would be', 'difference USD']
    for (const line of table(headings, rows)) output.say(line)
    if (unchanged > 0) output.say(`${unchanged} calls cannot be replayed and count as they were.`)
    output.answer({ actual, hypothetical, unchanged })
    return 0
  },
})

function marginsOf(
  args: Partial<Record<'margin' | `${(typeof SCOPES)[number]}-margin`, string | undefined>>,
): WhatIfInput['margins'] {
  const overrides = SCOPES.flatMap((scope) => {
    const flag = `${scope}-margin` as const
    return (args[flag]?.split(',') ?? []).map((text) => {
      // Model ids contain slashes and colons, so the last sign of equality counts.
      const at = text.lastIndexOf('=')
      if (at < 1) throw invalidInput(`--${flag}`, 'expected name=percent')
      return { scope, target: text.slice(0, at).trim(), marginPercent: text.slice(at + 1).trim() }
    })
  })
  const all =
    args.margin === undefined ? overrides : [{ scope: 'default', marginPercent: args.margin } as const, ...overrides]
  return all.length === 0 ? undefined : all
}

async function ratesOf(flag: string | undefined): Promise<WhatIfInput['rates']> {
  if (flag === undefined || flag === 'current') return flag
  let raw: unknown
  try {
    raw = JSON.parse(await readFile(flag, 'utf8'))
  } catch {
    throw invalidInput('--rates', `${flag} is not a file of JSON`)
  }
  return parseModelList(raw).flatMap(({ modelId, pricing }) => (pricing === null ? [] : [{ modelId, pricing }]))
}

function signed(amount: string): string {
  return amount.startsWith('-') || amount === '0' ? amount : `+${amount}`
}
