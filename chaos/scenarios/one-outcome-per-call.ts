import type { CreditStore } from '../../packages/credits/src/store/port.ts'
import { UNLOCKED_ACCOUNTS } from '../runner/broken-copy.ts'
import type { Scenario, ScenarioContext } from '../runner/scenario.ts'
import type { TestDatabase } from '../runner/test-database.ts'
import { throughBarrier } from '../workload/barrier.ts'
import { type Answer, chargeOf, countBy, millionths, retryUntilAnswered } from '../workload/operations.ts'
import { expireReservations } from './races/race.ts'

interface EndingParts {
  store: CreditStore
  database: TestDatabase
  reservation: { userId: string; reservationId: string }
  key: string
}

/** A call that can end a reservation, or must not be able to reopen it. */
interface Ending {
  name: string
  /** What it charges as the last charge, if it settles. */
  settles?: string
  call(parts: EndingParts): Promise<Answer<unknown>>
}

const settle = (amount: string): Ending => ({
  name: `settle ${amount}`,
  settles: amount,
  call: ({ store, reservation }) =>
    retryUntilAnswered(() => store.settle({ ...reservation, charge: chargeOf(amount) })),
})

const ENDINGS: readonly Ending[] = [
  settle('3'),
  settle('4'),
  {
    name: 'settle without a charge',
    call: ({ store, reservation }) => retryUntilAnswered(() => store.settle(reservation)),
  },
  { name: 'release', call: ({ store, reservation }) => retryUntilAnswered(() => store.release(reservation)) },
  {
    name: 'extend',
    call: ({ store, reservation, key }) =>
      retryUntilAnswered(() => store.extend({ ...reservation, extensionId: key, amount: '1', ttlSeconds: 300 })),
  },
  {
    name: 'capture',
    call: ({ store, reservation, key }) =>
      retryUntilAnswered(() => store.capture({ ...reservation, captureId: key, charge: chargeOf('1') })),
  },
  {
    name: 'expire',
    call: ({ database, store, reservation: { userId } }) =>
      retryUntilAnswered(async () => {
        await expireReservations(database, userId)
        return store.getBalance({ userId })
      }),
  },
]

// This many reservations wait behind one barrier, with twenty callers each.
const AT_ONCE = 5
const CALLERS = 20

/** A5: every ordered pair of endings on one reservation, many callers, through the barrier. */
export const A5: Scenario = {
  id: 'A5',
  claim:
    'The first call that ends a reservation decides its outcome. Every other call gets that outcome or is refused, ' +
    'and the audit log has each charge that was not recorded.',
  faults: ['barrier'],
  broken: [
    { name: 'a settled reservation can be settled again', guards: ['settle-once'] },
    { name: 'a released reservation can be settled', guards: ['released-is-final'] },
    UNLOCKED_ACCOUNTS,
  ],
  run: async (context) => {
    const database = await context.openDatabase()
    const store = database.store(AT_ONCE * CALLERS)
    const endings = context.tier === 'probe' ? ENDINGS.slice(0, 4) : ENDINGS
    const pairs = endings.flatMap((first) => endings.map((second): Pair => [first, second]))
    for (let round = 0; round < context.goal('round', 1); round += 1) {
      for (let start = 0; start < pairs.length; start += AT_ONCE) {
        await runPairs(context, { database, store }, pairs.slice(start, start + AT_ONCE))
      }
      context.countFault('round')
    }
    context.note(`${pairs.length} ordered pairs x ${CALLERS} callers`)
  },
}

type Pair = readonly [first: Ending, second: Ending]

/** Each pair on a reservation of its own. */
async function runPairs(
  context: ScenarioContext,
  { database, store }: { database: TestDatabase; store: CreditStore },
  pairs: readonly Pair[],
): Promise<void> {
  const users = await database.users(pairs.length, '10')
  const reservations = users.map((userId) => ({ userId, reservationId: context.random.uuid() }))
  await Promise.all(reservations.map((each) => store.reserve({ ...each, amount: '5', ttlSeconds: 300 })))
  const endingOf = (pair: Pair, caller: number): Ending => pair[caller < CALLERS / 2 ? 0 : 1]
  const calls = pairs.flatMap((pair, which) =>
    Array.from({ length: CALLERS }, (_, caller) => () => {
      const reservation = reservations[which] as EndingParts['reservation']
      return endingOf(pair, caller).call({ store, database, reservation, key: context.random.uuid() })
    }),
  )
  const { values, waiting } = await throughBarrier(database, 'public.credit_reservations', calls)
  context.countRuns(calls.length)
  if (waiting > 1) context.countFault('barrier')
  const closed = await closedReservations(database, reservations)
  for (const [which, pair] of pairs.entries()) {
    const answers = values.slice(which * CALLERS, (which + 1) * CALLERS)
    const calls = answers.map((answer, caller) => ({ ending: endingOf(pair, caller), answer }))
    checkPair(context, `${pair[0].name}, ${pair[1].name}`, calls, closed.get(reservations[which]?.reservationId ?? ''))
  }
}

interface Closed {
  id: string
  state: string
  /** Charges under the id of the reservation: what settles wrote. */
  settles: number
  settled: string
  /** Charges of another amount that the audit log has. */
  audited: number
}

async function closedReservations(
  database: TestDatabase,
  reservations: readonly { reservationId: string }[],
): Promise<Map<string, Closed>> {
  const { rows } = await database.admin.query<Closed>(
    `select reservation.id, reservation.state, charged.*, (
       select count(*)::int from public.credit_audit_log change
       where change.action = 'charge_not_recorded' and change.subject = reservation.id::text
     ) as audited
     from public.credit_reservations reservation
     cross join lateral (
       select count(*)::int as settles, trim_scale(coalesce(sum(uncollected - amount), 0))::text as settled
       from public.credit_transactions entry
       where entry.account_id = reservation.account_id and entry.id = reservation.id
     ) charged
     where reservation.id = any ($1)`,
    [reservations.map(({ reservationId }) => reservationId)],
  )
  return new Map(rows.map((row) => [row.id, row]))
}

function checkPair(
  context: ScenarioContext,
  pair: string,
  calls: readonly { ending: Ending; answer: Answer<unknown> }[],
  closed: Closed | undefined,
): void {
  const { state, settles, settled, audited } = closed ?? { state: 'missing', settles: 0, settled: '0', audited: 0 }
  const unexpected = calls.filter(({ ending, answer }) => {
    // A settle of a settled reservation gives the first result.
    if (answer.ok || (state === 'settled' && ending.settles !== undefined)) return !answer.ok
    return answer.code !== 'RESERVATION_CLOSED'
  })
  const otherCharges = calls.filter(({ ending, answer }) => {
    return answer.ok && ending.settles !== undefined && millionths(ending.settles) !== millionths(settled)
  })
  const counts = countBy(unexpected.map(({ answer }) => answer))
  context.check(unexpected.length === 0, `${pair}: a result that does not fit a ${state} of ${settled}`, counts)
  context.check(
    audited >= otherCharges.length,
    `${pair}: ${otherCharges.length} other charges, of which ${audited} are in the audit log`,
  )
  context.check(settles <= 1, `${pair}: charged ${settles} times by settle`)
  context.check(state !== 'released' || settles === 0, `${pair}: released, and charged by settle`)
}
