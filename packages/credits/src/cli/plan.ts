import { type CommandDef, defineCommand } from 'citty'
import { type CreditError, invalidInput } from '../core/errors.ts'
import type { Balance } from '../store/types.ts'
import { printAccount, reasonArgs } from './accounts.ts'
import { command, databaseArgs } from './command.ts'
import { callFunction, userIdOf, withDatabase } from './database.ts'
import { nearest } from './flags.ts'
import { table } from './table.ts'

interface PlanChange {
  planId: string
  nextPlanId: string | null
  balance: Balance
}

const set = command({
  name: 'set',
  description: 'Move an account to a plan. To fewer credits: at the end of the period',
  args: {
    ...databaseArgs,
    ...reasonArgs,
    user: { type: 'positional', description: 'UUID or e-mail address', required: true },
    plan: { type: 'positional', description: 'Id of a plan, see `credits plan list`', required: true },
  },
  examples: ['plan set ann@example.com pro --reason "subscription sub_123"'],
  async run(args, output) {
    return withDatabase(args['database-url'], async (client) => {
      const plans = await client.query<{ id: string }>('select id from public.credit_plans order by sort_order, id')
      const known = plans.rows.map(({ id }) => id)
      if (!known.includes(args.plan)) throw unknownPlan(args.plan, known)
      const userId = await userIdOf(client, args.user, '<user>')
      const actor = args.actor === undefined ? null : await userIdOf(client, args.actor, '--actor')
      const values = [userId, args.plan, actor, args.reason ?? null]
      const change = await callFunction<PlanChange>(client, 'credits_set_plan', values)
      const later = change.nextPlanId === null ? '' : `, ${change.nextPlanId} from the next period on`
      const line = `Account ${userId} has the plan ${change.planId}${later}. Available: ${change.balance.available}`
      return printAccount(output, line, change)
    })
  },
})

const list = command({
  name: 'list',
  description: 'The plans there are',
  args: databaseArgs,
  examples: ['plan list'],
  async run(args, output) {
    const { rows } = await withDatabase(args['database-url'], (client) =>
      client.query<{ id: string; name: string; price: string; credits: string; overage: string }>(
        `select plan.id, plan.name, trim_scale(plan.price_usd)::text as price,
           trim_scale(plan.monthly_credits)::text as credits, trim_scale(plan.overage_limit)::text as overage
         from public.credit_plans plan order by plan.sort_order, plan.id`,
      ),
    )
    const cells = rows.map(({ id, name, price, credits, overage }) => [id, name, price, credits, overage])
    for (const line of table(['id', 'name', 'USD', 'credits', 'overage'], cells)) output.say(line)
    output.answer(rows)
    return 0
  },
})

function unknownPlan(plan: string, known: readonly string[]): CreditError {
  const [guess] = nearest(plan, known)
  return invalidInput('<plan>', `${plan} is no plan${guess === undefined ? '' : `; did you mean ${guess}?`}`)
}

/** `credits plan` */
export const plan = defineCommand({
  meta: { name: 'plan', description: 'Plans, and the plan of an account' },
  subCommands: { set, list } as unknown as Record<string, CommandDef>,
})
