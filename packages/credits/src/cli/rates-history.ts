import type { RateRow } from '../store/types.ts'
import { command, databaseArgs } from './command.ts'
import { withCreditsOf } from './database.ts'
import { unknownModel } from './unknown-model.ts'

/** `credits rates history` */
export const history = command({
  name: 'history',
  description: 'The rates a model has had and will have, newest first',
  args: { ...databaseArgs, model: { type: 'positional', description: 'provider/model', required: true } },
  examples: ['rates history anthropic/claude-sonnet-4.5'],
  async run(args, output) {
    const rows = await withCreditsOf(args['database-url'], async (credits) => {
      const { snapshot } = await credits.pricing()
      const own = await credits.getRateHistory({ model: args.model })
      const renamed = snapshot.aliases[args.model]
      if (own.length > 0) return own
      if (renamed !== undefined) return credits.getRateHistory({ model: renamed })
      throw unknownModel(args.model, snapshot)
    })
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
