import { chargeOf, insist, micros } from '../../workload/operations.ts'
import { exactly, fresh, hold, oks, onlyOnce, type Race, sum } from './index.ts'

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
      const held = await Promise.all(Array.from({ length: parts.callers }, () => hold(parts, userId, '1')))
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
