import type pg from 'pg'
import { invalidInput } from '../core/errors.ts'
import { command, databaseArgs, type ExitCode, type Output } from './command.ts'
import { callFunction, withDatabase } from './database.ts'
import { reconcileEstimatesCommand } from './reconcile-estimates.ts'
import { reconcileGateway } from './reconcile-gateway.ts'

const PER_ROUND = 500
/** A bound, so that a database that keeps finding work cannot keep the command running. */
const MOST_ROUNDS = 10_000

interface Round {
  accountsToOpen: string[]
  accountsFailed: number
  signupGrants: number
  accountsDue: number
}

/** `credits reconcile` */
export const reconcile = command({
  name: 'reconcile',
  description: 'Repair what was missed: signup grants, what is past its time, estimates, calls that never settled',
  args: {
    ...databaseArgs,
    apply: { type: 'boolean', description: 'Do it. Without, only say what would be done', default: false },
    estimates: {
      type: 'boolean',
      description: "Correct estimated charges from the gateway's records of their calls",
      default: false,
    },
    gateway: {
      type: 'boolean',
      description: "Charge calls that never settled, from the gateway's spend report",
      default: false,
    },
    from: { type: 'string', description: 'With --gateway: calls from this ISO time on. Default: seven days ago' },
  },
  examples: ['reconcile', 'reconcile --apply', 'reconcile --estimates --apply', 'reconcile --gateway --apply'],
  async run(args, output) {
    if (args.estimates && args.gateway) throw invalidInput('--gateway', 'give one of --estimates and --gateway')
    if (args.from !== undefined && !args.gateway) throw invalidInput('--from', 'belongs to --gateway')
    return withDatabase<ExitCode>(args['database-url'], (client) => {
      if (args.estimates) return reconcileEstimatesCommand(client, args.apply, output)
      if (args.gateway) return reconcileGateway(client, { apply: args.apply, from: args.from }, output)
      return reconcileAccounts(client, args.apply, output)
    })
  },
})

async function reconcileAccounts(client: pg.Client, apply: boolean, output: Output): Promise<ExitCode> {
  const round = (does: boolean) => callFunction<Round>(client, 'credits_reconcile', [does, PER_ROUND])
  const found = await round(false)
  output.say(`${atLeast(found.accountsToOpen.length)} users without their account or signup grant`)
  output.say(`${atLeast(found.accountsDue)} accounts with something past its time`)
  if (!apply) {
    if (work(found) > 0) output.say('Nothing was changed: repeat with --apply.')
    output.answer({ applied: false, found })
    return work(found) === 0 ? 0 : 1
  }
  let signupGrants = 0
  let left = work(found)
  for (let count = 0; left > 0 && count < MOST_ROUNDS; count += 1) {
    signupGrants += (await round(true)).signupGrants
    const remaining = work(await round(false))
    // An account stays due for as long as a reservation covers its expired lot.
    if (remaining >= left && remaining < PER_ROUND) break
    left = remaining
  }
  const after = await round(false)
  output.say(`Made ${signupGrants} signup grants.`)
  if (after.accountsToOpen.length > 0) output.say(`${atLeast(after.accountsToOpen.length)} users are still without.`)
  output.answer({ applied: true, found, signupGrants, left: after })
  return after.accountsToOpen.length === 0 ? 0 : 1
}

function work({ accountsToOpen, accountsDue }: Round): number {
  return accountsToOpen.length + accountsDue
}

function atLeast(count: number): string {
  return count >= PER_ROUND ? `${count} or more` : String(count)
}
