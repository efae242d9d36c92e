import { command, databaseArgs, type ExitCode, userArg } from './command.ts'
import { callFunction, userIdOf, withDatabase } from './database.ts'

interface Erased {
  userId: string
  erased: { transactions: number; texts: string[] }
  stays: string[]
}

/** `credits erase` */
export const erase = command({
  name: 'erase',
  description: 'Remove the free text of an account (metadata, reasons), and say what stays. It cannot be undone',
  args: {
    ...databaseArgs,
    ...userArg,
    actor: { type: 'string', description: 'User who does it: UUID or e-mail address' },
  },
  examples: ['erase --user ann@example.com'],
  async run(args, output) {
    return withDatabase<ExitCode>(args['database-url'], async (client) => {
      const userId = await userIdOf(client, args.user)
      const actor = args.actor === undefined ? null : await userIdOf(client, args.actor, '--actor')
      const answer = await callFunction<Erased>(client, 'credits_erase', [userId, actor])
      output.say(`Erased ${answer.erased.texts.join(' and ')} of ${answer.erased.transactions} transactions.`)
      output.say('What stays:')
      for (const line of answer.stays) output.say(`  ${line}`)
      output.answer(answer)
      return 0
    })
  },
})
