import { chargeOf, retryUntilAnswered } from '../../workload/operations.ts'
import { exactly, onlyOnce, type Race, type RaceParts, reserve, valuesOf } from './race.ts'

/** A usage of 4 of an account with 5. */
async function spend(parts: RaceParts): Promise<{ userId: string; originalId: string }> {
  const reservation = await reserve(parts, await parts.database.user('5'), '5')
  await parts.store.settle({ ...reservation, charge: chargeOf('4') })
  return { userId: reservation.userId, originalId: reservation.reservationId }
}

/** A grant of 10 of which nothing is spent. */
async function grant({ database, store, random }: RaceParts): Promise<{ userId: string; originalId: string }> {
  const userId = await database.user('0')
  const originalId = random.uuid()
  await store.grant({ userId, transactionId: originalId, amount: '10', source: 'purchase', bucket: 'add-on' })
  return { userId, originalId }
}

/** Races of the calls that an operator or a payment provider makes. */
export const OPERATOR_RACES: readonly Race[] = [
  {
    name: 'grant with one id',
    prepare: async ({ database, store, random }) => {
      const userId = await database.user('5')
      const once = { userId, transactionId: random.uuid(), amount: '10' }
      const input = { ...once, source: 'purchase', bucket: 'add-on' } as const
      return { call: () => retryUntilAnswered(() => store.grant(input)), findFault: onlyOnce }
    },
  },
  {
    name: 'refund one charge',
    prepare: async (parts) => {
      const original = await spend(parts)
      return {
        call: () => {
          const input = { ...original, transactionId: parts.random.uuid(), reason: 'race' }
          return retryUntilAnswered(() => parts.store.refund(input))
        },
        findFault: exactly(1, 'REFUND_EXCEEDS_ORIGINAL'),
      }
    },
  },
  {
    name: 'refund with one id',
    prepare: async (parts) => {
      const input = { ...(await spend(parts)), transactionId: parts.random.uuid(), reason: 'race', amount: '1' }
      return { call: () => retryUntilAnswered(() => parts.store.refund(input)), findFault: onlyOnce }
    },
  },
  {
    name: 'reverse one grant in parts of 4',
    prepare: async (parts) => {
      const original = await grant(parts)
      return {
        call: () => {
          const input = { ...original, transactionId: parts.random.uuid(), reason: 'race', amount: '4' }
          return retryUntilAnswered(() => parts.store.reverse(input))
        },
        findFault: exactly(2, 'REFUND_EXCEEDS_ORIGINAL'),
      }
    },
  },
  {
    name: 'reverse with one id',
    prepare: async (parts) => {
      const input = { ...(await grant(parts)), transactionId: parts.random.uuid(), reason: 'race' }
      return { call: () => retryUntilAnswered(() => parts.store.reverse(input)), findFault: onlyOnce }
    },
  },
  {
    name: 'adjust down to nothing',
    prepare: async ({ database, store, random }) => {
      const userId = await database.user('5')
      return {
        call: () => {
          const input = { transactionId: random.uuid(), userId, amount: '-1', reason: 'race' }
          return retryUntilAnswered(() => store.adjust(input))
        },
        findFault: exactly(5, 'INSUFFICIENT_CREDITS'),
      }
    },
  },
  {
    name: 'adjust with one id',
    prepare: async ({ database, store, random }) => {
      const input = { transactionId: random.uuid(), userId: await database.user('5'), amount: '-1', reason: 'race' }
      return { call: () => retryUntilAnswered(() => store.adjust(input)), findFault: onlyOnce }
    },
  },
  {
    name: 'set one margin',
    prepare: async ({ store, random }) => {
      const input = { scope: 'feature', target: random.uuid(), marginPercent: '10', expectedVersion: 0 } as const
      return { call: () => retryUntilAnswered(() => store.setMargin(input)), findFault: exactly(1, 'VERSION_CONFLICT') }
    },
  },
  {
    name: 'set one margin without a version',
    prepare: async ({ store, random }) => {
      const input = { scope: 'feature', target: random.uuid(), marginPercent: '10' } as const
      return {
        call: () => retryUntilAnswered(() => store.setMargin(input)),
        findFault: (answers) => {
          const versions = new Set(valuesOf(answers).map((value) => (value as { version: number }).version))
          return versions.size === answers.length ? undefined : `${versions.size} versions of ${answers.length} changes`
        },
      }
    },
  },
  {
    name: 'change to one plan',
    prepare: async ({ database, store, pool }) => {
      const userId = await database.user('5')
      return {
        call: () => retryUntilAnswered(() => pool.query('select public.credits_set_plan($1, $2)', [userId, 'pro'])),
        findFault: async (answers) => {
          const { planCredits } = await store.getBalance({ userId })
          const right = planCredits === '3000' && valuesOf(answers).length === answers.length
          return right ? undefined : `${planCredits} plan credits, 3000 expected`
        },
      }
    },
  },
  {
    name: 'set one rate',
    at: 'public.credit_rates',
    prepare: async ({ pool, random }) => {
      const pricing = { type: 'language', pricing: { input: '1' }, known: true, source: 'chaos' }
      const rates = JSON.stringify([{ modelId: `chaos/${random.uuid()}`, ...pricing }])
      const setRates = async (): Promise<number> => {
        const { rows } = await pool.query('select public.credits_set_rates($1)', [rates])
        return rows[0].credits_set_rates.inserted
      }
      return {
        call: () => retryUntilAnswered(setRates),
        findFault: (answers) => {
          const inserted = valuesOf(answers).reduce<number>((total, value) => total + (value as number), 0)
          const right = inserted === 1 && valuesOf(answers).length === answers.length
          return right ? undefined : `${inserted} rates inserted`
        },
      }
    },
  },
]
