import { command, databaseArgs, type ExitCode } from './command.ts'
import { withDatabase } from './database.ts'

const PER_ROUND = 500
/** A bound, so that a database that keeps finding work cannot hold the command for ever. */
const MOST_ROUNDS = 10_000

interface Round {
  profilesMissing: number
  accountsToOpen: string[]
  signupGrants: number
  accountsDue: number
}

/** `credits reconcile` */
export const reconcile = command({
  name: 'reconcile',
  description: 'Heal what was missed: signup grants, profiles, reservations and periods past their time',
  args: {
    ...databaseArgs,
    apply: { type: 'boolean', description: 'Do it. Without, only tell what would be done', default: false },
  },
  async run(args, output) {
    return withDatabase<ExitCode>(args['database-url'], async (client) => {
      const round = async (apply: boolean): Promise<Round> => {
        const text = 'select public.credits_reconcile($1, $2) as round'
        const { rows } = await client.query<{ round: Round }>(text, [apply, PER_ROUND])
        return (rows[0] as { round: Round }).round
      }
      const found = await round(false)
      const open = work(found)
      output.say(
        `${atLeast(found.accountsToOpen.length)} accounts without their signup, ${atLeast(found.profilesMissing)} without a profile`,
      )
      output.say(`${atLeast(found.accountsDue)} accounts with something past its time`)
      if (!args.apply) {
        if (open > 0) output.say('Nothing was changed: repeat with --apply.')
        output.answer({ applied: false, found })
        return open === 0 ? 0 : 1
      }
      let signupGrants = 0
      let left = open
      for (let count = 0; left > 0 && count < MOST_ROUNDS; count += 1) {
        signupGrants += (await round(true)).signupGrants
        const remaining = work(await round(false))
        // An account that is due for as long as a reservation covers it would keep us here.
        if (remaining >= left && remaining < PER_ROUND) break
        left = remaining
      }
      const after = await round(false)
      output.say(`Done: ${signupGrants} signup grants made.`)
      output.answer({ applied: true, found, signupGrants, left: after })
      return after.accountsToOpen.length === 0 && after.profilesMissing === 0 ? 0 : 1
    })
  },
})

function work({ profilesMissing, accountsToOpen, accountsDue }: Round): number {
  return profilesMissing + accountsToOpen.length + accountsDue
}

function atLeast(count: number): string {
  return count >= PER_ROUND ? `${count} or more` : String(count)
}
