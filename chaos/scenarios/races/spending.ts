import { chargeOf, millionths, retryUntilAnswered } from '../../workload/operations.ts'
import { countFirst, exactly, onlyOnce, type Race, type RaceParts, reserve, sum, valuesOf } from './race.ts'

/** A reservation of 5 of an account with 5. */
async function reserveAll(parts: RaceParts): Promise<{ userId: string; reservationId: string }> {
  return reserve(parts, await parts.database.user('5'), '5')
}

/** Races of the calls that an app makes. */
export const SPENDING_RACES: readonly Race[] = [
  {
    name: 'reserve the last credits',
    prepare: async ({ database, store, random }) => {
      const userId = await database.user('5')
      return {
        call: () => {
          const input = { reservationId: random.uuid(), userId, amount: '1', ttlSeconds: 300 }
          return retryUntilAnswered(() => store.reserve(input))
        },
        findFault: exactly(5, 'INSUFFICIENT_CREDITS'),
      }
    },
  },
  {
    name: 'reserve as much as there is',
    prepare: async ({ database, store, random }) => {
      const userId = await database.user('5')
      return {
        call: () => {
          const input = { reservationId: random.uuid(), userId, amount: '3', minimumAmount: '1', ttlSeconds: 300 }
          return retryUntilAnswered(() => store.reserve(input))
        },
        findFault: (answers) => {
          const reserved = sum(valuesOf(answers).map((value) => (value as { amount: string }).amount))
          return reserved === 5_000_000n ? undefined : `${reserved} millionths reserved of 5000000`
        },
      }
    },
  },
  {
    name: 'reserve with one id',
    prepare: async ({ database, store, random }) => {
      const input = { reservationId: random.uuid(), userId: await database.user('5'), amount: '2', ttlSeconds: 300 }
      return { call: () => retryUntilAnswered(() => store.reserve(input)), findFault: onlyOnce }
    },
  },
  {
    name: 'settle one reservation',
    prepare: async (parts) => {
      const input = { ...(await reserveAll(parts)), charge: chargeOf('3') }
      return { call: () => retryUntilAnswered(() => parts.store.settle(input)), findFault: onlyOnce }
    },
  },
  {
    name: 'settle one reservation that the database does not know',
    prepare: async ({ database, store, random }) => {
      const userId = await database.user('5')
      const input = { userId, reservationId: random.uuid(), charge: chargeOf('3'), createMissing: true }
      return { call: () => retryUntilAnswered(() => store.settle(input)), findFault: onlyOnce }
    },
  },
  {
    name: 'settle many reservations of one account',
    prepare: async (parts) => {
      const userId = await parts.database.user(String(parts.callers))
      const reservations = await Promise.all(Array.from({ length: parts.callers }, () => reserve(parts, userId, '1')))
      return {
        call: (index) => {
          const { reservationId = '' } = reservations[index] ?? {}
          return retryUntilAnswered(() => parts.store.settle({ userId, reservationId, charge: chargeOf('0.5') }))
        },
        findFault: async (answers) => {
          const { available, version } = await parts.store.getBalance({ userId })
          const settled = countFirst(answers)
          const right = settled === answers.length && millionths(available) === BigInt(answers.length) * 500_000n
          return right ? undefined : `${settled} settled, ${available} left at version ${version}`
        },
      }
    },
  },
  {
    name: 'settle or release one reservation',
    prepare: async (parts) => {
      const reservation = await reserveAll(parts)
      return {
        call: (index) =>
          index % 2
            ? retryUntilAnswered(() => parts.store.release(reservation))
            : retryUntilAnswered(() => parts.store.settle({ ...reservation, charge: chargeOf('3') })),
        findFault: async (answers) => {
          const { reserved, available } = await parts.store.getBalance({ userId: reservation.userId })
          const first = countFirst(answers)
          const right = first === 1 && reserved === '0' && ['2', '5'].includes(available)
          return right ? undefined : `${first} calls closed it, ${available} available`
        },
      }
    },
  },
  {
    name: 'capture under one reservation',
    prepare: async (parts) => {
      const reservation = await reserveAll(parts)
      return {
        call: () => {
          const input = { ...reservation, captureId: parts.random.uuid(), charge: chargeOf('1') }
          return retryUntilAnswered(() => parts.store.capture(input))
        },
        findFault: async (answers) => {
          const { captured, uncollected } = await parts.store.getReservation(reservation)
          const right = captured === '5' && millionths(uncollected) === BigInt(answers.length - 5) * 1_000_000n
          return right && countFirst(answers) === answers.length
            ? undefined
            : `${captured} captured, ${uncollected} uncollected`
        },
      }
    },
  },
  {
    name: 'capture with one id',
    prepare: async (parts) => {
      const input = { ...(await reserveAll(parts)), captureId: parts.random.uuid(), charge: chargeOf('1') }
      return { call: () => retryUntilAnswered(() => parts.store.capture(input)), findFault: onlyOnce }
    },
  },
  {
    name: 'extend into the last credits',
    prepare: async (parts) => {
      const reservation = await reserve(parts, await parts.database.user('5'), '1')
      return {
        call: () => {
          const input = { ...reservation, extensionId: parts.random.uuid(), amount: '1', ttlSeconds: 300 }
          return retryUntilAnswered(() => parts.store.extend(input))
        },
        findFault: (answers) => {
          const granted = valuesOf(answers).filter(
            (value) => (value as { extension: { granted: boolean } }).extension.granted,
          )
          return granted.length === 4 ? undefined : `${granted.length} extensions granted, 4 fit`
        },
      }
    },
  },
  {
    name: 'extend with one id',
    prepare: async (parts) => {
      const reservation = await reserve(parts, await parts.database.user('5'), '1')
      const input = { ...reservation, extensionId: parts.random.uuid(), amount: '1', ttlSeconds: 300 }
      return { call: () => retryUntilAnswered(() => parts.store.extend(input)), findFault: onlyOnce }
    },
  },
]
