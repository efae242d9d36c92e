import type pg from 'pg'
import { CreditError } from '../core/errors.ts'
import { createCredits } from '../credits.ts'
import type { GrantSource } from '../store/port.ts'
import { postgresStore } from '../store/postgres.ts'
import { command, databaseArgs, type ExitCode } from './command.ts'
import { withDatabase } from './database.ts'

/** `credits grant` */
export const grant = command({
  name: 'grant',
  description: 'Give credits to a user; the same --key gives them once',
  args: {
    ...databaseArgs,
    user: { type: 'string', description: 'UUID or e-mail address', required: true },
    amount: { type: 'string', description: 'Credits, for example 100 or 12.5', required: true },
    key: { type: 'string', description: 'What makes this grant unique: an order number, a campaign', required: true },
    source: { type: 'enum', options: ['purchase', 'promo', 'refund', 'adjustment'], default: 'promo' },
    bucket: { type: 'enum', options: ['add-on', 'plan'], default: 'add-on' },
    'expires-in-days': { type: 'string', description: 'Default: never' },
    reason: { type: 'string', description: 'For the books' },
  },
  async run(args, output) {
    return withDatabase<ExitCode>(args['database-url'], async (client) => {
      const userId = await userIdOf(client, args.user)
      const credits = createCredits({ store: postgresStore(client) })
      const days = args['expires-in-days']
      const { transaction, balance, replayed } = await credits.grant({
        userId,
        amount: args.amount,
        source: args.source as GrantSource,
        bucket: args.bucket as 'plan' | 'add-on',
        idempotencyKey: args.key,
        ...(args.reason !== undefined && { reason: args.reason }),
        ...(days !== undefined && { expiresInSeconds: Math.round(Number(days) * 86_400) }),
      })
      output.say(replayed ? 'This key has been used: nothing was given now.' : `Gave ${transaction.amount} credits.`)
      output.say(`Available: ${balance.available}`)
      output.answer({ transaction, balance, replayed })
      return 0
    })
  },
})

/** @throws CreditError `ACCOUNT_NOT_FOUND` */
export async function userIdOf(client: pg.Client, user: string): Promise<string> {
  if (!user.includes('@')) return user
  const { rows } = await client.query<{ id: string }>('select id from auth.users where lower(email) = lower($1)', [
    user,
  ])
  if (rows[0] === undefined)
    throw new CreditError({ code: 'ACCOUNT_NOT_FOUND', message: `Nobody has the address ${user}` })
  return rows[0].id
}
