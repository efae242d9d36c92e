import type pg from 'pg'
import type { CreditStore } from '../../../packages/credits/src/store/port.ts'
import type { Field } from '../harness/field.ts'
import { signUp } from '../harness/field.ts'
import { type Answer, chargeOf, insist, micros } from '../harness/operations.ts'
import type { Random } from '../harness/random.ts'

/** What a race is made of. */
export interface RaceParts {
  field: Field
  store: CreditStore
  /** The same connections as the store's, for functions that the port does not have. */
  pool: pg.Pool
  random: Random
  /** How many call at once. */
  callers: number
}

/** Calls that are fired at once, and what must come of them whatever their order. */
export interface ReadyRace {
  call: (index: number) => Promise<Answer<unknown>>
  /** Says what went wrong; undefined when all is well. */
  judge(answers: readonly Answer<unknown>[]): string | undefined | Promise<string | undefined>
}

/** A race by the function that it tries to break. */
export interface Race {
  name: string
  /** The table that decides, where it is none of the ledger's. */
  at?: string
  prepare(parts: RaceParts): Promise<ReadyRace>
}

const oks = (answers: readonly Answer<unknown>[]): unknown[] =>
  answers.flatMap((answer) => (answer.ok ? [answer.value] : []))

const fresh = (answers: readonly Answer<unknown>[]): number =>
  oks(answers).filter((value) => (value as { replayed: boolean }).replayed === false).length

/** Exactly so many succeed; all the others are refused with the code. */
function exactly(wanted: number, code: string): ReadyRace['judge'] {
  return (answers) => {
    const granted = oks(answers).length
    const other = answers.filter((answer) => !answer.ok && answer.code !== code)
    if (granted === wanted && other.length === 0) return undefined
    return `${granted} of ${answers.length} succeeded, ${wanted} should have; other refusals: ${other.map((answer) => (answer as { code: string }).code)}`
  }
}

/** Everybody gets the same result, and it happened once. */
const onlyOnce: ReadyRace['judge'] = (answers) => {
  const times = fresh(answers)
  if (times === 1 && oks(answers).length === answers.length) return undefined
  const codes = answers.flatMap((answer) => (answer.ok ? [] : [answer.code]))
  return `happened ${times} times; refusals: ${codes}`
}

const hold = async ({ store, random }: RaceParts, userId: string, amount: string): Promise<string> => {
  const reservationId = random.uuid()
  await store.reserve({ reservationId, userId, amount, ttlSeconds: 300 })
  return reservationId
}

const sum = (values: readonly string[]): bigint => values.reduce((total, value) => total + micros(value), 0n)

