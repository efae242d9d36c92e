import type { CreditStore } from '../../packages/credits/src/store/port.ts'
import { heldRpc, restStore } from '../runner/rest.ts'
import type { Arena, Attack } from '../runner/scenario.ts'
import { type Answer, ask, insist, sleep, tally } from '../workload/operations.ts'
import { missedSignup } from './races/index.ts'

/** Fires so many reserves of 1 at once on a balance and expects exactly the balance to be granted. */
async function crowd(arena: Arena, store: CreditStore, userId: string, calls: number, balance: number): Promise<void> {
  const answers = await Promise.all(
    Array.from({ length: calls }, () => {
      const input = { reservationId: arena.random.uuid(), userId, amount: '1', ttlSeconds: 300 }
      return insist(() => store.reserve(input))
    }),
  )
  arena.ran(calls)
  const { ok = 0, INSUFFICIENT_CREDITS: refused = 0, ...other } = tally(answers)
  arena.reached('crowd')
  arena.check(ok === balance && refused === calls - balance, `${ok} of ${calls} granted on ${balance}`, other)
}

/** A2: a thousand callers. */
export const A2: Attack = {
  id: 'A2',
  claim: '1000 concurrent reserves on a balance of 100 grant exactly 100, directly and through PostgREST',
  faults: ['crowd'],
  run: async (arena) => {
    const direct = await arena.open()
    const store = direct.store(arena.count(100, 100, 20))
    const calls = arena.count(1000, 1000, 200)
    for (let round = 0; round < arena.count(2, 50, 1); round += 1) {
      await crowd(arena, store, await direct.user('100'), calls, 100)
    }
    if (arena.tier === 'probe') return
    const served = await arena.open({ api: true })
    const rest = restStore(arena.stack, served.database.url)
    for (let round = 0; round < arena.count(1, 50); round += 1) {
      await crowd(arena, rest, await served.user('100'), calls, 100)
    }
  },
}

/** A3: all requests complete in the same tick. */
export const A3: Attack = {
  id: 'A3',
  claim: 'Requests whose last bytes arrive together grant no more than there is',
  faults: ['synchronised'],
  run: async (arena) => {
    const field = await arena.open({ api: true })
    const sockets = 50
    for (let round = 0; round < arena.goal('synchronised', 1); round += 1) {
      const userId = await field.user('5')
      const held = await Promise.all(
        Array.from({ length: sockets }, () => {
          const args = { p_reservation_id: arena.random.uuid(), p_user_id: userId, p_amount: '1' }
          return heldRpc(field.database.restUrl, 'credits_reserve', args, arena.stack.serviceRoleKey)
        }),
      )
      await sleep(20)
      for (const request of held) request.release()
      const statuses = await Promise.all(held.map(({ status }) => status))
      arena.ran(sockets)
      arena.reached('synchronised')
      const granted = statuses.filter((status) => status === 200).length
      const strange = statuses.filter((status) => ![200, 402, 503].includes(status))
      arena.check(granted <= 5, `${granted} granted of 5`)
      arena.check(granted === 5 || statuses.includes(503), `only ${granted} granted of 5`, statuses)
      arena.check(strange.length === 0, 'an answer that is none of ours', strange)
    }
  },
}

/** A4: one key, many times, and with other parameters. */
export const A4: Attack = {
  id: 'A4',
  claim: 'A key used 200 times has one effect; the same key with another amount is refused and has none',
  faults: ['storm', 'mismatch'],
  broken: [
    {
      name: 'a repeated reserve is not recognised',
      edits: [
        {
          function: 'public.credits_reserve',
          from: 'on conflict (id) do nothing',
          to: 'on conflict (id) do update set held = excluded.held',
        },
      ],
    },
    {
      name: 'other parameters are not refused',
      edits: [
        {
          function: 'credits_private.repeat_reserve',
          from: 'if (r.account_id, r.requested',
          to: 'if false and (r.account_id, r.requested',
        },
      ],
    },
  ],
  run: async (arena) => {
    const field = await arena.open()
    const store = field.store(50)
    for (let round = 0; round < arena.goal('mismatch', 1); round += 1) {
      const userId = await field.user('1000')
      const input = { reservationId: arena.random.uuid(), userId, amount: '3', ttlSeconds: 300 }
      const calls = arena.count(200, 200, 40)
      const same = await Promise.all(Array.from({ length: calls }, () => insist(() => store.reserve(input))))
      arena.reached('storm')
      const other = await Promise.all(
        Array.from({ length: calls }, () => insist(() => store.reserve({ ...input, amount: '4' }))),
      )
      arena.reached('mismatch')
      arena.ran(2 * calls)
      const first = same.filter((answer) => answer.ok && !answer.value.replayed)
      arena.check(first.length === 1 && same.every(({ ok }) => ok), 'not exactly one effect', tally(same))
      arena.check((tally(other).IDEMPOTENCY_MISMATCH ?? 0) === calls, 'another amount was taken', tally(other))
      const { reserved } = await store.getBalance({ userId })
      arena.check(reserved === '3', `${reserved} reserved, 3 expected`)
    }
  },
}

