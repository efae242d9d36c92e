import type { CreditStore } from '../../packages/credits/src/store/port.ts'
import { UNLOCKED_ACCOUNTS } from '../runner/broken-copy.ts'
import { prepareRpc, restStore } from '../runner/rest.ts'
import type { Scenario, ScenarioContext } from '../runner/scenario.ts'
import type { TestDatabase } from '../runner/test-database.ts'
import { type Answer, attempt, countBy, retryUntilAnswered, sleep } from '../workload/operations.ts'
import { missedSignup } from './races/race.ts'

interface Burst {
  store: CreditStore
  userId: string
  calls: number
  balance: number
}

/** Makes many reserves of 1 at once and expects that exactly the balance is granted. */
async function burst(context: ScenarioContext, { store, userId, calls, balance }: Burst): Promise<void> {
  const answers = await Promise.all(
    Array.from({ length: calls }, () => {
      const input = { reservationId: context.random.uuid(), userId, amount: '1', ttlSeconds: 300 }
      return retryUntilAnswered(() => store.reserve(input))
    }),
  )
  context.countRuns(calls)
  context.countFault('burst')
  const { ok = 0, INSUFFICIENT_CREDITS: refused = 0, ...other } = countBy(answers)
  context.check(ok === balance && refused === calls - balance, `${ok} of ${calls} granted on ${balance}`, other)
}

/** A2: a thousand callers. */
export const A2: Scenario = {
  id: 'A2',
  claim: 'A thousand concurrent reserves of 1 on a balance of 100 grant exactly 100, directly and through PostgREST.',
  faults: ['burst'],
  broken: [UNLOCKED_ACCOUNTS],
  run: async (context) => {
    const direct = await context.openDatabase()
    const store = direct.store(context.byTier(100, 100, 20))
    const calls = context.byTier(1000, 1000, 200)
    for (let round = 0; round < context.byTier(2, 50, 1); round += 1) {
      await burst(context, { store, userId: await direct.user('100'), calls, balance: 100 })
    }
    if (context.tier === 'probe') return
    const served = await context.openDatabase({ api: true })
    const rest = restStore(context.stack, served.clone.url)
    for (let round = 0; round < context.byTier(1, 50); round += 1) {
      await burst(context, { store: rest, userId: await served.user('100'), calls, balance: 100 })
    }
  },
}

/** A3: all requests are completed in one tick. */
export const A3: Scenario = {
  id: 'A3',
  claim: 'Fifty requests whose last bytes arrive together grant no more than there is.',
  faults: ['synchronised'],
  run: async (context) => {
    const database = await context.openDatabase({ api: true })
    const sockets = 50
    for (let round = 0; round < context.goal('synchronised', 1); round += 1) {
      const userId = await database.user('5')
      const requests = await Promise.all(
        Array.from({ length: sockets }, () => {
          const args = { p_account_id: userId, p_reservation_id: context.random.uuid(), p_amount: '1' }
          return prepareRpc(database.clone.restUrl, 'credits_reserve', args, context.stack.serviceRoleKey)
        }),
      )
      await sleep(20)
      for (const request of requests) request.finish()
      const statuses = await Promise.all(requests.map(({ status }) => status))
      context.countRuns(sockets)
      context.countFault('synchronised')
      const granted = statuses.filter((status) => status === 200).length
      const unexpected = statuses.filter((status) => ![200, 402, 503].includes(status))
      context.check(granted <= 5, `${granted} granted of 5`)
      context.check(granted === 5 || statuses.includes(503), `only ${granted} granted of 5`, statuses)
      context.check(unexpected.length === 0, 'an HTTP status that is not documented', unexpected)
    }
  },
}

/** A4: one key, many times, and with other parameters. */
export const A4: Scenario = {
  id: 'A4',
  claim: 'A key used 200 times has one effect. The same key with another amount is refused 200 times and has none.',
  faults: ['replay', 'mismatch'],
  broken: [
    { name: 'a repeated reserve is not recognised', guards: ['reserve-once'] },
    { name: 'other parameters are not refused', guards: ['same-parameters'] },
  ],
  run: async (context) => {
    const database = await context.openDatabase()
    const store = database.store(50)
    for (let round = 0; round < context.goal('mismatch', 1); round += 1) {
      const userId = await database.user('1000')
      const input = { reservationId: context.random.uuid(), userId, amount: '3', ttlSeconds: 300 }
      const calls = context.byTier(200, 200, 40)
      const repeat = (amount: string): Promise<Answer<{ replayed: boolean }>[]> =>
        Promise.all(Array.from({ length: calls }, () => retryUntilAnswered(() => store.reserve({ ...input, amount }))))
      const same = await repeat('3')
      context.countFault('replay')
      const other = await repeat('4')
      context.countFault('mismatch')
      context.countRuns(2 * calls)
      const first = same.filter((answer) => answer.ok && !answer.value.replayed)
      context.check(first.length === 1 && same.every(({ ok }) => ok), 'not exactly one effect', countBy(same))
      context.check(countBy(other).IDEMPOTENCY_MISMATCH === calls, 'another amount was accepted', countBy(other))
      const { reserved } = await store.getBalance({ userId })
      context.check(reserved === '3', `${reserved} reserved, 3 expected`)
      await reuseClosedKey(context, store, input)
    }
  },
}

