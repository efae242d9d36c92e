import { CreditError } from '../core/errors.ts'
import type { RateRow } from '../store/port.ts'
import { command, databaseArgs } from './command.ts'
import { withCreditsOf } from './database.ts'

/** `credits rates history` */
export const history = command({
  name: 'history',
  description: 'The rates a model has had and will have, newest first',
  args: { ...databaseArgs, model: { type: 'positional', description: 'provider/model', required: true } },
  async run(args, output) {
    const rows = await withCreditsOf(args['database-url'], async (credits) => {
      const { snapshot } = await credits.pricing()
      const own = await credits.getRateHistory({ model: args.model })
      const renamed = snapshot.aliases[args.model]
      return own.length > 0 || renamed === undefined ? own : credits.getRateHistory({ model: renamed })
    })
    if (rows.length === 0) throw new CreditError({ code: 'UNKNOWN_MODEL', details: { model: args.model } })
    for (const row of rows) output.say(`${row.effectiveFrom}  ${summary(row)}  ${row.source}`)
    output.answer(rows)
    return 0
  },
})

/** The two prices that most models have, and how much more there is. */
export function summary({ known, pricing }: Pick<RateRow, 'known' | 'pricing'>): string {
  if (!known || pricing === null) return 'unknown price'
  const { input, output, ...rest } = pricing
  const more = Object.keys(rest).length
  return `in ${String(input ?? '-')} out ${String(output ?? '-')}${more === 0 ? '' : ` and ${more} more`}`
}
