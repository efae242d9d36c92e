import { chargeOf, insist } from '../../workload/operations.ts'
import { exactly, hold, oks, onlyOnce, type Race } from './index.ts'

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
