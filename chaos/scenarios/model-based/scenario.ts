import fc from 'fast-check'
import type { Scenario } from '../../runner/scenario.ts'
import { amountOf, millionths } from '../../workload/operations.ts'
import { checkProperty } from '../../workload/properties.ts'
import { AccountModel } from './account-model.ts'
import { COMMANDS, type RealAccount } from './commands.ts'

const WIDTH = 8

/** C12, with C9: any sequence of operations, compared with a model. */
export const C12: Scenario = {
  id: 'C12',
  long: true,
  claim:
    'Any sequence of operations leaves what a model in whole millionths leaves: burn-down, expiry, captures, ' +
    'overage, refunds and reversals.',
  faults: ['sequence'],
  broken: [
    { name: 'a lot may expire twice over under later reservations', guards: ['cover-only-earlier-reservations'] },
    { name: 'earlier refunds of a charge are not subtracted', guards: ['subtract-earlier-refunds'] },
    { name: 'reversals have no bound', guards: ['reversal-within-original'] },
    { name: 'an adjustment takes what reservations keep back', guards: ['adjust-within-available'] },
  ],
  run: async (context) => {
    const database = await context.openDatabase()
    const store = database.store(WIDTH)
    const results: Record<string, number> = {}
    const property = fc.asyncProperty(
      fc.commands(COMMANDS, { maxCommands: 60, size: 'max' }),
      fc.constantFrom(0n, 5_000_000n),
      async (commands, overage) => {
        const model = new AccountModel(overage)
        const userId = await database.user('0')
        await database.admin.query(
          `update public.credit_balances
           set overage_limit = $2, plan_period_ends_at = null, next_due_at = 'infinity' where account_id = $1`,
          [userId, amountOf(overage)],
        )
        const real: RealAccount = { database, store, random: context.random, userId, results }
        await fc.asyncModelRun(() => ({ model, real }), commands)
        await compareReservations(model, real)
        context.countFault('sequence')
      },
    )
    context.countRuns(await checkProperty(context, property, { times: context.goal('sequence', 40), width: WIDTH }))
    context.note(JSON.stringify(results))
  },
}

async function compareReservations(model: AccountModel, { store, userId }: RealAccount): Promise<void> {
  model.applyDue()
  for (const [reservationId, expected] of model.reservations) {
    const { captured, uncollected, state } = await store.getReservation({ userId, reservationId })
    const same =
      millionths(captured) === expected.captured &&
      millionths(uncollected) === expected.uncollected &&
      state === expected.state
    if (!same) throw new Error(`a reservation ends ${state} with ${captured} and ${uncollected}, not ${expected.state}`)
  }
}
