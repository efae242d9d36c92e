import type { CreditStore } from '../../packages/credits/src/store/port.ts'
import type { Scenario, ScenarioContext } from '../runner/scenario.ts'
import type { TestDatabase } from '../runner/test-database.ts'
import { type Answer, attempt, chargeOf, countBy } from '../workload/operations.ts'

/** C5 and C10: unknown reservations, keys that were refused, and users that are deleted. */
export const C5: Scenario = {
  id: 'C5',
  claim:
    'An unknown reservation and that of another user are not found by any operation. A refused key may succeed ' +
    'after a top-up. A reservation can be settled after its user was deleted.',
  faults: ['unknown id', 'top-up'],
  run: async (context) => {
    const database = await context.openDatabase()
    const store = database.store(2)
    const otherId = await database.user('10')
    const ofOther = { userId: otherId, reservationId: context.random.uuid() }
    await store.reserve({ ...ofOther, amount: '1', ttlSeconds: 300 })
    for (let count = 0; count < context.goal('top-up'); count += 1) {
      const userId = await database.user('1')
      for (const reservationId of [context.random.uuid(), ofOther.reservationId]) {
        const answers = await useReservation(context, store, { userId, reservationId })
        const notFound = countBy(answers).RESERVATION_NOT_FOUND === answers.length
        context.check(notFound, 'a reservation that is not of the user is found', countBy(answers))
        context.countFault('unknown id', answers.length)
        context.countRuns(answers.length)
      }
      await topUp(context, { store, database }, userId)
      context.countFault('top-up')
    }
    const { state, captured } = await store.getReservation(ofOther)
    context.check(state === 'active' && captured === '0', 'another user has changed a reservation', { state, captured })
  },
}

function useReservation(
  { random }: ScenarioContext,
  store: CreditStore,
  reservation: { userId: string; reservationId: string },
): Promise<Answer<unknown>[]> {
  const charge = chargeOf('1')
  const extension = { extensionId: random.uuid(), amount: '1', ttlSeconds: 300 }
  return Promise.all([
    attempt(() => store.settle({ ...reservation, charge })),
    attempt(() => store.release(reservation)),
    attempt(() => store.getReservation(reservation)),
    attempt(() => store.extend({ ...reservation, ...extension })),
    attempt(() => store.capture({ ...reservation, captureId: random.uuid(), charge })),
  ])
}

async function topUp(
  context: ScenarioContext,
  { store, database }: { store: CreditStore; database: TestDatabase },
  userId: string,
): Promise<void> {
  const reservation = { userId, reservationId: context.random.uuid() }
  const input = { ...reservation, amount: '5', ttlSeconds: 300 }
  const refused = await attempt(() => store.reserve(input))
  const transactionId = context.random.uuid()
  await store.grant({ transactionId, userId, amount: '4', source: 'purchase', bucket: 'add-on' })
  const granted = await attempt(() => store.reserve(input))
  const succeeded = !refused.ok && granted.ok && !granted.value.replayed
  context.check(succeeded, 'the same key does not succeed after a top-up', granted)
  await database.admin.query('delete from auth.users where id = $1', [userId])
  const settled = await attempt(() => store.settle({ ...reservation, charge: chargeOf('1') }))
  context.check(settled.ok, 'a reservation of a deleted user cannot be settled', settled)
  const next = await attempt(() => store.reserve({ ...input, reservationId: context.random.uuid() }))
  context.check(!next.ok && next.code === 'ACCOUNT_NOT_FOUND', 'a deleted user can reserve', next)
}