/** Races of the calls that an app makes. */
export const SPENDING_RACES: readonly Race[] = [
  {
    name: 'reserve the last credits',
    prepare: async ({ field, store, random }) => {
      const userId = await field.user('5')
      return {
        call: () => {
          const input = { reservationId: random.uuid(), userId, amount: '1', ttlSeconds: 300 }
          return insist(() => store.reserve(input))
        },
        judge: exactly(5, 'INSUFFICIENT_CREDITS'),
      }
    },
  },
  {
    name: 'reserve as much as there is',
    prepare: async ({ field, store, random }) => {
      const userId = await field.user('5')
      return {
        call: () => {
          const input = { reservationId: random.uuid(), userId, amount: '3', minimumAmount: '1', ttlSeconds: 300 }
          return insist(() => store.reserve(input))
        },
        judge: (answers) => {
          const held = sum(oks(answers).map((value) => (value as { amount: string }).amount))
          return held === 5_000_000n ? undefined : `${held} millionths held of 5000000`
        },
      }
    },
  },
  {
    name: 'reserve with one id',
    prepare: async ({ field, store, random }) => {
      const userId = await field.user('5')
      const input = { reservationId: random.uuid(), userId, amount: '2', ttlSeconds: 300 }
      return { call: () => insist(() => store.reserve(input)), judge: onlyOnce }
    },
  },
  {
    name: 'settle one reservation',
    prepare: async (parts) => {
      const reservationId = await hold(parts, await parts.field.user('5'), '5')
      return {
        call: () => insist(() => parts.store.settle({ reservationId, charge: chargeOf('3') })),
        judge: onlyOnce,
      }
    },
  },
  {
    name: 'settle many reservations of one account',
    prepare: async (parts) => {
      const userId = await parts.field.user(String(parts.callers))
      const held: string[] = []
      for (let count = 0; count < parts.callers; count += 1) held.push(await hold(parts, userId, '1'))
      return {
        call: (index) =>
          insist(() => parts.store.settle({ reservationId: held[index] ?? '', charge: chargeOf('0.5') })),
        judge: async (answers) => {
          const { available, version } = await parts.store.getBalance({ userId })
          const right = fresh(answers) === answers.length && micros(available) === BigInt(answers.length) * 500_000n
          return right ? undefined : `${fresh(answers)} settled, ${available} left at version ${version}`
        },
      }
    },
  },
  {
    name: 'settle or release one reservation',
    prepare: async (parts) => {
      const userId = await parts.field.user('5')
      const reservationId = await hold(parts, userId, '5')
      return {
        call: (index) =>
          index % 2
            ? insist(() => parts.store.release({ reservationId }))
            : insist(() => parts.store.settle({ reservationId, charge: chargeOf('3') })),
        judge: async (answers) => {
          const balance = await parts.store.getBalance({ userId })
          const right = balance.reserved === '0' && ['2', '5'].includes(balance.available)
          return fresh(answers) === 1 && right ? undefined : `${fresh(answers)} winners, ${balance.available} available`
        },
      }
    },
  },
  {
    name: 'capture under one reservation',
    prepare: async (parts) => {
      const userId = await parts.field.user('5')
      const reservationId = await hold(parts, userId, '5')
      return {
        call: () => {
          const captureId = parts.random.uuid()
          return insist(() => parts.store.capture({ reservationId, captureId, charge: chargeOf('1') }))
        },
        judge: async (answers) => {
          const { captured, uncollected } = await parts.store.getReservation({ reservationId })
          const right = captured === '5' && micros(uncollected) === BigInt(answers.length - 5) * 1_000_000n
          return right && fresh(answers) === answers.length
            ? undefined
            : `${captured} captured, ${uncollected} uncollected`
        },
      }
    },
  },
  {
    name: 'capture with one id',
    prepare: async (parts) => {
      const reservationId = await hold(parts, await parts.field.user('5'), '5')
      const input = { reservationId, captureId: parts.random.uuid(), charge: chargeOf('1') }
      return { call: () => insist(() => parts.store.capture(input)), judge: onlyOnce }
    },
  },
  {
    name: 'extend into the last credits',
    prepare: async (parts) => {
      const reservationId = await hold(parts, await parts.field.user('5'), '1')
      return {
        call: () => {
          const input = { reservationId, extensionId: parts.random.uuid(), amount: '1', ttlSeconds: 300 }
          return insist(() => parts.store.extend(input))
        },
        judge: (answers) => {
          const granted = oks(answers).filter(
            (value) => (value as { extension: { granted: boolean } }).extension.granted,
          )
          return granted.length === 4 ? undefined : `${granted.length} extensions granted, 4 fit`
        },
      }
    },
  },
]