/** The key of a closed reservation is refused: a second call must not go ahead under it. */
async function reuseClosedKey(
  context: ScenarioContext,
  store: CreditStore,
  input: { reservationId: string; userId: string; amount: string; ttlSeconds: number },
): Promise<void> {
  await store.release(input)
  const again = await attempt(() => store.reserve(input))
  context.check(!again.ok && again.code === 'RESERVATION_CLOSED', 'the key of a closed reservation works again', again)
}

/** A9: an account that nothing has made yet. */
export const A9: Scenario = {
  id: 'A9',
  claim: 'Fifty parallel first calls of a user without an account make one account with one signup grant.',
  faults: ['first use'],
  run: async (context) => {
    const database = await context.openDatabase()
    const store = database.store(50)
    for (let round = 0; round < context.goal('first use', 2); round += 1) {
      const userId = await missedSignup({ database, random: context.random })
      const answers: Answer<unknown>[] = await Promise.all(
        Array.from({ length: 50 }, (_, index) => {
          const input = { reservationId: context.random.uuid(), userId, amount: '1', ttlSeconds: 300 }
          return index % 2
            ? retryUntilAnswered(() => store.reserve(input))
            : retryUntilAnswered(() => store.getBalance({ userId }))
        }),
      )
      context.countRuns(50)
      context.countFault('first use')
      const { available, reserved, version } = await store.getBalance({ userId })
      context.check(countBy(answers).ok === 50, 'a first call failed', countBy(answers))
      const once = version === 1 && available === '25' && reserved === '25'
      context.check(once, 'not one grant of 50', { available, reserved, version })
    }
  },
}

/** A10: too many reservations, and a locked account. */
export const A10: Scenario = {
  id: 'A10',
  claim: 'Limits bound what one account reserves, and a locked account delays another one by less than a second.',
  faults: ['limit', 'blocked account'],
  alone: true,
  broken: [
    { name: 'the number of open reservations has no limit', guards: ['limit-open-reservations'] },
    { name: 'the reserved credits have no limit', guards: ['limit-reserved-credits'] },
  ],
  run: async (context) => {
    const database = await context.openDatabase({ api: true })
    const store = database.store(20)
    const userId = await database.user('1000000')
    const answers = await Promise.all(
      Array.from({ length: 150 }, () => {
        const input = { reservationId: context.random.uuid(), userId, amount: '1', ttlSeconds: 300 }
        return retryUntilAnswered(() => store.reserve(input))
      }),
    )
    const { ok = 0, LIMIT_EXCEEDED: limited = 0 } = countBy(answers)
    const bounded = ok === 100 && limited === 50
    context.check(bounded, 'more or fewer than 100 reservations are open', countBy(answers))
    context.countFault('limit', limited)
    await reserveTooMuch(context, store, await database.user('5000000'))
    const rest = restStore(context.stack, database.clone.url, { retries: 0 })
    for (let round = 0; round < context.goal('blocked account', 1); round += 1) {
      await blockAccount(context, database, rest)
    }
  },
}

async function reserveTooMuch(context: ScenarioContext, store: CreditStore, userId: string): Promise<void> {
  const reserve = (amount: string): Promise<Answer<unknown>> =>
    attempt(() => store.reserve({ userId, ttlSeconds: 300, reservationId: context.random.uuid(), amount }))
  const first = await reserve('999999')
  const second = await reserve('2')
  const limited = first.ok && !second.ok && second.code === 'LIMIT_EXCEEDED'
  context.check(limited, 'more than max_reserved_credits is reserved', second)
}

async function blockAccount(context: ScenarioContext, database: TestDatabase, rest: CreditStore): Promise<void> {
  const [blocked, other] = [await database.user('100'), await database.user('100')]
  const reserve = (userId: string): Promise<Answer<unknown>> => {
    const input = { reservationId: context.random.uuid(), userId, amount: '1', ttlSeconds: 300 }
    return attempt(() => rest.reserve(input))
  }
  const blocker = await database.admin.connect()
  try {
    await blocker.query('begin')
    await blocker.query('select from public.credit_balances where account_id = $1 for update', [blocked])
    const waiting = Array.from({ length: 40 }, () => reserve(blocked))
    await sleep(100)
    const start = performance.now()
    const served = await reserve(other)
    const waited = performance.now() - start
    context.countRuns(41)
    context.countFault('blocked account')
    const code = served.ok ? undefined : served.code
    context.check(served.ok && waited < 1000, `the other account waited ${waited.toFixed(0)} ms`, code)
    await blocker.query('rollback')
    const codes = countBy(await Promise.all(waiting))
    const unexpected = Object.keys(codes).filter((each) => !['ok', 'STORE_BUSY'].includes(each))
    context.check(unexpected.length === 0, 'a blocked call was not refused with STORE_BUSY', codes)
  } finally {
    await blocker.query('rollback')
    blocker.release()
  }
}
