import type { CreditStore } from '../../../packages/credits/src/store/port.ts'
import type { Arena, Attack } from '../harness/attack.ts'
import { throughBarrier } from '../harness/barrier.ts'
import type { Field } from '../harness/field.ts'
import { type Answer, chargeOf, insist, tally } from '../harness/operations.ts'
import { letExpire } from './races.ts'
import { UNLOCKED_ACCOUNTS } from './sabotage.ts'

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
    const store = field.store(20)
    const endings = arena.tier === 'probe' ? ENDINGS.slice(0, 4) : ENDINGS
    for (let round = 0; round < arena.count(1, 50, 1); round += 1) {
      for (const first of endings) for (const second of endings) await collide(arena, field, store, first, second)
    }
    arena.note(`${ENDINGS.length ** 2} ordered pairs x 20 callers`)
  },
}

async function collide(arena: Arena, field: Field, store: CreditStore, first: Ending, second: Ending): Promise<void> {
  const userId = await field.user('10')
  const reservationId = arena.random.uuid()
  await store.reserve({ reservationId, userId, amount: '5', ttlSeconds: 300 })
  const calls = Array.from({ length: 20 }, (_, index) => () => {
    const parts = { store, field, reservationId, userId, key: arena.random.uuid() }
    return (index < 10 ? first : second).call(parts)
  })
  const { values, waiting } = await throughBarrier(field, 'public.credit_reservations', calls)
  arena.ran(calls.length)
  if (waiting > 1) arena.reached('barrier')
  const pair = `${first.name}, ${second.name}`
  const strange = values.filter((answer) => !answer.ok && !CODES.has(answer.code))
  arena.check(strange.length === 0, `${pair}: a refusal that is no answer`, tally(strange))
  const { rows } = await field.admin.query<{ charges: number; state: string }>(
    `select r.state, (select count(*)::int from public.credit_transactions t where t.id = r.id) as charges
     from public.credit_reservations r where r.id = $1`,
    [reservationId],
  )
  const { state, charges } = rows[0] ?? { state: 'missing', charges: 0 }
  arena.check(charges <= 1, `${pair}: charged ${charges} times by settle`)
  arena.check(state !== 'released' || charges === 0, `${pair}: released, and charged by settle`)
}