/** Races of the calls that an operator or a payment provider makes. */
export const OPERATING_RACES: readonly Race[] = [
  {
    name: 'grant with one id',
    prepare: async ({ field, store, random }) => {
      const userId = await field.user('5')
      const input = {
        transactionId: random.uuid(),
        userId,
        amount: '10',
        source: 'purchase',
        bucket: 'add-on',
      } as const
      return { call: () => insist(() => store.grant(input)), judge: onlyOnce }
    },
  },
  {
    name: 'refund one charge',
    prepare: async (parts) => {
      const reservationId = await hold(parts, await parts.field.user('5'), '5')
      await parts.store.settle({ reservationId, charge: chargeOf('4') })
      return {
        call: () => {
          const input = { transactionId: parts.random.uuid(), originalId: reservationId, reason: 'race' }
          return insist(() => parts.store.refund(input))
        },
        judge: exactly(1, 'REFUND_EXCEEDS_ORIGINAL'),
      }
    },
  },
  {
    name: 'refund with one id',
    prepare: async (parts) => {
      const reservationId = await hold(parts, await parts.field.user('5'), '5')
      await parts.store.settle({ reservationId, charge: chargeOf('4') })
      const input = { transactionId: parts.random.uuid(), originalId: reservationId, reason: 'race', amount: '1' }
      return { call: () => insist(() => parts.store.refund(input)), judge: onlyOnce }
    },
  },
  {
    name: 'adjust down to nothing',
    prepare: async ({ field, store, random }) => {
      const userId = await field.user('5')
      return {
        call: () => {
          const input = { transactionId: random.uuid(), userId, amount: '-1', reason: 'race' }
          return insist(() => store.adjust(input))
        },
        judge: exactly(5, 'INSUFFICIENT_CREDITS'),
      }
    },
  },
  {
    name: 'adjust with one id',
    prepare: async ({ field, store, random }) => {
      const input = { transactionId: random.uuid(), userId: await field.user('5'), amount: '-1', reason: 'race' }
      return { call: () => insist(() => store.adjust(input)), judge: onlyOnce }
    },
  },
  {
    name: 'set one margin',
    prepare: async ({ store, random }) => {
      const input = { scope: 'feature', target: random.uuid(), marginPercent: '10', expectedVersion: 0 } as const
      return { call: () => insist(() => store.setMargin(input)), judge: exactly(1, 'VERSION_CONFLICT') }
    },
  },
  {
    name: 'set one margin without a version',
    prepare: async ({ store, random }) => {
      const input = { scope: 'feature', target: random.uuid(), marginPercent: '10' } as const
      return {
        call: () => insist(() => store.setMargin(input)),
        judge: (answers) => {
          const versions = new Set(oks(answers).map((value) => (value as { version: number }).version))
          return versions.size === answers.length ? undefined : `${versions.size} versions of ${answers.length} changes`
        },
      }
    },
  },
  {
    name: 'change to one plan',
    prepare: async ({ field, store, pool }) => {
      const userId = await field.user('5')
      return {
        call: () => insist(() => pool.query('select public.credits_set_plan($1, $2)', [userId, 'pro'])),
        judge: async (answers) => {
          const { planCredits } = await store.getBalance({ userId })
          const right = planCredits === '3000' && oks(answers).length === answers.length
          return right ? undefined : `${planCredits} plan credits, 3000 expected`
        },
      }
    },
  },
  {
    name: 'set one rate',
    at: 'public.credit_rates',
    prepare: async ({ pool, random }) => {
      const rate = {
        modelId: `chaos/${random.uuid()}`,
        type: 'language',
        pricing: { input: '1' },
        known: true,
        source: 'chaos',
      }
      const call = async (): Promise<number> => {
        const { rows } = await pool.query('select public.credits_set_rates($1)', [JSON.stringify([rate])])
        return rows[0].credits_set_rates.inserted
      }
      return {
        call: () => insist(call),
        judge: (answers) => {
          const inserted = oks(answers).reduce<number>((total, value) => total + (value as number), 0)
          return inserted === 1 && oks(answers).length === answers.length ? undefined : `${inserted} rates inserted`
        },
      }
    },
  },
]

