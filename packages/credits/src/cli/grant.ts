import { invalidInput } from '../core/errors.ts'
import type { GrantSource } from '../store/types.ts'
import { command, databaseArgs, type ExitCode, userArg } from './command.ts'
import { userIdOf, withCreditsOf } from './database.ts'

/** `credits grant` */
export const grant = command({
  name: 'grant',
  description: 'Give credits to a user; the same --key gives them once',
  args: {
    ...databaseArgs,
    ...userArg,
    amount: { type: 'string', description: 'Credits, for example 100 or 12.5', required: true },
    key: { type: 'string', description: 'What makes this grant unique: an order number, a campaign', required: true },
    source: { type: 'enum', options: ['purchase', 'promo', 'refund', 'adjustment'], default: 'promo' },
    bucket: { type: 'enum', options: ['add-on', 'plan'], default: 'add-on' },
    'expires-in-days': { type: 'string', description: 'Default: never' },
    reason: { type: 'string', description: 'Kept with the transaction, for admins only' },
  },
  examples: [
    'grant --user ann@example.com --amount 500 --key order-1042 --source purchase',
    'grant --user ann@example.com --amount 50 --key autumn-2026 --expires-in-days 30',
  ],
  async run(args, output) {
    const days = daysOf(args['expires-in-days'])
    return withCreditsOf<ExitCode>(args['database-url'], async (credits, client) => {
      const userId = await userIdOf(client, args.user)
      const { transaction, balance, replayed } = await credits.grant({
        userId,
        amount: args.amount,
        source: args.source as GrantSource,
        bucket: args.bucket as 'plan' | 'add-on',
        idempotencyKey: args.key,
        ...(args.reason !== undefined && { reason: args.reason }),
        ...(days !== undefined && { expiresInSeconds: days * 86_400 }),
      })
      if (replayed) output.say('This key was used before: nothing was given now. The first grant:')
      output.say(`transaction ${transaction.id} (number ${transaction.version} of account ${userId})`)
      output.say(`  amount        +${transaction.amount} credits, ${transaction.source}`)
      output.say(`  balance then  ${transaction.balanceAfter}`)
      output.say(`  available now ${balance.available}`)
      output.answer({ transaction, balance, replayed })
      return 0
    })
  },
})

function daysOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^[1-9]\d{0,4}$/.test(text)) throw invalidInput('--expires-in-days', 'expected a whole number of days')
  return Number(text)
}