/** A9: an account that nobody made yet. */
export const A9: Attack = {
  id: 'A9',
  claim: 'Fifty parallel first calls of a user without an account make one account with one signup grant',
  faults: ['first use'],
  run: async (arena) => {
    const field = await arena.open()
    const store = field.store(50)
    for (let round = 0; round < arena.goal('first use', 2); round += 1) {
      const userId = await missedSignup({ field, random: arena.random })
      const answers: Answer<unknown>[] = await Promise.all(
        Array.from({ length: 50 }, (_, index) => {
          const input = { reservationId: arena.random.uuid(), userId, amount: '1', ttlSeconds: 300 }
          return index % 2 ? insist(() => store.reserve(input)) : insist(() => store.getBalance({ userId }))
        }),
      )
      arena.ran(50)
      arena.reached('first use')
      const { available, reserved, version } = await store.getBalance({ userId })
      arena.check(
        answers.every(({ ok }) => ok),
        'a first call failed',
        tally(answers),
      )
      arena.check(version === 1 && available === '25' && reserved === '25', 'not one grant of 50', {
        available,
        version,
      })
    }
  },
}

/** A10: hoarding, and holding up the neighbours. */
export const A10: Attack = {
  id: 'A10',
  claim: 'One account can neither hoard nor starve others: limits hold, and a neighbour is served within a second',
  faults: ['limit', 'blocked account'],
  alone: true,
  run: async (arena) => {
    const field = await arena.open({ api: true })
    const store = field.store(20)
    const hoarder = await field.user('1000000')
    const answers = await Promise.all(
      Array.from({ length: 150 }, () => {
        const input = { reservationId: arena.random.uuid(), userId: hoarder, amount: '1', ttlSeconds: 300 }
        return insist(() => store.reserve(input), 1)
      }),
    )
    const { ok = 0, LIMIT_EXCEEDED: limited = 0 } = tally(answers)
    arena.check(ok === 100 && limited === 50, 'the limit of 100 open reservations does not hold', tally(answers))
    arena.reached('limit', limited)
    await tooMuch(arena, store, await field.user('5000000'))
    const rest = restStore(arena.stack, field.database.url, { retries: 0 })
    for (let round = 0; round < arena.goal('blocked account', 1); round += 1) await starve(arena, field, rest)
  },
}

async function tooMuch(arena: Arena, store: CreditStore, userId: string): Promise<void> {
  const more = { userId, ttlSeconds: 300 }
  const first = await ask(() => store.reserve({ ...more, reservationId: arena.random.uuid(), amount: '999999' }))
  const second = await ask(() => store.reserve({ ...more, reservationId: arena.random.uuid(), amount: '2' }))
  arena.check(
    first.ok && !second.ok && second.code === 'LIMIT_EXCEEDED',
    'more than max_reserved_credits is held',
    second,
  )
}

async function starve(arena: Arena, field: Awaited<ReturnType<Arena['open']>>, rest: CreditStore): Promise<void> {
  const [blocked, neighbour] = [await field.user('100'), await field.user('100')]
  const side = await field.admin.connect()
  try {
    await side.query('begin')
    await side.query('select from public.credit_balances where account_id = $1 for update', [blocked])
    const stuck = Array.from({ length: 40 }, () => {
      const input = { reservationId: arena.random.uuid(), userId: blocked, amount: '1', ttlSeconds: 300 }
      return ask(() => rest.reserve(input))
    })
    await sleep(100)
    const start = performance.now()
    const input = { reservationId: arena.random.uuid(), userId: neighbour, amount: '1', ttlSeconds: 300 }
    const served = await ask(() => rest.reserve(input))
    const waited = performance.now() - start
    arena.ran(41)
    arena.reached('blocked account')
    arena.check(
      served.ok && waited < 1000,
      `the neighbour waited ${waited.toFixed(0)} ms`,
      served.ok ? undefined : served.code,
    )
    await side.query('rollback')
    const codes = tally(await Promise.all(stuck))
    const unknown = Object.keys(codes).filter((code) => !['ok', 'STORE_BUSY'].includes(code))
    arena.check(unknown.length === 0, 'a blocked call was not told to come back', codes)
  } finally {
    await side.query('rollback')
    side.release()
  }
}
