import { invalidInput } from '../core/errors.ts'
import type { Balance } from '../store/types.ts'
import { printAccount, reasonArgs } from './accounts.ts'
import { command, databaseArgs } from './command.ts'
import { callFunction, userIdOf, withDatabase } from './database.ts'

/** `credits freeze` */
export const freeze = command({
  name: 'freeze',
  description: 'Stop new spending of an account, or of all; what is open still settles. --off allows it again',
  args: {
    ...databaseArgs,
    ...reasonArgs,
    user: { type: 'string', description: 'UUID or e-mail address' },
    all: { type: 'boolean', description: 'Every account', default: false },
    off: { type: 'boolean', description: 'Allow spending again', default: false },
  },
  examples: [
    'freeze --user ann@example.com --reason chargeback',
    'freeze --user ann@example.com --off',
    'freeze --all --reason "incident 12"',
  ],
  async run(args, output) {
    if ((args.user === undefined) !== args.all) throw invalidInput('--user', 'give either --user or --all')
    const frozen = !args.off
    return withDatabase(args['database-url'], async (client) => {
      const actor = args.actor === undefined ? null : await userIdOf(client, args.actor, '--actor')
      const change = [frozen, actor, args.reason ?? null]
      if (args.user === undefined) {
        const answer = await callFunction<{ spendingFrozen: boolean }>(client, 'credits_freeze_spending', change)
        const line = answer.spendingFrozen ? 'Spending is frozen for all accounts.' : 'Spending is allowed.'
        return printAccount(output, line, answer)
      }
      const userId = await userIdOf(client, args.user)
      const balance = await callFunction<Balance>(client, 'credits_freeze_account', [userId, ...change])
      return printAccount(output, `Account ${userId} is ${balance.status}. Available: ${balance.available}`, balance)
    })
  },
})
