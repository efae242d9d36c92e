import type { CreditStore } from '../../packages/credits/src/store/port.ts'
import { UNLOCKED_ACCOUNTS } from '../runner/broken-copies.ts'
import type { Arena, Attack } from '../runner/scenario.ts'
import type { Field } from '../runner/test-database.ts'
import { throughBarrier } from '../workload/barrier.ts'
import { type Answer, chargeOf, insist, tally } from '../workload/operations.ts'
import { letExpire } from './races/index.ts'

interface Ending {
  name: string
  call(parts: {
    store: CreditStore
    field: Field
    reservationId: string
    userId: string
    key: string
  }): Promise<Answer<unknown>>
}

/** Everything that can end a reservation, or must not be able to reopen one. */
const ENDINGS: readonly Ending[] = [
  {
    name: 'settle 3',
    call: ({ store, reservationId }) => insist(() => store.settle({ reservationId, charge: chargeOf('3') })),
  },
  {
    name: 'settle 4',
    call: ({ store, reservationId }) => insist(() => store.settle({ reservationId, charge: chargeOf('4') })),
  },
  {
    name: 'settle without a charge',
    call: ({ store, reservationId }) => insist(() => store.settle({ reservationId })),
  },
  { name: 'release', call: ({ store, reservationId }) => insist(() => store.release({ reservationId })) },
  {
    name: 'extend',
    call: ({ store, reservationId, key }) =>
      insist(() => store.extend({ reservationId, extensionId: key, amount: '1', ttlSeconds: 300 })),
  },
  {
    name: 'capture',
    call: ({ store, reservationId, key }) =>
      insist(() => store.capture({ reservationId, captureId: key, charge: chargeOf('1') })),
  },
  {
    name: 'expire',
    call: ({ field, store, userId }) =>
      insist(async () => {
        await letExpire(field, userId)
        return store.getBalance({ userId })
      }),
  },
]

// So many reservations wait behind one barrier, with twenty callers each.
const AT_ONCE = 5
const CALLERS = 20

const CODES = new Set(['RESERVATION_CLOSED'])

/** A5: every ordered pair of endings on one reservation, many callers, through the barrier. */
export const A5: Attack = {
  id: 'A5',
  claim: 'Whatever ends a reservation first wins; everybody else gets the winner’s outcome or a closed door',
  faults: ['barrier'],
  broken: [
    {
      name: 'a settled reservation can be settled again',
      edits: [{ function: 'credits_private.settle_slowly', from: /when 'settled' then/, to: "when 'settled_' then" }],
    },
    UNLOCKED_ACCOUNTS,
  ],
  run: async (arena) => {
    const field = await arena.open()
    const store = field.store(AT_ONCE * CALLERS)
    const endings = arena.tier === 'probe' ? ENDINGS.slice(0, 4) : ENDINGS
    const pairs = endings.flatMap((first) => endings.map((second): Pair => [first, second]))
    for (let round = 0; round < arena.goal('round', 1); round += 1) {
      for (let start = 0; start < pairs.length; start += AT_ONCE) {
        await collide(arena, field, store, pairs.slice(start, start + AT_ONCE))
      }
      arena.reached('round')
    }
    arena.note(`${pairs.length} ordered pairs x ${CALLERS} callers`)
  },
}

type Pair = readonly [first: Ending, second: Ending]

/** Each pair on a reservation of its own. */
async function collide(arena: Arena, field: Field, store: CreditStore, pairs: readonly Pair[]): Promise<void> {
  const users = await field.users(pairs.length, '10')
  const held = await Promise.all(
    users.map(async (userId) => {
      const reservationId = arena.random.uuid()
      await store.reserve({ reservationId, userId, amount: '5', ttlSeconds: 300 })
      return { userId, reservationId }
    }),
  )
  const calls = held.flatMap((each, which) =>
    Array.from({ length: CALLERS }, (_, index) => () => {
      const parts = { store, field, key: arena.random.uuid(), ...each }
      const [first, second] = pairs[which] as Pair
      return (index < CALLERS / 2 ? first : second).call(parts)
    }),
  )
  const { values, waiting } = await throughBarrier(field, 'public.credit_reservations', calls)
  arena.ran(calls.length)
  if (waiting > 1) arena.reached('barrier')
  const ids = held.map(({ reservationId }) => reservationId)
  const { rows } = await field.admin.query<Ended>(
    `select r.id, r.state, (select count(*)::int from public.credit_transactions t where t.id = r.id) as charges
     from public.credit_reservations r where r.id = any ($1)`,
    [ids],
  )
  for (const [which, [first, second]] of pairs.entries()) {
    const answers = values.slice(which * CALLERS, (which + 1) * CALLERS)
    const ended = rows.find(({ id }) => id === ids[which])
    judge(arena, `${first.name}, ${second.name}`, answers, ended)
  }
}

interface Ended {
  id: string
  state: string
  charges: number
}

function judge(arena: Arena, pair: string, answers: readonly Answer<unknown>[], ended: Ended | undefined): void {
  const strange = answers.filter((answer) => !answer.ok && !CODES.has(answer.code))
  arena.check(strange.length === 0, `${pair}: a refusal that is no answer`, tally(strange))
  const { state, charges } = ended ?? { state: 'missing', charges: 0 }
  arena.check(charges <= 1, `${pair}: charged ${charges} times by settle`)
  arena.check(state !== 'released' || charges === 0, `${pair}: released, and charged by settle`)
}