/** Races of accounts that do not exist yet, or that nobody touched for long. */
export const OPENING_RACES: readonly Race[] = [
  {
    name: 'first use of a missing account',
    prepare: async (parts) => {
      const userId = await missedSignup(parts)
      return {
        call: () => {
          const input = { reservationId: parts.random.uuid(), userId, amount: '10', ttlSeconds: 300 }
          return insist(() => parts.store.reserve(input))
        },
        judge: exactly(5, 'INSUFFICIENT_CREDITS'),
      }
    },
  },
  {
    name: 'reconcile a missing account',
    prepare: async (parts) => {
      const userId = await missedSignup(parts)
      return {
        call: () => insist(() => parts.pool.query('select public.credits_reconcile(true, 100)')),
        judge: async () => {
          const { available } = await parts.store.getBalance({ userId })
          return available === '50' ? undefined : `${available} available, one grant of 50 expected`
        },
      }
    },
  },
  {
    name: 'sign up one person under many spellings',
    prepare: async ({ field, random }) => {
      await field.admin.query('update public.credit_settings set signup_credits = 50')
      const name = random.uuid()
      return {
        call: (index) => insist(() => signUp(field.admin, random.uuid(), { email: `${name}+${index}@Example.com` })),
        judge: async () => {
          const { rows } = await field.admin.query(
            `select count(*)::int as grants from public.credit_transactions t join auth.users u on u.id = t.account_id
             where t.source = 'signup' and u.email like $1`,
            [`${name}%`],
          )
          return rows[0].grants === 1 ? undefined : `${rows[0].grants} signup grants for one person`
        },
      }
    },
  },
  {
    name: 'sweep while others spend',
    prepare: async (parts) => {
      const userId = await parts.field.user('100')
      for (let count = 0; count < 5; count += 1) await hold(parts, userId, '1')
      await letExpire(parts.field, userId)
      return {
        call: (index) => {
          if (index % 3 === 0) return insist(() => parts.pool.query('select public.credits_expire_due(10)'))
          const input = { reservationId: parts.random.uuid(), userId, amount: '1', ttlSeconds: 300 }
          return insist(() => parts.store.reserve(input))
        },
        judge: async (answers) => {
          const { reserved } = await parts.store.getBalance({ userId })
          const held = answers.filter((_, index) => index % 3 !== 0).length
          return reserved === String(held) ? undefined : `${reserved} reserved by ${held} reservations of 1`
        },
      }
    },
  },
  {
    name: 'sweep what is due',
    prepare: async (parts) => {
      const userId = await parts.field.user('5')
      for (let count = 0; count < 5; count += 1) await hold(parts, userId, '1')
      await letExpire(parts.field, userId)
      return {
        call: (index) =>
          index % 2
            ? insist(() => parts.pool.query('select public.credits_expire_due(10)'))
            : insist(() => parts.store.getBalance({ userId })),
        judge: async () => {
          const { available } = await parts.store.getBalance({ userId })
          return available === '5' ? undefined : `${available} available after the sweep, 5 expected`
        },
      }
    },
  },
]

/** Every race. */
export const RACES: readonly Race[] = [...SPENDING_RACES, ...OPERATING_RACES, ...OPENING_RACES]

/** A user whose signup trigger did not run, in a field where the signup grant is 50. */
export async function missedSignup({ field, random }: Pick<RaceParts, 'field' | 'random'>): Promise<string> {
  await field.admin.query('update public.credit_settings set signup_credits = 50')
  const client = await field.admin.connect()
  const userId = random.uuid()
  try {
    await client.query(`set session_replication_role = replica`)
    await client.query(`insert into auth.users (id, email, email_confirmed_at) values ($1, $2, now())`, [
      userId,
      `${userId}@example.com`,
    ])
  } finally {
    await client.query(`set session_replication_role = origin`)
    client.release()
  }
  return userId
}

/** Moves every open reservation of an account into the past, as if its time had passed. */
export async function letExpire(field: Field, userId: string): Promise<void> {
  const client = await field.admin.connect()
  try {
    await client.query('begin')
    // The account last, as everybody does: the attack must not bring a deadlock of its own.
    await client.query(
      `update public.credit_reservations set expires_at = clock_timestamp() - interval '1 second'
       where id in (select id from public.credit_reservations where account_id = $1 and state = 'active' order by id for update)`,
      [userId],
    )
    await client.query(
      `update public.credit_balances set next_due_at = clock_timestamp() - interval '1 second',
         swept_until = least(swept_until, clock_timestamp() - interval '1 minute') where account_id = $1`,
      [userId],
    )
    await client.query('commit')
  } catch (error) {
    await client.query('rollback').catch(() => undefined)
    throw error
  } finally {
    client.release()
  }
}
